"""A generated city: parcels that cover the ground, addresses, a road network; some are wrong."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title

CRS = "EPSG:4547"
EAST, NORTH, CELL_M = 500_000.0, 3_400_000.0, 30.0
SEGMENTS = 4
SEEDED = 0.001
"""Share of the features with a defect of each sort."""
ATTRIBUTES = (
    ("number", AttributeType.STRING), ("street", AttributeType.STRING),
    ("house", AttributeType.INTEGER), ("floors", AttributeType.INTEGER),
    ("height_m", AttributeType.REAL), ("use", AttributeType.STRING),
    ("postcode", AttributeType.STRING), ("surveyed_on", AttributeType.DATE),
)  # fmt: skip
USES = ("residential", "commercial", "industrial", "public")


@dataclass(frozen=True)
class City:
    """Layers and frames by name, and which parcels are wrong."""

    layers: dict[str, Layer]
    frames: dict[str, gpd.GeoDataFrame]
    overlapping: frozenset[tuple[int, int]]


def city(parcels: int, addresses: int, arcs: int, *, seed: int = 1) -> City:
    """Return a city with about so many features; equal arguments give equal cities."""
    rng = np.random.default_rng(seed)
    side = round(parcels**0.5)
    shapes = _parcels(side, rng)
    overlapping = _spoil(shapes, side, rng)
    frames = {
        "parcels": _frame("parcels", shapes, _attributes(len(shapes), rng)),
        "addresses": _frame(
            "addresses", _points(addresses, side, rng), _attributes(addresses, rng)
        ),
        "roads": _frame("roads", _arcs(arcs, rng), pd.DataFrame(index=range(arcs))),
    }
    kinds = {
        "parcels": GeometryType.POLYGON,
        "addresses": GeometryType.POINT,
        "roads": GeometryType.LINESTRING,
    }
    layers = {name: _layer(name, kind, name != "roads") for name, kind in kinds.items()}
    return City(layers, frames, frozenset(overlapping))


def _layer(name: str, geometry: GeometryType, has_attributes: bool) -> Layer:
    attributes = tuple(
        Attribute(name=column, type=kind, title=Title(column, column))
        for column, kind in (ATTRIBUTES if has_attributes else ())
    )
    return Layer(
        name=name, title=Title(name, name), geometry=geometry, crs=CRS, precision_m=0.001,
        accuracy_m=0.05, key=("number",) if has_attributes else (), attributes=attributes,
    )  # fmt: skip


def _parcels(side: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Return side x side polygons of 17 coordinates that share all vertices of their borders."""
    nodes = np.stack(np.meshgrid(np.arange(side + 1.0), np.arange(side + 1.0)), axis=-1)
    nodes = nodes * CELL_M + rng.uniform(-3, 3, nodes.shape)
    across = _edges(nodes[:, :-1], nodes[:, 1:], rng)
    along = _edges(nodes[:-1], nodes[1:], rng)
    rings = np.concatenate(
        [
            across[:-1, :, :-1],
            along[:, 1:, :-1],
            across[1:, :, :0:-1],
            along[:, :-1, :0:-1],
        ],
        axis=2,
    ).reshape(side * side, 4 * SEGMENTS, 2)
    rings = np.round(rings + np.array([EAST, NORTH]), 3)
    closed = np.concatenate([rings, rings[:, :1]], axis=1)
    return np.asarray(shapely.polygons(shapely.linearrings(closed)), dtype=object)


def _edges(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return each edge's start, the vertices between and its end."""
    step = np.linspace(0, 1, SEGMENTS + 1)[:, None]
    points = start[..., None, :] + (end - start)[..., None, :] * step
    points[..., 1:-1, :] += rng.uniform(-0.5, 0.5, points[..., 1:-1, :].shape)
    return points


def _spoil(
    shapes: npt.NDArray[np.object_], side: int, rng: np.random.Generator
) -> set[tuple[int, int]]:
    """Push some parcels over a neighbour, double some, put some inside another."""
    count = max(1, round(len(shapes) * SEEDED))
    grid = np.arange(side * side).reshape(side, side)
    inner = rng.permutation(grid[1:-1:3, 1:-2:3].ravel())
    pushed, doubled, inside = (inner[count * n : count * (n + 1)] for n in range(3))
    shapes[pushed] = shapely.transform(shapes[pushed], lambda xy: xy + np.array([0.8, 0.0]))
    shapes[doubled] = shapes[doubled + 1]
    shapes[inside] = shapely.buffer(shapely.centroid(shapes[inside + 1]), 4.0, quad_segs=4)
    return {(int(row), int(row + 1)) for part in (pushed, doubled, inside) for row in part}


def _points(count: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    xy = rng.uniform(0, side * CELL_M, (count, 2)) + np.array([EAST, NORTH])
    return np.asarray(shapely.points(np.round(xy, 3)), dtype=object)


def _arcs(count: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Return streets of a grid of 100 m, cut at each crossing; some stop short of it."""
    side = int(np.ceil((count / 2) ** 0.5))
    nodes = np.stack(np.meshgrid(np.arange(side + 1.0), np.arange(side + 1.0)), axis=-1)
    nodes = np.round(nodes * 100.0 + rng.uniform(-20, 20, nodes.shape) + np.array([EAST, NORTH]), 3)
    start = np.concatenate([nodes[:, :-1].reshape(-1, 2), nodes[:-1].reshape(-1, 2)])
    end = np.concatenate([nodes[:, 1:].reshape(-1, 2), nodes[1:].reshape(-1, 2)])
    chosen = rng.permutation(len(start))[:count]
    start, end = start[chosen], end[chosen]
    middle = np.round((start + end) / 2 + rng.uniform(-5, 5, start.shape), 3)
    short = rng.random(count) < SEEDED
    end[short] += (middle[short] - end[short]) * 0.02
    return np.asarray(shapely.linestrings(np.stack([start, middle, end], axis=1)), dtype=object)


def _attributes(count: int, rng: np.random.Generator) -> pd.DataFrame:
    floors = rng.integers(1, 33, count)
    days = np.datetime64("2015-01-01", "s") + rng.integers(0, 3000, count).astype("timedelta64[D]")
    table = pd.DataFrame(
        {
            "number": pd.Series(np.char.add("N", np.arange(count).astype("U8")), dtype="str"),
            "street": pd.Series(np.char.add("滨江路", (np.arange(count) % 3000).astype("U4"))),
            "house": pd.array(np.arange(count) % 900, dtype="Int64"),
            "floors": pd.array(floors, dtype="Int64"),
            "height_m": np.round(floors * 3.0 + rng.uniform(-1, 1, count), 1),
            "use": pd.Series(np.array(USES)[rng.integers(0, 4, count)], dtype="str"),
            "postcode": pd.Series(
                np.char.add("31", rng.integers(1000, 9999, count).astype("U4")), dtype="str"
            ),
            "surveyed_on": pd.Series(days),
        }
    )
    wrong = rng.random(count) < SEEDED
    table.loc[wrong, "floors"] = 999
    return table


def _frame(
    name: str, geometry: npt.NDArray[np.object_], attributes: pd.DataFrame
) -> gpd.GeoDataFrame:
    uid = np.char.add(f"{name[0]}", np.char.zfill(np.arange(len(geometry)).astype("U8"), 8))
    table = pd.DataFrame({"uid": pd.Series(uid, dtype="str")})
    for column in attributes:
        table[column] = attributes[column]
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(geometry, crs=CRS), crs=CRS)
