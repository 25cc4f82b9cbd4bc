"""The area of which a full delivery speaks; absence means removal inside it only.

A feature lies inside if the area, widened by the tolerance of the two surveys, covers it and its
representative point lies in the area itself. So a feature that runs across the border is removed
by neither side's silence, one that lies a few centimetres over it still is, and of two districts
without overlap at most one can infer the removal of a feature.
"""

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from cityframe.config.source import Coverage
from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Flags, Geometries, Positions
from cityframe.core.findings import findings_frame
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.reconcile.current import CurrentLayer, batches

OUTSIDE_COVERAGE = "reconcile.outside-coverage"


def covered_area(features: gpd.GeoDataFrame, coverage: Coverage, *, where: str) -> BaseGeometry:
    """Return the area that a feed covers: the union of the features chosen.

    Parameters
    ----------
    features : GeoDataFrame
        The layer ``coverage.layer`` of the framework, polygons in the CRS of the feed's layer.
    where : str
        File (and line) of the declaration, for the message.

    Returns
    -------
    Polygon or MultiPolygon
        Prepared, so that many geometries can be held against it.

    Raises
    ------
    DeclarationError
        If the layer lacks an attribute of ``coverage.where``, or if no feature with an area is
        chosen.
    """
    unknown = sorted(set(coverage.where) - set(features.columns))
    if unknown:
        raise DeclarationError(
            where=where,
            found=f"coverage: layer {coverage.layer} has no attribute {', '.join(unknown)}",
            remedy="name attributes of that layer under coverage.where",
        )
    is_chosen = np.ones(len(features), dtype=bool)
    for name, value in coverage.where.items():
        is_chosen &= (features[name] == value).fillna(False).to_numpy(dtype=bool)
    area: BaseGeometry = shapely.union_all(features.geometry.to_numpy()[is_chosen])
    if not shapely.area(area):
        raise DeclarationError(
            where=where,
            found=f"coverage: no area in layer {coverage.layer} with {dict(coverage.where)}",
            expected="at least one polygon",
            remedy=f"release layer {coverage.layer} first, or correct coverage.where",
        )
    shapely.prepare(area)
    return area


def inside(geometry: Geometries, area: BaseGeometry, tolerance: Tolerance) -> Flags:
    """Tell which geometries lie inside an area, by the module's rule.

    Parameters
    ----------
    geometry : ndarray of geometries, n
        In the CRS of the area; null and empty ones are not inside.
    tolerance : Tolerance
        Of the two surveys; geometries may lie ``limit_m`` over the border.
    """
    result = np.zeros(len(geometry), dtype=bool)
    placed = np.flatnonzero(~(shapely.is_missing(geometry) | shapely.is_empty(geometry)))
    own = placed[shapely.contains(area, shapely.point_on_surface(geometry[placed]))]
    wide = shapely.buffer(area, tolerance.limit_m)
    shapely.prepare(wide)
    result[own] = shapely.covers(wide, geometry[own])
    return result


def absent_inside(
    current: CurrentLayer, absent: Positions, area: BaseGeometry, tolerance: Tolerance
) -> Positions:
    """Return those of the absent features that lie inside the area: the ones to remove.

    Parameters
    ----------
    absent : ndarray of int, k
        Positions in ``current.index()`` of the features that no record speaks of. Their rows are
        read in batches.

    Returns
    -------
    ndarray of int
        In the order of ``absent``.
    """
    uids = current.index()["uid"].to_numpy()[absent]
    flags = [
        inside(current.rows(uids[batch].tolist()).geometry.to_numpy(), area, tolerance)
        for batch in batches(len(absent))
    ]
    chosen: Positions = absent[np.concatenate([np.zeros(0, dtype=bool), *flags])]
    return chosen


def count_inside(current: CurrentLayer, area: BaseGeometry, tolerance: Tolerance) -> int:
    """Return how many features lie inside: what the share of a removal is a share of."""
    return int(inside(current.all_rows().geometry.to_numpy(), area, tolerance).sum())


def outside(geometry: Geometries, area: BaseGeometry, tolerance: Tolerance) -> Flags:
    """Tell which geometries lie wholly outside, further than ``limit_m`` from the area."""
    result: npt.NDArray[np.bool_] = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    apart = np.flatnonzero(result & ~shapely.intersects(area, geometry))
    result[:] = False
    result[apart] = ~shapely.dwithin(area, geometry[apart], tolerance.limit_m)
    return result


def outside_findings(
    incoming: gpd.GeoDataFrame,
    area: BaseGeometry,
    *,
    layer: Layer,
    delivery: str,
    tolerance: Tolerance,
) -> gpd.GeoDataFrame:
    """Return a finding for each record of something outside the area that its feed covers.

    Parameters
    ----------
    incoming : GeoDataFrame, n rows
        Conformed records with ``record``, ``source_key`` and geometry.

    Returns
    -------
    GeoDataFrame
        `OUTSIDE_COVERAGE`, to be reviewed: such a record is taken in, but its absence from a later
        delivery will not remove it.
    """
    geometry = incoming.geometry.to_numpy()
    at = np.flatnonzero(outside(geometry, area, tolerance))
    metres = pd.Series(np.round(shapely.distance(area, geometry[at])).astype("int64")).astype("str")
    rows = pd.DataFrame(
        {
            "source_key": incoming["source_key"].iloc[at].to_numpy(),
            "record": incoming["record"].iloc[at].to_numpy(),
            "found": "the record lies " + metres + " m outside the area that the feed covers",
            "found_zh": "记录位于数据源覆盖范围之外 " + metres + " m",
            "expected": "records inside the declared coverage",
            "expected_zh": "记录位于声明的覆盖范围之内",
            "geometry": geometry[at],
        }
    )
    return findings_frame(
        rows,
        rule=OUTSIDE_COVERAGE,
        kind="reconcile",
        defect_class=DefectClass.C,
        gate=Gate.REVIEW,
        scope=Scope.DELIVERY,
        layer=layer.name,
        delivery=delivery,
        crs=layer.crs,
    )
