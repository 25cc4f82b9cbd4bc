"""Hold bridge and provenance against what the releases say of them, and against the features."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from cityframe.store import bridge, provenance
from cityframe.store.damage import Damage
from cityframe.store.entries import entry_schema
from cityframe.store.home import Home
from cityframe.store.proof import Said, read_object
from cityframe.store.reconciliation import BRIDGE_PART, EVIDENCE, PROVENANCE_PART
from cityframe.store.sealed_rows import Seals, as_seals, set_digest
from cityframe.store.stored_rows import plain_connection, typed_column
from cityframe.store.tables import BRIDGE, PROVENANCE, history_table

_BATCH_ROWS = 65_536
_EXAMPLES = 10
Sets = dict[tuple[str, int], list[Seals]]


def reconciliation_damages(home: Home, said: Said) -> list[Damage]:
    """Return what is wrong with the tables of the bridge and of provenance.

    Parameters
    ----------
    home : Home
        Where the framework lives.
    said : Said
        What the releases say.
    """
    damages: list[Damage] = []
    found: Sets = defaultdict(list)
    for rows in _stored(home, BRIDGE, (*bridge.SEALED_COLUMNS, "release_to"), damages):
        seals = _seals(bridge.sealed(rows))
        for what, column in (("opened", "release_from"), ("closed", "release_to")):
            _add(found, what, rows.column(column), seals)
    names = (*provenance.SEALED_COLUMNS, "losers", "redacted")
    for rows in _stored(home, PROVENANCE, names, damages):
        seals = _seals(provenance.sealed(rows))
        _add(found, "noted", rows.column("release"), seals)
        _add(found, "redacted", rows.column("redacted"), seals)
        damages += _losers_damages(rows)
    damages += _set_damages(said, found)
    for table in (BRIDGE, PROVENANCE):
        damages += _feature_damages(home, said, table)
    return damages


def _stored(
    home: Home, table: sa.Table, names: tuple[str, ...], damages: list[Damage]
) -> Iterator[pa.Table]:
    """Yield the rows of a table as they are stored; a value that can't be read is null."""
    schema = entry_schema(table, names)
    query = sa.select(*(table.c[name] for name in names)).order_by(table.c.id)
    with plain_connection(home) as connection:
        result = connection.execution_options(yield_per=_BATCH_ROWS).execute(query)
        for rows in result.partitions():
            columns = []
            for field, values in zip(schema, zip(*rows, strict=True), strict=True):
                column, bad = typed_column(
                    [_plain(one) for one in values] if pa.types.is_binary(field.type) else values,
                    field,
                )
                columns.append(column)
                if bad.any():
                    damages.append(
                        Damage(
                            where=f"{table.name}.{field.name}",
                            found=f"{int(bad.sum())} values that can't be read",
                            expected="values of the column's type",
                        )
                    )
            yield pa.table(columns, schema=schema)


def _seals(sealed: Any) -> Seals:
    return as_seals(sealed.to_pylist())


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _add(found: Sets, what: str, releases: "pa.ChunkedArray[Any]", seals: Seals) -> None:
    numbers = releases.to_numpy()
    for number in np.unique(numbers[~np.isnan(numbers)]).tolist():
        found[what, int(number)].append(seals[numbers == number])


def _losers_damages(rows: pa.Table) -> Iterator[Damage]:
    """Yield rows whose losers are not those that their digest is over, or gone without a word."""
    digests = provenance.losers_digests(rows.column("losers")).to_numpy(zero_copy_only=False)
    stated, losers = (
        rows.column(name).to_numpy().astype(object) for name in ("losers_digest", "losers")
    )
    is_redacted = rows.column("redacted").is_valid().to_numpy()
    has_losers = np.array([one is not None for one in losers], dtype=bool)
    wrong = np.where(is_redacted, has_losers, digests != stated)
    for place in np.flatnonzero(wrong).tolist():
        row = rows.slice(place, 1).to_pylist()[0]
        yield Damage(
            where=f"{PROVENANCE.name}.losers",
            layer=str(row["layer"]),
            uid=str(row["uid"]),
            release=row["release"],
            found="losers in a redacted row"
            if is_redacted[place]
            else f"losers of {row['attribute'] or 'the match'!r} that their digest does not fit",
            expected="none" if is_redacted[place] else "what was noted",
        )


def _set_damages(said: Said, found: Sets) -> Iterator[Damage]:
    """Yield releases that noted other rows than their evidence says."""
    stated = {key: value for row in said.releases for key, value in _stated(row).items()}
    for what, number in sorted({*stated, *found}):
        seals = np.concatenate([as_seals([]), *found.get((what, number), [])])
        there = {"count": len(seals), "digest": set_digest(seals)} if len(seals) else None
        expected = stated.get((what, number))
        if there != expected:
            yield Damage(
                where=BRIDGE.name if what in ("opened", "closed") else PROVENANCE.name,
                release=number,
                found=f"{_text(there)} {what} in release {number}",
                expected=f"{_text(expected)}, by evidence",
            )


def _stated(release: Mapping[str, Any]) -> dict[tuple[str, int], Any]:
    """Return what a release's evidence says of the sets, by what happened to their rows."""
    evidence = read_object(release["evidence"])
    noted = _object(evidence, EVIDENCE)
    of_bridge = _object(noted, BRIDGE_PART)
    sets = {
        "opened": of_bridge.get("opened"),
        "closed": of_bridge.get("closed"),
        "noted": noted.get(PROVENANCE_PART),
        "redacted": _object(evidence, "redaction").get("losers"),
    }
    number = int(release["number"])
    return {(what, number): one for what, one in sets.items() if one is not None}


def _object(body: Any, name: str) -> Mapping[str, Any]:
    # what was altered by hand may be anything
    found = body.get(name) if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(one: Any) -> str:
    is_set = isinstance(one, Mapping)
    return f"{one.get('count')} rows with digest {one.get('digest')}" if is_set else "no rows"


def _feature_damages(home: Home, said: Said, table: sa.Table) -> Iterator[Damage]:
    """Yield rows that name a feature which no row of the history has."""
    with plain_connection(home) as connection:
        layers = connection.execute(sa.select(table.c.layer).distinct()).scalars().all()
        for name in sorted(str(one) for one in layers):
            layer = said.contracts.get(name)
            chosen = table.c.layer == name
            if layer is not None:
                uid = history_table(layer).c.uid
                chosen &= ~sa.exists().where(uid == table.c.uid)
            query = sa.select(table.c.uid).distinct().where(chosen).order_by(table.c.uid)
            for unknown in connection.execute(query.limit(_EXAMPLES)).scalars():
                yield Damage(
                    where=table.name,
                    layer=name,
                    uid=str(unknown),
                    found="a name of a feature that the layer does not have",
                    expected="a feature with a history",
                )
