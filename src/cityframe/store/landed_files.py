"""The files of a delivery: only plain ones, and the digest over their names and bytes.

The digest is specified in ``docs/formats/delivery.md``.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from cityframe.errors import QuarantinedError
from cityframe.model.delivery import DeliveryFile

_CHUNK = 1 << 20


def walk(folder: Path) -> list[Path]:
    """Return all files and links of a folder, in no order."""
    return [
        Path(parent, name)
        for parent, folders, names in os.walk(folder)
        for name in [*names, *(one for one in folders if Path(parent, one).is_symlink())]
    ]


def plain_files(folder: Path) -> list[Path]:
    """Return all files of a folder in the order of their paths; refuse all but plain ones."""
    for path in walk(folder):
        name = path.relative_to(folder).as_posix()
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode) or not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
            raise QuarantinedError(
                found="a link or a special file",
                where=name,
                expected="plain files only",
                remedy="have the source deliver the file itself",
            )
        if not _is_plain_name(name):
            raise QuarantinedError(
                found=f"a name that is not plain: {name!r}",
                where=ascii(name),
                expected="UTF-8 without '..', backslash and control characters",
                remedy="have the source rename it",
            )
    return sorted(walk(folder), key=lambda path: path.relative_to(folder).as_posix().encode())


def _is_plain_name(name: str) -> bool:
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in name)
    is_printable = not any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
    return is_text and is_printable and "\\" not in name and ".." not in name.split("/")


def digested(folder: Path, path: Path) -> DeliveryFile:
    """Read a file once: its size, its digest; its bytes are safe on disk afterwards."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    return DeliveryFile(path.relative_to(folder).as_posix(), size, sha256.hexdigest())


def digest_of(files: Sequence[DeliveryFile]) -> str:
    """Return the SHA-256 over the paths and digests of a delivery's files, in hexadecimal."""
    sha256 = hashlib.sha256()
    for file in sorted(files, key=lambda one: one.path.encode()):
        sha256.update(f"{file.path}\0{file.sha256}\n".encode())
    return sha256.hexdigest()
