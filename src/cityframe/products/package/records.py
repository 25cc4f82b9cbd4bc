"""What goes with the rows: lineage of features, and redactions."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package.manifest import (
    LINEAGE_FILE,
    QUALITY_FILE,
    REDACTIONS_FILE,
    RowDigest,
    canonical_json,
)


class LineageEvent(BaseModel):
    """What became of a feature that ended, or had children.

    Attributes
    ----------
    release : int
        The release that brought it.
    parent : str
        The uid that ended or was parted.
    child : str or None
        A successor; None for a tombstone.
    share : float or None
        How much of the parent went into this child, 0 to 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: int = Field(ge=1)
    layer: str
    event: str
    parent: str
    child: str | None = None
    share: float | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """Its place among others."""
        return self.release, self.layer, self.parent, self.child or "", self.event


class Redaction(BaseModel):
    """Attributes of one feature that were cleared in all of history by a decision.

    Attributes
    ----------
    attributes : tuple of str
        Names of attributes, ``geometry`` among them.
    decision : str
        What ordered it.
    digest : str or None
        Row digest from before of the feature as it is in the release, which its row gives no more;
        None if the row still gives its digest, or is not there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layer: str
    uid: str
    attributes: Annotated[tuple[str, ...], Field(min_length=1)]
    decision: str
    digest: RowDigest | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """Its place among others."""
        return self.layer, self.uid, self.attributes, self.decision


RecordT = TypeVar("RecordT", LineageEvent, Redaction)


def lineage_events(rows: Iterable[Mapping[str, Any] | LineageEvent]) -> tuple[LineageEvent, ...]:
    """Return events in the one order of the file.

    Raises
    ------
    DeclarationError
        If one has a field too few or too many.
    """
    return _sorted(rows, LineageEvent, LINEAGE_FILE)


def redactions_of(rows: Iterable[Mapping[str, Any] | Redaction]) -> tuple[Redaction, ...]:
    """Return redactions in the one order of the file.

    Raises
    ------
    DeclarationError
        If one has a field too few or too many.
    """
    return _sorted(rows, Redaction, REDACTIONS_FILE)


def records_text(records: Iterable[LineageEvent | Redaction]) -> str:
    """Return the canonical text of a file."""
    return canonical_json([one.model_dump(mode="json") for one in records])


def read_lineage(folder: Path) -> tuple[LineageEvent, ...]:
    """Read the lineage of a package.

    Raises
    ------
    IntegrityError
        If the file is not what it should be.
    """
    return _read(folder / LINEAGE_FILE, LineageEvent)


def read_redactions(folder: Path) -> tuple[Redaction, ...]:
    """Read the redactions of a package.

    Raises
    ------
    IntegrityError
        If the file is not what it should be.
    """
    return _read(folder / REDACTIONS_FILE, Redaction)


def read_quality(folder: Path) -> bytes:
    """Read the quality record of a package, as it is.

    Raises
    ------
    IntegrityError
        If it is no JSON object.
    """
    path = folder / QUALITY_FILE
    content = path.read_bytes()
    try:
        is_object = isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise IntegrityError(where=str(path), found="no JSON object", expected="a JSON object")
    return content


def _sorted(
    rows: Iterable[Mapping[str, Any] | RecordT], kind: type[RecordT], where: str
) -> tuple[RecordT, ...]:
    try:
        records = [row if isinstance(row, kind) else kind.model_validate(row) for row in rows]
    except ValidationError as error:
        raise DeclarationError(
            where=where, found=str(error.errors()[0]["msg"]), expected=f"a {kind.__name__}"
        ) from error
    return tuple(sorted(set(records), key=lambda one: one.order))


def _read(path: Path, kind: type[RecordT]) -> tuple[RecordT, ...]:
    try:
        text = path.read_text(encoding="utf-8")
        records = TypeAdapter(tuple[kind, ...]).validate_json(text)  # type: ignore[valid-type]
    except (ValidationError, UnicodeDecodeError) as error:
        raise IntegrityError(
            where=str(path), found=f"no list of {kind.__name__}: {error}", expected="such a list"
        ) from error
    if records_text(records) != text or _sorted(records, kind, str(path)) != records:
        raise IntegrityError(
            where=str(path),
            found="records that are not in canonical form and order",
            expected="the bytes that the publisher wrote",
        )
    return records
