import numpy as np
import pytest
import shapely

from cityframe.core.matching import common_area as module
from cityframe.core.matching.common_area import common_area

EAST, NORTH = 39_500_000.0, 3_400_000.0


def stars(count: int, corners: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(corners) / corners
    radius = 4 + 6 * random.random((count, corners))
    x = EAST + 5 * random.random((count, 1)) + radius * np.cos(angle)
    y = NORTH + 5 * random.random((count, 1)) + radius * np.sin(angle)
    return np.asarray(shapely.polygons(np.round(np.stack([x, y], axis=2), 3)), dtype=object)


def overlaid(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(shapely.area(shapely.intersection(one, other)))


@pytest.mark.parametrize(("first", "second"), [(3, 3), (4, 16), (17, 40), (64, 5), (90, 12)])
def test_the_area_is_that_of_the_overlay(first: int, second: int) -> None:
    one, other = stars(60, first, 1), stars(60, second, 2)
    assert overlaid(one, other).min() > 0
    np.testing.assert_allclose(common_area(one, other), overlaid(one, other), atol=1e-6)
    np.testing.assert_allclose(common_area(other, one), overlaid(one, other), atol=1e-6)


def test_direction_and_start_of_a_ring_do_not_matter() -> None:
    one, other = stars(20, 9, 1), stars(20, 9, 2)
    expected = common_area(one, other)
    np.testing.assert_allclose(common_area(shapely.reverse(one), other), expected, atol=1e-6)
    np.testing.assert_allclose(common_area(shapely.normalize(one), other), expected, atol=1e-6)


def test_upright_edges_common_walls_and_whole_polygons() -> None:
    house = shapely.box(EAST, NORTH, EAST + 8, NORTH + 6)
    others = np.array(
        [
            house,
            shapely.box(EAST + 8, NORTH, EAST + 12, NORTH + 6),
            shapely.box(EAST, NORTH, EAST + 4, NORTH + 6),
            shapely.box(EAST + 2, NORTH + 2, EAST + 3, NORTH + 3),
            shapely.box(EAST + 50, NORTH, EAST + 60, NORTH + 6),
        ]
    )
    houses = np.array([house] * len(others))
    assert common_area(houses, others).tolist() == [48.0, 0.0, 24.0, 1.0, 0.0]


def test_holes_and_parts_count() -> None:
    holed = shapely.box(0, 0, 9, 9) - shapely.box(2, 2, 4, 4)
    parts = shapely.union(shapely.box(0, 0, 1, 1), shapely.box(3, 3, 5, 5))
    assert common_area(np.array([holed]), np.array([parts])).tolist() == [4.0]


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = stars(50, 12, 1), stars(50, 13, 2)
    expected = common_area(one, other)
    monkeypatch.setattr(module, "_BATCH", 1)
    np.testing.assert_array_equal(common_area(one, other), expected)


def test_nothing_has_no_area() -> None:
    nothing = np.empty(0, dtype=object)
    assert len(common_area(nothing, nothing)) == 0
