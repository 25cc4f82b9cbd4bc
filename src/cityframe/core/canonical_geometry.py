"""The bytes of a geometry that any drawing of it gives; ``docs/formats/digest.md``, "Geometry"."""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.ragged_geometry import (
    MULTIPOINT,
    MULTIPOLYGON,
    POINT,
    POLYGON,
    Coordinates,
    Offsets,
    RaggedGeometry,
    ragged_geometries,
)
from cityframe.core.ring_form import canonical_rings
from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer

Units = npt.NDArray[np.int64]
_REACH = 2.0**62
_GEOMETRY = 0


def geometry_items(wkb: "pa.Array[Any]", layer: Layer) -> "pa.Array[Any]":
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
    wkb = wkb.cast(pa.large_binary())
    groups = [(group.rows, _items(group, layer)) for group in ragged_geometries(wkb, layer)]
    if len(groups) == 1 and len(groups[0][0]) == len(wkb):
        return groups[0][1]
    # the place after the last is the null
    place = np.full(len(wkb), sum(len(rows) for rows, _ in groups))
    filled = 0
    for rows, _ in groups:
        place[rows] = np.arange(filled, filled + len(rows))
        filled += len(rows)
    null = pa.nulls(1, pa.large_binary())
    return pa.concat_arrays([*(items for _, items in groups), null]).take(pa.array(place))


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


def _items(group: RaggedGeometry, layer: Layer) -> "pa.Array[Any]":
    units, levels = whole_units(group.coordinates, layer), group.levels
    width = units.shape[1]
    if group.code in (POLYGON, MULTIPOLYGON):
        units, rings = canonical_rings(units, levels[-1], levels[-2])
        levels = (*levels[:-1], rings)
    head = struct.pack("<BBB", _GEOMETRY, group.code, width)
    return _joined(head, _body(group.code, units, levels))


def _body(code: int, units: Units, levels: tuple[Offsets, ...]) -> "pa.Array[Any]":
    """Return the bytes of each geometry from its least part up: each part after its count."""
    width = 8 * units.shape[1]
    data = pa.py_buffer(np.ascontiguousarray(units, dtype="<i8"))
    if code == POINT:
        return _binary(width * levels[0], data)
    if code == MULTIPOINT:
        points = _binary(width * np.arange(len(units) + 1), data)
        return _counted(_sorted_parts(points, levels[0]), levels[0])
    runs = _joined(_count(levels[-1]), _binary(width * levels[-1], data))
    for depth, level in enumerate(reversed(levels[:-1])):
        if code in (POLYGON, MULTIPOLYGON):
            # the shell stays first among its rings
            runs = _sorted_parts(runs, level, fixed=1 if depth == 0 else 0)
        runs = _counted(runs, level)
    return runs


def _sorted_parts(parts: "pa.Array[Any]", level: Offsets, fixed: int = 0) -> "pa.Array[Any]":
    """Return the parts of each geometry ordered by their bytes, the first ``fixed`` as they are."""
    many = np.flatnonzero(np.diff(level) > fixed + 1)
    if not len(many):
        return parts
    order = np.arange(len(parts))
    for start, end in zip(level[many] + fixed, level[many + 1], strict=True):
        keys = parts.slice(start, end - start).to_pylist()
        order[start:end] = start + np.array(sorted(range(len(keys)), key=keys.__getitem__))
    return parts.take(pa.array(order))


def _counted(parts: "pa.Array[Any]", level: Offsets) -> "pa.Array[Any]":
    """Return the parts of each geometry as one value, after their number."""
    _, offsets, data = parts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[parts.offset :][level]
    return _joined(_count(level), _binary(ends, data))


def _count(level: Offsets) -> "pa.Array[Any]":
    counts = np.diff(level).astype("<u4")
    return _binary(4 * np.arange(len(counts) + 1), pa.py_buffer(counts))


def _binary(ends: Offsets, data: "pa.Buffer | None") -> "pa.Array[Any]":
    buffers = [None, pa.py_buffer(ends.astype(np.int64)), data]
    return pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, buffers)


def _joined(*parts: "pa.Array[Any] | bytes") -> "pa.Array[Any]":
    pieces = [
        pa.scalar(part, pa.large_binary()) if isinstance(part, bytes) else part for part in parts
    ]
    return pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))
