"""WKB taken apart into coordinates and offsets, many geometries at a time."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from shapely.errors import ShapelyError

from cityframe.core.byte_columns import Offsets, chosen, content_of, lengths, starting_with
from cityframe.errors import IntegrityError
from cityframe.model.layer import GeometryType, Layer

Coordinates = npt.NDArray[np.float64]

POINT, LINESTRING, POLYGON, MULTIPOINT, MULTILINESTRING, MULTIPOLYGON = range(1, 7)
"""Type codes of WKB."""

_CODES = {
    GeometryType.POINT: POINT,
    GeometryType.LINESTRING: LINESTRING,
    GeometryType.POLYGON: POLYGON,
    GeometryType.MULTIPOINT: MULTIPOINT,
    GeometryType.MULTILINESTRING: MULTILINESTRING,
    GeometryType.MULTIPOLYGON: MULTIPOLYGON,
}
_CODE_OF_TYPE_ID = {
    shapely.GeometryType[kind.value.upper()].value: code for kind, code in _CODES.items()
}


@dataclass(frozen=True, slots=True)
class RaggedGeometry:
    """Geometries of one type, all with heights or all without.

    Attributes
    ----------
    code : int
        Type code of WKB, 1 to 6.
    rows : ndarray of int64, n
        Where the geometries stood, ascending.
    coordinates : ndarray of float64, points by 2 or 3
        As they came; a ring ends with its closing point.
    levels : tuple of ndarray of int64
        Offsets, outermost first: of n geometries into polygons, of polygons into rings, of rings
        into coordinates; fewer for the simpler types. A geometry may be empty; no part or ring is.
    """

    code: int
    rows: Offsets
    coordinates: Coordinates
    levels: tuple[Offsets, ...]


def ragged_geometries(wkb: "pa.LargeBinaryArray", layer: Layer) -> Iterator[RaggedGeometry]:
    """Take geometries apart, in groups of one type; a null is in none of them.

    Heights are dropped where the layer has none. Measures, and parts and rings without points, are
    dropped always.

    Parameters
    ----------
    wkb : large binary array
        Geometries of any type but collections and curves.
    layer : Layer
        Tells which form most of them will have.

    Raises
    ------
    IntegrityError
        If a value is not WKB, or is a collection or a curve.
    """
    is_rest = wkb.is_valid().to_numpy(zero_copy_only=False).copy()
    if layer.geometry is not GeometryType.NONE:
        regular = _regular(wkb, layer)
        if len(regular.rows):
            yield regular
            is_rest[regular.rows] = False
    if is_rest.any():
        yield from _irregular(wkb, np.flatnonzero(is_rest), layer)


def offsets_of(counts: npt.NDArray[Any]) -> Offsets:
    """Return the offsets of n runs of these lengths: 0 first, then each one's end."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def gathered(offsets: Offsets, runs: Offsets) -> Offsets:
    """Return the places of all members of some runs, in the order of ``runs``."""
    counts = np.diff(offsets)[runs]
    after = offsets_of(counts)
    return np.repeat(offsets[:-1][runs] - after[:-1], counts) + np.arange(after[-1])


def _regular(wkb: "pa.LargeBinaryArray", layer: Layer) -> RaggedGeometry:
    """Take apart what has the layer's type, one part and one ring: nearly all of most layers.

    The WKB of these is a constant, the number of points, the points.
    """
    head, width = _regular_head(layer), 3 if layer.has_z else 2
    has_count = layer.geometry.single != GeometryType.POINT
    body = len(head) + (4 if has_count else 0)
    length = lengths(wkb)
    rows = np.flatnonzero(starting_with(wkb, head) & (length >= body))
    values, length = chosen(wkb, rows), length[rows]
    counts = np.ones(len(rows), dtype=np.int64)
    if has_count:
        counts = _heads(values, body)[:, len(head) :].copy().view("<u4").ravel().astype(np.int64)
    good = np.flatnonzero((counts > 0) & (length == body + counts * 8 * width))
    values, rows, counts = chosen(values, good), rows[good], counts[good]
    coordinates = _tails(values, body).view("<f8").reshape(-1, width)
    offsets = offsets_of(counts)
    proper = np.flatnonzero(_is_proper(coordinates, offsets, layer.geometry))
    if len(proper) < len(rows):
        coordinates = coordinates.take(gathered(offsets, proper), axis=0)
        rows, offsets = rows[proper], offsets_of(counts[proper])
    code = _CODES[layer.geometry]
    each = np.arange(len(rows) + 1)
    outer = {POLYGON: 1, MULTILINESTRING: 1, MULTIPOLYGON: 2}.get(code, 0)
    return RaggedGeometry(code, rows, coordinates, (*[each] * outer, offsets))


