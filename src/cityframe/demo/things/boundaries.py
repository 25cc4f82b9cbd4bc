"""Boundaries of the city, its districts and its streets (街道), nested exactly."""

import numpy as np
import pandas as pd
import shapely

from cityframe.demo.arrays import Floats, Geometries, Ints
from cityframe.demo.layout.names import CITY_CODE, CITY_NAME
from cityframe.demo.layout.plan import CityPlan
from cityframe.demo.things.stretch import fresh

_SHARES = np.array([0.0, 1 / 3, 2 / 3])


def boundaries(plan: CityPlan) -> pd.DataFrame:
    """Return all boundaries; they run along street axes, through the roads' vertices.

    The generator's column ``alternative`` holds the outline of two streets of one district once a
    block has gone from the one to the other, else None.
    """
    cells = _cells(plan)
    street = plan.districts.street.ravel()
    streets = _unions(cells, street)
    districts = _unions(streets, plan.districts.street_district)
    city = shapely.coverage_union_all(districts)
    alternative = np.full(1 + len(districts) + len(streets), None, dtype=object)
    for place, outline in _exchanged(plan, cells, street).items():
        alternative[1 + len(districts) + place] = outline
    population = np.random.default_rng([plan.seed, 6]).integers(30_000, 120_000, len(streets))
    of_district = np.bincount(plan.districts.street_district, population).astype(int)
    parents = np.array(plan.districts.codes, dtype=object)[plan.districts.street_district]
    return fresh(
        pd.DataFrame(
            {
                "code": [CITY_CODE, *plan.districts.codes, *plan.districts.street_codes],
                "name": [CITY_NAME, *plan.districts.names, *plan.districts.street_names],
                "level": [
                    "city", *["district"] * len(districts), *["street"] * len(streets)
                ],
                "parent_code": [None, *[CITY_CODE] * len(districts), *parents],
                "population": np.array([of_district.sum(), *of_district, *population]),
                "geometry": [city, *districts, *streets],
                "alternative": alternative,
            }
        )
    )  # fmt: skip


def _cells(plan: CityPlan) -> Geometries:
    """Return the cell of each block up to the axes of its streets, row by row."""
    x0, x1 = plan.x[:-1], plan.x[1:]
    y0, y1 = plan.y[:-1], plan.y[1:]
    south = np.stack(np.broadcast_arrays(_between(x0, x1)[None], y0[:, None, None]), axis=-1)
    east = np.stack(np.broadcast_arrays(x1[None, :, None], _between(y0, y1)[:, None]), axis=-1)
    north = np.stack(np.broadcast_arrays(_between(x1, x0)[None], y1[:, None, None]), axis=-1)
    west = np.stack(np.broadcast_arrays(x0[None, :, None], _between(y1, y0)[:, None]), axis=-1)
    ring = np.concatenate([south, east, north, west], axis=2).reshape(-1, 12, 2)
    placed = plan.place(ring.reshape(-1, 2)).reshape(ring.shape)
    return np.asarray(shapely.polygons(placed), dtype=object)


def _between(start: Floats, end: Floats) -> Floats:
    # the roads' formula from west to east and south to north, so that the floats are the same
    low, high = np.minimum(start, end)[:, None], np.maximum(start, end)[:, None]
    shares = _SHARES if (start < end).all() else np.array([1.0, 2 / 3, 1 / 3])
    points: Floats = low + shares * (high - low)
    return points


def _unions(parts: Geometries, group: Ints) -> Geometries:
    return np.array(
        [shapely.coverage_union_all(parts[group == one]) for one in range(group.max() + 1)],
        dtype=object,
    )


def _exchanged(plan: CityPlan, cells: Geometries, street: Ints) -> dict[int, shapely.Geometry]:
    """Return the outlines of two streets after one block changed over, both still whole."""
    grid = street.reshape(plan.rows, plan.columns)
    for row in range(1, plan.rows - 1):
        for column in range(plan.columns):
            giver, taker = int(grid[row, column]), int(grid[row + 1, column])
            owners = plan.districts.street_district
            if giver == taker or owners[giver] != owners[taker]:
                continue
            after = street.copy()
            after[row * plan.columns + column] = taker
            outlines: dict[int, shapely.Geometry] = {
                one: shapely.coverage_union_all(cells[after == one]) for one in (giver, taker)
            }
            if all(_is_whole(outline) for outline in outlines.values()):
                return outlines
    return {}


def _is_whole(outline: shapely.Geometry) -> bool:
    return isinstance(outline, shapely.Polygon) and not outline.interiors
