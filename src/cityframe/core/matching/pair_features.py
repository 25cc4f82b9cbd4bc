"""What a learned scorer sees of a pair of polygons: the same when the sides are exchanged.

Lengths are in metres, areas in square metres; ``small`` and ``large`` are the smaller and the
larger polygon of the pair, of equal ones the mean of both.
"""

import numpy as np
import pandas as pd
import shapely

from cityframe.core.displacement import Numbers, Positions
from cityframe.core.matching.shape_evidence import MIN_OVERLAP, Polygons, hosts

FAR_M = 10.0
"""What stands for a distance where there is none within reach."""

FEATURE_COLUMNS = (
    "share_small",
    "share_large",
    "overlap_depth_m",
    "distance_m",
    "centre_distance_m",
    "area_ratio",
    "area_small_m2",
    "depth_small_m",
    "depth_large_m",
    "covered_small",
    "covered_large",
    "rival_small",
    "rival_large",
    "rival_distance_small_m",
    "rival_distance_large_m",
    "beside_small_m",
    "beside_large_m",
)
"""The features, in the order of a model's columns.

==================  ============================================================================
feature             meaning
==================  ============================================================================
share               common ground over the polygon's area
overlap_depth       area over half the perimeter of the common ground
distance            between the polygons, local shift undone; 0 where they meet
centre_distance     between the centroids
area_ratio          smaller over larger area
depth               area over half the perimeter
covered             share of the polygon that all its candidates cover together, at most 1
rival               largest share of the polygon that another candidate covers
rival_distance      distance of the polygon to its nearest other candidate
beside              gap to the nearest polygon of its own side that overlaps the pair's other one
==================  ============================================================================
"""

_SIDES = (("before", "after"), ("after", "before"))


def pair_features(old: Polygons, new: Polygons, table: pd.DataFrame) -> pd.DataFrame:
    """Return `FEATURE_COLUMNS` of each pair of a table that `overlaps` measured, in its order."""
    ends = table["before"].to_numpy(), table["after"].to_numpy()
    areas = old.area_m2[ends[0]], new.area_m2[ends[1]]
    small, large = np.minimum(*areas), np.maximum(*areas)
    distance = shapely.distance(old.geometry[ends[0]], new.geometry[ends[1]])
    centres = [shapely.centroid(old.geometry), shapely.centroid(new.geometry)]
    features = {
        "share_small": table["share"].to_numpy(),
        "share_large": table["share_of_larger"].to_numpy(),
        "overlap_depth_m": table["overlap_depth_m"].to_numpy(),
        "distance_m": distance,
        "centre_distance_m": shapely.distance(centres[0][ends[0]], centres[1][ends[1]]),
        "area_ratio": small / large,
        "area_small_m2": small,
    }
    overlap = table["overlap_m2"].to_numpy()
    by_side = [
        {
            "depth_m": side.depth_m[end],
            "covered": np.minimum(np.bincount(end, overlap)[end] / area, 1.0),
            "rival": _best_of_others(end, overlap) / area,
            "rival_distance_m": FAR_M - _best_of_others(end, np.maximum(FAR_M - distance, 0.0)),
            "beside_m": _beside(side, table, *names),
        }
        for side, end, area, names in zip((old, new), ends, areas, _SIDES, strict=True)
    ]
    for name in by_side[0]:
        first, second = by_side[0][name], by_side[1][name]
        stem, unit = (name[:-2], "_m") if name.endswith("_m") else (name, "")
        features[f"{stem}_small{unit}"] = _of_smaller(areas, first, second)
        features[f"{stem}_large{unit}"] = _of_smaller(areas, second, first)
    return pd.DataFrame(features)[list(FEATURE_COLUMNS)]


def _of_smaller(areas: tuple[Numbers, Numbers], first: Numbers, second: Numbers) -> Numbers:
    """Return the value of the side whose polygon is smaller, of equal ones the mean."""
    chosen: Numbers = np.where(
        areas[0] < areas[1], first, np.where(areas[0] > areas[1], second, (first + second) / 2)
    )
    return chosen


def _best_of_others(end: Positions, value: Numbers) -> Numbers:
    """Return the largest value among the other pairs of the same end, 0 without one."""
    count = int(end.max(initial=-1)) + 1
    order = np.lexsort((value, end))
    ranked_end, ranked = end[order], value[order]
    is_last = np.append(ranked_end[1:] != ranked_end[:-1], True)[: len(end)]
    best, second = np.zeros(count), np.zeros(count)
    best[ranked_end[is_last]] = ranked[is_last]
    before_last = np.flatnonzero(is_last) - 1
    has_two = (before_last >= 0) & (ranked_end[before_last] == ranked_end[is_last])
    second[ranked_end[is_last][has_two]] = ranked[before_last[has_two]]
    others: Numbers = np.empty(len(end))
    others[order] = np.where(is_last, second[ranked_end], best[ranked_end])
    return others


def _beside(side: Polygons, table: pd.DataFrame, end: str, other: str) -> Numbers:
    """Return the gap to the nearest neighbour that overlaps the other polygon, else `FAR_M`."""
    overlapping = table[table["share"] >= MIN_OVERLAP].assign(score=0.0, is_sure=True)
    pairs = table.assign(row=np.arange(len(table)))
    found = hosts(side, pairs, overlapping, end, other)
    gap = np.full(len(table), FAR_M)
    gap[found["row"]] = found["gap_m"]
    return gap
