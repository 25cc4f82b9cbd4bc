"""A package as a single file: a zip whose bytes depend on nothing but the package."""

import errno
import lzma
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from cityframe.errors import DeclarationError, IntegrityError, SourceUnreachableError
from cityframe.products.package.folder import check_files
from cityframe.products.package.manifest import read_manifest

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MAX_FILES = 10_000
MAX_BYTES = 64 * 2**30
"""Most bytes that `opened` extracts, if the caller says nothing else."""
# an encrypted entry is a RuntimeError, a name that is no text a ValueError
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError,
    ValueError,
)  # fmt: skip
_AGAIN = "get the package again from the publisher"


def pack(folder: Path, to: Path) -> Path:
    """Write a package as one zip file; the same package gives the same bytes.

    Files are stored, not compressed again, sorted by name, without times or permissions.

    Raises
    ------
    IntegrityError
        If the package is not whole.
    DeclarationError
        If the zip is there already.
    """
    check_files(folder, read_manifest(folder))
    if to.exists():
        raise DeclarationError(where=str(to), found="a file", expected="no file yet")
    temporary = to.with_name(f".{to.name}-{uuid4().hex}")
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for path in sorted(folder.iterdir()):
                entry = zipfile.ZipInfo(path.name, _EPOCH)
                entry.create_system = _UNIX
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                entry.file_size = path.stat().st_size
                with path.open("rb") as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # unlike a rename, a link fails where a file came to stand in between
        os.link(temporary, to)
    finally:
        temporary.unlink(missing_ok=True)
    return to


@contextmanager
def opened(package: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[Path]:
    """Give a folder for a package that is a folder or a zip.

    A zip is extracted into a temporary folder, which goes when the block ends. Nothing is written
    outside it, and no more than the zip says before it is read.

    Parameters
    ----------
    max_bytes : int
        Most bytes to extract.

    Raises
    ------
    DeclarationError
        If there is no such package.
    IntegrityError
        If the zip is truncated or damaged, holds anything but plain files side by side, a name
        twice, or too much.
    SourceUnreachableError
        If there is no room to extract it.
    """
    if package.is_dir():
        yield package
        return
    if not package.is_file():
        raise DeclarationError(where=str(package), found="nothing", expected="a package")
    with tempfile.TemporaryDirectory(prefix="cityframe-package-") as temporary:
        folder = Path(temporary)
        try:
            with zipfile.ZipFile(package) as archive:
                for entry in _checked_entries(package, archive, max_bytes):
                    _extract(archive, entry, folder / entry.filename)
        except _UNREADABLE as error:
            if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
                raise SourceUnreachableError(
                    where=temporary,
                    found="no room to unpack the package",
                    remedy="make room, or name another folder in TMPDIR, then do it again",
                ) from error
            raise IntegrityError(
                where=str(package),
                found=f"a zip that can't be read: {error}",
                expected="a whole package",
                remedy=_AGAIN,
            ) from error
        yield folder


def _checked_entries(
    package: Path, archive: zipfile.ZipFile, max_bytes: int
) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    counted = Counter(entry.filename for entry in entries)
    doubled = next((name for name, count in counted.items() if count > 1), None)
    total = sum(entry.file_size for entry in entries)
    for is_wrong, found, expected in (
        (len(entries) > _MAX_FILES, f"{len(entries)} files", f"at most {_MAX_FILES}"),
        (doubled is not None, f"two files {doubled!r}", "each name once"),
        (total > max_bytes, f"{total} bytes", f"at most {max_bytes}"),
    ):
        if is_wrong:
            raise IntegrityError(where=str(package), found=found, expected=expected, remedy=_AGAIN)
    for entry in entries:
        mode = entry.external_attr >> 16
        is_plain = stat.S_IFMT(mode) in {0, stat.S_IFREG}
        is_beside = entry.orig_filename == Path(entry.filename).name and "\\" not in entry.filename
        if not is_plain or not is_beside or entry.filename in {"", ".", ".."}:
            raise IntegrityError(
                where=str(package),
                found=f"{entry.orig_filename!r}",
                expected="plain files side by side",
                remedy=_AGAIN,
            )
    return entries


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, to: Path) -> None:
    with archive.open(entry) as source, to.open("xb") as target:
        # it stops at the size that was added up above, and fails if the check sum is another
        shutil.copyfileobj(source, target)
