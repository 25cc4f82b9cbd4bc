"""The bridge: under which names the sources know features, from release to release.

A name of a source points to one feature at a time. A row holds from the release that opened it to
the one that pointed the name elsewhere, or in which the feature ended::

    what a release says            the name before           rows
    uid u                          free                      u opened
    uid u                          of u                      none
    uid v                          of u                      u closed, v opened
    null                           of u                      u closed
    u ends, one heir v             of u                      u closed, v opened
    u ends, no heir or several     of u                      u closed
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from cityframe.store.entries import entries_of, entry_schema, read_entries
from cityframe.store.framework import Framework
from cityframe.store.history_query import in_parts, is_known
from cityframe.store.home import Home
from cityframe.store.lineage import heirs
from cityframe.store.register import BRIDGE_COLUMNS
from cityframe.store.seal import entry_seals, set_evidence
from cityframe.store.tables import BRIDGE

SEALED_COLUMNS = ("layer", *BRIDGE_COLUMNS, "release_from")
SAID_SCHEMA = entry_schema(BRIDGE, BRIDGE_COLUMNS)
_NAME = ["source", "source_id"]
_STORED = ("id", *SEALED_COLUMNS)
# more names of a source than this: reading all of them is cheaper than asking for each
_MOST_ASKED = 100_000
_IS_CURRENT = BRIDGE.c.release_to.is_(None)


@dataclass(frozen=True)
class BridgePlan:
    """What a release does to the bridge.

    Attributes
    ----------
    closed : Table
        ``id`` and `SEALED_COLUMNS` of the rows that end.
    opened : Table
        `SEALED_COLUMNS` of the rows that begin.
    """

    closed: pa.Table
    opened: pa.Table

    @property
    def evidence(self) -> dict[str, Any]:
        """``count`` and ``digest`` of what is ``opened`` and ``closed``; without empty sets."""
        sets = {"opened": self.opened, "closed": self.closed}
        return {name: set_evidence(sealed(rows)) for name, rows in sets.items() if rows.num_rows}


def sealed(rows: pa.Table) -> "pa.Array[Any]":
    """Return the seals of rows of the bridge."""
    return entry_seals(rows.select(list(SEALED_COLUMNS)))


def said_rows(frame: pd.DataFrame) -> pa.Table:
    """Return what shall hold of the names of sources: `BRIDGE_COLUMNS`, each name once, sorted.

    Parameters
    ----------
    frame : DataFrame
        `BRIDGE_COLUMNS`; of several rows of a name the last one counts, a null ``uid`` frees it.
    """
    rows = entries_of(frame.drop_duplicates(_NAME, keep="last"), SAID_SCHEMA)
    return rows.sort_by([(name, "ascending") for name in _NAME])


def differing(framework: Framework, layer: str, said: pa.Table) -> pa.Table:
    """Return those of the rows said that point a name elsewhere than the bridge does now."""
    if not framework.exists:
        return said.filter(said.column("uid").is_valid())
    frame = said.to_pandas()
    compared = _compared(frame, _named(framework.home, layer, frame))
    return said.filter(pa.array(_differs(compared)))


def plan_bridge(
    framework: Framework,
    said: Mapping[str, pa.Table],
    removed: Mapping[str, Sequence[str]],
    events: Iterable[Mapping[str, Any]],
    number: int,
) -> BridgePlan:
    """Return what a release does to the bridge.

    Parameters
    ----------
    framework : Framework
        The store, at release ``number - 1``.
    said : mapping of str to Table
        By layer, what shall hold (`said_rows`).
    removed : mapping of str to sequence of str
        By layer, the features that end.
    events : iterable of mapping
        The release's lineage.
    number : int
        The release to be.
    """
    told = list(events)
    parts = [
        _plan_layer(framework, name, said.get(name), removed.get(name, ()), told, number)
        for name in sorted({*said, *removed})
    ]
    closed, opened = entry_schema(BRIDGE, _STORED), entry_schema(BRIDGE, SEALED_COLUMNS)
    return BridgePlan(
        closed=pa.concat_tables([closed.empty_table(), *(part.closed for part in parts)]),
        opened=pa.concat_tables([opened.empty_table(), *(part.opened for part in parts)]),
    )


def plan_bridge_restore(framework: Framework, restores: int, number: int) -> BridgePlan:
    """Return what makes the bridge say again what it said in an older release."""
    columns = BRIDGE.c
    was = is_known(BRIDGE, restores) & columns.release_to.is_not(None)
    again = read_entries(framework.home, BRIDGE, SEALED_COLUMNS, was)
    place = again.column_names.index("release_from")
    numbers = pa.array(np.full(again.num_rows, number, dtype=np.int64))
    return BridgePlan(
        closed=read_entries(
            framework.home, BRIDGE, _STORED, _IS_CURRENT & (columns.release_from > restores)
        ),
        opened=again.set_column(place, "release_from", numbers),
    )


def write_bridge(home: Home, connection: sa.Connection, plan: BridgePlan, number: int) -> None:
    """Close and open rows, in the transaction of the release."""
    ids = plan.closed.column("id").to_pylist()
    if ids:
        closing = sa.update(BRIDGE).where(BRIDGE.c.id == sa.bindparam("row"))
        connection.execute(closing.values(release_to=number), [{"row": one} for one in ids])
    home.add_entries(connection, BRIDGE, plan.opened)


def collisions(
    framework: Framework, layer: str, said: pa.Table, touched: Iterable[str], since: int
) -> list[str]:
    """Return what of a candidate's bridge releases since have been at, sorted.

    Parameters
    ----------
    said : Table
        `said_rows` of the candidate.
    touched : iterable of str
        The features that these releases touched.
    since : int
        The release that the candidate was made over.
    """
    is_later = (BRIDGE.c.release_from > since) | (BRIDGE.c.release_to > since)
    changed = read_entries(
        framework.home, BRIDGE, _NAME, (BRIDGE.c.layer == layer) & is_later
    ).to_pandas()
    frame = said.to_pandas()
    names = frame.merge(changed.drop_duplicates(), on=_NAME)["source_id"]
    return sorted({*names, *frame["uid"].dropna()[frame["uid"].dropna().isin(list(touched))]})


def _plan_layer(
    framework: Framework,
    layer: str,
    said: pa.Table | None,
    removed: Sequence[str],
    events: Sequence[Mapping[str, Any]],
    number: int,
) -> BridgePlan:
    home = framework.home
    frame = (SAID_SCHEMA.empty_table() if said is None else said).to_pandas()
    current = pd.concat(
        [_named(home, layer, frame), *_of_uids(home, layer, removed)], ignore_index=True
    ).drop_duplicates("id")
    unsaid = current.merge(frame[_NAME], on=_NAME, how="left", indicator="where")
    kept = unsaid[unsaid["where"] == "left_only"]
    wanted = pd.concat([frame, kept[list(BRIDGE_COLUMNS)]], ignore_index=True)
    wanted = _handed_on(framework, layer, wanted, removed, events)
    compared = _compared(wanted, current)
    differs = _differs(compared)
    closed = current[current["id"].isin(compared["id"][differs])]
    opened = compared[differs & compared["uid"].notna().to_numpy()]
    opened = opened.assign(
        layer=layer, release_from=number, matched_by=opened["matched_by"].fillna("")
    )
    return BridgePlan(
        closed=entries_of(closed, entry_schema(BRIDGE, _STORED)),
        opened=entries_of(opened, entry_schema(BRIDGE, SEALED_COLUMNS)),
    )


def _handed_on(
    framework: Framework,
    layer: str,
    wanted: pd.DataFrame,
    removed: Sequence[str],
    events: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """Return rows whose features end as rows of their heirs, or of nobody."""
    ends = wanted["uid"].isin(list(removed))
    if not ends.any():
        return wanted
    found = heirs(framework, layer, wanted["uid"][ends].unique(), removed, events)
    result = wanted.copy()
    result.loc[ends, "matched_by"] = wanted["uid"][ends].map({k: v[1] for k, v in found.items()})
    result.loc[ends, "uid"] = wanted["uid"][ends].map({k: v[0] for k, v in found.items()})
    result.loc[ends, ["score", "margin"]] = np.nan
    return result


def _compared(wanted: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Return the rows wanted, in their order, with ``id`` and ``uid_now`` of their names."""
    now = current[[*_NAME, "uid", "id"]].rename(columns={"uid": "uid_now"})
    return wanted.merge(now, on=_NAME, how="left", validate="one_to_one")


