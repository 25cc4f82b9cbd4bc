"""Defects sown for the kinds about the borders of districts."""

import geopandas as gpd
import numpy as np
import shapely

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

ORIGIN = np.array([500_000.0, 3_400_000.0])
SHEETS, SHEET_M, ROADS = 4, 500.0, 12
INWARD = np.array([9.0, 3.0])


def layer(name: str, geometry: GeometryType, *attributes: str) -> Layer:
    return Layer(
        name=name, title=Title(zh=name, en=name), geometry=geometry, crs="EPSG:4547",
        precision_m=0.001, accuracy_m=0.25, key=(),
        attributes=tuple(
            Attribute(name=column, type=AttributeType.STRING, title=Title(zh=column, en=column))
            for column in attributes
        ),
    )  # fmt: skip


DISTRICTS = layer("districts", GeometryType.POLYGON)
STREETS = layer("streets", GeometryType.LINESTRING, "road_class", "name")


def layer_frame(of: Layer, geometry: np.ndarray, **columns: object) -> gpd.GeoDataFrame:
    series = gpd.GeoSeries(np.asarray(geometry, dtype=object), crs=of.crs)
    uids = [f"{of.name}{row:03d}" for row in range(len(series))]
    return with_column_types(gpd.GeoDataFrame({"uid": uids, **columns}, geometry=series), of)


def districts() -> gpd.GeoDataFrame:
    """Return a row of map sheets."""
    left = ORIGIN[0] + SHEET_M * np.arange(SHEETS)
    boxes = shapely.box(left, ORIGIN[1], left + SHEET_M, ORIGIN[1] + SHEET_M)
    return layer_frame(DISTRICTS, boxes)


def streets() -> tuple[np.ndarray, np.ndarray]:
    """Return streets from border to border, as ends west and east, of shape (sheet, road, 2).

    Nothing goes on beyond the first and the last sheet, and nothing need.
    """
    y = ORIGIN[1] + 20.0 + 40.0 * np.arange(ROADS)
    x = ORIGIN[0] + SHEET_M * np.arange(SHEETS)
    west = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    return west, west + np.array([SHEET_M, 0.0])


def drawn(west: np.ndarray, east: np.ndarray, **columns: object) -> gpd.GeoDataFrame:
    """Return the streets, each in three segments, and alleys that end inside their sheet."""
    path = np.stack([west, west + INWARD, east - INWARD, east], axis=2)
    lines = shapely.linestrings(path.reshape(-1, 4, 2))
    alley = ORIGIN + np.array([[[250.0, y], [498.0, y]] for y in 5.0 + 40.0 * np.arange(9)])
    return layer_frame(STREETS, np.concatenate([lines, shapely.linestrings(alley)]), **columns)


def number(sheet: int, road: int) -> int:
    return sheet * ROADS + road


def edge_geometry() -> Sowing:
    """Break seven streets at borders in different ways; others are just near enough."""
    west, east = streets()
    west[1, 2] += [0.0, 0.9]  # a step of 0.9 m across the border, where 0.707 m are allowed
    west[2, 5] += [0.5, -0.51]
    east[0, 7] += [-0.3, 3.0]
    west[3, 1] += [0.0, 8.0]  # both find nothing within 3.5 m
    west[1, 9] += [30.0, 0.0]  # does not reach the border at all
    east[2, 10] -= [30.0, 0.0]
    west[2, 3] += [0.0, 0.7]  # near enough
    west[3, 4] += [0.5, 0.49]
    east[1, 6] += [0.3, 0.0]  # overshoots
    frame = drawn(west, east, road_class="main", name="a")
    rows = [
        number(0, 2), number(1, 2), number(1, 5), number(2, 5), number(0, 7), number(1, 7),
        number(2, 1), number(3, 1), number(0, 9), number(3, 10),
    ]  # fmt: skip
    return Sowing(
        STREETS,
        frame,
        {"layer": "districts", "match": ["road_class"]},
        frozenset(frame["uid"][rows]),
        {"districts": (DISTRICTS, districts())},
    )


def edge_attributes() -> Sowing:
    """Let four streets change class or name at a border; others lie side by side."""
    west, east = streets()
    west[1:] += [0.0, 0.3]
    size = SHEETS * ROADS + 9
    road_class = np.array(["main", "lane", "path"], dtype=object)[np.arange(size) % 3]
    name = np.array([f"road {row % ROADS}" for row in range(size)], dtype=object)
    name[number(0, 4) :: ROADS] = None
    changed = [number(0, 2), number(3, 6), number(0, 11), number(3, 4)]
    road_class[changed[:2]] = "square"
    name[changed[2:]] = ["Road 11", "road 4"]
    road_class[-9:] = "alley"
    partners = [number(1, 2), number(2, 6), number(1, 11), number(2, 4)]
    frame = drawn(west, east, road_class=road_class, name=name)
    return Sowing(
        STREETS,
        frame,
        {"layer": "districts", "columns": ["road_class", "name"]},
        frozenset(frame["uid"][[*changed, *partners]]),
        {"districts": (DISTRICTS, districts())},
    )


SOWINGS = {"edge_geometry": edge_geometry, "edge_attributes": edge_attributes}
