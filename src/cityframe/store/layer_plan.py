"""What a release does to one layer: rows to close, to copy, to add, and the state after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cityframe.core.arrow_rows import GEOMETRY
from cityframe.core.canonical_geometry import geometry_items
from cityframe.core.digest import layer_digest, move_layer_sum
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.release import LayerVersion
from cityframe.store.framework import Framework
from cityframe.store.home import COPY_COLUMNS
from cityframe.store.release_rows import LayerState
from cityframe.store.seal import sealed_columns, seals
from cityframe.store.timeline import FOREVER, in_effect, timeline

MOMENT = pa.timestamp("us", tz="UTC")
_GEOMETRIC = (ChangeKind.MOVED, ChangeKind.RESHAPED)
RECORDED = (*_GEOMETRIC, ChangeKind.ATTRIBUTES)


@dataclass(frozen=True)
class LayerPlan:
    """What a release does to one layer.

    Attributes
    ----------
    state : LayerState
        After the release.
    closed : Table
        ``fid, seal`` of the rows that it closes.
    copies : Table
        `cityframe.store.home.COPY_COLUMNS`.
    added : DataFrame
        Of rows to add: ``change`` (position in the change table), ``valid_from, valid_to``
        (microseconds), ``ended_by`` (text or None).
    due : tuple
        ``(moment, uid)`` of periods that begin or end after the release's reference time.
    removed : tuple of str
        Features of the parent's state that are not in this one's.
    """

    state: LayerState
    closed: pa.Table
    copies: pa.Table
    added: pd.DataFrame
    due: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]


def plan_changes(
    framework: Framework, layer: Layer, changes: pd.DataFrame, number: int, valid_at: str
) -> LayerPlan:
    """Return what a change table does to a layer.

    Parameters
    ----------
    framework : Framework
        The store, at release ``number - 1``.
    layer : Layer
        The contract.
    changes : DataFrame
        ``uid, change, delivery, digest, valid_from, valid_to`` (microseconds), in their order.
    number : int
        The release to be.
    valid_at : str
        Its reference time.
    """
    due = _due_uids(framework, layer, valid_at)
    known = framework.known_rows(layer, [*changes["uid"], *due], _known_columns(layer))
    periods = _periods(known)
    is_removed = changes["change"] == ChangeKind.REMOVED
    line = timeline(changes.assign(is_removed=is_removed), periods)
    deliveries = changes["delivery"].to_numpy(dtype=object)
    copies = _copies(layer, known, line.copies, deliveries, number)
    place = line.added["change"].to_numpy()
    added = line.added.assign(ended_by=_ended_by(line.added["ended_by"], deliveries))
    after = pd.concat(
        [
            periods[~line.closed],
            periods.iloc[line.copies["known"]].assign(
                valid_from=line.copies["valid_from"].to_numpy(),
                valid_to=line.copies["valid_to"].to_numpy(),
                # as a copy is stored: how its row came about says nothing of it
                change=None,
            ),
            pd.DataFrame(
                {
                    "uid": changes["uid"].to_numpy()[place],
                    "digest": changes["digest"].to_numpy()[place],
                    "change": changes["change"].to_numpy()[place],
                    "valid_from": added["valid_from"],
                    "valid_to": added["valid_to"],
                    "place": -1,
                }
            ),
        ],
        ignore_index=True,
    )
    state = _next_state(framework, layer, (known, periods), (known, after), valid_at)
    return _plan(state, after, known, line.closed, copies, added, valid_at)


def plan_restore(
    framework: Framework, layer: Layer, restores: int, number: int, valid_at: str
) -> LayerPlan:
    """Return what makes a layer's known rows those of an older release again."""
    current = framework.current()
    newest = current.number if current else 0
    uids = framework.touched_uids(layer, restores, newest)
    uids += _due_uids(framework, layer, valid_at)
    known = framework.known_rows(layer, uids, _known_columns(layer))
    then = framework.known_rows(layer, uids, _known_columns(layer), restores)
    fids_then = set(then.column("fid").to_pylist())
    fids_now = set(known.column("fid").to_pylist())
    closed = np.array([fid not in fids_then for fid in known.column("fid").to_pylist()], dtype=bool)
    again = np.array([fid not in fids_now for fid in then.column("fid").to_pylist()], dtype=bool)
    then_again = then.filter(pa.array(again))
    pieces = _periods(then_again).assign(known=np.arange(then_again.num_rows), ended_by=-1)
    copies = _copies(layer, then_again, pieces, np.empty(0, dtype=object), number)
    added = pd.DataFrame({"change": [], "valid_from": [], "valid_to": [], "ended_by": []})
    # the kinds that the rows were opened with say nothing of the way back
    after = _periods(then).assign(change=None)
    state = _next_state(framework, layer, (known, _periods(known)), (then, after), valid_at)
    return _plan(state, after, known, closed, copies, added, valid_at)


