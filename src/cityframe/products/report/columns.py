"""Columns of texts and of geometries, small enough to stand inside a page.

All coordinates of a block are one run: whole units from the map's origin, each as the difference
to the one before. ``docs/formats/report.md`` has the form; ``templates/data.js`` reads it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

GeometryArray = npt.NDArray[np.object_]
IntegerArray = npt.NDArray[np.int64]

POINT, LINE, RING = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Grid:
    """The whole-number grid of one map: its origin in the CRS and its unit, in metres."""

    east: float
    north: float
    unit_m: float


def text_column(values: Iterable[Any]) -> list[Any] | dict[str, list[Any]]:
    """Return a column as it is, or as distinct values and places where that is shorter."""
    values = list(values)
    places: dict[Any, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    if 2 * len(places) > len(values):
        return values
    return {"values": list(places), "at": at}


def finite(geometry: GeometryArray) -> GeometryArray:
    """Return the geometries, None where empty or with a coordinate that is not finite."""
    plain = np.array(geometry, dtype=object)
    plain[shapely.is_empty(plain)] = None
    coordinates, owner = shapely.get_coordinates(plain, return_index=True)
    plain[owner[~np.isfinite(coordinates).all(axis=1)]] = None
    return plain


def encode_geometries(geometry: GeometryArray, grid: Grid) -> dict[str, Any]:
    """Return a block of geometries as columns.

    Parameters
    ----------
    geometry : ndarray of shapely geometries, n
        In one CRS; None gives a geometry of no rings. Polygons give all their rings, in order:
        a map fills them by the even-odd rule.

    Returns
    -------
    dict
        ``rings`` (how many each geometry has), ``kinds`` and ``sizes`` (of each ring: 1 point,
        2 line, 3 polygon ring; number of coordinates), ``x`` and ``y`` (differences in units).
        A column of equal values is ``[value]`` alone, with ``n`` and the number of rings
        ``m`` beside.
    """
    parts, owner, kinds = _rings(finite(geometry))
    sizes = shapely.get_num_coordinates(parts)
    whole = np.round(
        (shapely.get_coordinates(parts) - (grid.east, grid.north)) / grid.unit_m
    ).astype(np.int64)
    steps = np.diff(whole, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
    return {
        "n": len(geometry),
        "m": len(parts),
        "rings": _shortened(np.bincount(owner, minlength=len(geometry))),
        "kinds": _shortened(kinds),
        "sizes": _shortened(sizes),
        "x": steps[:, 0].tolist(),
        "y": steps[:, 1].tolist(),
    }


def grid_over(blocks: Sequence[GeometryArray], unit_m: float) -> Grid:
    """Return a grid whose origin is the south-western corner of all geometries, whole metres."""
    boxes = np.concatenate(
        [shapely.bounds(finite(block)) for block in blocks] or [np.empty((0, 4))]
    )
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return Grid(0.0, 0.0, unit_m)
    return Grid(float(np.floor(boxes[:, 0].min())), float(np.floor(boxes[:, 1].min())), unit_m)


def _rings(geometry: GeometryArray) -> tuple[GeometryArray, IntegerArray, IntegerArray]:
    parts, owner = shapely.get_parts(geometry, return_index=True)
    while (shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT).any():
        parts, place = shapely.get_parts(parts, return_index=True)
        owner = owner[place]
    is_polygon = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings, place = shapely.get_rings(parts[is_polygon], return_index=True)
    simple = ~is_polygon
    all_parts = np.concatenate([parts[simple], rings])
    all_owner = np.concatenate([owner[simple], owner[is_polygon][place]])
    kinds = np.concatenate(
        [
            np.where(shapely.get_dimensions(parts[simple]) == 0, POINT, LINE),
            np.full(len(rings), RING),
        ]
    )
    order = np.argsort(all_owner, kind="stable")
    return all_parts[order], all_owner[order].astype(np.int64), kinds[order].astype(np.int64)


def _shortened(column: npt.NDArray[Any]) -> list[int]:
    if len(column) > 1 and (column == column[0]).all():
        return [int(column[0])]
    values: list[int] = column.tolist()
    return values
