"""Which files of a delivery a feed means, and which files belong to each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from cityframe.connectors.contents import ARCHIVE_SUFFIXES, ContentFile
from cityframe.connectors.formats import FOLDER_SUFFIX, NAMED_ONLY, SUFFIXES, VECTOR_FORMATS
from cityframe.errors import DeclarationError, QuarantinedError


@dataclass(frozen=True)
class Dataset:
    """What one reader reads: a file with those that belong to it, or a folder.

    Attributes
    ----------
    path : str
        Path inside the delivery.
    suffix : str
        In lower case, with its full stop.
    members : mapping of str to ContentFile
        Its files by the names under which the reader wants them; the main file first.
    """

    path: str
    suffix: str
    members: Mapping[str, ContentFile]

    @property
    def main(self) -> ContentFile:
        """The file that the others belong to; any of them for a folder."""
        return next(iter(self.members.values()))


def matching_datasets(files: Sequence[ContentFile], pattern: str) -> list[Dataset]:
    """Return the datasets whose path or base name matches a glob, whatever the case.

    A path inside an archive may be given with the archive's name or without.

    Raises
    ------
    DeclarationError
        If files match, and none is of a format that can be read.
    QuarantinedError
        If the pattern asks for an archive inside an archive.
    """
    found = [*_folders(files, pattern)]
    unread: list[str] = []
    for file in files:
        if FOLDER_SUFFIX in _suffixes(file) or not _matches(file.path, file.inner, pattern):
            continue
        if file.member is not None and file.suffix in ARCHIVE_SUFFIXES:
            raise QuarantinedError(
                found="an archive inside an archive",
                where=file.path,
                expected="files packed once",
                remedy="have the source pack them once",
            )
        if file.suffix in SUFFIXES and _is_meant(file, files, pattern):
            found.append(_with_companions(file, files))
        else:
            unread.append(file.path)
    if unread and not found:
        raise DeclarationError(
            found=f"{unread[0]} matches {pattern!r}, and nothing reads it",
            expected=f"a file of a known format ({' '.join(sorted(SUFFIXES))})",
            remedy="mend file in the feed",
        )
    return found


def _matches(path: str, inner: str, pattern: str) -> bool:
    wanted = pattern.casefold()
    names = {path, inner, PurePosixPath(path).name}
    return any(fnmatchcase(name.casefold(), wanted) for name in names)


def _is_meant(file: ContentFile, files: Sequence[ContentFile], pattern: str) -> bool:
    if file.suffix not in NAMED_ONLY:
        return True
    is_part = file.suffix == ".dbf" and any(
        one.suffix == ".shp" and one.stem == file.stem for one in files
    )
    return pattern.casefold().endswith(file.suffix) and not is_part


def _with_companions(file: ContentFile, files: Iterable[ContentFile]) -> Dataset:
    kind = VECTOR_FORMATS.get(file.suffix)
    wanted = kind.companions if kind else ()
    stem = PurePosixPath(file.name).stem
    companions = {
        f"{stem}{one.suffix}": one
        for one in files
        if one.suffix in wanted and one.stem == file.stem
    }
    return Dataset(file.path, file.suffix, {f"{stem}{file.suffix}": file, **companions})


def _folders(files: Iterable[ContentFile], pattern: str) -> Iterable[Dataset]:
    """Return the folders that are one dataset each."""
    folders: dict[str, dict[str, ContentFile]] = {}
    inner: dict[str, str] = {}
    for file in files:
        suffixes = _suffixes(file)
        if FOLDER_SUFFIX not in suffixes:
            continue
        parts = file.path.split("/")
        length = suffixes.index(FOLDER_SUFFIX) + 1
        path = "/".join(parts[:length])
        folders.setdefault(path, {})["/".join(parts[length - 1 :])] = file
        inner[path] = file.inner[: -len(file.path) + len(path)]
    for path, members in folders.items():
        if _matches(path, inner[path], pattern):
            yield Dataset(path, FOLDER_SUFFIX, members)


def _suffixes(file: ContentFile) -> list[str]:
    """Return the suffixes of the folders above a file."""
    return [PurePosixPath(part).suffix.casefold() for part in file.path.split("/")[:-1]]
