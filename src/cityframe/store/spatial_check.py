"""Geometries of a GeoPackage as they are stored: blobs, their envelopes, the R-tree beside them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
import sqlalchemy as sa

from cityframe.core.arrow_rows import GEOMETRY
from cityframe.model.layer import Layer
from cityframe.store.damage import Damage
from cityframe.store.geopackage import spatial_index
from cityframe.store.tables import history_name, srid_of

_HEADER = struct.Struct("<2sBBi")
_LITTLE_ENDIAN, _ENVELOPE, _EMPTY = 0x01, 0x0E, 0x10
_ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48}
# the R-tree keeps single precision, rounded outwards, a unit or two in the last place
_RTREE_SLACK = 4 * 2.0**-23
Mask = npt.NDArray[np.bool_]
Bounds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Blobs:
    """Geometries from a GeoPackage's blobs.

    Attributes
    ----------
    wkb : Array
        Null where a blob is null or damaged.
    envelopes : ndarray
        (minx, maxx, miny, maxy) as the headers have them; NaN for none.
    is_damaged : ndarray of bool
        Blobs whose header is not as the store writes it.
    """

    wkb: "pa.Array[Any]"
    envelopes: Bounds
    is_damaged: Mask


def read_blobs(values: "pa.Array[Any]", layer: Layer) -> Blobs:
    """Take GeoPackage's headers off: version 1, little-endian, the layer's CRS, any envelope."""
    damaged = np.zeros(len(values), dtype=bool)
    envelopes = np.full((len(values), 4), np.nan)
    wkb: Any = pa.array([None] * len(values), pa.binary())
    heads: Any = pc.binary_slice(values, 0, _HEADER.size).dictionary_encode()
    codes = heads.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    for code, head in enumerate(heads.dictionary.to_pylist()):
        chosen = codes == code
        width = _envelope_bytes(head, layer)
        if width is None:
            damaged |= chosen
            continue
        end = _HEADER.size + width
        mask = pa.array(chosen)
        body = pc.binary_replace_slice(values, start=0, stop=end, replacement=b"")
        wkb = pc.if_else(mask, body, wkb)
        if width:
            stored = _envelopes(pc.binary_slice(values.filter(mask), _HEADER.size, end), width)
            envelopes[chosen] = stored[:, :4]
            if width > _ENVELOPE_BYTES[1]:
                damaged[chosen] |= (stored[:, 4:] != _heights(body.filter(mask))).any(axis=1)
    return Blobs(pc.if_else(pa.array(damaged), None, wkb), envelopes, damaged)


def bounds_damages(
    layer: Layer, rows: pa.Table, envelopes: Bounds, entries: Bounds, is_readable: Mask
) -> Iterator[Damage]:
    """Hold envelopes and R-tree entries against the geometries.

    Parameters
    ----------
    rows : Table, n rows
        ``fid, uid, geom``.
    envelopes, entries : ndarray, n by 4
        (minx, maxx, miny, maxy); NaN for none.
    is_readable : ndarray of bool, n
        Rows to look at.
    """
    found = bounds_of(rows.column(GEOMETRY).combine_chunks())
    has_bounds, has_entry = ~np.isnan(found[:, 0]), ~np.isnan(entries[:, 0])
    slack = np.abs(found) * _RTREE_SLACK
    inside = (entries[:, [0, 2]] <= found[:, [0, 2]]) & (entries[:, [1, 3]] >= found[:, [1, 3]])
    fits = inside.all(axis=1) & (np.abs(entries - found) <= slack).all(axis=1)
    wrong_entry = (has_bounds != has_entry) | (has_bounds & ~fits)
    wrong_envelope = ~np.isnan(envelopes[:, 0]) & (envelopes != found).any(axis=1)
    for where, wrong, stored in (
        (spatial_index(layer), wrong_entry, entries),
        (f"{history_name(layer.name)}.{GEOMETRY}", wrong_envelope, envelopes),
    ):
        for place in np.flatnonzero(wrong & is_readable).tolist():
            yield Damage(
                where=where,
                layer=layer.name,
                uid=str(rows.column("uid")[place]),
                fid=rows.column("fid")[place].as_py(),
                found=_bounds_text(stored[place]),
                expected=_bounds_text(found[place]),
            )


def bounds_of(wkb: "pa.Array[Any]") -> Bounds:
    """Return (minx, maxx, miny, maxy) of geometries; NaN for null, empty and unreadable ones."""
    shapes = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False), on_invalid="ignore")
    bounds: Bounds = shapely.bounds(shapes)[:, [0, 2, 1, 3]]
    return bounds


def page_damages(connection: sa.Connection, *, quick: bool) -> Iterator[Damage]:
    """Let SQLite look at its own pages and, unless quick, at its indexes."""
    pragma = "quick_check" if quick else "integrity_check"
    for text in connection.exec_driver_sql(f"PRAGMA {pragma}").scalars():
        if text != "ok":
            yield Damage(where=f"PRAGMA {pragma}", found=str(text))


def index_damages(connection: sa.Connection, layer: Layer) -> Iterator[Damage]:
    """Look at the tree of a spatial index, and for its entries without a row."""
    index, table = spatial_index(layer), history_name(layer.name)
    text = connection.exec_driver_sql("SELECT rtreecheck(?)", (index,)).scalar()
    if text != "ok":
        yield Damage(where=index, layer=layer.name, found=str(text))
    extra = connection.exec_driver_sql(
        f'SELECT rowid FROM "{index}_rowid" EXCEPT SELECT fid FROM "{table}"'
    ).scalars()
    for fid in extra:
        yield Damage(
            where=index,
            layer=layer.name,
            fid=fid,
            found="an entry of a row that is not there",
            expected=f"the row in {table}",
        )


def _envelope_bytes(head: bytes, layer: Layer) -> int | None:
    """Return how long the envelope after a header is; None if the header is not ours."""
    if len(head) < _HEADER.size:
        return None
    magic, version, flags, srid = _HEADER.unpack(head)
    if magic != b"GP" or version != 0 or srid != srid_of(layer):
        return None
    if flags & ~(_ENVELOPE | _EMPTY) != _LITTLE_ENDIAN:
        return None
    return _ENVELOPE_BYTES.get((flags & _ENVELOPE) >> 1)


def _envelopes(values: Any, width: int) -> Bounds:
    # a blob cut short has no whole envelope
    whole = [one.ljust(width, b"\0") for one in values.to_pylist()]
    return np.frombuffer(b"".join(whole), dtype="<f8").reshape(-1, width // 8)


def _bounds_text(bounds: Bounds) -> str:
    return "no entry" if np.isnan(bounds[0]) else f"bounds {bounds.tolist()}"


def _heights(wkb: Any) -> Bounds:
    shapes = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False), on_invalid="ignore")
    points, owner = shapely.get_coordinates(shapes, include_z=True, return_index=True)
    low, high = np.full(len(shapes), np.nan), np.full(len(shapes), np.nan)
    np.fmin.at(low, owner, points[:, 2])
    np.fmax.at(high, owner, points[:, 2])
    return np.column_stack([low, high])