def _regular_head(layer: Layer) -> bytes:
    def head(kind: GeometryType) -> bytes:
        return struct.pack("<BI", 1, _CODES[kind] + (1000 if layer.has_z else 0))

    one = struct.pack("<I", 1)
    single = GeometryType(layer.geometry.single)
    part = head(single) + (one if single is GeometryType.POLYGON else b"")
    return head(layer.geometry) + one + part if layer.geometry.is_multi else part


def _is_proper(
    coordinates: Coordinates, offsets: Offsets, kind: GeometryType
) -> npt.NDArray[np.bool_]:
    # the rest is shapely's to judge: an empty point is written as NaN, an open ring is an error
    xy, counts = coordinates[:, :2], np.diff(offsets)
    if kind.single == GeometryType.POINT:
        return np.asarray(~np.isnan(xy).all(axis=1))
    if kind.single == GeometryType.LINESTRING:
        return counts >= 2
    is_closed = (xy[offsets[:-1]] == xy[offsets[1:] - 1]).all(axis=1)
    return np.asarray((counts >= 4) & is_closed)


def _irregular(wkb: "pa.LargeBinaryArray", rows: Offsets, layer: Layer) -> Iterator[RaggedGeometry]:
    try:
        # a number that is not finite is refused later, with its layer's name
        with np.errstate(invalid="ignore"):
            geometry = shapely.from_wkb(chosen(wkb, rows).to_numpy(zero_copy_only=False))
    except ShapelyError as error:
        raise IntegrityError(
            where=f"layer {layer.name}",
            found=f"a geometry that can't be read ({error})",
            expected="well-known binary",
        ) from error
    kinds = shapely.get_type_id(geometry)
    has_z = shapely.has_z(geometry) & ~shapely.is_empty(geometry) & layer.has_z
    for kind in np.unique(kinds):
        if int(kind) not in _CODE_OF_TYPE_ID:
            raise IntegrityError(
                where=f"layer {layer.name}",
                found=f"a geometry of type {shapely.GeometryType(kind).name}",
                expected="points, lines or polygons, or many of one of them",
            )
        for is_high in (False, True):
            member = np.flatnonzero((kinds == kind) & (has_z == is_high))
            if len(member):
                code = _CODE_OF_TYPE_ID[int(kind)]
                parts = _ragged(geometry[member], code, has_z=is_high)
                yield RaggedGeometry(code, rows[member], *parts)


def _ragged(
    geometry: npt.NDArray[np.object_], code: int, *, has_z: bool
) -> tuple[Coordinates, tuple[Offsets, ...]]:
    if code in (POINT, MULTIPOINT):
        # to_ragged_array would make points of the empty ones
        coordinates, owner = shapely.get_coordinates(geometry, include_z=has_z, return_index=True)
        return coordinates, (offsets_of(np.bincount(owner, minlength=len(geometry))),)
    _, coordinates, offsets = shapely.to_ragged_array(geometry, include_z=has_z, include_m=False)
    levels = [level.astype(np.int64) for level in reversed(offsets)]
    for at in range(len(levels) - 1, 0, -1):
        is_kept = np.diff(levels[at]) > 0
        levels[at] = np.append(0, levels[at][1:][is_kept])
        levels[at - 1] = offsets_of(is_kept)[levels[at - 1]]
    return coordinates, tuple(levels)


def _heads(values: "pa.LargeBinaryArray", stop: int) -> npt.NDArray[np.uint8]:
    """Return the first bytes of each value, one row each."""
    offsets, content = content_of(values)
    heads: npt.NDArray[np.uint8] = content[offsets[:-1, None] + np.arange(stop)]
    return heads


def _tails(values: "pa.LargeBinaryArray", start: int) -> npt.NDArray[np.uint8]:
    """Return the bytes of each value from ``start`` on, all on end."""
    # Arrow's binary_slice makes room for all values to be as long as the longest
    offsets, content = content_of(values)
    is_kept = np.ones(len(content), dtype=bool)
    is_kept[offsets[:-1, None] + np.arange(start)] = False
    return content[is_kept]
