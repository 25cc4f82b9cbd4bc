"""Check a framework against itself: every byte of its rows, every proof of its releases."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import adbc_driver_manager
import numpy as np
import sqlalchemy as sa

from cityframe.core.digest import LAYER_SUM_BYTES, layer_digest
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import GeometryType, Layer
from cityframe.store.damage import Damage
from cityframe.store.feature_check import (
    ChangeTally,
    change_damages,
    check_features,
    lineage_damages,
)
from cityframe.store.framework import Framework
from cityframe.store.home import Home
from cityframe.store.layer_check import LayerTally, check_rows, redactions_by_row
from cityframe.store.proof import Row, Said, read_object, read_said
from cityframe.store.reconciliation_check import reconciliation_damages
from cityframe.store.sealed_rows import as_seals, odd_rows, set_digest
from cityframe.store.spatial_check import index_damages, page_damages
from cityframe.store.stored_rows import plain_connection
from cityframe.store.tables import RELEASE_LAYER, history_name, history_table

_UIDS_A_QUERY = 10_000


@dataclass(frozen=True)
class Findings:
    """What a check of a framework found.

    Attributes
    ----------
    releases : int
        How many releases there are.
    rows : mapping of str to int
        Rows looked at, by layer.
    damages : tuple of Damage
        All that is wrong; empty for a sound store.
    """

    releases: int
    rows: Mapping[str, int]
    damages: tuple[Damage, ...]


def fsck(framework: Framework, *, release: int | None = None, quick: bool = False) -> Findings:
    """Check a framework; it is held against writers meanwhile.

    Parameters
    ----------
    framework : Framework
        The store.
    release : int, optional
        Check the rows that this release or its parent knows, and this release's state only; the
        tables of releases are checked as a whole.
    quick : bool
        Leave out SQLite's look at its indexes (not at its pages).

    Raises
    ------
    DeclarationError
        If there is no such release.
    SourceUnreachableError
        If a writer holds the store.
    """
    home = framework.home
    damages: list[Damage] = []
    with _unreadable_as_damage(framework.label, damages):
        if not framework.exists:
            return Findings(releases=0, rows={}, damages=())
    said: Said | None = None
    rows: dict[str, int] = {}
    with home.exclusive():
        with _unreadable_as_damage(framework.label, damages), plain_connection(home) as connection:
            if home.engine.dialect.name == "sqlite":
                damages += page_damages(connection, quick=quick)
            said = read_said(connection)
        if said is None:
            return Findings(releases=0, rows={}, damages=tuple(dict.fromkeys(damages)))
        if release is not None and release not in range(1, said.newest + 1):
            raise DeclarationError(found=f"no release {release}", expected=f"1 to {said.newest}")
        damages += said.damages
        with _unreadable_as_damage("cf_bridge, cf_provenance", damages):
            damages += reconciliation_damages(home, said)
        for name, layer in said.contracts.items():
            with _unreadable_as_damage(history_name(name), damages):
                rows[name] = _check_layer(home, layer, said, release, damages)
    return Findings(releases=said.newest, rows=rows, damages=tuple(dict.fromkeys(damages)))


@contextmanager
def _unreadable_as_damage(where: str, damages: list[Damage]) -> Iterator[None]:
    """Note what the database can't read, and go on with the rest."""
    try:
        yield
    except IntegrityError as error:
        damages.append(Damage(where=where, found=f"unreadable: {error.found}"))
    except (sa.exc.DatabaseError, adbc_driver_manager.Error, UnicodeDecodeError) as error:
        said = str(error).partition("\n")[0]
        damages.append(Damage(where=where, found=f"unreadable: {said}"))


def _check_layer(
    home: Home, layer: Layer, said: Said, release: int | None, damages: list[Damage]
) -> int:
    """Add what is wrong with a layer; return the number of rows looked at."""
    if home.engine.dialect.name == "sqlite" and layer.geometry is not GeometryType.NONE:
        with plain_connection(home) as connection:
            damages += index_damages(connection, layer)
    tally = check_rows(home, layer, said, release, damages)
    changes = check_features(home, layer, said, release, damages)
    damages += _state_damages(layer, said, release, tally, changes)
    damages += _sealed_damages(home, layer, said, release, tally)
    damages += lineage_damages(layer, said, _known_uids(home, layer, said))
    return tally.rows


def _releases_of(layer: Layer, said: Said, release: int | None) -> Iterator[Row]:
    for (number, name), row in sorted(said.layers.items()):
        if name == layer.name and release in (None, number):
            yield row


