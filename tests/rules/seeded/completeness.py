"""Defects sown for the kinds about completeness and classification."""

import geopandas as gpd
import numpy as np
import shapely

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import WHOLE_LAYER, Sowing

SIZE = 300


def layer(name: str, geometry: GeometryType, /, **attributes: str) -> Layer:
    return Layer(
        name=name, title=Title(zh=name, en=name), geometry=geometry, crs="EPSG:4547",
        precision_m=0.001, accuracy_m=0.25, key=(),
        attributes=tuple(
            Attribute(name=column, type=AttributeType(kind), title=Title(zh=column, en=column))
            for column, kind in attributes.items()
        ),
    )  # fmt: skip


SHOPS = layer("shops", GeometryType.POINT, name="string", usage="string")
OTHER = layer("other", GeometryType.POINT, name="string", usage="string")
ZONES = layer("zones", GeometryType.POLYGON, shops="integer")


def layer_frame(of: Layer, geometry: np.ndarray, **columns: object) -> gpd.GeoDataFrame:
    series = gpd.GeoSeries(np.asarray(geometry, dtype=object), crs=of.crs)
    uids = [f"{of.name}{row:03d}" for row in range(len(series))]
    return with_column_types(gpd.GeoDataFrame({"uid": uids, **columns}, geometry=series), of)


def places() -> np.ndarray:
    """Return places 50 m apart, 20 in a row, away from the lines between the zones."""
    return 25.0 + 50.0 * np.stack([np.arange(SIZE) % 20, np.arange(SIZE) // 20], axis=1)


def shops(**columns: object) -> gpd.GeoDataFrame:
    columns = {"name": [f"Shop {row}" for row in range(SIZE)], "usage": "food"} | columns
    return layer_frame(SHOPS, shapely.points(places()), **columns)


def excess_and_missing() -> Sowing:
    """Take seven from the reference and add three; others stand as far off as they may."""
    frame = shops()
    xy = places()
    xy[::3] += [1.2, 1.59]
    taken = np.arange(10, SIZE, 45)
    kept = np.delete(xy, taken, axis=0)
    reference = np.concatenate([kept, [[5000.0, 1.0], [6000.0, 1.0], [50.0, 50.0]]])
    other = layer_frame(OTHER, shapely.points(reference), name="x", usage="x")
    failing = frozenset([*frame["uid"][taken], WHOLE_LAYER])
    parameters = {"layer": "other", "within_m": 2.0}
    return Sowing(SHOPS, frame, parameters, failing, {"other": (OTHER, other)})


def cross_source_duplicates() -> Sowing:
    """Tell of eight shops again in other words; other things stand near, or have like names."""
    xy = places()
    names = [f"{'面粉茶米'[row % 4]}人民路第{row}店" for row in range(SIZE)]
    frame = shops(name=names)
    again = np.arange(5, 300, 40)
    told = [names[row] for row in again]
    told = [
        told[0], told[1].replace("人民", " 人民 "), told[2] + "（总）", told[3].replace("第", ""),
        "".join(chr(ord(one) + 0xFEE0) if one.isdigit() else one for one in told[4]),
        told[5] + "。", "新" + told[6], told[7],
    ]  # fmt: skip
    near = xy[again] + [3.0, 4.0]
    clean = np.arange(7, 300, 40)
    others = [f"公安局 {row}" for row in clean]
    far = [names[row] for row in clean]
    points = np.concatenate([near, xy[clean] + 1.0, xy[clean] + [20.1, 0.0]])
    other = layer_frame(OTHER, shapely.points(points), name=[*told, *others, *far], usage="x")
    parameters = {"layer": "other", "within_m": 20.0, "column": "name", "min_similarity": 0.8}
    failing = frozenset(frame["uid"][again])
    return Sowing(SHOPS, frame, parameters, failing, {"other": (OTHER, other)})


def counts_a_zone() -> Sowing:
    """Expect 20 shops a zone, and 25 where there are 20 and 10 % may be missing."""
    bottom = 50.0 * np.arange(15)
    expected = np.full(15, 20)
    expected[[2, 9]] = [22, 18]
    expected[4] = 25
    zones = layer_frame(ZONES, shapely.box(0, bottom, 1000, bottom + 50), shops=expected)
    parameters = {"layer": "zones", "expected_column": "shops", "tolerance_share": 0.12}
    return Sowing(SHOPS, shops(), parameters, frozenset([WHOLE_LAYER]), {"zones": (ZONES, zones)})


def sampled_misclassification() -> Sowing:
    """Find 12 of 100 sampled shops in the wrong class, where 5 % may be."""
    frame = shops()
    rows = np.arange(0, SIZE, 3)
    seen = np.full(100, "food", dtype=object)
    wrong = np.arange(4, 100, 8)
    seen[wrong] = np.array(["books", "Food", "food "], dtype=object)[np.arange(12) % 3]
    sample = layer_frame(OTHER, shapely.points(places()[rows] + 0.7), name="x", usage=seen)
    failing = frozenset([*frame["uid"][rows[wrong]], WHOLE_LAYER])
    parameters = {"layer": "other", "column": "usage", "within_m": 1.0, "max_rate": 0.05}
    return Sowing(SHOPS, frame, parameters, failing, {"other": (OTHER, sample)})


SOWINGS = {
    "excess_and_missing": excess_and_missing,
    "cross_source_duplicates": cross_source_duplicates,
    "counts_a_zone": counts_a_zone,
    "sampled_misclassification": sampled_misclassification,
}
