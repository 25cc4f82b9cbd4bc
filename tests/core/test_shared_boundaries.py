from collections.abc import Sequence

import numpy as np
import pytest
import shapely

from cityframe.core.boundary_course import Limits, course_of
from cityframe.core.shared_boundaries import followed, neighbour_pairs, thick_parts

LIMITS = Limits(precision_m=0.001, reach_m=0.42)


def square(x: float, y: float, width: float = 10, height: float = 10) -> shapely.Polygon:
    return shapely.box(x, y, x + width, y + height)


def polygon(*corners: tuple[float, float]) -> shapely.Polygon:
    return shapely.Polygon(corners)


def follow(
    before: shapely.Geometry, after: shapely.Geometry, neighbours: Sequence[shapely.Geometry]
) -> list[shapely.Geometry | None]:
    course = course_of(before, after, np.array(neighbours, dtype=object), LIMITS)
    return [followed(neighbour, [course]) for neighbour in neighbours]


def same(one: shapely.Geometry | None, other: shapely.Geometry) -> bool:
    if one is None:
        return False
    return float(shapely.area(shapely.symmetric_difference(one, other))) < 1e-6


WEST, EAST, NORTH, NORTH_EAST = square(0, 0), square(10, 0), square(0, 10), square(10, 10)


def test_a_bump_in_a_boundary_is_taken_over_by_the_neighbour() -> None:
    bumped = polygon((0, 0), (10, 0), (10, 4), (11, 5), (10, 6), (10, 10), (0, 10))
    (east,) = follow(WEST, bumped, [EAST])
    assert same(east, shapely.difference(EAST, bumped))


def test_a_parcel_that_grows_takes_from_its_neighbour_alone() -> None:
    grown = square(0, 0, width=12)
    east, north, north_east = follow(WEST, grown, [EAST, NORTH, NORTH_EAST])
    assert same(east, square(12, 0, width=8))
    assert same(north, NORTH)
    assert same(north_east, NORTH_EAST)


def test_what_a_parcel_gives_up_goes_to_the_neighbour_across_the_moved_boundary() -> None:
    east, *_ = follow(WEST, square(0, 0, width=8), [EAST, NORTH, NORTH_EAST])
    assert same(east, square(8, 0, width=12))


def test_a_corner_that_moved_moves_for_all_that_meet_there() -> None:
    after = polygon((0, 0), (10, 0), (11, 12), (0, 10))
    east, north, north_east = follow(WEST, after, [EAST, NORTH, NORTH_EAST])
    assert same(east, polygon((10, 0), (20, 0), (20, 10), (11, 12)))
    assert same(north, polygon((0, 10), (11, 12), (10, 20), (0, 20)))
    assert same(north_east, polygon((11, 12), (20, 10), (20, 20), (10, 20)))


def test_a_corner_within_reach_is_the_same_corner() -> None:
    after = polygon((0, 0), (10.2, 0.1), (10.2, 10.2), (0, 10))
    east, north, north_east = follow(WEST, after, [EAST, NORTH, NORTH_EAST])
    assert same(east, polygon((10.2, 0.1), (20, 0), (20, 10), (10.2, 10.2)))
    assert same(north, polygon((0, 10), (10.2, 10.2), (10, 20), (0, 20)))
    assert same(north_east, polygon((10.2, 10.2), (20, 10), (20, 20), (10, 20)))


def test_the_boundary_of_two_neighbours_is_drawn_out_to_the_new_one() -> None:
    low, high = (
        polygon((10, 0), (20, 0), (20, 4), (10, 6)),
        polygon((10, 6), (20, 4), (20, 10), (10, 10)),
    )
    grown, shrunk = square(0, 0, width=15), square(0, 0, width=5)
    for after, x, y in ((grown, 15, 5), (shrunk, 5, 7)):
        new_low, new_high = follow(WEST, after, [low, high])
        assert same(new_low, polygon((x, 0), (20, 0), (20, 4), (x, y)))
        assert same(new_high, polygon((x, y), (20, 4), (20, 10), (x, 10)))


def test_a_leg_that_another_parcel_ends_on_turns_about_that_corner_for_both() -> None:
    # the boundary of north and north-east has a corner of a third parcel half way up
    low, high = square(10, 10, height=5), square(10, 15, height=5)
    after = polygon((0, 0), (10, 0), (11, 12), (0, 10))
    north, new_low, new_high = follow(WEST, after, [NORTH, low, high])
    assert same(north, polygon((0, 10), (11, 12), (10, 15), (10, 20), (0, 20)))
    assert same(new_low, polygon((11, 12), (20, 10), (20, 15), (10, 15)))
    assert same(new_high, high)


def test_a_boundary_that_draws_back_from_a_crossing_is_one_new_edge() -> None:
    cut = polygon((0, 0), (10, 0), (0, 10))
    east, north, north_east = follow(WEST, cut, [EAST, NORTH, NORTH_EAST])
    assert same(east, polygon((10, 0), (20, 0), (20, 10), (10, 10), (5, 5)))
    assert same(north, polygon((0, 10), (5, 5), (10, 10), (10, 20), (0, 20)))
    assert same(north_east, NORTH_EAST)


