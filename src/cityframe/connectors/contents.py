"""The files of a delivery, those inside its archives too, without unpacking what is not asked for.

Archives are hostile until proved otherwise: names that leave the archive, links, too many or too
large members and suspicious ratios are refused. Archives inside archives are not followed.
"""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NoReturn

from cityframe.connectors.limits import (
    MAX_ARCHIVE_MEMBERS,
    MAX_RATIO,
    MAX_UNPACKED_BYTES,
    RATIO_FREE_BYTES,
)
from cityframe.errors import DeclarationError, QuarantinedError

ARCHIVE_SUFFIXES = frozenset({".zip", ".kmz"})
_CHUNK = 1 << 20
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class ContentFile:
    """One file of a delivery.

    Attributes
    ----------
    path : str
        Path inside the delivery; a member of an archive stands below the archive's name.
    inner : str
        Path inside the archive; equal to ``path`` outside of archives.
    real : Path
        The file on disk, or the archive that holds it.
    member : ZipInfo or None
        Which member of the archive it is.
    """

    path: str
    inner: str
    size: int
    real: Path
    member: zipfile.ZipInfo | None = None

    @property
    def name(self) -> str:
        """Base name."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """Path without the last suffix, in one case: files of one shapefile share it."""
        return str(PurePosixPath(self.path).with_suffix("")).casefold()

    @property
    def suffix(self) -> str:
        """Last suffix in lower case, with its full stop."""
        return PurePosixPath(self.path).suffix.casefold()

    @contextmanager
    def opened(self) -> Iterator[Iterator[bytes]]:
        """Give the bytes in chunks.

        Raises
        ------
        QuarantinedError
            If an archive is damaged or holds more than it says.
        """
        if self.member is None:
            with self.real.open("rb") as file:
                yield iter(lambda: file.read(_CHUNK), b"")
            return
        with _zip_errors(self.path), zipfile.ZipFile(self.real) as archive:
            _check_member(self.path, self.member)
            with archive.open(self.member) as file:
                yield _bounded(iter(lambda: file.read(_CHUNK), b""), self.member, self.path)

    def read(self) -> bytes:
        """Return all bytes."""
        with self.opened() as chunks:
            return b"".join(chunks)


def contents(files: Path) -> list[ContentFile]:
    """Return all files below a folder and inside its archives, ordered by path.

    Raises
    ------
    QuarantinedError
        If an archive is damaged or hostile.
    """
    found: list[ContentFile] = []
    for parent, _, names in os.walk(files):
        for name in names:
            real = Path(parent, name)
            path = real.relative_to(files).as_posix()
            if real.suffix.casefold() in ARCHIVE_SUFFIXES:
                found += archive_members(real, path)
            else:
                found.append(ContentFile(path, path, real.stat().st_size, real))
    return sorted(found, key=lambda one: one.path)


def single(path: Path) -> list[ContentFile]:
    """Return one file with those of its name beside it, what is in an archive, or a folder.

    Raises
    ------
    DeclarationError
        If there is no such file.
    QuarantinedError
        If an archive is damaged or hostile.
    """
    if not path.exists():
        raise DeclarationError(found="no such file", where=str(path), remedy="mend the path")
    if path.is_dir():
        inside = contents(path)
        return [
            replace(one, path=f"{path.name}/{one.path}", inner=f"{path.name}/{one.inner}")
            for one in inside
        ]
    if path.suffix.casefold() in ARCHIVE_SUFFIXES:
        return archive_members(path, path.name)
    return [
        ContentFile(one.name, one.name, one.stat().st_size, one)
        for one in sorted(path.parent.iterdir())
        if one.stem.casefold() == path.stem.casefold() and one.is_file()
    ]


def staged(members: Mapping[str, ContentFile], folder: Path, *, copied: bool = False) -> None:
    """Put files into a folder under the names given, side by side.

    Files on disk are linked to unless ``copied``, members of archives unpacked, so that a reader
    can write nothing beside the landed bytes.
    """
    for name, member in members.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.member is None and not copied:
            target.symlink_to(member.real.resolve())
            continue
        with member.opened() as chunks, target.open("wb") as out:
            for chunk in chunks:
                out.write(chunk)


def archive_members(real: Path, path: str) -> list[ContentFile]:
    """Return the files inside a zip archive that stands at ``path`` in the delivery.

    Raises
    ------
    QuarantinedError
        If the archive is damaged or hostile.
    """
    with _zip_errors(path), zipfile.ZipFile(real) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MAX_ARCHIVE_MEMBERS:
        _refuse(path, f"{len(infos)} members", f"at most {MAX_ARCHIVE_MEMBERS}")
    total = sum(info.file_size for info in infos)
    if total > MAX_UNPACKED_BYTES:
        _refuse(path, f"{total} bytes unpacked", f"at most {MAX_UNPACKED_BYTES}")
    members: dict[str, ContentFile] = {}
    for info in infos:
        inner = _plain_name(info, path)
        if inner in members:
            _refuse(path, f"two members {inner!r}", "each name once")
        _check_member(f"{path}/{inner}", info)
        members[inner] = ContentFile(f"{path}/{inner}", inner, info.file_size, real, info)
    return list(members.values())


def _plain_name(info: zipfile.ZipInfo, path: str) -> str:
    """Return a member's name with ``/``; Chinese names without the flag for UTF-8 too."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8_NAME and not name.isascii():
        raw = name.encode("cp437")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = raw.decode("gb18030", errors="replace")
    plain = name.replace("\\", "/")
    parts = plain.split("/")
    is_absolute = plain.startswith("/") or plain[1:2] == ":"
    if is_absolute or ".." in parts or any(ord(letter) < 32 for letter in plain):
        _refuse(path, f"member name {name!r}", "names that stay inside the archive")
    return "/".join(part for part in parts if part not in ("", "."))


def _check_member(path: str, info: zipfile.ZipInfo) -> None:
    if stat.S_ISLNK(info.external_attr >> 16):
        _refuse(path, "a link", "plain files only")
    if info.flag_bits & _ENCRYPTED:
        _refuse(path, "an encrypted member", "an archive without a password")
    if info.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size):
        _refuse(
            path,
            f"{info.compress_size} bytes that unpack to {info.file_size}",
            f"at most {MAX_RATIO} times as many",
        )


def _bounded(chunks: Iterator[bytes], info: zipfile.ZipInfo, path: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > info.file_size:
            _refuse(path, "more bytes than the archive says", f"{info.file_size} bytes")
        yield chunk


@contextmanager
def _zip_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise QuarantinedError(
            found=f"a damaged or unreadable archive ({error})",
            where=path,
            expected="a zip archive, deflated or stored",
            remedy="have the source pack it again",
        ) from error


def _refuse(where: str, found: str, expected: str) -> NoReturn:
    raise QuarantinedError(
        found=found,
        where=where,
        expected=expected,
        remedy="have the source pack it again; do not unpack it by hand",
    )
