"""Defects sown for the kinds about two features of one layer."""

import geopandas as gpd
import numpy as np
import shapely

from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

LAYER = Layer(
    name="parcels", title=Title(zh="宗地", en="Parcels"), geometry=GeometryType.POLYGON,
    crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(), attributes=(),
)  # fmt: skip


def overlaps() -> Sowing:
    x, y = np.meshgrid(np.arange(20) * 10.0, np.arange(20) * 10.0)
    boxes = shapely.box(x.ravel(), y.ravel(), x.ravel() + 10, y.ravel() + 10)
    uids = np.array([f"p{row:03d}" for row in range(len(boxes))], dtype=object)
    pushed = np.arange(25, 375, 41)
    boxes[pushed] = shapely.transform(boxes[pushed], lambda xy: xy + np.array([0.5, 0.0]))
    frame = gpd.GeoDataFrame({"uid": uids}, geometry=boxes, crs=LAYER.crs)
    failing = frozenset(uids[pushed]) | frozenset(uids[pushed + 1])
    return Sowing(LAYER, frame, {"min_area_m2": 0.05}, failing)


SOWINGS = {"overlaps": overlaps}
