"""Who said the present value of an attribute, and when: it follows from the history.

The rows of a feature, in the order in which the framework came to know them, tell when each value
last changed. The delivery of that row said it, and the row's ``valid_from`` is when it was so. A
delivery that only confirmed a value, or lost against it, leaves no row in which it changed.
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import shapely

from cityframe.core.arrow_rows import GEOMETRY, to_frame
from cityframe.core.digest import geometry_bytes
from cityframe.core.three_way import same_values
from cityframe.model.layer import GeometryType, Layer
from cityframe.store.framework import Framework
from cityframe.store.history_query import as_schema, by_uid
from cityframe.store.tables import history_table

_PERIOD = ("uid", "release_from", "release_to", "valid_from", "valid_to", "delivery")
_GEOMETRY_ATTRIBUTE = "geometry"

Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


def value_origins(
    framework: Framework,
    layer: Layer,
    uids: Sequence[str],
    *,
    valid_at: dt.datetime | None = None,
    release: int | None = None,
) -> pd.DataFrame:
    """Return who said the values of features, attribute by attribute.

    Parameters
    ----------
    framework : Framework
        The store.
    layer : Layer
        Its contract.
    uids : sequence of str
        Features of the layer.
    valid_at : datetime, optional
        The state at this moment; by default the release's reference time. Of a feature that is
        not there then, the state that comes next, else the last.
    release : int, optional
        What a release knew; by default the newest one.

    Returns
    -------
    DataFrame
        ``uid, attribute, source, delivery, observed_at``, a row for each feature and attribute
        (``geometry`` is one); features that the layer never had are left out.
    """
    names = _stored_names(framework, layer)
    rows = _history(framework, layer, uids, (*_PERIOD, *names), release)
    rows = _until_present(rows, _moment(framework, valid_at, release), release)
    columns = {
        _GEOMETRY_ATTRIBUTE if name == GEOMETRY else name: _last_change(rows, name, layer)
        for name in names
    }
    parts = [
        rows[["uid", "delivery", "valid_from"]].iloc[at].assign(attribute=name)
        for name, at in columns.items()
    ]
    found = pd.concat([rows[["uid", "delivery", "valid_from"]].iloc[:0], *parts], ignore_index=True)
    found = found.rename(columns={"valid_from": "observed_at"})
    found["attribute"] = found.get("attribute", pd.Series(dtype="str")).astype("str")
    found["source"] = _sources(found["delivery"])
    return found[["uid", "attribute", "source", "delivery", "observed_at"]]


def standing(
    framework: Framework, layer: Layer, uids: Sequence[str], *, valid_at: dt.datetime | None = None
) -> pd.DataFrame:
    """Return since when the present row of features holds, and who spoke of them.

    Returns
    -------
    DataFrame
        ``uid``; ``since``, which no value of the row was observed after; ``source`` of all the
        deliveries that ever changed the feature, empty where they are of several.
    """
    rows = _history(framework, layer, uids, _PERIOD, None)
    present = _is_present(rows, _moment(framework, valid_at, None), None)
    sources = _sources(rows["delivery"]).groupby(rows["uid"]).agg(["first", "nunique"])
    since = rows[present].set_index("uid")["valid_from"].reindex(sources.index)
    one = sources["first"].where(sources["nunique"] == 1, "").astype("str")
    return pd.DataFrame(
        {
            "uid": sources.index.astype("str"),
            "since": since.array,
            "source": one.array,
        }
    )


def _history(
    framework: Framework,
    layer: Layer,
    uids: Sequence[str],
    names: Sequence[str],
    release: int | None,
) -> pd.DataFrame:
    """Return the rows of features that a release had heard of, in the order of their coming."""
    parts = [as_schema([], names, layer)]
    if layer.name in framework.contracts():
        heard = history_table(layer).c.release_from
        for chosen in by_uid(layer, uids):
            condition = chosen if release is None else chosen & (heard <= release)
            parts.append(as_schema(framework.history_rows(layer, names, condition), names, layer))
    table = pa.concat_tables(parts)
    frame = pd.DataFrame(to_frame(table.drop_columns(_geometry_of(names)), layer))
    if GEOMETRY in names:
        # bytes: most rows of a feature are copies of one another
        frame[GEOMETRY] = pd.Series(table.column(GEOMETRY).to_numpy(), dtype=object)
    order = ["uid", "release_from", "valid_from"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _until_present(rows: pd.DataFrame, moment: pd.Timestamp, release: int | None) -> pd.DataFrame:
    """Return the rows up to that of the present: not what will be, nor later news of the past."""
    if rows.empty:
        return rows
    present = pd.Series(np.flatnonzero(_is_present(rows, moment, release)))
    last = present.groupby(rows["uid"].iloc[present].array).max()
    return rows[rows.index <= rows["uid"].map(last)].reset_index(drop=True)


def _is_present(rows: pd.DataFrame, moment: pd.Timestamp, release: int | None) -> Flags:
    """Tell which row of each feature is that of the moment, else the next one, else the last."""
    ended = rows["release_to"].notna()
    if release is not None:
        ended &= rows["release_to"] <= release
    is_over = (rows["valid_to"] <= moment).fillna(False)
    is_ahead = rows["valid_from"] > moment
    # known before forgotten; then at the moment, ahead, over; of those over the latest
    place = pd.DataFrame(
        {
            "uid": rows["uid"],
            "ended": ended.astype(bool),
            "state": np.select([is_over, is_ahead], [2, 1], default=0),
            "from": rows["valid_from"].astype("int64") * np.where(is_over, -1, 1),
        }
    )
    first = place.sort_values(["uid", "ended", "state", "from"]).drop_duplicates("uid").index
    flags = np.zeros(len(rows), dtype=bool)
    flags[first] = True
    return flags


def _last_change(rows: pd.DataFrame, name: str, layer: Layer) -> Positions:
    """Return, for each feature, the position of the row in which a value last changed."""
    if rows.empty:
        return np.empty(0, dtype=np.intp)
    before = rows.shift(1)
    is_first = (rows["uid"] != before["uid"]).to_numpy(dtype=bool)
    # after a gap the feature was said anew
    was_away = (rows["valid_from"] > before["valid_to"]).fillna(False).to_numpy(dtype=bool)
    column = rows[name]
    if name == GEOMETRY:
        changed = _other_geometry(column, layer)
    else:
        changed = ~same_values(column.shift(1).astype(column.dtype), column)
    at = np.where(is_first | was_away | changed, np.arange(len(rows)), 0)
    is_last = np.append(is_first[1:], True)
    result: Positions = np.maximum.accumulate(at)[is_last]
    return result


def _other_geometry(column: pd.Series, layer: Layer) -> Flags:
    """Tell which geometries differ from that of the row before, by their canonical form."""
    now = column.to_numpy(dtype=object)
    before = np.append(np.array([None], dtype=object), now[:-1])
    changed = np.asarray(now != before, dtype=bool)
    rest = np.flatnonzero(changed)
    forms = (geometry_bytes(shapely.from_wkb(side[rest]), layer) for side in (before, now))
    changed[rest] = [one != other for one, other in zip(*forms, strict=True)]
    return changed


def _stored_names(framework: Framework, layer: Layer) -> tuple[str, ...]:
    """Return the columns of values that the store has: a contract may have gained attributes."""
    stored = framework.contracts().get(layer.name)
    if stored is None:
        return ()
    names = [name for name in layer.attribute_names if name in stored.attribute_names]
    return (*names, *(() if layer.geometry is GeometryType.NONE else (GEOMETRY,)))


def _geometry_of(names: Sequence[str]) -> list[str]:
    return [name for name in names if name == GEOMETRY]


def _moment(
    framework: Framework, valid_at: dt.datetime | None, release: int | None
) -> pd.Timestamp:
    if valid_at is not None:
        return pd.Timestamp(valid_at)
    one = framework.current() if release is None else framework.release(release)
    return pd.Timestamp(one.valid_at) if one else pd.Timestamp.max.tz_localize("UTC")


def _sources(deliveries: pd.Series) -> pd.Series:
    return deliveries.str.extract(r"^(.*)\.[^.]*$", expand=False).fillna("").astype("str")
