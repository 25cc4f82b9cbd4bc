"""The archive: landed deliveries, content-addressed and durable.

The layout on disk and the manifest are specified in ``docs/formats/delivery.md``.
"""

import datetime as dt
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cityframe.errors import (
    DeclarationError,
    IntegrityError,
    QuarantinedError,
    SourceUnreachableError,
)
from cityframe.model.delivery import Delivery, DeliveryFile

MANIFEST_FORMAT = "cityframe-delivery/1"
MANIFEST = "manifest.json"
FILES = "files"
_RECEIVING = ".receiving"
_CHUNK = 1 << 20
_ID = re.compile(r"(?P<source>[a-z][a-z0-9_]*)\.[0-9a-f]{16}")
_READ_ONLY = 0o444


class Archive:
    """Deliveries as ``SOURCE/DELIVERY_ID/`` under one folder, each immutable.

    A delivery becomes visible by one rename after all its bytes are safe on disk, so that a
    process killed at any moment leaves a whole delivery or none.

    Parameters
    ----------
    root : Path
        Folder of the archive; it need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def receiving(self, source_name: str) -> Iterator[Path]:
        """Give an empty folder to pull into; whatever is not landed is removed in the end.

        The folder lies on the archive's file system. What receivings of dead processes left
        behind is removed first.
        """
        area = self.root / _RECEIVING
        area.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with _locked(area / "lock", wait=True):
                _remove_dead(area)
                place = Path(tempfile.mkdtemp(prefix=f"{source_name}-", dir=area))
                stack.enter_context(_locked(_lock_of(place), wait=False))
            folder = place / FILES
            folder.mkdir()
            try:
                yield folder
            finally:
                _remove(place)

    def land(
        self,
        folder: Path,
        *,
        source: str,
        origin: str,
        observed_at: dt.datetime,
        landed_at: dt.datetime,
        watermark: str = "",
    ) -> tuple[Delivery, bool]:
        """Make a delivery of a received folder.

        Parameters
        ----------
        folder : Path
            What `receiving` gave, filled; it is gone afterwards if the delivery is new.
        observed_at, landed_at : datetime
            With a time zone; see `Delivery`.

        Returns
        -------
        tuple of Delivery and bool
            The delivery, and whether it is new. The same bytes are the same delivery, whose
            first manifest stays.

        Raises
        ------
        SourceUnreachableError
            If nothing was received.
        QuarantinedError
            If the folder holds a link, a special file or a name that is not plain.
        IntegrityError
            If another delivery of the same id has other bytes.
        """
        if folder.name != FILES or folder.parent.parent != self.root / _RECEIVING:
            raise DeclarationError(
                found="a folder that this archive did not give out",
                where=str(folder),
                expected="the folder of Archive.receiving",
            )
        files = tuple(_digested(folder, path) for path in _plain_files(folder))
        if not files:
            raise SourceUnreachableError(
                found="the pull brought no file",
                where=f"source {source}",
                expected="at least one file",
                remedy="look whether the source has written its export, then pull again",
            )
        digest = _digest(files)
        delivery = Delivery(
            id=f"{source}.{digest[:16]}",
            source=source,
            observed_at=_utc(observed_at, "observed_at"),
            landed_at=_utc(landed_at, "landed_at"),
            origin=origin,
            files=files,
            digest=digest,
            watermark=watermark,
        )
        return self._settle(folder.parent, delivery)

    def get(self, delivery_id: str) -> Delivery:
        """Return the manifest of a delivery.

        Raises
        ------
        DeclarationError
            If there is no such delivery.
        IntegrityError
            If its manifest is damaged.
        """
        path = self._folder(delivery_id) / MANIFEST
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise DeclarationError(
                found=f"no delivery {delivery_id!r}", where=str(self.root)
            ) from error
        try:
            return _delivery(json.loads(text), delivery_id)
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                found=f"the manifest is damaged ({error})",
                where=str(path),
                expected=f"a manifest of format {MANIFEST_FORMAT}",
                remedy="restore the delivery from a backup",
            ) from error

    def files(self, delivery_id: str) -> Path:
        """Return the folder with the landed bytes of a delivery; not to be written to."""
        return self._folder(delivery_id) / FILES

    def verify(self, delivery_id: str) -> Delivery:
        """Read all bytes of a delivery again and return its manifest.

        Raises
        ------
        IntegrityError
            If a file has other bytes than when it landed, is missing or has been added.
        """
        delivery = self.get(delivery_id)
        folder = self.files(delivery_id)
        present = {path.relative_to(folder).as_posix() for path in _walk(folder)}
        declared = {file.path: file for file in delivery.files}
        for name in sorted(present ^ declared.keys()):
            raise IntegrityError(
                found="the file is not in the manifest" if name in present else "the file is gone",
                where=str(folder / name),
                remedy="restore the delivery from a backup",
            )
        for name, file in declared.items():
            now = _digested(folder, folder / name)
            if now != file:
                raise IntegrityError(
                    found=f"the bytes changed: SHA-256 {now.sha256}, {now.size} bytes",
                    where=str(folder / name),
                    expected=f"{file.sha256}, {file.size} bytes",
                    remedy="restore the delivery from a backup",
                )
        return delivery

    def deliveries(self, source: str) -> tuple[Delivery, ...]:
        """Return all deliveries of a source, in the order in which they landed."""
        folder = self.root / source
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        found = [self.get(name) for name in names if _ID.fullmatch(name)]
        return tuple(sorted(found, key=lambda one: (one.landed_at, one.id)))

    def _folder(self, delivery_id: str) -> Path:
        match = _ID.fullmatch(delivery_id)
        if match is None:
            raise DeclarationError(
                found=f"no delivery {delivery_id!r}",
                where=str(self.root),
                expected="SOURCE.DIGEST16",
            )
        return self.root / match["source"] / delivery_id

    def _settle(self, place: Path, delivery: Delivery) -> tuple[Delivery, bool]:
        """Write the manifest beside the files and rename the whole to its final name."""
        target = self._folder(delivery.id)
        if not target.exists():
            _write_manifest(place / MANIFEST, delivery)
            for folder in [*(p for p in place.rglob("*") if p.is_dir()), place]:
                _sync(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(self.root)
            try:
                place.rename(target)
            except OSError:
                # another process landed the same bytes in between
                if not target.exists():
                    raise
            else:
                _sync(target.parent)
                return delivery, True
        landed = self.get(delivery.id)
        if landed.digest != delivery.digest:
            raise IntegrityError(
                found=f"delivery {delivery.id} is there with digest {landed.digest}",
                where=str(target),
                expected=delivery.digest,
                remedy="move the older delivery away",
            )
        return landed, False


def _remove_dead(area: Path) -> None:
    """Remove each place whose lock nobody holds: its process is dead."""
    places = {path.with_suffix("") for path in area.iterdir() if path.name != "lock"}
    for place in places:
        try:
            with _locked(_lock_of(place), wait=False):
                _remove(place)
        except BlockingIOError:
            continue


def _remove(place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
    _lock_of(place).unlink(missing_ok=True)


def _lock_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock that the kernel lets go when the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _walk(folder: Path) -> list[Path]:
    return [
        Path(parent, name)
        for parent, folders, names in os.walk(folder)
        for name in [*names, *(one for one in folders if Path(parent, one).is_symlink())]
    ]


def _plain_files(folder: Path) -> list[Path]:
    """Return all files of a folder in the order of their paths; refuse all but plain ones."""
    for path in _walk(folder):
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
    return sorted(_walk(folder), key=lambda path: path.relative_to(folder).as_posix().encode())


def _is_plain_name(name: str) -> bool:
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in name)
    is_printable = not any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
    return is_text and is_printable and "\\" not in name and ".." not in name.split("/")


def _digested(folder: Path, path: Path) -> DeliveryFile:
    """Read a file once: its size, its digest; its bytes are safe on disk afterwards."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    return DeliveryFile(path.relative_to(folder).as_posix(), size, sha256.hexdigest())


