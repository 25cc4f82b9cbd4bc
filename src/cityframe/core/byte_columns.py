"""Columns of byte strings, taken apart and joined without a Python object for each.

The stubs of pyarrow know neither bytes as the argument of its string functions nor arrays as
buffers; this module is where that is settled.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BYTES = pa.large_binary()
Offsets = npt.NDArray[np.int64]


def byte_column(
    offsets: Offsets,
    content: npt.NDArray[Any],
    is_valid: npt.NDArray[np.bool_] | None = None,
) -> "pa.LargeBinaryArray":
    """Return a column of n byte strings.

    Parameters
    ----------
    offsets : ndarray of int64, n + 1
        Where each string begins in the content, and the last one ends; in bytes, ascending.
    content : ndarray
        Contiguous numbers of any kind; taken as they lie in memory.
    is_valid : ndarray of bool, n
        False for a null; all are valid without it.
    """
    nulls = None if is_valid is None else _buffer(np.packbits(is_valid, bitorder="little"))
    buffers = [nulls, _buffer(offsets.astype(np.int64, copy=False)), _buffer(content)]
    return cast("pa.LargeBinaryArray", pa.Array.from_buffers(BYTES, len(offsets) - 1, buffers))


def content_of(column: "pa.LargeBinaryArray") -> tuple[Offsets, npt.NDArray[np.uint8]]:
    """Return the strings of a column on end as bytes, and the offsets into them (from 0)."""
    _, ends, data = column.buffers()
    if data is None or ends is None:
        return np.zeros(len(column) + 1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    offsets = np.frombuffer(memoryview(ends), dtype=np.int64)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    content = np.frombuffer(memoryview(data), dtype=np.uint8)[offsets[0] : offsets[-1]]
    return (offsets - offsets[0] if offsets[0] else offsets), content


def joined(*columns: "pa.LargeBinaryArray | bytes") -> "pa.LargeBinaryArray":
    """Return the columns' strings of each row on end; bytes are the same in each row, null none."""
    pieces: Any = [pa.scalar(one, BYTES) if isinstance(one, bytes) else one for one in columns]
    joining: Any = pc.binary_join_element_wise
    return cast(
        "pa.LargeBinaryArray",
        joining(*pieces, pa.scalar(b"", BYTES), null_handling="replace", null_replacement=b""),
    )


def chosen(column: "pa.LargeBinaryArray", rows: Offsets) -> "pa.LargeBinaryArray":
    """Return some rows of a column in the order given; itself if they are as many as it has."""
    return column if len(rows) == len(column) else reordered(column, rows)


def reordered(column: "pa.LargeBinaryArray", rows: Offsets) -> "pa.LargeBinaryArray":
    """Return the rows of a column in the order given."""
    places: Any = pa.array(rows)
    return column.take(places)


def starting_with(column: "pa.LargeBinaryArray", head: bytes) -> npt.NDArray[np.bool_]:
    """Return which strings begin with these bytes; a null does not."""
    matching: Any = pc.starts_with
    found: npt.NDArray[np.bool_] = (
        matching(column, head).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return found


def lengths(column: "pa.LargeBinaryArray") -> npt.NDArray[np.int64]:
    """Return the lengths of the strings in bytes; 0 for a null."""
    return pc.binary_length(column).fill_null(0).to_numpy()


def _buffer(numbers: npt.NDArray[Any]) -> "pa.Buffer":
    data: Any = np.ascontiguousarray(numbers)
    return pa.py_buffer(data)
