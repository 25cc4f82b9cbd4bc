"""A folder of files that is written whole or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from cityframe.errors import DeclarationError


@contextlib.contextmanager
def folder_replaced_whole(folder: Path, own: Collection[str]) -> Iterator[Path]:
    """Give a new folder that takes the place of ``folder`` by a rename when the block ends well.

    Whoever looks sees the old files or the new ones; parents are made.

    Parameters
    ----------
    own : collection of str
        The files that may stand in the folder before: nothing else is ever removed.

    Raises
    ------
    DeclarationError
        If ``folder`` holds another file.
    """
    _check(folder, own)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield made
        made.chmod(0o755)
        _replace(folder, made)
    finally:
        if made.exists():
            shutil.rmtree(made)


def _check(folder: Path, own: Collection[str]) -> None:
    if not folder.exists():
        return
    foreign = sorted(one.name for one in folder.iterdir() if one.name not in own)
    if foreign:
        raise DeclarationError(
            where=str(folder),
            found=f"{foreign[0]} is no file of a report",
            expected="an empty folder, or one that holds a report only",
            remedy="write the report into a folder of its own",
        )


def _replace(folder: Path, made: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(aside / folder.name)
    try:
        made.rename(folder)
    except OSError:
        with contextlib.suppress(FileExistsError):
            (aside / folder.name).rename(folder)
        raise
    shutil.rmtree(aside)