def test_a_longer_edge_of_the_neighbour_follows_where_it_is_shared() -> None:
    long_east = square(10, -10, height=30)
    (east,) = follow(WEST, square(0, 0, width=12), [long_east])
    assert same(east, shapely.difference(long_east, square(0, 0, width=12)))
    (east,) = follow(WEST, square(0, 0, width=8), [long_east])
    assert same(east, shapely.union(long_east, square(8, 0, width=2)))


def test_a_neighbour_with_extra_vertices_on_the_boundary_follows() -> None:
    dense = polygon((10, 0), (20, 0), (20, 10), (10, 10), (10, 7), (10, 3))
    (east,) = follow(WEST, square(0, 0, width=12), [dense])
    assert same(east, square(12, 0, width=8))


def test_the_hole_of_a_neighbour_follows_the_parcel_that_fills_it() -> None:
    ring = shapely.difference(square(-10, -10, 30, 30), WEST)
    grown = polygon((0, 0), (10, 0), (13, 5), (10, 10), (0, 10))
    (around,) = follow(WEST, grown, [ring])
    assert same(around, shapely.difference(ring, grown))


def test_a_parcel_in_a_hole_follows_the_hole() -> None:
    def around(hole: shapely.Polygon) -> shapely.Geometry:
        return shapely.difference(square(-10, -10, 30, 30), hole)

    (inner,) = follow(around(WEST), around(square(1, 1, 11, 11)), [WEST])
    assert same(inner, square(1, 1, 11, 11))


def test_a_boundary_moved_against_two_neighbours_moves_in_both() -> None:
    south = square(0, -10)
    after = polygon((0, 2), (10, 2), (12, 10), (0, 10))
    east, below = follow(WEST, after, [EAST, south])
    assert same(below, square(0, -10, height=12))
    assert same(east, polygon((10, 0), (10, 2), (12, 10), (20, 10), (20, 0)))


def test_a_part_of_many_follows_and_the_type_stays() -> None:
    east = shapely.multipolygons([EAST, square(100, 100)])
    (new,) = follow(WEST, square(0, 0, width=12), [east])
    assert new is not None
    assert shapely.get_type_id(new) == shapely.GeometryType.MULTIPOLYGON
    assert same(new, shapely.multipolygons([square(12, 0, width=8), square(100, 100)]))


def test_heights_come_with_the_new_course() -> None:
    def high(polygon: shapely.Geometry, z: float) -> shapely.Geometry:
        return shapely.force_3d(polygon, z=z)

    (east,) = follow(high(WEST, 1), high(square(0, 0, width=12), 5), [high(EAST, 1)])
    assert east is not None
    heights = {(x, y): z for x, y, z in shapely.get_coordinates(east, include_z=True)}
    assert heights[12, 0] == heights[12, 10] == 5
    assert heights[20, 0] == 1


def test_a_neighbour_swallowed_whole_can_not_follow() -> None:
    (east,) = follow(WEST, square(0, 0, width=30), [EAST])
    assert east is None


def test_what_shares_nothing_that_moved_stays() -> None:
    west_of_it = square(-10, 0)
    (stays,) = follow(WEST, square(0, 0, width=12), [west_of_it])
    assert same(stays, west_of_it)


def test_two_changed_parcels_move_one_neighbour() -> None:
    above = square(0, 10)
    long_east = square(10, 0, height=20)
    around = np.array([long_east], dtype=object)
    low = course_of(WEST, square(0, 0, width=12), around, LIMITS)
    high = course_of(above, square(0, 10, width=12), around, LIMITS)
    assert same(followed(long_east, [low, high]), square(12, 0, width=8, height=20))


def test_random_moves_of_a_boundary_leave_neither_gap_nor_overlap() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        x = 10 + random.uniform(-4, 4, 5)
        middle = np.column_stack([x, [0, 3, 5, 8, 10]])
        before = shapely.Polygon([(0, 0), *middle, (0, 10)])
        east = shapely.Polygon([(20, 0), (20, 10), *middle[::-1]])
        moved = middle.copy()
        moved[1:-1] += random.uniform(-1, 1, (3, 2))
        chosen = np.sort(random.choice(np.arange(1, 4), random.integers(1, 4), replace=False))
        after = shapely.Polygon([(0, 0), middle[0], *moved[chosen], middle[-1], (0, 10)])
        (new,) = follow(before, after, [east])
        assert new is not None
        assert same(shapely.union(after, new), square(0, 0, width=20))
        assert shapely.area(shapely.intersection(after, new)) < 1e-6


def test_pairs_are_those_that_touch() -> None:
    changed, other = neighbour_pairs(
        np.array([WEST, square(50, 50)], dtype=object),
        shapely.STRtree([NORTH_EAST, square(90, 90), EAST]),
    )
    assert (changed.tolist(), other.tolist()) == ([0, 0], [0, 2])


@pytest.mark.parametrize(("width", "count"), [(0.001, 0), (0.01, 1)])
def test_a_sliver_of_rounding_is_not_thick(width: float, count: int) -> None:
    assert len(thick_parts(square(0, 0, width=width), 0.001)) == count
