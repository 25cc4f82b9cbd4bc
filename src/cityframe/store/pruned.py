"""The note that a folder keeps when its bytes were pruned: when, by whom, why, how many.

Its form is specified in ``docs/formats/delivery.md``.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cityframe.errors import IntegrityError, PrunedError

NOTE_FORMAT = "cityframe-pruned/1"
NOTE_FILE = "pruned.json"


@dataclass(frozen=True, slots=True)
class PruneNote:
    """What is left of pruned bytes.

    Attributes
    ----------
    pruned_at : str
        ISO 8601 in UTC.
    by_order : bool
        Whether a decision ordered it, whatever the age; such bytes don't land again.
    bytes : int
        How many were freed.
    """

    pruned_at: str
    who: str
    why: str
    by_order: bool
    bytes: int


def write_note(folder: Path, note: PruneNote) -> None:
    """Write the note of a folder, whole and durable."""
    body = {"format": NOTE_FORMAT, **asdict(note)}
    write_durably(folder / NOTE_FILE, json.dumps(body, ensure_ascii=False, indent=1) + "\n")


def read_note(folder: Path) -> PruneNote | None:
    """Return the note of a folder, or None if nothing of it was pruned.

    Raises
    ------
    IntegrityError
        If the note is damaged.
    """
    path = folder / NOTE_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return _note(dict(json.loads(text)))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            where=str(path),
            found=f"the note is damaged ({error})",
            expected=f"a note of format {NOTE_FORMAT}",
            remedy="restore it from a backup; the ledger has an entry `pruned` that says the same",
        ) from error


def _note(fields: dict[str, Any]) -> PruneNote:
    if fields.pop("format") != NOTE_FORMAT:
        message = "it has another format"
        raise ValueError(message)
    return PruneNote(**fields)


def require_kept(folder: Path) -> None:
    """Refuse to read from a folder whose bytes were pruned.

    Raises
    ------
    PrunedError
        With when, by whom and why.
    """
    note = read_note(folder)
    if note is not None:
        raise pruned_error(
            folder,
            note,
            remedy="the report as it was decided over stays in the cycle's folder `report`; "
            "restore the rest from a backup",
        )


def pruned_error(place: Path, note: PruneNote, *, remedy: str) -> PrunedError:
    """Return the error of whoever asks for bytes that were pruned."""
    return PrunedError(
        where=str(place),
        found=f"pruned at {note.pruned_at} by {note.who}: {note.why}",
        remedy=remedy,
    )


def write_durably(path: Path, text: str) -> None:
    """Write a text file whole or not at all; it is safe on disk afterwards."""
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