def _digest(files: Sequence[DeliveryFile]) -> str:
    sha256 = hashlib.sha256()
    for file in sorted(files, key=lambda one: one.path.encode()):
        sha256.update(f"{file.path}\0{file.sha256}\n".encode())
    return sha256.hexdigest()


def _utc(moment: dt.datetime, what: str) -> str:
    if moment.tzinfo is None:
        raise DeclarationError(
            found=f"{what} is {moment.isoformat()}", expected="a moment with a time zone"
        )
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _write_manifest(path: Path, delivery: Delivery) -> None:
    for file in delivery.files:
        (path.parent / FILES / file.path).chmod(_READ_ONLY)
    body = {"format": MANIFEST_FORMAT, **asdict(delivery)}
    with path.open("w", encoding="utf-8") as out:
        json.dump(body, out, ensure_ascii=False, indent=2, sort_keys=True)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    path.chmod(_READ_ONLY)


def _delivery(body: dict[str, Any], delivery_id: str) -> Delivery:
    fields = dict(body)
    if fields.pop("format") != MANIFEST_FORMAT:
        message = f"format is {body['format']!r}"
        raise ValueError(message)
    fields["files"] = tuple(DeliveryFile(**file) for file in fields["files"])
    delivery = Delivery(**fields)
    digest = _digest(delivery.files)
    if delivery.digest != digest or delivery_id != f"{delivery.source}.{digest[:16]}":
        message = "the digest is not that of the files listed"
        raise ValueError(message)
    return delivery


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
