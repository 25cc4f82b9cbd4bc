"""The archive: landed deliveries, content-addressed and durable.

The layout on disk and the manifest are specified in ``docs/formats/delivery.md``.
"""

import datetime as dt
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
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
from cityframe.store.landed_files import digest_of, digested, plain_files, walk
from cityframe.store.pruned import (
    NOTE_FILE,
    PruneNote,
    pruned_error,
    read_note,
    sync_folder,
    write_note,
)

MANIFEST_FORMAT = "cityframe-delivery/1"
MANIFEST = "manifest.json"
FILES = "files"
_RECEIVING = ".receiving"
_PRUNED = ".pruned"
_ID = re.compile(r"(?P<source>[a-z][a-z0-9_]*)\.[0-9a-f]{16}")
_READ_ONLY = 0o444


class Archive:
    """Deliveries as ``SOURCE/DELIVERY_ID/`` under one folder, each immutable.

    A delivery becomes visible by one rename after all its bytes are safe on disk, so that a
    process killed at any moment leaves a whole delivery or none. A delivery whose bytes were
    pruned keeps its manifest.

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
            first manifest stays; if its bytes were pruned for their age, they are there again.

        Raises
        ------
        SourceUnreachableError
            If nothing was received.
        QuarantinedError
            If the folder holds a link, a special file or a name that is not plain, or the bytes
            were pruned by order of a decision.
        IntegrityError
            If another delivery of the same id has other bytes.
        """
        if folder.name != FILES or folder.parent.parent != self.root / _RECEIVING:
            raise DeclarationError(
                found="a folder that this archive did not give out",
                where=str(folder),
                expected="the folder of Archive.receiving",
            )
        files = tuple(digested(folder, path) for path in plain_files(folder))
        if not files:
            raise SourceUnreachableError(
                found="the pull brought no file",
                where=f"source {source}",
                expected="at least one file",
                remedy="look whether the source has written its export, then pull again",
            )
        digest = digest_of(files)
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
        """Return the folder with the landed bytes of a delivery; not to be written to.

        Raises
        ------
        PrunedError
            If they were pruned; with when, by whom and why.
        """
        note = self.pruned(delivery_id)
        if note is not None:
            raise pruned_error(
                self._folder(delivery_id),
                note,
                remedy="its manifest stays; the bytes are in a backup, or have the source deliver",
            )
        return self._folder(delivery_id) / FILES

    def pruned(self, delivery_id: str) -> PruneNote | None:
        """Return how the bytes of a delivery were pruned; None while they are there."""
        folder = self._folder(delivery_id)
        # a note beside the bytes is of a pruning or a landing that was killed: the bytes count
        return None if (folder / FILES).exists() else read_note(folder)

    def is_pruned(self, delivery_id: str) -> bool:
        """Tell whether the bytes of a delivery were pruned, so that only its manifest is left."""
        return self.pruned(delivery_id) is not None

    def prune(self, delivery_id: str, note: PruneNote) -> None:
        """Remove the bytes of a delivery; its manifest and the note stay.

        All bytes vanish by one rename. What an earlier call had no time to delete is deleted too.

        Raises
        ------
        DeclarationError
            If there is no such delivery.
        """
        self.get(delivery_id)
        folder, area = self._folder(delivery_id), self.root / _PRUNED
        write_note(folder, note)
        if (folder / FILES).exists():
            area.mkdir(exist_ok=True)
            (folder / FILES).rename(tempfile.mkdtemp(prefix=f"{delivery_id}-", dir=area))
            sync_folder(folder)
        if area.exists():
            shutil.rmtree(area)

    def verify(self, delivery_id: str) -> Delivery:
        """Read all bytes of a delivery again and return its manifest.

        Raises
        ------
        PrunedError
            If they were pruned; with when, by whom and why.
        IntegrityError
            If a file has other bytes than when it landed, is missing or has been added.
        """
        delivery = self.get(delivery_id)
        folder = self.files(delivery_id)
        present = {path.relative_to(folder).as_posix() for path in walk(folder)}
        declared = {file.path: file for file in delivery.files}
        for name in sorted(present ^ declared.keys()):
            raise IntegrityError(
                found="the file is not in the manifest" if name in present else "the file is gone",
                where=str(folder / name),
                remedy="restore the delivery from a backup",
            )
        for name, file in declared.items():
            now = digested(folder, folder / name)
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
            _sync_folders(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(self.root)
            try:
                place.rename(target)
            except OSError:
                # another process landed the same bytes in between
                if not target.exists():
                    raise
            else:
                sync_folder(target.parent)
                return delivery, True
        landed = self.get(delivery.id)
        if landed.digest != delivery.digest:
            raise IntegrityError(
                found=f"delivery {delivery.id} is there with digest {landed.digest}",
                where=str(target),
                expected=delivery.digest,
                remedy="move the older delivery away",
            )
        note = self.pruned(delivery.id)
        if note is not None:
            _restore(place, target, landed, note)
        return landed, False


def _restore(place: Path, target: Path, delivery: Delivery, note: PruneNote) -> None:
    """Put received bytes where those of a pruned delivery were."""
    if note.by_order:
        raise QuarantinedError(
            where=delivery.id,
            found=f"bytes that were pruned at {note.pruned_at} by {note.who}: {note.why}",
            expected="a delivery without what was ordered to go",
            remedy="have the source mend its export, then pull again",
        )
    _make_read_only(place, delivery)
    _sync_folders(place)
    (place / FILES).rename(target / FILES)
    (target / NOTE_FILE).unlink()
    sync_folder(target)


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


def _utc(moment: dt.datetime, what: str) -> str:
    if moment.tzinfo is None:
        raise DeclarationError(
            found=f"{what} is {moment.isoformat()}", expected="a moment with a time zone"
        )
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _make_read_only(place: Path, delivery: Delivery) -> None:
    for file in delivery.files:
        (place / FILES / file.path).chmod(_READ_ONLY)


def _sync_folders(place: Path) -> None:
    for folder in [*(path for path in place.rglob("*") if path.is_dir()), place]:
        sync_folder(folder)


def _write_manifest(path: Path, delivery: Delivery) -> None:
    _make_read_only(path.parent, delivery)
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
    digest = digest_of(delivery.files)
    if delivery.digest != digest or delivery_id != f"{delivery.source}.{digest[:16]}":
        message = "the digest is not that of the files listed"
        raise ValueError(message)
    return delivery
