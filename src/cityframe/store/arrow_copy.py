"""Arrow rows as the bytes of PostgreSQL's binary COPY.

A row is the number of its columns and, for each, the length of its value and the value, all
big-endian; a null has length -1 and no value. Everything of fixed width between two texts (lengths
included) is laid out as one block of bytes, so that a batch is joined from few columns.

References
----------
PostgreSQL documentation, COPY, "Binary Format"; PostGIS, "Extended WKB".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.errors import DeclarationError

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
GEOMETRY = "geom"

_Bytes = npt.NDArray[np.uint8]
_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which PostgreSQL counts
_EPOCH_DAYS = 10_957
_MOST_BYTES = 1 << 27  # of a piece: a column of Arrow's binary type holds 2 GiB
_WKB_HEADER = 5
_EWKB_Z, _EWKB_SRID = 0x80000000, 0x20000000


def copy_bytes(batch: pa.RecordBatch, *, srid: int = 0) -> Iterator[pa.Buffer]:
    """Encode rows for ``COPY … FROM STDIN (FORMAT BINARY)``, without header and trailer.

    Parameters
    ----------
    batch : RecordBatch
        Columns in the order of the COPY, of the types bool, int32, int64, float64, date32,
        ``timestamp(us, UTC)``, string and binary; ``geom`` is ISO WKB, little-endian.
    srid : int
        Of the column ``geom``.

    Yields
    ------
    Buffer
        Whole rows.

    Raises
    ------
    DeclarationError
        If a text has the character NUL, which PostgreSQL can't store.
    """
    if batch.num_rows == 0:
        return
    if batch.nbytes > _MOST_BYTES and batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from copy_bytes(batch.slice(0, half), srid=srid)
        yield from copy_bytes(batch.slice(half), srid=srid)
        return
    _refuse_nul(batch)
    row = _Row(batch.num_rows)
    row.add(np.full(batch.num_rows, batch.num_columns, dtype=">i2"))
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        _add_column(row, _with_srid(column, srid) if name == GEOMETRY else column)
    yield row.joined()


@dataclass
class _Row:
    """The rows while they are put together: blocks of fixed width, and texts between them."""

    count: int
    pieces: list[Any] = field(default_factory=list)
    block: list[_Bytes] = field(default_factory=list)
    kept: list[npt.NDArray[np.bool_] | None] = field(default_factory=list)

    def add(self, values: npt.NDArray[Any], kept: npt.NDArray[np.bool_] | None = None) -> None:
        """Add values of fixed width; those that are not kept take no bytes."""
        width = values.dtype.itemsize
        self.block.append(np.ascontiguousarray(values).view(np.uint8).reshape(self.count, width))
        self.kept.append(kept)

    def add_text(self, values: Any) -> None:
        self._close_block()
        self.pieces.append(values)

    def joined(self) -> pa.Buffer:
        self._close_block()
        rows: Any = pc.binary_join_element_wise(*self.pieces, pa.scalar(b""))
        offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)
        start, end = offsets[rows.offset], offsets[rows.offset + self.count]
        body: pa.Buffer = rows.buffers()[2]
        return body.slice(int(start), int(end - start))

    def _close_block(self) -> None:
        if not self.block:
            return
        body = np.concatenate(self.block, axis=1)
        if all(kept is None for kept in self.kept):
            ends = np.arange(self.count + 1, dtype=np.int32) * np.int32(body.shape[1])
        else:
            is_kept = np.concatenate(
                [
                    np.broadcast_to(True if kept is None else kept[:, None], part.shape)
                    for part, kept in zip(self.block, self.kept, strict=True)
                ],
                axis=1,
            )
            ends = np.zeros(self.count + 1, dtype=np.int32)
            np.cumsum(is_kept.sum(axis=1), out=ends[1:])
            body = body[is_kept]
        buffers = [None, _buffer(ends), _buffer(body)]
        self.pieces.append(pa.Array.from_buffers(pa.binary(), self.count, buffers))
        self.block, self.kept = [], []


def _buffer(values: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(values).view(np.uint8).reshape(-1).data)


def _add_column(row: _Row, column: Any) -> None:
    is_null = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        lengths = pc.fill_null(pc.binary_length(column), -1).to_numpy().astype(">i4")
        row.add(lengths)
        row.add_text(pc.fill_null(column.cast(pa.binary()), b""))
        return
    values = _fixed_values(column)
    lengths = np.full(row.count, values.dtype.itemsize, dtype=">i4")
    if is_null is None:
        row.add(lengths)
        row.add(values)
    else:
        lengths[is_null] = -1
        row.add(lengths)
        row.add(values, ~is_null)


def _fixed_values(column: Any) -> npt.NDArray[Any]:
    kind = column.type
    if pa.types.is_boolean(kind):
        return _numbers(column.cast(pa.uint8())).astype("u1")
    if pa.types.is_int32(kind):
        return _numbers(column).astype(">i4")
    if pa.types.is_int64(kind):
        return _numbers(column).astype(">i8")
    if pa.types.is_float64(kind):
        return _numbers(column).astype(">f8")
    if pa.types.is_date32(kind):
        return (_numbers(column.cast(pa.int32())) - _EPOCH_DAYS).astype(">i4")
    if pa.types.is_timestamp(kind) and kind.unit == "us":
        return (_numbers(column.cast(pa.int64())) - _EPOCH_US).astype(">i8")
    raise TypeError(f"no binary form for the Arrow type {kind}")  # noqa: EM102


def _numbers(column: Any) -> npt.NDArray[Any]:
    # a null's value takes no bytes, so any will do
    values: npt.NDArray[Any] = pc.fill_null(column, pa.scalar(0, column.type)).to_numpy()
    return values


def _with_srid(wkb: Any, srid: int) -> Any:
    """Return ISO WKB as PostGIS's: the SRID follows the type; parts may stay as they are."""
    headers: Any = pc.binary_slice(wkb, 0, _WKB_HEADER)
    result = wkb
    different: list[Any] = pc.unique(headers.drop_null()).to_pylist()
    for place, header in enumerate(different):
        kind = int.from_bytes(header[1:], "little")
        code = kind % 1000 | (_EWKB_Z if kind // 1000 == 1 else 0) | _EWKB_SRID
        extended = header[:1] + code.to_bytes(4, "little") + srid.to_bytes(4, "little")
        changed = pc.binary_replace_slice(wkb, 0, _WKB_HEADER, extended)
        result = (
            pc.if_else(pc.equal(headers, pa.scalar(header)), changed, result) if place else changed
        )
    return result


def _refuse_nul(batch: pa.RecordBatch) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not pa.types.is_string(column.type):
            continue
        has_nul = pc.match_substring(column, "\0")
        if pc.any(has_nul).as_py():
            place = pc.index(has_nul, True).as_py()
            where = f"{name} of {batch['uid'][place]}" if "uid" in batch.schema.names else name
            raise DeclarationError(
                where=where,
                found="a text with the character NUL",
                expected="text that PostgreSQL can store",
                remedy="remove U+0000 in the source's mapping, or keep the framework in GeoPackage",
            )
