"""The bytes of binary COPY, against what PostgreSQL's documentation says of each type."""

import datetime as dt
import struct
from typing import Any

import pyarrow as pa
import pytest
import shapely

from cityframe.errors import DeclarationError
from cityframe.store import arrow_copy
from cityframe.store.arrow_copy import copy_bytes


def encoded(batch: pa.RecordBatch, srid: int = 0) -> bytes:
    return b"".join(bytes(memoryview(part)) for part in copy_bytes(batch, srid=srid))


def fields(body: bytes, columns: int) -> list[list[bytes | None]]:
    """Rows of values, read one after the other."""
    rows, place = [], 0
    while place < len(body):
        assert struct.unpack_from(">h", body, place) == (columns,)
        place += 2
        row: list[bytes | None] = []
        for _ in range(columns):
            (length,) = struct.unpack_from(">i", body, place)
            place += 4
            row.append(None if length < 0 else body[place : place + length])
            place += max(length, 0)
        rows.append(row)
    return rows


def record_batch(**columns: "pa.Array[Any]") -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


MOMENT = pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (True, pa.bool_(), b"\x01"),
        (-2, pa.int32(), struct.pack(">i", -2)),
        (1 << 40, pa.int64(), struct.pack(">q", 1 << 40)),
        (-0.1, pa.float64(), struct.pack(">d", -0.1)),
        ("建筑𠀀", pa.string(), "建筑𠀀".encode()),
        ("", pa.string(), b""),
        (b"\x00\xff", pa.binary(), b"\x00\xff"),
        (dt.date(2000, 1, 2), pa.date32(), struct.pack(">i", 1)),
        (dt.date(1899, 12, 31), pa.date32(), struct.pack(">i", -36525)),
        (dt.datetime(1999, 12, 31, 23, 59, 59, 999999, dt.UTC), MOMENT, struct.pack(">q", -1)),
    ],
)
def test_a_value_and_a_null_have_the_form_of_their_type(
    value: Any, kind: pa.DataType, expected: bytes
) -> None:
    column = pa.array([value, None, value], type=kind)
    assert fields(encoded(record_batch(x=column)), 1) == [[expected], [None], [expected]]


def test_columns_keep_their_order_and_a_slice_its_rows() -> None:
    batch = record_batch(
        n=pa.array([1, 2, None, 4], type=pa.int32()),
        s=pa.array(["a", None, "ccc", "d"]),
        flag=pa.array([True, False, None, None]),
        t=pa.array(["x", "y", "z", None]),
    )
    rows = fields(encoded(batch.slice(1, 2)), 4)
    assert rows == [[struct.pack(">i", 2), None, b"\0", b"y"], [None, b"ccc", None, b"z"]]


def test_no_rows_are_no_bytes() -> None:
    assert encoded(record_batch(s=pa.array([], type=pa.string()))) == b""


def test_large_rows_go_in_pieces_of_whole_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = record_batch(n=pa.array(range(100)), s=pa.array([str(n) * n for n in range(100)]))
    at_once = encoded(batch)
    monkeypatch.setattr(arrow_copy, "_MOST_BYTES", 1000)
    assert len(list(copy_bytes(batch))) > 4
    assert encoded(batch) == at_once


@pytest.mark.parametrize("has_z", [False, True])
def test_geometries_get_the_srid_whatever_their_types(has_z: bool) -> None:
    shapes = [
        shapely.Point(1, 2),
        shapely.box(0, 0, 1, 1),
        shapely.Point(3, 4),
        shapely.MultiLineString([[(0, 0), (1, 1)]]),
        shapely.Polygon(),
    ]
    if has_z:
        shapes = [shapely.force_3d(shape, 5) for shape in shapes]
    wkb = [*shapely.to_wkb(shapes, flavor="iso"), None]
    rows = fields(encoded(record_batch(geom=pa.array(wkb, type=pa.binary())), srid=4547), 1)
    back = shapely.from_wkb([row[0] for row in rows])
    assert shapely.equals_exact(back[:5], shapes).all()
    assert (shapely.get_srid(back[:5]) == 4547).all()
    assert (shapely.has_z(back[:4]) == has_z).all()
    assert back[5] is None


def test_a_text_with_nul_is_refused_and_its_row_named() -> None:
    batch = record_batch(uid=pa.array(["b1", "b2"]), name=pa.array(["fine", "a\0b"]))
    with pytest.raises(DeclarationError, match="name of b2: a text with the character NUL"):
        encoded(batch)
