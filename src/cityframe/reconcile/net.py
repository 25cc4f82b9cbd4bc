"""Several change tables of one cycle on one layer as one.

Each feature's net change follows from where it was before the cycle and where the last of its
changes leaves it:

================  ===========================  =======================================
before the cycle  after the last change        net change
================  ===========================  =======================================
absent            absent                       nothing
absent            present                      new
present           absent                       removed
present           same row                     nothing
present           same geometry, other values  attributes
present           other geometry               moved if all its changes of the geometry
                                               were moves, else reshaped
================  ===========================  =======================================

``delivery``, ``record`` and ``valid_from`` are those of the last change; of a new feature those of
the change that brought it.
"""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.core.digest import geometry_bytes
from cityframe.model.change import CHANGE_COLUMNS, ChangeKind
from cityframe.model.layer import Layer
from cityframe.reconcile.changes import change_table
from cityframe.reconcile.comparison import differing_attributes
from cityframe.reconcile.current import CurrentLayer, stacked

_OTHER_GEOMETRY = (ChangeKind.RESHAPED.value, ChangeKind.NEW.value, ChangeKind.REMOVED.value)
_ORIGIN = ["delivery", "record", "basis", "valid_from"]


def changes_in_order(current: CurrentLayer, parts: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return all changes of several tables, so that what was so in between stays known.

    Parameters
    ----------
    current : CurrentLayer
        The layer before the first part.
    parts : sequence of GeoDataFrame
        As for `net_changes`.

    Returns
    -------
    GeoDataFrame
        The rows of all parts, sorted by uid, those of a feature in their order; the last one has
        the kind of the net change. Features without a net change are left out.
    """
    layer = current.layer
    every = stacked(parts, layer, CHANGE_COLUMNS)
    if not every["uid"].duplicated().any():
        return change_table([every], layer)
    net = net_changes(current, parts)
    stays = every[every["uid"].isin(net["uid"])]
    is_last = ~stays["uid"].duplicated(keep="last")
    kind = stays["uid"].map(net.set_index("uid")["change"])
    flag = stays["uid"].map(net.set_index("uid")["has_new_attributes"])
    return change_table(
        [
            stays.assign(
                change=stays["change"].mask(is_last, kind),
                has_new_attributes=stays["has_new_attributes"].mask(is_last, flag).astype(bool),
            )
        ],
        layer,
    )


def net_changes(current: CurrentLayer, parts: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return one change table that does what several do one after another.

    Parameters
    ----------
    current : CurrentLayer
        The layer before the first part.
    parts : sequence of GeoDataFrame
        Change tables, each reconciled with the outcome of those before (`compose`).

    Returns
    -------
    GeoDataFrame
        A change table; the module's state table defines it.
    """
    layer = current.layer
    every = stacked(parts, layer, CHANGE_COLUMNS)
    several = every["uid"].duplicated(keep=False)
    once, often = every[~several], every[several]
    return change_table([once, *_net_of_several(current, often, layer)], layer)


def _net_of_several(
    current: CurrentLayer, changes: gpd.GeoDataFrame, layer: Layer
) -> list[gpd.GeoDataFrame]:
    """Return the net changes of features that changed more than once."""
    last = changes.drop_duplicates("uid", keep="last").set_index("uid", drop=False)
    first = changes.drop_duplicates("uid", keep="first").set_index("uid").loc[last.index]
    was = (first["change"] != ChangeKind.NEW.value).to_numpy()
    stays = (last["change"] != ChangeKind.REMOVED.value).to_numpy()

    new = last[~was & stays].assign(change=ChangeKind.NEW.value, has_new_attributes=False)
    new[_ORIGIN] = first.loc[new.index, _ORIGIN]
    removed = last[was & ~stays].drop(columns=[*layer.attribute_names, "geometry"])
    rows = current.rows(removed["uid"].tolist()).set_index("uid")
    removed = gpd.GeoDataFrame(removed.join(rows), geometry="geometry", crs=layer.crs)
    is_reshaped = changes["change"].isin(_OTHER_GEOMETRY).groupby(changes["uid"]).any()
    both = last[was & stays]
    return [new, removed, _against_before(current, both, is_reshaped, layer)]


def _against_before(
    current: CurrentLayer, after: gpd.GeoDataFrame, is_reshaped: pd.Series, layer: Layer
) -> gpd.GeoDataFrame:
    before = current.rows(after["uid"].tolist())
    sides = [geometry_bytes(side.geometry.to_numpy(), layer) for side in (before, after)]
    is_elsewhere = np.array([one != other for one, other in zip(*sides, strict=True)], dtype=bool)
    has_new = differing_attributes(before, after, layer)
    kind = np.select(
        [is_elsewhere & is_reshaped.loc[after.index].to_numpy(), is_elsewhere],
        [ChangeKind.RESHAPED.value, ChangeKind.MOVED.value],
        default=ChangeKind.ATTRIBUTES.value,
    )
    return after.assign(change=kind, has_new_attributes=has_new)[is_elsewhere | has_new]