def _differs(compared: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    uid, now = (compared[name].fillna("") for name in ("uid", "uid_now"))
    return (uid != now).to_numpy(dtype=bool)


def _named(home: Home, layer: str, said: pd.DataFrame) -> pd.DataFrame:
    """Return the current rows of the names said."""
    parts = [_rows(home, sa.false())]
    for source, names in said.groupby("source")["source_id"]:
        of_source = _IS_CURRENT & (BRIDGE.c.layer == layer) & (BRIDGE.c.source == str(source))
        if len(names) > _MOST_ASKED:
            parts.append(_rows(home, of_source))
        else:
            parts += [_rows(home, of_source & one) for one in in_parts(BRIDGE.c.source_id, names)]
    found = pd.concat(parts, ignore_index=True)
    return found.merge(said[_NAME], on=_NAME)


def _of_uids(home: Home, layer: str, uids: Sequence[str]) -> list[pd.DataFrame]:
    of_layer = _IS_CURRENT & (BRIDGE.c.layer == layer)
    return [_rows(home, of_layer & chosen) for chosen in in_parts(BRIDGE.c.uid, uids)]


def _rows(home: Home, condition: sa.ColumnElement[bool]) -> pd.DataFrame:
    return read_entries(home, BRIDGE, _STORED, condition).to_pandas()
