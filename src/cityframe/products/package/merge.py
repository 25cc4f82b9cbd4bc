"""Apply a change to sorted rows, batch by batch, with every row checked on its way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.core.digest import row_digests
from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer
from cityframe.products.package.table import AFTER, BEFORE


@dataclass(frozen=True)
class Step:
    """One batch on its way: as it was, and as it is after the change; both with ``digest``."""

    before: gpd.GeoDataFrame
    after: gpd.GeoDataFrame


def merged(
    base: Iterable[gpd.GeoDataFrame], change: gpd.GeoDataFrame, layer: Layer, where: str
) -> Iterator[Step]:
    """Apply a layer's change to its rows, and prove for each batch that the inverse undoes it.

    Parameters
    ----------
    base : iterable of GeoDataFrame
        Rows sorted by uid: ``uid, valid_from``, attributes, geometry.
    change : GeoDataFrame
        The table of a change package.
    where : str
        The base, for messages.

    Raises
    ------
    IntegrityError
        If a row that the change replaces or removes is not in the base as the change knows it,
        or a row that it adds is there already.
    """
    change = change.assign(digest=row_digests(change, layer))
    removed, added = (
        change[change["side"] == side].drop(columns=["side", "change"]) for side in (BEFORE, AFTER)
    )
    for frame in base:
        rows = frame.assign(digest=row_digests(frame, layer))
        last = rows["uid"].iloc[-1]
        is_due, is_new = removed["uid"] <= last, added["uid"] <= last
        yield _step(rows, removed[is_due], added[is_new], where)
        removed, added = removed[~is_due], added[~is_new]
    if len(removed) or len(added):
        yield _step(removed.iloc[:0], removed, added, where)


def _step(
    rows: gpd.GeoDataFrame, removed: gpd.GeoDataFrame, added: gpd.GeoDataFrame, where: str
) -> Step:
    after = apply_rows(rows, removed, added, where)
    back = apply_rows(after, added, removed, f"{where}, inverse")
    if not _same_rows(back, rows):
        raise IntegrityError(
            where=where,
            found="rows that the inverse change does not give back",
            expected="the rows of the base",
        )
    return Step(before=rows, after=after)


def apply_rows(
    rows: gpd.GeoDataFrame, removed: gpd.GeoDataFrame, added: gpd.GeoDataFrame, where: str
) -> gpd.GeoDataFrame:
    """Return rows sorted by uid after some were taken out and others put in.

    Parameters
    ----------
    rows, removed, added : GeoDataFrame
        Each sorted by uid, each uid once, with ``digest``. A row that is taken out must be there
        with the same digest and valid time; one that is put in must not be there.

    Raises
    ------
    IntegrityError
        If that is not so.
    """
    if removed.empty and added.empty:
        return rows
    places = pd.Index(rows["uid"]).get_indexer(pd.Index(removed["uid"]))
    _refuse(removed["uid"].to_numpy(), places < 0, where, "no such feature", "a feature")
    known = rows.iloc[places]
    differs = ~_same_row_by_row(known, removed)
    _refuse(removed["uid"].to_numpy(), differs, where, "another content", "the row of the change")
    kept = np.ones(len(rows), dtype=bool)
    kept[places] = False
    left = rows[kept]
    is_there = added["uid"].isin(left["uid"]).to_numpy()
    _refuse(added["uid"].to_numpy(), is_there, where, "a feature", "none, as the change adds it")
    filled = [part for part in (left, added) if len(part)] or [left]
    result = pd.concat(filled, ignore_index=True).sort_values("uid", ignore_index=True)
    return gpd.GeoDataFrame(result, geometry="geometry", crs=rows.crs)


def _same_rows(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame) -> bool:
    return (
        len(left) == len(right)
        and bool((left["uid"].to_numpy() == right["uid"].to_numpy()).all())
        and bool(_same_row_by_row(left, right).all())
    )


def _same_row_by_row(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame) -> np.ndarray:
    return np.asarray(
        (left["digest"].to_numpy() == right["digest"].to_numpy())
        & (left["valid_from"].to_numpy() == right["valid_from"].to_numpy()),
        dtype=bool,
    )


def _refuse(uids: np.ndarray, is_wrong: np.ndarray, where: str, found: str, expected: str) -> None:
    if is_wrong.any():
        uid = uids[int(np.flatnonzero(is_wrong)[0])]
        raise IntegrityError(
            where=f"{where} uid {uid}",
            found=found,
            expected=expected,
            remedy="apply the change to the release that it starts from",
        )
