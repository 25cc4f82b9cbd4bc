import sqlite3
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest
import shapely

from cityframe.products.subscriber.geometry_blob import (
    decode_blobs,
    encode_blobs,
    register_functions,
)

SHAPES = [
    shapely.box(1, 2, 3, 5),
    shapely.Point(7, 8),
    shapely.LineString([(0, 0, 4), (6, -1, 9)]),
    shapely.Polygon(),
    None,
]
FUNCTIONS = ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")


@pytest.fixture
def wkb():
    encoded = shapely.to_wkb(np.array(SHAPES, dtype=object), byte_order=1, flavor="iso")
    return pa.array(encoded, pa.binary())


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:")) as opened:
        register_functions(opened)
        yield opened


def test_blobs_give_the_same_wkb_back(wkb):
    assert decode_blobs(encode_blobs(wkb, 4547)) == wkb.to_pylist()


def test_blobs_are_those_that_gdal_writes(wkb, tmp_path):
    import pyogrio.raw

    path = tmp_path / "gdal.gpkg"
    plain = wkb.take([0, 1, 4])
    pyogrio.raw.write_arrow(
        pa.table({"geom": plain}),
        path,
        driver="GPKG",
        layer="t",
        geometry_name="geom",
        geometry_type="Unknown",
        crs="EPSG:4547",
    )
    with closing(sqlite3.connect(path)) as opened:
        written = [row[0] for row in opened.execute("SELECT geom FROM t ORDER BY fid")]
    assert encode_blobs(plain, 4547) == written


def test_functions_answer_as_a_spatial_index_asks(wkb, connection):
    found = [
        connection.execute(
            f"SELECT {', '.join(f'{name}(?1)' for name in FUNCTIONS)}", (blob,)
        ).fetchone()
        for blob in encode_blobs(wkb, 4547)
    ]
    assert found == [
        (0, 1, 3, 2, 5),
        (0, 7, 7, 8, 8),
        (0, 0, 6, -1, 0),
        (1, None, None, None, None),
        (None, None, None, None, None),
    ]


@pytest.mark.parametrize("envelope", [0, 1, 2, 3, 4])
def test_blobs_of_other_writers_are_read(connection, envelope):
    shape = shapely.box(1, 2, 3, 5)
    doubles = {0: [], 1: [1, 3, 2, 5], 2: [1, 3, 2, 5, 0, 0], 3: [1, 3, 2, 5, 0, 0]}
    doubles[4] = [1, 3, 2, 5, 0, 0, 0, 0]
    for order, flag in ((">", 0), ("<", 1)):
        header = b"GP\x00" + bytes([envelope << 1 | flag]) + np.array(4547, f"{order}i4").tobytes()
        blob = header + np.array(doubles[envelope], f"{order}f8").tobytes() + shape.wkb
        assert decode_blobs([blob]) == [shape.wkb]
        assert connection.execute("SELECT ST_MaxY(?)", (blob,)).fetchone() == (5,)
