"""A package's folder: it appears whole or not at all, and its files are what the manifest says."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cityframe.errors import IntegrityError
from cityframe.products.package.manifest import (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    PackagedFile,
    PackageManifest,
)

UNLISTED = frozenset({MANIFEST_FILE, SIGNATURE_FILE})
"""Files that stand beside the manifest's: itself, and the signature over it."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``folder`` when the block ends well.

    If ``folder`` is there already with the same manifest and whole files, it is left as it is.

    Raises
    ------
    IntegrityError
        If something else stands there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            _check_same(temporary, folder)
        else:
            for path in temporary.iterdir():
                _flush(path)
            _flush(temporary)
            temporary.rename(folder)
            _flush(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def describe_files(folder: Path) -> tuple[PackagedFile, ...]:
    """Return size and SHA-256 of the files of a folder that a manifest lists, sorted by name."""
    return tuple(
        PackagedFile(path=path.name, size=path.stat().st_size, sha256=_sha256(path))
        for path in sorted(folder.iterdir())
        if path.name not in UNLISTED
    )


def check_files(folder: Path, manifest: PackageManifest) -> None:
    """Check that a folder holds the files of its manifest, whole, and nothing else.

    Raises
    ------
    IntegrityError
        If a file is missing, not expected, no plain file, of another size or of another digest.
    """
    again = "get the package again from the publisher"
    expected = {file.path: file for file in manifest.files}
    found = {path.name: path for path in folder.iterdir() if path.name not in UNLISTED}
    for name in sorted(expected.keys() ^ found.keys()):
        raise IntegrityError(
            where=str(folder / name),
            found="no such file" if name in expected else "a file that the manifest does not name",
            expected="a file" if name in expected else "the files of the manifest only",
            remedy=again,
        )
    for name, path in sorted(found.items()):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise IntegrityError(
                where=str(path), found="a folder or a link", expected="a file", remedy=again
            )
        if status.st_size != expected[name].size:
            raise IntegrityError(
                where=str(path),
                found=f"{status.st_size} bytes",
                expected=f"{expected[name].size}",
                remedy=again,
            )
        digest = _sha256(path)
        if digest != expected[name].sha256:
            raise IntegrityError(
                where=str(path),
                found=f"SHA-256 {digest}",
                expected=expected[name].sha256,
                remedy=again,
            )


def _check_same(new: Path, old: Path) -> None:
    former = old / MANIFEST_FILE
    text = (new / MANIFEST_FILE).read_text(encoding="utf-8")
    if not former.is_file() or former.read_text(encoding="utf-8") != text:
        raise IntegrityError(
            where=str(old),
            found="a folder that is not this package",
            expected="no folder, or this package",
            remedy="look at what stands there; move it away or build elsewhere",
        )
    check_files(old, PackageManifest.model_validate_json(text))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
