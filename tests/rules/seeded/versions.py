"""Defects sown for the kinds that compare with the current release."""

from collections.abc import Iterable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.affinity import translate

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import WHOLE_LAYER, Sowing

LAYER = Layer(
    name="parcels", title=Title(zh="宗地", en="Parcels"), geometry=GeometryType.POLYGON,
    crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(),
    attributes=(
        Attribute(name="usage", type=AttributeType.STRING, title=Title(zh="用途", en="Usage")),
    ),
)  # fmt: skip
SIZE = 400


def release() -> gpd.GeoDataFrame:
    """Return 400 parcels of 10 m by 10 m, half of them houses."""
    rows = np.arange(SIZE)
    x, y = rows % 20 * 10.0, rows // 20 * 10.0
    return layer_frame(
        [f"p{row:03d}" for row in rows],
        shapely.box(x, y, x + 10, y + 10),
        np.where(rows % 2, "house", "shop"),
    )


def layer_frame(uids: Iterable[str], geometry: np.ndarray, usage: object) -> gpd.GeoDataFrame:
    """Return a layer frame."""
    series = gpd.GeoSeries(np.asarray(geometry, dtype=object), crs=LAYER.crs)
    frame = gpd.GeoDataFrame({"uid": list(uids), "usage": usage}, geometry=series)
    return with_column_types(frame, LAYER)


def with_geometry(frame: gpd.GeoDataFrame, geometry: np.ndarray) -> gpd.GeoDataFrame:
    return frame.set_geometry(gpd.GeoSeries(geometry, index=frame.index, crs=frame.crs))


def identity_loss() -> Sowing:
    """Lose seven; three more are removed by a change, and new ones come."""
    before = release()
    lost, removed = list(range(5, 400, 60)), [11, 12, 13]
    now = before.drop(index=[*lost, *removed]).reset_index(drop=True)
    new = layer_frame(["n1", "n2"], shapely.box([900, 950], 0, [910, 960], 10), "shop")
    changes = before.loc[removed].assign(change="removed")
    return Sowing(
        LAYER,
        gpd.GeoDataFrame(pd.concat([now, new], ignore_index=True), crs=LAYER.crs),
        {},
        frozenset(before["uid"][lost]),
        previous=before,
        changes=gpd.GeoDataFrame(changes, crs=LAYER.crs),
    )


def id_churn() -> Sowing:
    """Number 9 of 400 features anew, where 2 % are allowed."""
    before = release()
    uids = before["uid"].to_numpy(dtype=object)
    uids[40:49] = [f"n{row}" for row in range(9)]
    now = before.assign(uid=uids)
    return Sowing(LAYER, now, {"max_share": 0.02}, frozenset([WHOLE_LAYER]), previous=before)


def moved_too_far() -> Sowing:
    """Move eight far and eight just as far as is allowed."""
    before = release()
    geometry = np.asarray(before.geometry).copy()
    far, near = np.arange(7, 400, 50), np.arange(9, 400, 50)
    for row, angle in zip(far, np.linspace(0, 6, len(far)), strict=True):
        geometry[row] = translate(geometry[row], 30.1 * np.cos(angle), 30.1 * np.sin(angle))
    for row in near:
        geometry[row] = translate(geometry[row], 18.0, 24.0)
    geometry[0] = None
    return Sowing(
        LAYER,
        with_geometry(before, geometry),
        {"max_m": 30.0001},
        frozenset(before["uid"][far]),
        previous=before,
    )


def distribution_drift() -> Sowing:
    """Put 21 of 400 houses into another class, where a share may change by 5 %."""
    before = release()
    usage = before["usage"].to_numpy(dtype=object)
    usage[1:43:2] = "shop"
    return Sowing(
        LAYER,
        layer_frame(before["uid"], np.asarray(before.geometry), usage),
        {"column": "usage", "max_change": 0.05},
        frozenset([WHOLE_LAYER]),
        previous=before,
    )


def sum_drift() -> Sowing:
    """Lose 5 of 400 parcels of one size, where 1 % of the area may go."""
    before = release()
    return Sowing(
        LAYER,
        before.iloc[5:].reset_index(drop=True),
        {"of": "area", "max_share": 0.01},
        frozenset([WHOLE_LAYER]),
        previous=before,
    )


def silent_feed() -> Sowing:
    """Send one feature less than half of those of the release."""
    before = release()
    return Sowing(LAYER, before.iloc[:199], {}, frozenset([WHOLE_LAYER]), previous=before)


def area_balance() -> Sowing:
    """Split parcels: five lose a strip, five gain one, five keep their area."""
    before = release()
    split = np.arange(3, 400, 27)  # no two of them touch
    geometry, uids, failing = [], [], []
    for number, row in enumerate(split):
        x, y, right, top = before.geometry[row].bounds
        width = (-0.3, 0.3, 0.0)[number % 3]
        geometry += [shapely.box(x, y, x + 4, top), shapely.box(x + 4, y, right + width, top)]
        uids += [f"n{row:03d}a", f"n{row:03d}b"]
        if width:
            failing.append(f"n{row:03d}a")
    kept = before.drop(index=split)
    new = layer_frame(uids, np.array(geometry, dtype=object), "house")
    now = gpd.GeoDataFrame(pd.concat([kept, new], ignore_index=True), crs=LAYER.crs)
    return Sowing(LAYER, now, {"tolerance_m2": 1.0}, frozenset(failing), previous=before)


SOWINGS = {
    "identity_loss": identity_loss,
    "id_churn": id_churn,
    "moved_too_far": moved_too_far,
    "distribution_drift": distribution_drift,
    "sum_drift": sum_drift,
    "silent_feed": silent_feed,
    "area_balance": area_balance,
}
