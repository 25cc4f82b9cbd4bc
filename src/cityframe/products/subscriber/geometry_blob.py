"""Geometries as a GeoPackage stores them: a header, then WKB (OGC 12-128r19, 2.1.3).

The header holds the envelope, so the functions that a GeoPackage's spatial index calls in its
triggers need not look at the geometry itself.
"""

import sqlite3
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_EMPTY_FLAG = 0x10
_POINT = b"\x01\x01"
_Bounds = tuple[float, float, float, float]


def encode_blobs(wkb: "pa.Array[Any]", srs_id: int) -> list[bytes | None]:
    """Return WKB (little-endian) as GeoPackage blobs; null stays null.

    Points and empty geometries have no envelope, as GDAL writes them.
    """
    body = wkb.to_pylist()
    geometry = shapely.from_wkb(np.array(body, dtype=object))
    bounds = shapely.bounds(geometry)[:, [0, 2, 1, 3]].astype("<f8")
    envelopes = np.ascontiguousarray(bounds).tobytes()
    srs = struct.pack("<i", srs_id)
    with_envelope, without, empty = (b"GP\x00" + flag + srs for flag in (b"\x03", b"\x01", b"\x11"))
    blobs: list[bytes | None] = []
    for row, (one, is_empty) in enumerate(zip(body, shapely.is_empty(geometry), strict=True)):
        if one is None:
            blobs.append(None)
        elif is_empty:
            blobs.append(empty + one)
        elif one.startswith(_POINT):
            blobs.append(without + one)
        else:
            blobs.append(with_envelope + envelopes[32 * row : 32 * row + 32] + one)
    return blobs


def decode_blobs(blobs: Sequence[bytes | None]) -> list[bytes | None]:
    """Return the WKB of GeoPackage blobs; null stays null."""
    return [None if blob is None else blob[_header_bytes(blob) :] for blob in blobs]


def register_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that the triggers of a spatial index call."""
    connection.create_function("ST_IsEmpty", 1, _is_empty, deterministic=True)
    for place, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        connection.create_function(name, 1, _bound_at(place), deterministic=True)


def _header_bytes(blob: bytes) -> int:
    return 8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 0x07]


def _is_empty(blob: bytes | None) -> int | None:
    if blob is None:
        return None
    return int(bool(blob[3] & _EMPTY_FLAG))


def _bound_at(place: int) -> Any:
    def bound(blob: bytes | None) -> float | None:
        if blob is None or blob[3] & _EMPTY_FLAG:
            return None
        return _bounds(blob)[place]

    return bound


def _bounds(blob: bytes) -> _Bounds:
    """Return min x, max x, min y, max y."""
    if _header_bytes(blob) > 8:
        order = "<" if blob[3] & 1 else ">"
        found: _Bounds = struct.unpack_from(f"{order}4d", blob, 8)
        return found
    min_x, min_y, max_x, max_y = shapely.bounds(shapely.from_wkb(blob[8:])).tolist()
    return min_x, max_x, min_y, max_y
