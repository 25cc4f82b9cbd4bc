"""By how much two surveys lie apart, place by place."""

import numpy as np
import pytest
import shapely

from cityframe.core.matching.local_shift import CELL_M, local_shift, moved

REACH_M = 9.0


def scattered(count: int, seed: int, size_m: float = 600.0) -> np.ndarray:
    """Return houses of many sizes, far enough from each other to be told apart."""
    random = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(count)))
    cell = np.arange(count)
    west, south = (cell % columns) * size_m / columns, (cell // columns) * size_m / columns
    width, height = random.uniform(6, 14, count), random.uniform(6, 14, count)
    return shapely.box(west, south, west + width, south + height)


def one_to_one(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count), np.arange(count)


def shifted(geometry: np.ndarray, by: np.ndarray) -> np.ndarray:
    return moved(geometry, np.broadcast_to(by, (len(geometry), 2)).astype(float))


def test_the_shift_is_found_though_a_third_of_the_pairs_are_wrong():
    before = scattered(60, 1)
    by = np.tile([3.0, -2.0], (60, 1))
    by[::3] = np.random.default_rng(2).uniform(-4, 4, (20, 2))
    found = local_shift(before, moved(before, by), one_to_one(60), REACH_M)
    np.testing.assert_allclose(found[0], np.tile([3.0, -2.0], (60, 1)), atol=0.6)


def test_few_pairs_say_nothing():
    before = scattered(4, 1, 100.0)
    found = local_shift(before, shifted(before, np.array([3.0, 0.0])), one_to_one(4), REACH_M)
    assert not np.any(found[0])
    assert not np.any(found[1])


def test_noise_without_a_common_direction_is_no_shift():
    before = scattered(64, 3)
    by = np.random.default_rng(5).normal(0, 1.5, (64, 2))
    found = local_shift(before, moved(before, by), one_to_one(64), REACH_M)
    assert not np.any(found[0])


def test_polygons_that_may_have_several_partners_do_not_count():
    before = scattered(30, 4)
    after = shifted(before, np.array([3.0, 0.0]))
    # everything may go with everything of its like
    first, second = (grid.ravel() for grid in np.meshgrid(np.arange(30), np.arange(30)))
    alone = local_shift(before, after, (first, second), 1e6)
    assert not np.any(alone[0])


def test_places_far_apart_have_their_own_shift():
    here = scattered(40, 5)
    there = shifted(scattered(40, 6), np.array([20 * CELL_M, 0.0]))
    before = np.concatenate([here, there])
    by = np.concatenate([np.tile([4.0, 0.0], (40, 1)), np.tile([0.0, -5.0], (40, 1))])
    found = local_shift(before, moved(before, by), one_to_one(80), REACH_M)
    np.testing.assert_allclose(found[0], by, atol=1e-6)


@pytest.mark.parametrize("west", [0.0, -3 * CELL_M])
def test_a_tile_with_a_margin_of_two_cells_gives_what_the_whole_gives(west):
    before = shifted(scattered(900, 7, 3000.0), np.array([west, -400.0]))
    random = np.random.default_rng(8)
    after = moved(before, random.normal([3.0, 1.0], 0.4, (900, 2)))
    whole = local_shift(before, after, one_to_one(900), REACH_M)[0]
    x = shapely.get_x(shapely.centroid(before)) - west
    tile = (x >= 1000) & (x < 2000)
    near = np.flatnonzero((x >= 1000 - 2 * CELL_M - 20) & (x < 2000 + 2 * CELL_M + 20))
    part = local_shift(before[near], after[near], one_to_one(len(near)), REACH_M)[0]
    np.testing.assert_array_equal(part[tile[near]], whole[tile])


def test_exchanging_the_sides_turns_the_shift_round():
    before = scattered(50, 9)
    after = moved(before, np.random.default_rng(1).normal([2.0, 1.0], 0.5, (50, 2)))
    there = local_shift(before, after, one_to_one(50), REACH_M)
    back = local_shift(after, before, one_to_one(50), REACH_M)
    np.testing.assert_array_equal(there[0], -back[1])
    np.testing.assert_array_equal(there[1], -back[0])


def test_moved_translates_each_by_its_own_and_keeps_the_rest():
    both = shapely.box([0, 10], [0, 10], [1, 11], [1, 11])
    result = moved(both, np.array([[0.0, 0.0], [5.0, -1.0]]))
    assert result[0] is both[0]
    assert shapely.equals(result[1], shapely.box(15, 9, 16, 10))
    assert shapely.equals(both[1], shapely.box(10, 10, 11, 11))
