"""Judge coordinates as delivered: finite, and where their coordinate system is meant for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from cityframe.conform.problems import GeometryArray, LayerProblem, Mask, Problem, RecordProblem
from cityframe.core.crs import Area, CoordinateSystem, describe
from cityframe.model.text import Title

_CHUNK = 100_000


@dataclass(frozen=True)
class CheckedCoordinates:
    """Geometries after the check.

    Attributes
    ----------
    geometry : ndarray, n
        As delivered; null where the coordinates have no meaning, and with x and y exchanged
        where that puts them inside (the record is returned, the place shown is likely).
    area : Area or None
        Bounds of the good ones in longitude and latitude; None if there are none.
    problems : tuple of Problem
        Returned records, and whether the whole table is affected.
    """

    geometry: GeometryArray
    area: Area | None
    problems: tuple[Problem, ...]


def check_coordinates(
    geometry: GeometryArray, source: CoordinateSystem, target: CoordinateSystem
) -> CheckedCoordinates:
    """Check that geometries lie in the areas of use of their own and of the layer's system.

    Parameters
    ----------
    geometry : ndarray of shapely geometries, n
        In ``source``, x before y. Null and empty geometries pass.

    Returns
    -------
    CheckedCoordinates
        More than half of the geometries outside is a problem of the whole layer.
    """
    is_placed = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    is_broken = is_placed & ~_is_finite(geometry)
    records = np.flatnonzero(is_placed & ~is_broken)
    bounds = shapely.bounds(geometry[records])
    areas = [(one, one.area) for one in (source, target)]
    limits = [(system, area) for system, area in areas if area is not None]
    is_inside, lonlat = _inside(bounds, source, [area for _, area in limits])
    is_swapped = np.zeros(len(records), dtype=bool)
    if not is_inside.all():
        exchanged = bounds[~is_inside][:, [1, 0, 3, 2]]
        is_swapped[~is_inside], _ = _inside(exchanged, source, [area for _, area in limits])

    checked = geometry.copy()
    checked[is_broken] = None
    checked[records[~is_inside]] = None
    swapped = records[is_swapped]
    checked[swapped] = shapely.transform(geometry[swapped], lambda xy: xy[:, ::-1])
    outside = records[~is_inside & ~is_swapped]
    expected = Title(
        "；".join(
            f"在 {describe(one)} 的适用范围内：经度 {area.west} 至 {area.east}，"
            f"纬度 {area.south} 至 {area.north}"
            for one, area in limits
        ),
        "; ".join(f"inside the area of {describe(one)}: {area}" for one, area in limits),
    )
    problems: list[Problem] = [
        RecordProblem(
            "intake.coordinates",
            which,
            [f"{text}: {_shown(geometry[i])}" for i in which],
            expected.en,
            found_zh=[f"{text_zh}：{_shown(geometry[i])}" for i in which],
            expected_zh=expected.zh,
        )
        for which, text, text_zh in (
            (np.flatnonzero(is_broken), "coordinates that are not finite", "坐标不是有限数值"),
            (swapped, "axes look swapped", "疑似坐标轴互换"),
            (outside, "coordinates outside", "坐标超出范围"),
        )
        if len(which)
    ]
    problems += _whole(len(records), len(swapped), len(outside), expected)
    return CheckedCoordinates(checked, _bounds_of(lonlat[is_inside]), tuple(problems))


def with_image(
    delivered: GeometryArray, transformed: GeometryArray, target: CoordinateSystem
) -> tuple[GeometryArray, list[Problem]]:
    """Return transformed geometries, null where a coordinate has no image; those are problems."""
    lost = np.flatnonzero(~_is_finite(transformed))
    if not len(lost):
        return transformed, []
    placed = transformed.copy()
    placed[lost] = None
    problem = RecordProblem(
        "intake.coordinates",
        lost,
        [f"no image in {describe(target)}: {_shown(delivered[record])}" for record in lost],
        "a place in the layer's CRS",
        found_zh=[f"无法转换到 {describe(target)}：{_shown(delivered[record])}" for record in lost],
        expected_zh="在图层坐标系内的位置",
    )
    return placed, [problem]


def _whole(placed: int, swapped: int, outside: int, expected: Title) -> list[Problem]:
    if 2 * (swapped + outside) <= placed:
        return []
    is_swap = swapped >= outside
    what = "axes look swapped" if is_swap else "coordinates lie outside"
    what_zh = "疑似坐标轴互换" if is_swap else "坐标超出范围"
    most = max(swapped, outside)
    return [
        LayerProblem(
            "intake.coordinates",
            f"{what} in {most} of {placed} geometries",
            expected.en,
            found_zh=f"{placed} 个几何中有 {most} 个{what_zh}",
            expected_zh=expected.zh,
        )
    ]


def _is_finite(geometry: GeometryArray) -> Mask:
    is_finite = np.ones(len(geometry), dtype=bool)
    for start in range(0, len(geometry), _CHUNK):
        coordinates, owner = shapely.get_coordinates(
            geometry[start : start + _CHUNK], return_index=True
        )
        is_finite[start + owner[~np.isfinite(coordinates).all(axis=1)]] = False
    return is_finite


def _inside(
    bounds: np.ndarray, source: CoordinateSystem, areas: Sequence[Area]
) -> tuple[Mask, np.ndarray]:
    # n × 2 corners × 2
    lonlat = source.lonlat(bounds.reshape(-1, 2)).reshape(-1, 2, 2)
    is_inside = np.ones(len(bounds), dtype=bool)
    for area in areas:
        is_inside &= area.contains(lonlat[:, 0]) & area.contains(lonlat[:, 1])
    return is_inside & np.isfinite(lonlat).all(axis=(1, 2)), lonlat


def _bounds_of(lonlat: np.ndarray) -> Area | None:
    if not len(lonlat):
        return None
    west, south = lonlat.min(axis=(0, 1))
    east, north = lonlat.max(axis=(0, 1))
    return Area(float(west), float(south), float(east), float(north))


def _shown(geometry: shapely.Geometry) -> str:
    x, y = shapely.get_coordinates(geometry)[0]
    return f"{x:.12g}, {y:.12g}"
