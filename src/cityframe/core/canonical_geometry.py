"""The bytes of a geometry that any drawing of it gives; ``docs/formats/digest.md``, "Geometry"."""

import struct
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityframe.core.byte_columns import (
    BYTES,
    Offsets,
    byte_column,
    content_of,
    joined,
    reordered,
)
from cityframe.core.ragged_geometry import (
    MULTIPOINT,
    MULTIPOLYGON,
    POINT,
    POLYGON,
    Coordinates,
    RaggedGeometry,
    ragged_geometries,
)
from cityframe.core.ring_form import canonical_rings
from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer

Units = npt.NDArray[np.int64]
_REACH = 2.0**62
_GEOMETRY = 0
_NULL = pa.nulls(1, BYTES)


def geometry_items(wkb: "pa.Array[Any]", layer: Layer) -> "pa.LargeBinaryArray":
    """Return the canonical bytes of geometries.

    Parameters
    ----------
    wkb : binary array, n
        Geometries in the layer's CRS, of any type but collections and curves.
    layer : Layer
        Gives the precision, and whether heights count.

    Returns
    -------
    large binary array, n
        Null where the geometry is null.

    Raises
    ------
    IntegrityError
        If a value is not WKB, a geometry is a collection or a curve, a coordinate is not finite,
        or it is 2**62 units of the precision or more.
    """
    plain = cast("pa.LargeBinaryArray", wkb.cast(BYTES))
    groups = [(group.rows, _items(group, layer)) for group in ragged_geometries(plain, layer)]
    if len(groups) == 1 and len(groups[0][0]) == len(wkb):
        return groups[0][1]
    # the place after the last is the null
    place = np.full(len(wkb), sum(len(rows) for rows, _ in groups))
    filled = 0
    for rows, _ in groups:
        place[rows] = np.arange(filled, filled + len(rows))
        filled += len(rows)
    return reordered(pa.concat_arrays([*(items for _, items in groups), _NULL]), place)


def whole_units(coordinates: Coordinates, layer: Layer) -> Units:
    """Return coordinates as whole numbers of the layer's precision, halves to the even one.

    Raises
    ------
    IntegrityError
        If one is not finite, or 2**62 units or more.
    """
    with np.errstate(over="ignore"):
        units = np.round(coordinates / layer.precision_m)
    # not the other way round: a comparison with NaN is false
    if not np.abs(units).max(initial=0.0) < _REACH:
        raise IntegrityError(
            where=f"layer {layer.name}",
            found="a coordinate that is not finite or out of all reach",
            expected=f"numbers smaller than {_REACH * layer.precision_m:g}",
        )
    return units.astype(np.int64)


def _items(group: RaggedGeometry, layer: Layer) -> "pa.LargeBinaryArray":
    units, levels = whole_units(group.coordinates, layer), group.levels
    width = units.shape[1]
    if group.code in (POLYGON, MULTIPOLYGON):
        units, rings = canonical_rings(units, levels[-1], levels[-2])
        levels = (*levels[:-1], rings)
    head = struct.pack("<BBB", _GEOMETRY, group.code, width)
    return joined(head, _body(group.code, units, levels))


def _body(code: int, units: Units, levels: tuple[Offsets, ...]) -> "pa.LargeBinaryArray":
    """Return the bytes of each geometry, from its least parts up: a number of parts, the parts."""
    width = 8 * units.shape[1]
    if code == POINT:
        return byte_column(width * levels[0], units)
    if code == MULTIPOINT:
        points = byte_column(width * np.arange(len(units) + 1), units)
        return _counted(_sorted_parts(points, levels[0]), levels[0])
    parts = joined(_count(levels[-1]), byte_column(width * levels[-1], units))
    for depth, level in enumerate(reversed(levels[:-1])):
        if code in (POLYGON, MULTIPOLYGON):
            # the shell stays first among its rings
            parts = _sorted_parts(parts, level, fixed=1 if depth == 0 else 0)
        parts = _counted(parts, level)
    return parts


def _sorted_parts(
    parts: "pa.LargeBinaryArray", level: Offsets, fixed: int = 0
) -> "pa.LargeBinaryArray":
    """Return the parts, those of each geometry ordered by their bytes, the first ``fixed`` not."""
    many = np.flatnonzero(np.diff(level) > fixed + 1)
    if not len(many):
        return parts
    order = np.arange(len(parts))
    for start, end in zip(level[many] + fixed, level[many + 1], strict=True):
        keys: list[Any] = parts.slice(start, end - start).to_pylist()
        order[start:end] = start + np.array(sorted(range(len(keys)), key=lambda at: keys[at]))
    return reordered(parts, order)


def _counted(parts: "pa.LargeBinaryArray", level: Offsets) -> "pa.LargeBinaryArray":
    """Return the parts of each geometry as one value, after their number."""
    offsets, content = content_of(parts)
    return joined(_count(level), byte_column(offsets[level], content))


def _count(level: Offsets) -> "pa.LargeBinaryArray":
    counts = np.diff(level).astype("<u4")
    return byte_column(4 * np.arange(len(counts) + 1), counts)
