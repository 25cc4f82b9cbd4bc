"""Seals: a digest over all that a history row says, and over all rows that a release touched.

The content's digest rounds coordinates; the seal is over the geometry as it is stored, too, so that
no byte of it can change unseen. The specification is in ``docs/formats/store.md``.
"""

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.arrow_rows import GEOMETRY, MOMENT
from cityframe.core.byte_columns import BYTES, byte_column, content_of, joined
from cityframe.core.digest import ROW_DIGEST_BYTES
from cityframe.model.layer import GeometryType, Layer

_TEXTS = ("uid", "delivery", "basis", "ended_by", "change")
_MOMENTS = ("valid_from", "valid_to")
_NUMBERS = ("release_from", "record", "has_new_attributes")
_SYSTEM_COLUMNS = ("digest", *_TEXTS, *_MOMENTS, *_NUMBERS)
_NULL_NUMBER = np.iinfo(np.int64).min
# as a signed length, for it is put in before the conversion
_NULL_LENGTH_MARK = -1


def sealed_columns(layer: Layer) -> tuple[str, ...]:
    """Return the columns of a history row that its seal is over.

    ``release_to`` is left out: it is the one thing that changes of a row. The attributes are in
    ``digest``.
    """
    geometry = () if layer.geometry is GeometryType.NONE else (GEOMETRY,)
    return (*_SYSTEM_COLUMNS, *geometry)


def seals(rows: pa.Table, layer: Layer) -> "pa.Array[Any]":
    """Return the seal of each row: BLAKE2b-128 over digest, system columns and geometry.

    Parameters
    ----------
    rows : Table
        With `sealed_columns`, moments as ``timestamp(us, UTC)``, the geometry as ISO WKB.
    layer : Layer
        The contract.
    """
    pieces: list[Any] = [_bytes(rows["digest"])]
    texts = _TEXTS if layer.geometry is GeometryType.NONE else (*_TEXTS, GEOMETRY)
    for name in texts:
        pieces += _text(_bytes(rows[name]))
    for name in _MOMENTS:
        pieces.append(_number(rows[name].cast(MOMENT).cast(pa.int64())))
    for name in _NUMBERS:
        pieces.append(_number(rows[name].cast(pa.int64())))
    return _hashed(pieces)


def entry_seals(rows: pa.Table) -> "pa.Array[Any]":
    """Return the seal of each row of a table of the register: BLAKE2b-128 over its columns.

    Parameters
    ----------
    rows : Table
        Texts, bytes, whole and real numbers.
    """
    pieces: list[Any] = []
    for column in rows.columns:
        if pa.types.is_floating(column.type):
            pieces.append(_real(column))
        elif pa.types.is_integer(column.type):
            pieces.append(_number(column.cast(pa.int64())))
        else:
            pieces += _text(_bytes(column))
    return _hashed(pieces)


def sealed_set(parts: Iterable["pa.Array[Any] | pa.ChunkedArray[Any]"]) -> str:
    """Return the digest of a set of rows: BLAKE2b-256 over their seals, sorted."""
    body = b"".join(content_of(_bytes(part))[1].tobytes() for part in parts)
    ordered = np.sort(np.frombuffer(body, dtype=f"S{ROW_DIGEST_BYTES}"))
    return hashlib.blake2b(ordered.tobytes(), digest_size=32).hexdigest()


def set_evidence(seals: "pa.Array[Any]") -> dict[str, Any]:
    """Return ``count`` and ``digest`` of a set of sealed rows, as a release's evidence has them."""
    return {"count": len(seals), "digest": sealed_set([seals])}


def _hashed(pieces: "list[Any]") -> "pa.Array[Any]":
    ends, content = content_of(joined(*pieces))
    view, blake2b = content.data, hashlib.blake2b
    digests = b"".join(
        blake2b(view[start:end], digest_size=ROW_DIGEST_BYTES).digest()
        for start, end in pairwise(ends.tolist())
    )
    return _fixed(np.frombuffer(digests, dtype=f"S{ROW_DIGEST_BYTES}")).cast(pa.binary())


def _bytes(values: Any) -> "pa.LargeBinaryArray":
    # long outlines: more bytes in a batch than 32-bit offsets can tell
    column = values.cast(BYTES)
    return cast(
        "pa.LargeBinaryArray",
        column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column,
    )


def _text(values: Any) -> list[Any]:
    lengths: Any = pc.fill_null(pc.binary_length(values), _NULL_LENGTH_MARK)
    return [_fixed(lengths.to_numpy().astype("<u4")), values]


def _number(values: Any) -> "pa.LargeBinaryArray":
    filled: Any = pc.fill_null(values, int(_NULL_NUMBER))
    return _fixed(filled.to_numpy().astype("<i8"))


def _real(values: Any) -> "pa.LargeBinaryArray":
    # null is NaN, of one bit pattern
    filled: Any = pc.fill_null(values, float("nan"))
    numbers = filled.to_numpy().astype("<f8")
    return _fixed(np.where(np.isnan(numbers), np.nan, numbers))


def _fixed(values: "np.ndarray[Any, np.dtype[Any]]") -> "pa.LargeBinaryArray":
    width = values.dtype.itemsize
    return byte_column(np.arange(len(values) + 1, dtype=np.int64) * width, values)
