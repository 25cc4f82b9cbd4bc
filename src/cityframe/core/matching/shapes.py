"""Match by shape: the module for each type of geometry, and how much of each other two share."""

import numpy as np
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries, Numbers
from cityframe.core.matching.common_area import common_area
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.learned import Scorer
from cityframe.core.matching.lines import match_lines
from cityframe.core.matching.points import match_points
from cityframe.core.matching.polygons import match_polygons
from cityframe.core.matching.tiled_polygons import TILED_FROM, match_polygons_in_tiles
from cityframe.model.layer import GeometryType

_DIMENSION = {"Point": 0, "LineString": 1, "Polygon": 2}


def dimension(kind: GeometryType) -> int:
    """Return 0 for points, 1 for lines, 2 for polygons."""
    return _DIMENSION[kind.single]


def match_shapes(
    before: Geometries,
    after: Geometries,
    kind: GeometryType,
    tolerance: Tolerance,
    *,
    evidence: Evidence = NO_EVIDENCE,
    reach_m: float | None = None,
    scorer: Scorer | None = None,
) -> Correspondence:
    """Find what corresponds by shape and place.

    Parameters
    ----------
    before, after : ndarray of geometries
        Of the contract's type, in one projected CRS in metres; null and empty match nothing.
    reach_m : float, optional
        How far apart two surveys of one feature may lie; by default what the tolerance explains.
    scorer : Scorer, optional
        A trained scorer; for polygons.
    """
    if dimension(kind) == 2:
        is_large = max(len(before), len(after)) >= TILED_FROM
        match_areas = match_polygons_in_tiles if is_large else match_polygons
        return match_areas(
            before, after, tolerance, evidence=evidence, reach_m=reach_m, scorer=scorer
        )
    match = match_lines if dimension(kind) == 1 else match_points
    return match(before, after, tolerance, evidence=evidence, reach_m=reach_m)


def shared_parts(
    before: Geometries, after: Geometries, kind: GeometryType, tolerance: Tolerance
) -> pd.DataFrame:
    """Return how much of each other the geometries of pairs share.

    Returns
    -------
    DataFrame, k rows
        ``of_before``, ``of_after`` (0 to 1), ``before_size``, ``after_size``. Of polygons by area,
        of lines by the length that lies within 3 σd of the other; points share all.
    """
    count = len(before)
    if dimension(kind) == 0:
        return _parts(*np.ones((4, count)))
    if dimension(kind) == 1:
        sizes = shapely.length(before), shapely.length(after)
        own = shapely.length(shapely.intersection(before, _around(after, tolerance)))
        other = shapely.length(shapely.intersection(after, _around(before, tolerance)))
        return _parts(own, other, *sizes)
    sizes = shapely.area(before), shapely.area(after)
    both = common_area(_valid(before), _valid(after))
    return _parts(both, both, *sizes)


def _parts(own: Numbers, other: Numbers, before: Numbers, after: Numbers) -> pd.DataFrame:
    with np.errstate(divide="ignore", invalid="ignore"):
        of_before, of_after = np.nan_to_num(own / before), np.nan_to_num(other / after)
    return pd.DataFrame(
        {
            "of_before": np.clip(of_before, 0.0, 1.0),
            "of_after": np.clip(of_after, 0.0, 1.0),
            "before_size": before,
            "after_size": after,
        }
    )


def _around(geometry: Geometries, tolerance: Tolerance) -> Geometries:
    around: Geometries = shapely.buffer(geometry, tolerance.limit_m, cap_style="flat")
    return around


def _valid(geometry: Geometries) -> Geometries:
    broken = np.flatnonzero(~shapely.is_valid(geometry))
    valid = geometry.copy()
    valid[broken] = shapely.make_valid(geometry[broken])
    return valid
