"""Lay a change over sorted rows, batch by batch, with every row checked on its way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import geopandas as gpd
import pandas as pd
import pyarrow as pa

from cityframe.core.frames import empty_frame
from cityframe.errors import IntegrityError
from cityframe.products.package.manifest import PackagedLayer
from cityframe.products.package.overlay import overlay, swapped
from cityframe.products.package.table import PROVENANCE, compute


@dataclass(frozen=True)
class Step:
    """One batch on its way: as it was, and as it is after the change; both with ``digest``."""

    before: gpd.GeoDataFrame
    after: gpd.GeoDataFrame


def merged(
    base: Iterable[gpd.GeoDataFrame],
    changes: pa.Table,
    layer: PackagedLayer,
    where: str,
    unproved: frozenset[str],
) -> Iterator[Step]:
    """Lay a layer's change over its rows, and prove for each batch that the inverse undoes it.

    Parameters
    ----------
    base : iterable of GeoDataFrame
        Rows sorted by uid with ``digest``, in the contract before.
    changes : Table
        The layer's change table.
    where : str
        The base, for messages.
    unproved : frozenset of str
        As in `overlay`.

    Raises
    ------
    IntegrityError
        If a row is not in the base as the change knows it, the result is not what it promises,
        or the inverse does not give the base back. The inverse is not tried for batches with
        values that a redaction withholds.
    """
    left = changes
    for frame in base:
        is_due = compute.less_equal(left["uid"], frame["uid"].iloc[-1])
        due, left = left.filter(is_due), left.filter(compute.invert(is_due))
        yield _step(frame, due, layer, where, unproved)
    if len(left):
        columns = ("uid", "valid_from", *PROVENANCE, "digest")
        nothing = empty_frame(layer.former_contract, columns)
        yield _step(nothing, left, layer, where, unproved)


def _step(
    rows: gpd.GeoDataFrame,
    changes: pa.Table,
    layer: PackagedLayer,
    where: str,
    unproved: frozenset[str],
) -> Step:
    after = overlay(rows, changes, layer, where=where, unproved=unproved)
    if not compute.any(compute.not_equal(changes["withheld"], "")).as_py():
        back_layer = layer.model_copy(
            update={"contract": layer.former_contract, "contract_before": layer.contract}
        )
        back = overlay(
            after, swapped(changes), back_layer, where=f"{where}, inverse", unproved=unproved
        )
        if not _same_rows(back, rows):
            raise IntegrityError(
                where=where,
                found="rows that the inverse change does not give back",
                expected="the rows of the base",
            )
    return Step(before=rows, after=after)


def _same_rows(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame) -> bool:
    names = ["uid", "digest", "valid_from", *PROVENANCE]
    pairs = [
        (left[name].reset_index(drop=True), right[name].reset_index(drop=True)) for name in names
    ]
    return len(left) == len(right) and all(
        bool(((one == other) | (pd.isna(one) & pd.isna(other))).all()) for one, other in pairs
    )
