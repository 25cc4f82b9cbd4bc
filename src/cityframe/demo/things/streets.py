"""Street edges between crossings, and the roads on them."""

import numpy as np
import pandas as pd
import shapely

from cityframe.demo.arrays import Floats, Ints
from cityframe.demo.layout.plan import ARTERIAL, CityPlan
from cityframe.demo.layout.street_names import road_names
from cityframe.demo.things.stretch import Stretch, fresh

ROAD_CLASSES = ("local", "secondary", "arterial")
_LANES = np.array([2, 4, 6])
_WIDTH_M = np.array([9.0, 18.0, 32.0])
_SHARES_ALONG = np.array([0.0, 1 / 3, 2 / 3, 1.0])
RESERVED_EDGES = 0.15


def street_edges(plan: CityPlan, stretch: Stretch) -> pd.DataFrame:
    """Return the street edges that start at the crossings of a stretch.

    Returns
    -------
    DataFrame
        ``crossing`` (number of the south-west end), ``other`` (of the other end), ``is_east_west``,
        ``row``, ``column``, ``x0``, ``y0``, ``x1``, ``y1`` (unwarped), ``road_class``,
        ``is_bridge``, ``can_close`` (both ends keep three other edges without it).
    """
    crossing = np.arange(stretch.first, stretch.stop)
    row, column = np.divmod(crossing, plan.columns + 1)
    eastward = _eastward(plan, crossing, row, column)
    northward = _northward(plan, crossing, row, column)
    edges = pd.concat([eastward, northward], ignore_index=True)
    # by crossing, so that the order does not depend on how the city was cut into stretches
    return edges.sort_values(["crossing", "is_east_west"], ignore_index=True)


def _eastward(plan: CityPlan, crossing: Ints, row: Ints, column: Ints) -> pd.DataFrame:
    has_one = column < plan.columns
    crossing, row, column = crossing[has_one], row[has_one], column[has_one]
    # every second edge of a line, and never two that share a crossing; not on the city's rim, and
    # not along the river, where most crossings have three edges
    by_river = np.isin(row, (plan.river_row, plan.river_row + 1)) & (plan.river_row >= 0)
    inner = (row > 0) & (row < plan.rows) & (column > 0) & (column < plan.columns - 1)
    can_close = inner & ~by_river & ((column + row) % 2 == 1) & (plan.y_class[row] < ARTERIAL)
    return pd.DataFrame(
        {
            "crossing": crossing, "other": crossing + 1, "is_east_west": True, "row": row,
            "column": column, "x0": plan.x[column], "y0": plan.y[row], "x1": plan.x[column + 1],
            "y1": plan.y[row], "road_class": plan.y_class[row], "is_bridge": False,
            "can_close": can_close,
        }
    )  # fmt: skip


def _northward(plan: CityPlan, crossing: Ints, row: Ints, column: Ints) -> pd.DataFrame:
    road_class = plan.x_class[column]
    is_bridge = row == plan.river_row
    has_one = (row < plan.rows) & (~is_bridge | (road_class == ARTERIAL))
    crossing, row, column = crossing[has_one], row[has_one], column[has_one]
    return pd.DataFrame(
        {
            "crossing": crossing, "other": crossing + plan.columns + 1, "is_east_west": False,
            "row": row, "column": column, "x0": plan.x[column], "y0": plan.y[row],
            "x1": plan.x[column], "y1": plan.y[row + 1], "road_class": road_class[has_one],
            "is_bridge": is_bridge[has_one], "can_close": False,
        }
    )  # fmt: skip


def along(edges: pd.DataFrame, share: Floats, aside_m: float = 0.0) -> Floats:
    """Return points of the plan at shares of each edge (n × k × 2), ``aside_m`` to its left."""
    start, end = edges[["x0", "y0"]].to_numpy(), edges[["x1", "y1"]].to_numpy()
    across = edges["is_east_west"].to_numpy()[:, None]
    left = np.where(across, [0.0, aside_m], [-aside_m, 0.0])
    points: Floats = (
        start[:, None, :] + share[None, :, None] * (end - start)[:, None, :] + left[:, None, :]
    )
    return points


def roads(plan: CityPlan, stretch: Stretch, edges: pd.DataFrame) -> pd.DataFrame:
    """Return the roads of a stretch: one line an edge, with two vertices between its ends."""
    points = along(edges, _SHARES_ALONG)
    placed = plan.place(points.reshape(-1, 2)).reshape(points.shape)
    road_class = edges["road_class"].to_numpy()
    across = edges["is_east_west"].to_numpy()
    row, column = edges["row"].to_numpy(), edges["column"].to_numpy()
    part_x, part_y = plan.districts.part_x, plan.districts.part_y
    part = np.where(
        across, part_x[np.minimum(column, plan.columns - 1)], part_y[np.minimum(row, plan.rows - 1)]
    )
    line, segment = np.where(across, row, column), np.where(across, column, row)
    random = stretch.random(plan, 4)
    is_reserve = edges["can_close"].to_numpy() & (random.random(len(edges)) < RESERVED_EDGES)
    return fresh(
        pd.DataFrame(
            {
                "road_id": [
                    f"DL{'H' if is_across else 'Z'}{at:04d}{place:04d}"
                    for is_across, at, place in zip(across, line, segment, strict=True)
                ],
                "name": road_names(plan, across, line, part),
                "road_class": np.array(ROAD_CLASSES, dtype=object)[road_class],
                "lanes": _LANES[road_class],
                "width_m": _WIDTH_M[road_class],
                "surface": np.where(random.random(len(edges)) < 0.75, "asphalt", "concrete"),
                "geometry": shapely.linestrings(placed),
                "can_close": edges["can_close"],
            }
        ),
        ~is_reserve,
    )
