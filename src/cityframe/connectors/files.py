"""Pull type ``files``: a file, a folder or an archive, copied as it is.

An archive stays packed: its bytes are the evidence. The place is ``path`` of the declaration,
relative to the workspace, or the one that the call names.
"""

import os
import shutil
import stat
from pathlib import Path

from cityframe.config.source import FilesPull, Source
from cityframe.config.workspace import expand
from cityframe.connectors.pulling import Pulled
from cityframe.errors import DeclarationError, QuarantinedError, SourceUnreachableError


def pull(
    source: Source,
    *,
    workspace_root: Path,
    into: Path,
    place: str | None,
    watermark: str,  # noqa: ARG001  # files have none
    observations: Path,  # noqa: ARG001  # nor observations
) -> Pulled:
    """Copy the files; see `cityframe.connectors.Connector`.

    Raises
    ------
    SourceUnreachableError
        If there is nothing at the place, or a file is written to while it is copied.
    QuarantinedError
        If a folder holds a link or a special file.
    """
    where = _place(source, workspace_root, place)
    try:
        if where.is_dir():
            _copy_folder(where, into)
        else:
            _copy_file(where, into / where.name)
    except (FileNotFoundError, PermissionError) as error:
        raise SourceUnreachableError(
            found=f"can't read {error.filename}: {error.strerror}",
            where=f"source {source.name}",
            expected="a file, a folder or an archive",
            remedy="look whether it is mounted and delivered, then pull again",
        ) from error
    return Pulled(origin=str(where))


def _place(source: Source, workspace_root: Path, place: str | None) -> Path:
    if place is not None:
        return Path(place).absolute()
    declared = source.pull.path if isinstance(source.pull, FilesPull) else ""
    if not declared:
        raise DeclarationError(
            found="no place to pull from",
            where=f"source {source.name}",
            expected="path in its pull",
            remedy="declare it, or pull with --from PATH",
        )
    return (workspace_root / expand(declared, where=f"source {source.name}, path")).absolute()


def _copy_folder(folder: Path, into: Path) -> None:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        target = into / Path(parent).relative_to(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in [*names, *(one for one in folders if Path(parent, one).is_symlink())]:
            path = Path(parent, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                raise QuarantinedError(
                    found="a link or a special file",
                    where=str(path),
                    expected="plain files only",
                    remedy="have the source deliver the file itself",
                )
            _copy_file(path, target / name)


def _copy_file(path: Path, target: Path) -> None:
    before = path.stat()
    if not stat.S_ISREG(before.st_mode):
        raise QuarantinedError(
            found="a special file", where=str(path), expected="a file, a folder or an archive"
        )
    shutil.copyfile(path, target)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceUnreachableError(
            found="the file was written to while it was copied",
            where=str(path),
            remedy="pull again when the source has finished",
        )


def _raise(error: OSError) -> None:
    raise error
