import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cityframe.products.report.columns import Grid, encode_geometries, grid_over, text_column

GRID = Grid(east=1000.0, north=2000.0, unit_m=0.001)


def decoded(block, grid=GRID):
    """Read a block back: per geometry a list of (kind, coordinates)."""

    def column(values, count):
        return values * count if len(values) == 1 else values

    x = (np.cumsum(block["x"]) * grid.unit_m + grid.east).tolist()
    y = (np.cumsum(block["y"]) * grid.unit_m + grid.north).tolist()
    points = list(zip(x, y, strict=True))
    kinds, sizes = column(block["kinds"], block["m"]), column(block["sizes"], block["m"])
    rings, start = [], 0
    for kind, size in zip(kinds, sizes, strict=True):
        rings.append((kind, points[start : start + size]))
        start += size
    geometries, first = [], 0
    for count in column(block["rings"], block["n"]):
        geometries.append(rings[first : first + count])
        first += count
    assert start == len(points)
    assert first == len(rings)
    return geometries


def geometries(*wkt):
    return np.array([None if one is None else shapely.from_wkt(one) for one in wkt], dtype=object)


def test_every_kind_of_geometry_comes_back():
    block = encode_geometries(
        geometries(
            "POINT (1000.5 2000.25)",
            None,
            "LINESTRING (1001 2001, 1002 2003)",
            "POLYGON ((1000 2000, 1010 2000, 1010 2010, 1000 2000),"
            " (1002 2001, 1003 2001, 1003 2002, 1002 2001))",
            "MULTIPOINT (1000 2000, 1001 2001)",
            "GEOMETRYCOLLECTION (POINT (1000 2000), MULTILINESTRING ((1000 2000, 1001 2000)))",
        ),
        GRID,
    )
    found = decoded(block)
    assert [[kind for kind, _ in one] for one in found] == [
        [1], [], [2], [3, 3], [1, 1], [1, 2],
    ]  # fmt: skip
    assert found[0] == [(1, [(1000.5, 2000.25)])]
    assert found[3][1][1][1] == pytest.approx((1003, 2001))


def test_height_is_left_out():
    block = encode_geometries(geometries("LINESTRING Z (1001 2001 5, 1002 2003 6)"), GRID)
    assert decoded(block) == [[(2, [(1001.0, 2001.0), (1002.0, 2003.0)])]]


def test_points_alone_are_written_once():
    block = encode_geometries(shapely.points(np.full((50, 2), 1000.0)), GRID)
    assert (block["rings"], block["kinds"], block["sizes"]) == ([1], [1], [1])


def test_no_geometry_at_all():
    block = encode_geometries(np.empty(0, dtype=object), GRID)
    assert decoded(block) == []


coordinate = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@given(st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=8), max_size=6))
def test_coordinates_come_back_to_half_a_unit(lines):
    given = np.array([shapely.linestrings(line) for line in lines], dtype=object)
    for line, rings in zip(lines, decoded(encode_geometries(given, GRID)), strict=True):
        assert np.allclose(rings[0][1], line, rtol=0, atol=GRID.unit_m / 2 + 1e-6)


def test_grid_starts_at_the_south_western_corner():
    grid = grid_over([geometries("POINT (12.7 -3.2)", None), geometries("POINT (15 8)")], 0.01)
    assert grid == Grid(12.0, -4.0, 0.01)


def test_grid_over_nothing_is_at_the_origin():
    assert grid_over([], 0.001) == Grid(0.0, 0.0, 0.001)


def test_repeated_texts_are_written_once():
    assert text_column(["a", "b", "a", "a", "b"]) == {"values": ["a", "b"], "at": [0, 1, 0, 0, 1]}


def test_distinct_texts_are_written_as_they_are():
    assert text_column(["a", "b", None]) == ["a", "b", None]
