from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.digest import geometry_bytes
from cityframe.core.matching.identical import match_identical
from cityframe.core.matching.labels import UNMATCHED
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title

LAYER = Layer(
    name="things",
    title=Title(zh="物", en="things"),
    geometry=GeometryType.POLYGON,
    crs="EPSG:4547",
    precision_m=0.001,
    accuracy_m=0.25,
    key=(),
    attributes=(),
)


def column(*geometry: object) -> np.ndarray:
    values = np.empty(len(geometry), dtype=object)
    values[:] = geometry
    return values


def test_other_start_direction_and_digits_are_the_same_geometry() -> None:
    ring = [(0, 0), (4, 0), (4, 3), (1, 5)]
    drawn = column(
        shapely.Polygon(ring),
        shapely.Polygon([*ring[2:], *ring[:2]]),
        shapely.Polygon(ring[::-1]),
        shapely.Polygon([(0.0004, -0.0004), *ring[1:]]),
        shapely.Polygon([*ring, ring[-1]]),
    )
    for other in drawn:
        assert match_identical(drawn[:1], column(other), LAYER).tolist() == [0]


def test_the_same_vertices_in_another_order_are_another_geometry() -> None:
    one = shapely.Polygon([(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)])
    other = shapely.Polygon([(0, 0), (2, 1), (4, 0), (4, 4), (0, 4)])
    assert match_identical(column(one), column(other), LAYER).tolist() == [UNMATCHED]


def test_a_hole_tells_two_geometries_of_one_outline_apart() -> None:
    whole, holed = shapely.box(0, 0, 9, 9), shapely.box(0, 0, 9, 9) - shapely.box(2, 2, 4, 4)
    assert match_identical(column(whole), column(holed), LAYER).tolist() == [UNMATCHED]


def test_a_line_drawn_the_other_way_round_is_another() -> None:
    layer = replace(LAYER, geometry=GeometryType.LINESTRING)
    line = shapely.LineString([(0, 0), (5, 1)])
    reverse = column(shapely.reverse(line))
    assert match_identical(column(line), reverse, layer).tolist() == [UNMATCHED]
    assert match_identical(reverse, reverse, layer).tolist() == [0]


@pytest.mark.parametrize(("has_z", "expected"), [(True, [UNMATCHED]), (False, [0])])
def test_heights_count_where_the_layer_has_them(has_z: bool, expected: list[int]) -> None:
    layer = replace(LAYER, geometry=GeometryType.POINT, has_z=has_z)
    low, high = shapely.Point(1, 2, 3), shapely.Point(1, 2, 8)
    assert match_identical(column(low), column(high), layer).tolist() == expected


def test_null_and_empty_geometries_match_nothing() -> None:
    blank = column(None, shapely.Polygon(), shapely.box(0, 0, 1, 1))
    assert match_identical(blank, blank, LAYER).tolist() == [UNMATCHED, UNMATCHED, 2]
    assert match_identical(blank[:2], blank, LAYER).tolist() == [UNMATCHED] * 3


def test_what_stands_twice_on_a_side_is_left_out() -> None:
    one, other = shapely.box(0, 0, 1, 1), shapely.box(0, 0, 2, 2)
    found = match_identical(column(one, one, other), column(one, other), LAYER)
    assert found.tolist() == [UNMATCHED, 2]
    found = match_identical(column(one, other), column(one, one, other), LAYER)
    assert found.tolist() == [UNMATCHED, UNMATCHED, 1]


corners = st.tuples(st.integers(0, 2), st.integers(0, 2))
shapes = st.one_of(
    corners.map(lambda at: shapely.box(*at, at[0] + 2, at[1] + 1)),
    corners.map(lambda at: shapely.box(*at, at[0] + 2, at[1] + 1).reverse()),
    corners.map(lambda at: shapely.Polygon([at, (at[0] + 2, at[1]), (at[0], at[1] + 1)])),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(shapes, max_size=8), st.lists(shapes, max_size=8))
def test_pairs_are_what_is_the_same_and_alone_in_its_box(
    one: list[shapely.Geometry], other: list[shapely.Geometry]
) -> None:
    before, after = column(*one), column(*other)
    forms = [geometry_bytes(side, LAYER) for side in (before, after)]
    boxes = [[geometry.bounds for geometry in side] for side in (one, other)]
    expected = [
        boxes[0].index(box)
        if boxes[0].count(box) == boxes[1].count(box) == 1
        and forms[0][boxes[0].index(box)] == forms[1][at]
        else UNMATCHED
        for at, box in enumerate(boxes[1])
    ]
    assert match_identical(before, after, LAYER).tolist() == expected