def _next_state(
    framework: Framework,
    layer: Layer,
    before: tuple[pa.Table, pd.DataFrame],
    after: tuple[pa.Table, pd.DataFrame],
    valid_at: str,
) -> tuple[LayerState, Sequence[str]]:
    """Return the state after, and what left it; each side: rows, and periods with their places."""
    current = framework.current()
    then = _state_at(before[1], current.valid_at if current else valid_at)
    now = _state_at(after[1], valid_at)
    return _state(framework.state(layer.name), (before[0], then), (after[0], now), layer)


def _plan(
    next_state: tuple[LayerState, Sequence[str]],
    after: pd.DataFrame,
    known: pa.Table,
    closed: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    copies: pa.Table,
    added: pd.DataFrame,
    valid_at: str,
) -> LayerPlan:
    state, removed = next_state
    moment = microseconds_of(valid_at)
    return LayerPlan(
        state=state,
        closed=known.select(["fid", "seal"]).filter(pa.array(closed)),
        copies=copies,
        added=added,
        due=tuple(sorted(set(due_moments(after, moment)))),
        removed=tuple(removed),
    )


def due_moments(periods: pd.DataFrame, after: int) -> Iterator[tuple[str, str]]:
    """Yield ``(moment, uid)`` of the ends of periods that lie after a moment (microseconds)."""
    for name in ("valid_from", "valid_to"):
        later = periods[(periods[name] > after) & (periods[name] != FOREVER)]
        for uid, moment in zip(later["uid"], later[name], strict=True):
            text = pd.Timestamp(moment, unit="us").strftime("%Y-%m-%dT%H:%M:%SZ")
            yield text, str(uid)


def _due_uids(framework: Framework, layer: Layer, valid_at: str) -> list[str]:
    current = framework.current()
    return framework.due_uids(layer, current.valid_at, valid_at) if current else []


def _periods(known: pa.Table) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "uid": known.column("uid").to_pylist(),
            "digest": known.column("digest").to_pylist(),
            "change": known.column("change").to_pylist(),
            "valid_from": known.column("valid_from").cast(pa.int64()).to_numpy(),
            "valid_to": microseconds(known.column("valid_to")),
            "place": np.arange(known.num_rows),
        }
    )


def _state_at(periods: pd.DataFrame, valid_at: str) -> pd.DataFrame:
    holds = in_effect(
        periods["valid_from"].to_numpy(dtype=np.int64),
        periods["valid_to"].to_numpy(dtype=np.int64),
        microseconds_of(valid_at),
    )
    return periods[holds].set_index("uid")


def _state(
    current: LayerState,
    side_before: tuple[pa.Table, pd.DataFrame],
    side_after: tuple[pa.Table, pd.DataFrame],
    layer: Layer,
) -> tuple[LayerState, Sequence[str]]:
    (rows_before, before), (rows_after, after) = side_before, side_after
    gone = before.index.difference(after.index)
    new = after.index.difference(before.index)
    both = before.index.intersection(after.index)
    differs = both[
        [a != b for a, b in zip(before.loc[both, "digest"], after.loc[both, "digest"], strict=True)]
    ]
    kinds = _kinds((rows_before, before.loc[differs]), (rows_after, after.loc[differs]), layer)
    kinds += [ChangeKind.NEW.value] * len(new) + [ChangeKind.REMOVED.value] * len(gone)
    total = move_layer_sum(
        current.total,
        removed=before.loc[[*differs, *gone], "digest"],
        added=after.loc[[*differs, *new], "digest"],
    )
    count = current.version.count + len(new) - len(gone)
    counted = pd.Series(kinds, dtype="str").value_counts()
    version = LayerVersion(
        layer=layer.name,
        count=count,
        digest=layer_digest(total, count),
        changes={str(kind): int(counted[kind]) for kind in sorted(counted.index)},
    )
    return LayerState(version=version, total=total), sorted(gone)


