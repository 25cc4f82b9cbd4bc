"""Content digests of rows and layers; the specification is ``docs/formats/digest.md``."""

import hashlib
from collections.abc import Iterable
from itertools import islice, pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cityframe.core.arrow_rows import ARROW_TYPES, GEOMETRY, to_arrow, wkb_of
from cityframe.core.byte_columns import BYTES, byte_column, content_of, joined, lengths
from cityframe.core.canonical_geometry import geometry_items
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer

ROW_DIGEST_BYTES = 16
LAYER_SUM_BYTES = 512
_LAYER_SUM_MODULUS = 1 << (8 * LAYER_SUM_BYTES)
_BATCH_ROWS = 1 << 16
_BATCH_BYTES = 1 << 26
_SUM_BATCH = 1 << 10
# tag, Arrow's number for the value, the number that is digested
_NUMBERS: dict[AttributeType, tuple[bytes, "pa.DataType", str]] = {
    AttributeType.INTEGER: (b"i", pa.int64(), "<i8"),
    AttributeType.REAL: (b"f", pa.float64(), "<f8"),
    AttributeType.BOOLEAN: (b"b", pa.uint8(), "u1"),
    AttributeType.DATE: (b"d", pa.int32(), "<i8"),
    AttributeType.DATETIME: (b"t", pa.int64(), "<i8"),
}


def row_digests(frame: gpd.GeoDataFrame, layer: Layer) -> npt.NDArray[np.object_]:
    """Return the canonical digest of each row of a frame.

    Parameters
    ----------
    frame : GeoDataFrame, n rows
        Layer frame with all attributes of the contract, in the layer's CRS.
    layer : Layer
        The contract.

    Returns
    -------
    ndarray of bytes, n
        BLAKE2b-128 over the attributes that are not null, by name, and the geometry.

    Raises
    ------
    IntegrityError
        If a geometry is a collection or curve, or a coordinate is not finite or out of reach.
    """
    digests = np.empty(len(frame), dtype=object)
    for start in range(0, len(frame), _BATCH_ROWS):
        rows = to_arrow(frame.iloc[start : start + _BATCH_ROWS], layer)
        digests[start : start + _BATCH_ROWS] = _table_digests(rows, layer, GEOMETRY)
    return digests


def row_digests_of(
    rows: "pa.RecordBatch | pa.Table", layer: Layer, *, geometry: str = GEOMETRY
) -> "pa.Array[Any]":
    """Return the canonical digest of each row of Arrow; the same as of the frame of these rows.

    Parameters
    ----------
    rows : RecordBatch or Table, n rows
        All attributes of the contract and, unless the layer has none, the geometry as WKB in the
        layer's CRS; any further columns.
    layer : Layer
        The contract.
    geometry : str
        Name of the geometry column.

    Returns
    -------
    fixed-size binary array, n
        16 bytes each, never null.

    Raises
    ------
    IntegrityError
        If a geometry is not WKB, or is a collection or curve, or a coordinate is not finite or out
        of reach.
    KeyError
        If a column is missing.
    """
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    digests = _table_digests(table, layer, geometry)
    data = pa.py_buffer(b"".join(digests))
    return pa.Array.from_buffers(pa.binary(ROW_DIGEST_BYTES), len(digests), [None, data])


def geometry_bytes(geometry: npt.NDArray[np.object_], layer: Layer) -> list[bytes]:
    """Return the canonical bytes of geometries: equal where two are drawings of one.

    A null gives no bytes, an empty geometry some.

    Raises
    ------
    IntegrityError
        If a geometry is a collection or curve, or a coordinate is not finite or out of reach.
    """
    found: list[bytes] = []
    for start in range(0, len(geometry), _BATCH_ROWS):
        wkb = wkb_of(np.asarray(geometry[start : start + _BATCH_ROWS], dtype=object), layer)
        items: list[Any] = geometry_items(pa.array(wkb, type=BYTES), layer).to_pylist()
        found += [b"" if item is None else item for item in items]
    return found


