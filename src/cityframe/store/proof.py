"""What the framework's tables of releases say of themselves, and whether it hangs together."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import sqlalchemy as sa

from cityframe.core.digest import layer_digest
from cityframe.model.layer import Layer
from cityframe.model.release import ReleaseKind
from cityframe.store import contract as contract_form
from cityframe.store.chain import chain_body, chain_digest
from cityframe.store.damage import Damage
from cityframe.store.redaction import entries_digest
from cityframe.store.release_rows import canonical, version_of
from cityframe.store.tables import CONTRACT, DUE, LINEAGE, REDACTION, RELEASE, RELEASE_LAYER
from cityframe.store.timeline import Moments

Row = Mapping[str, Any]
ReadT = TypeVar("ReadT")
_REDACTION = "redaction"


@dataclass(frozen=True)
class Said:
    """The framework's tables but for the histories.

    Attributes
    ----------
    releases : tuple of mapping
        Rows of ``cf_release``, by number.
    layers : mapping
        Rows of ``cf_release_layer``, by release and layer.
    contracts : mapping
        The newest contract of each layer that can be read.
    contract_rows, lineage, redactions, due : list of mapping
        Rows of these tables.
    damages : list of Damage
        What is wrong with them.
    """

    releases: tuple[Row, ...]
    layers: Mapping[tuple[int, str], Row]
    contract_rows: list[Row]
    lineage: list[Row]
    redactions: list[Row]
    due: list[Row]
    contracts: dict[str, Layer] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)

    @property
    def newest(self) -> int:
        """Number of the newest release; 0 for none."""
        return max((int(row["number"]) for row in self.releases), default=0)

    @cached_property
    def valid_at(self) -> Moments:
        """Reference times of the releases 1 to the newest, in microseconds."""
        times = {row["number"]: row["valid_at"] for row in self.releases}
        texts = [times.get(number) for number in range(1, self.newest + 1)]
        parsed = pd.to_datetime(pd.Series(texts, dtype="str"), utc=True, errors="coerce")
        # a time that can't be read is damage already; that of the release before stands in for it
        return parsed.ffill().bfill().dt.tz_localize(None).to_numpy("M8[us]").astype(np.int64)


def read_said(connection: sa.Connection) -> Said:
    """Read the tables of releases, and check each against the others.

    Parameters
    ----------
    connection : Connection
        Of `cityframe.store.stored_rows.plain_connection`.
    """

    def rows_of(table: sa.Table) -> list[Row]:
        keys = list(table.primary_key.columns)
        return [
            {name: _plain(value) for name, value in row.items()}
            for row in connection.execute(sa.select(table).order_by(*keys)).mappings()
        ]

    said = Said(
        releases=tuple(rows_of(RELEASE)),
        layers={(row["release"], row["layer"]): row for row in rows_of(RELEASE_LAYER)},
        contract_rows=rows_of(CONTRACT),
        lineage=rows_of(LINEAGE),
        redactions=rows_of(REDACTION),
        due=rows_of(DUE),
    )
    contracts = {
        (row["layer"], row["release"]): found
        for row in said.contract_rows
        if (found := _contract(row, said.damages)) is not None
    }
    for (name, _), layer in sorted(contracts.items()):
        said.contracts[name] = layer
    _check_numbers(said)
    _check_references(said)
    for place, row in enumerate(said.releases):
        parent = said.releases[place - 1] if place else None
        _check_release(said, row, parent, contracts)
    return said


def _check_numbers(said: Said) -> None:
    numbers = [row["number"] for row in said.releases]
    for missing in sorted({*range(1, said.newest + 1)} - {*numbers}):
        said.damages.append(
            Damage(
                where=RELEASE.name,
                release=missing,
                found=f"no release {missing}",
                expected=f"all of 1 to {said.newest}",
            )
        )


def _check_references(said: Said) -> None:
    """Check that each row names a release, and a layer that is in it."""
    numbers = {row["number"] for row in said.releases}
    tables: tuple[tuple[sa.Table, Iterable[Row]], ...] = (
        (RELEASE_LAYER, said.layers.values()),
        (CONTRACT, said.contract_rows),
        (LINEAGE, said.lineage),
        (REDACTION, said.redactions),
    )
    for table, rows in tables:
        said.damages.extend(
            Damage(
                where=table.name,
                layer=row["layer"],
                uid=str(row.get("uid") or row.get("parent") or ""),
                release=row["release"],
                found=f"layer {row['layer']} in release {row['release']}",
                expected="a layer that the release has",
            )
            for row in rows
            if row["release"] not in numbers or (row["release"], row["layer"]) not in said.layers
        )


def _check_release(
    said: Said, row: Row, parent: Row | None, contracts: Mapping[tuple[str, int], Layer]
) -> None:
    number = row["number"]

    def damage(found: str, expected: str, column: str, layer: str = "") -> None:
        where = f"{RELEASE.name}.{column}" if not layer else f"{RELEASE_LAYER.name}.{column}"
        said.damages.append(
            Damage(where=where, layer=layer, release=number, found=found, expected=expected)
        )

    expected_parent = parent["digest"] if parent else ""
    if row["parent"] != expected_parent:
        damage(row["parent"], f"{expected_parent!r}, the digest of its parent", "parent")
    is_back = row["kind"] == ReleaseKind.ROLLBACK
    if parent and not is_back and row["valid_at"] < parent["valid_at"]:
        damage(row["valid_at"], f"{parent['valid_at']} or later", "valid_at")
    layers = [one for (of, _), one in sorted(said.layers.items()) if of == number]
    for one in layers:
        digest = _tried(partial(_layer_digest, one))
        if digest != one["digest"]:
            damage(one["digest"], f"{digest}, by its sum and count", "digest", one["layer"])
    evidence = read_object(row["evidence"])
    if evidence is None or _tried(partial(canonical, evidence)) != row["evidence"]:
        damage("no canonical JSON", "the evidence as it was written", "evidence")
        return
    try:
        then = {
            name: layer
            for (name, since), layer in sorted(contracts.items(), key=lambda item: item[0])
            if since <= number
        }
        lineage = [one for one in said.lineage if one["release"] == number]
        versions = [version_of(one) for one in layers]
        digest = chain_digest(chain_body(row, versions, then, lineage, evidence))
    except (ValueError, KeyError, TypeError) as error:
        digest = f"none: {type(error).__name__} {error}"
    if digest != row["digest"]:
        damage(row["digest"], f"{digest}, by what the store holds of the release", "digest")
    decided = evidence.get("candidate_digest", row["candidate"])
    if row["candidate"] != decided:
        damage(row["candidate"], f"{decided}, by evidence", "candidate")
    entries = [one for one in said.redactions if one["release"] == number]
    stated = evidence.get(_REDACTION, {}).get("entries", "")
    found = _entries_digest(entries) if entries or stated else ""
    if found != stated:
        said.damages.append(
            Damage(
                where=REDACTION.name,
                release=number,
                found=f"{len(entries)} rows with digest {found}",
                expected=f"{stated or 'none'}, by evidence",
            )
        )


def _contract(row: Row, damages: list[Damage]) -> Layer | None:
    def read() -> Layer | None:
        layer = contract_form.read(row["contract"])
        is_same = contract_form.write(layer) == row["contract"] and layer.name == row["layer"]
        return layer if is_same else None

    found = _tried(read)
    if found is None:
        damages.append(
            Damage(
                where=CONTRACT.name,
                layer=row["layer"],
                release=row["release"],
                found="a contract that can't be read",
                expected="the layer's contract in canonical JSON",
            )
        )
    return found


def read_object(text: Any) -> dict[str, Any] | None:
    """Return an object from JSON, or None if the text is anything else."""

    def read() -> dict[str, Any] | None:
        body = json.loads(text)
        return body if isinstance(body, dict) else None

    return _tried(read)


def _layer_digest(row: Row) -> str:
    return layer_digest(int.from_bytes(row["sum"], "little"), row["count"])


def _entries_digest(entries: list[Row]) -> str:
    return _tried(lambda: entries_digest(entries)) or "none"


def _tried(read: Callable[[], ReadT]) -> ReadT | None:
    """Return what was read, or None: the reader may stumble over anything in a damaged row."""
    try:
        return read()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
