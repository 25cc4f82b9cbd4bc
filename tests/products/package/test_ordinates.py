import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.products.package.ordinates import pack, unpack

PLACES = st.one_of(
    st.integers(-(10**10), 10**10).map(lambda millimetres: millimetres / 1000),
    st.floats(allow_nan=False, allow_infinity=True),
    st.sampled_from([-0.0, 0.0, 1e308, 5e-324, 2.0**53]),
)
LINES = st.lists(st.tuples(PLACES, PLACES), min_size=2, max_size=5).map(shapely.LineString)
EMPTY = ["POINT EMPTY", "POLYGON EMPTY", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), EMPTY)"]
SHAPES = st.one_of(
    st.none(),
    LINES,
    st.lists(LINES, max_size=3).map(shapely.MultiLineString),
    st.sampled_from(EMPTY).map(shapely.from_wkt),
)


def wkb(shapes, has_z=False):
    dimensions = 3 if has_z else 2
    encoded = shapely.to_wkb(
        np.array(shapes, dtype=object), byte_order=1, flavor="iso", output_dimension=dimensions
    )
    return pa.array(encoded, pa.binary())


@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(SHAPES, SHAPES), max_size=4))
def test_every_geometry_comes_back_to_the_last_bit(pairs):
    old, new = (wkb([pair[side] for pair in pairs]) for side in (0, 1))
    layer = Grid(0.001)
    assert unpack(*pack(old, new, layer), layer) == (old, new)


class Grid:
    """What packing needs of a layer."""

    def __init__(self, precision_m, has_z=False):
        self.precision_m = precision_m
        self.has_z = has_z


@pytest.mark.parametrize("precision_m", [0.001, 0.01, 1.0, 5.0])
def test_heights_and_coarse_grids_come_back(precision_m):
    layer = Grid(precision_m, has_z=True)
    shapes = [
        shapely.from_wkt("POINT Z (10 20 30.5)"),
        shapely.from_wkt("LINESTRING (1 2, 3 4)"),
        shapely.LineString([(0.1, 0.2, np.nan), (1, 2, 3)]),
    ]
    old, new = wkb(shapes, has_z=True), wkb(shapes[::-1], has_z=True)
    assert unpack(*pack(old, new, layer), layer) == (old, new)


def test_what_did_not_move_is_zero():
    old = shapely.LineString([(500_000, 3_400_000), (500_010.5, 3_400_000), (500_010.5, 3_400_020)])
    bent = shapely.LineString(
        [(500_000, 3_400_000), (500_010.5, 3_400_001), (500_010.5, 3_400_020)]
    )
    shifted = shapely.transform(old, lambda xy: xy + 2)
    packed, moved = pack(wkb([old, old]), wkb([bent, shifted]), Grid(0.001))
    assert pc.all(packed.field("is_on_grid")).as_py()
    # zigzag: 2000 is 1 m north, 1999 is 1 m south
    assert moved.field("ordinates").to_pylist() == [
        [0, 0, 0, 2000, 0, 1999],
        [4000, 4000, 0, 0, 0, 0],
    ]