def quantised(geometry: npt.NDArray[np.object_], layer: Layer) -> npt.NDArray[np.object_]:
    """Return the geometries with coordinates as whole numbers of the layer's precision."""

    def to_units(coordinates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # adding zero turns -0.0 into 0.0
        return np.round(coordinates / layer.precision_m) + 0.0

    result: npt.NDArray[np.object_] = shapely.transform(
        np.asarray(geometry, dtype=object), to_units, include_z=layer.has_z
    )
    return result


def layer_sum(digests: Iterable[bytes]) -> int:
    """Return the order-free sum of row digests: each stretched to 4096 bits, added modulo 2^4096.

    The sum of a changed layer is ``(old - removed + added) mod 2**4096``, so it moves with the
    change. The width keeps a generalised-birthday forgery at about 2^128 work (Wagner 2002).
    """
    shake, rest = hashlib.shake_128, iter(digests)
    # limbs of 32 bits in sums of 64 bits: room for 2**32 rows
    limbs = np.zeros(LAYER_SUM_BYTES // 4, dtype=np.uint64)
    # few at a time, so that they stay in the processor's cache
    while batch := [shake(one).digest(LAYER_SUM_BYTES) for one in islice(rest, _SUM_BATCH)]:
        stretched = np.frombuffer(b"".join(batch), dtype="<u4").reshape(len(batch), -1)
        limbs += stretched.sum(axis=0, dtype=np.uint64)
    total = sum(int(limb) << (32 * place) for place, limb in enumerate(limbs))
    return total % _LAYER_SUM_MODULUS


def move_layer_sum(before: int, *, removed: Iterable[bytes], added: Iterable[bytes]) -> int:
    """Return the layer sum after rows were removed and added."""
    return (before - layer_sum(removed) + layer_sum(added)) % _LAYER_SUM_MODULUS


def layer_digest(total: int, count: int) -> str:
    """Return the digest of a layer in hexadecimal: BLAKE2b-128 over its sum and count."""
    body = total.to_bytes(LAYER_SUM_BYTES, "little") + count.to_bytes(8, "little")
    return hashlib.blake2b(body, digest_size=ROW_DIGEST_BYTES).hexdigest()


def _table_digests(rows: pa.Table, layer: Layer, geometry: str) -> list[bytes]:
    # what is digested takes a few times the memory of the rows; large outlines have small batches
    most = _BATCH_BYTES * len(rows) // max(rows.nbytes, 1)
    batches = rows.to_batches(max_chunksize=min(max(most, 1), _BATCH_ROWS))
    return [digest for batch in batches for digest in _batch_digests(batch, layer, geometry)]


def _batch_digests(rows: "pa.RecordBatch", layer: Layer, geometry: str) -> list[bytes]:
    blake2b = hashlib.blake2b
    ends, content = content_of(_contents(rows, layer, geometry))
    view = content.data
    return [
        blake2b(view[start:end], digest_size=ROW_DIGEST_BYTES).digest()
        for start, end in pairwise(ends.tolist())
    ]


def _contents(rows: "pa.RecordBatch", layer: Layer, geometry: str) -> "pa.LargeBinaryArray":
    """Return what the digest of each row is over."""
    # a layer may have no column at all
    pieces = [byte_column(np.zeros(len(rows) + 1, dtype=np.int64), np.empty(0))]
    # code points order as their UTF-8 does
    for attribute in sorted(layer.attributes, key=lambda one: one.name):
        column = rows.column(attribute.name).cast(ARROW_TYPES[attribute.type])
        if attribute.type is AttributeType.STRING:
            pieces += _text_items(attribute, column)
        else:
            pieces.append(_number_items(attribute, column))
    if layer.geometry is not GeometryType.NONE:
        pieces.append(geometry_items(rows.column(geometry), layer))
    return joined(*pieces)


def _text_items(attribute: Attribute, column: "pa.Array[Any]") -> "list[pa.LargeBinaryArray]":
    # the stubs of pyarrow lack this function
    text = pc.utf8_normalize(column, form="NFC")  # type: ignore[attr-defined]
    text = text.cast(pa.large_string()).cast(BYTES)
    return [_items(attribute, b"s", lengths(text).astype("<u4"), column), text]


def _number_items(attribute: Attribute, column: "pa.Array[Any]") -> "pa.LargeBinaryArray":
    tag, arrow_type, kind = _NUMBERS[attribute.type]
    column = column.cast(arrow_type)
    if attribute.type is AttributeType.REAL:
        column = pc.if_else(pc.is_nan(column), None, column)
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False).astype(kind)
    if attribute.type is AttributeType.REAL:
        # adding zero turns -0.0 into 0.0
        numbers += 0.0
    return _items(attribute, tag, numbers, column)


def _items(
    attribute: Attribute, tag: bytes, numbers: npt.NDArray[Any], column: "pa.Array[Any]"
) -> "pa.LargeBinaryArray":
    """Return name, tag and number of each row; null where the column is."""
    name = attribute.name.encode()
    head = bytes([len(name)]) + name + tag
    items = np.empty(len(numbers), dtype=[("head", f"V{len(head)}"), ("number", numbers.dtype)])
    items["head"] = np.void(head)
    items["number"] = numbers
    offsets = items.itemsize * np.arange(len(items) + 1)
    return byte_column(
        offsets, items.view(np.uint8), column.is_valid().to_numpy(zero_copy_only=False)
    )