def _state_damages(
    layer: Layer, said: Said, release: int | None, tally: LayerTally, changes: ChangeTally
) -> Iterator[Damage]:
    """Yield releases whose state has another count, sum or change than they say."""
    total, count = 0, 0
    states = {}
    for number in range(1, said.newest + 1):
        total = (total + tally.total[number]) % (1 << (8 * LAYER_SUM_BYTES))
        count += int(tally.count[number])
        states[number] = (total, count)
    for row in _releases_of(layer, said, release):
        total, count = states.get(row["release"], (0, 0))
        stored = int.from_bytes(row["sum"], "little") if isinstance(row["sum"], bytes) else -1
        if (stored, row["count"]) != (total, count):
            yield Damage(
                where=RELEASE_LAYER.name,
                layer=layer.name,
                release=row["release"],
                found=f"{row['count']} features, digest {row['digest']}",
                expected=f"{count} features, digest {layer_digest(total, count)}, by the rows",
            )
        stated = read_object(row["changes"])
        yield from change_damages(
            layer, row, stated or {}, changes, tally.redacted.get(row["release"], 0)
        )


def _sealed_damages(
    home: Home, layer: Layer, said: Said, release: int | None, tally: LayerTally
) -> Iterator[Damage]:
    """Yield releases that opened or closed other rows than they say, and which, if one can tell."""
    for row in _releases_of(layer, said, release):
        number = row["release"]
        for what, sets in (("opened", tally.opened), ("closed", tally.closed)):
            parts = sets.get(number, [])
            seals = np.concatenate([as_seals([]), *parts])
            if set_digest(seals) == row[what]:
                continue
            where = f"{RELEASE_LAYER.name}.{what}"
            expected = f"rows with digest {row[what]}"
            named: list[tuple[int | None, str, str]] = [*_odd_rows(home, layer, said, row, what)]
            for fid, uid, found in named or [(None, "", f"{len(seals)} other rows")]:
                yield Damage(
                    where=where,
                    layer=layer.name,
                    uid=uid,
                    fid=fid,
                    release=number,
                    found=found,
                    expected=expected,
                )


def _odd_rows(
    home: Home, layer: Layer, said: Said, row: Row, what: str
) -> Iterator[tuple[int, str, str]]:
    """Yield row, feature and what is wrong with it, if it is a single row's coming or going."""
    number = row["release"]
    column = {"opened": "release_from", "closed": "release_to"}[what]
    rows = _rows_touched(home, layer, said, number)
    there = [one for one in rows if one[column] == number]
    others = [one for one in rows if one[column] != number]
    odd = odd_rows(row[what], [one["seal"] for one in there], [one["seal"] for one in others]) or ()
    for one in there:
        if one["seal"] in odd:
            yield one["fid"], one["uid"], f"a row that release {number} has not {what}"
    for one in others:
        if one["seal"] in odd:
            yield one["fid"], one["uid"], f"a row that release {number} has {what}, not marked so"


def _rows_touched(home: Home, layer: Layer, said: Said, number: int) -> list[dict[str, Any]]:
    """Return the rows of features that a release touched, as far as rows and lineage tell.

    Their seals are those of that release, before later redactions.
    """
    columns = history_table(layer).c
    is_touched = (columns.release_from == number) | (columns.release_to == number)
    touched = sa.select(columns.uid).where(is_touched)
    ended = [
        row["parent"]
        for row in said.lineage
        if row["layer"] == layer.name and row["release"] == number
    ]
    chosen = [columns[name] for name in ("fid", "uid", "release_from", "release_to", "seal")]
    redactions = redactions_by_row(layer, said)
    found: dict[int, dict[str, Any]] = {}
    with plain_connection(home) as connection:
        for condition in (columns.uid.in_(touched), *_in_parts(columns.uid, ended)):
            for row in connection.execute(sa.select(*chosen).where(condition)).mappings():
                later = [one for one in redactions.get(row["fid"], ()) if one["release"] > number]
                seal = later[0]["seal_before"] if later else row["seal"]
                found[row["fid"]] = {**row, "seal": bytes(seal)}
    return list(found.values())


def _in_parts(column: sa.ColumnElement[str], values: list[str]) -> Iterator[Any]:
    for start in range(0, len(values), _UIDS_A_QUERY):
        yield column.in_(values[start : start + _UIDS_A_QUERY])


def _known_uids(home: Home, layer: Layer, said: Said) -> set[str]:
    """Return those of the features that lineage names that the history has."""
    named = sorted(
        {
            str(row[role])
            for row in said.lineage
            for role in ("parent", "child")
            if row["layer"] == layer.name and row[role] is not None
        }
    )
    uid = history_table(layer).c.uid
    found: set[str] = set()
    with plain_connection(home) as connection:
        for condition in _in_parts(uid, named):
            found.update(connection.execute(sa.select(uid).distinct().where(condition)).scalars())
    return found