def _kinds(
    before: tuple[pa.Table, pd.DataFrame], after: tuple[pa.Table, pd.DataFrame], layer: Layer
) -> list[str]:
    """Return the kind of each change in place: as recorded with a row of this release.

    A stored row may have been recorded against another one than the state had: its geometry says.
    """
    recorded = after[1]["change"]
    kinds = recorded.to_numpy(dtype=object).copy()
    is_said = (after[1]["place"] < 0) & recorded.isin(RECORDED)
    unsaid = np.flatnonzero(~is_said.to_numpy())
    kinds[unsaid] = ChangeKind.ATTRIBUTES.value
    if layer.geometry is not GeometryType.NONE and len(unsaid):
        sides = [
            geometry_items(_geometry(rows, states["place"].to_numpy()[unsaid]), layer)
            for rows, states in (before, after)
        ]
        differs = [a != b for a, b in zip(*(side.to_pylist() for side in sides), strict=True)]
        elsewhere = recorded.where(recorded.isin(_GEOMETRIC), ChangeKind.RESHAPED.value)
        kinds[unsaid[differs]] = elsewhere.to_numpy(dtype=object)[unsaid[differs]]
    return [str(kind) for kind in kinds]


def _geometry(rows: pa.Table, places: "np.ndarray[Any, np.dtype[np.int64]]") -> "pa.Array[Any]":
    chosen: Any = pa.array(places, mask=places < 0)
    return rows.column(GEOMETRY).take(chosen).combine_chunks()


def _known_columns(layer: Layer) -> tuple[str, ...]:
    return ("fid", "seal", *sealed_columns(layer))


def _copies(
    layer: Layer,
    known: pa.Table,
    pieces: pd.DataFrame,
    deliveries: "np.ndarray[tuple[int], np.dtype[np.object_]]",
    number: int,
) -> pa.Table:
    """Return `COPY_COLUMNS` of the pieces (``known``: position, ``ended_by``: position or -1)."""
    sources = known.take(pa.array(pieces["known"].to_numpy(dtype=np.int64)))
    cut = _ended_by(pieces["ended_by"], deliveries)
    ended_by = [
        own if delivery is None else delivery
        for own, delivery in zip(sources.column("ended_by").to_pylist(), cut, strict=True)
    ]
    ends = pieces["valid_to"].to_numpy(dtype=np.int64)
    new = {
        "valid_from": pa.array(pieces["valid_from"].to_numpy(dtype=np.int64)).cast(MOMENT),
        "valid_to": pa.array(ends, mask=ends == FOREVER).cast(MOMENT),
        "release_from": pa.array(np.full(len(pieces), number, dtype=np.int64)),
        "ended_by": pa.array(ended_by, type=pa.string()),
        "change": pa.nulls(len(pieces), pa.string()),
    }
    for name, values in new.items():
        sources = sources.set_column(sources.column_names.index(name), name, values)
    sources = sources.set_column(sources.column_names.index("seal"), "seal", seals(sources, layer))
    return sources.rename_columns(
        ["source" if name == "fid" else name for name in sources.column_names]
    ).select(list(COPY_COLUMNS))


def _ended_by(
    positions: pd.Series, deliveries: "np.ndarray[tuple[int], np.dtype[np.object_]]"
) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    result = np.empty(len(positions), dtype=object)
    result[:] = [None if place < 0 else deliveries[int(place)] for place in positions]
    return result


def microseconds(moments: "pa.ChunkedArray[Any]") -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return moments as microseconds since 1970; null is `FOREVER`."""
    values: Any = moments.cast(pa.int64())
    result: np.ndarray[tuple[int], np.dtype[np.int64]] = values.fill_null(FOREVER).to_numpy()
    return result


def microseconds_of(moment: str) -> int:
    """Return a moment as the store writes it in microseconds since 1970."""
    return int(np.datetime64(moment.removesuffix("Z"), "us").astype(np.int64))
