from typing import Any

import numpy as np
import pytest
import shapely

from cityframe.core import displacement


def geometries(*texts: str) -> np.ndarray:
    return shapely.from_wkt(list(texts))


def test_translation_is_the_mean_displacement_of_the_vertices() -> None:
    before = geometries("LINESTRING (0 0, 10 0)", "POINT (1 1)")
    after = geometries("LINESTRING (1 2, 11 4)", "POINT (1 0.5)")
    np.testing.assert_allclose(displacement.translation(before, after), [[1, 3], [0, -0.5]])


def test_translation_does_not_depend_on_where_a_ring_starts() -> None:
    before = geometries("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))")
    after = geometries("POLYGON ((5 4, 1 4, 1 0, 5 0, 5 4))")
    np.testing.assert_allclose(displacement.translation(before, after), [[1, 0]])


def test_translation_follows_the_centroid_where_vertices_were_added() -> None:
    before = geometries("LINESTRING (0 0, 10 0)")
    after = geometries("LINESTRING (0 1, 1 1, 2 1, 10 1)")
    np.testing.assert_allclose(displacement.translation(before, after), [[0, 1]])


def test_translation_keeps_millimetres_at_large_coordinates() -> None:
    before = shapely.transform(
        geometries("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))"),
        lambda xy: np.add(xy, [39_500_000, 3_400_000]),
    )
    after = shapely.transform(before, lambda xy: np.add(xy, [0.001, 0]))
    np.testing.assert_allclose(displacement.translation(before, after), [[0.001, 0]], atol=1e-7)


def test_outlines_of_parallel_lines_are_their_distance_apart() -> None:
    before = geometries("LINESTRING (0 0, 100 0)")
    after = geometries("LINESTRING (0 0.3, 50 0.3, 100 0.3)")
    rms, hausdorff = displacement.outline_displacement(before, after, 1.0)
    assert rms == pytest.approx(0.3)
    assert hausdorff == pytest.approx(0.3)


def test_rms_weights_by_length_and_not_by_vertices() -> None:
    # a tenth of the line is out by 1 m, drawn with many vertices
    crowded = [[x, 1.0] for x in np.linspace(90, 100, 50)]
    before = shapely.linestrings([[[0, 0], [100, 0]]])
    after = np.array([shapely.LineString([[0, 0], [89.99, 0], *crowded])])
    rms, hausdorff = displacement.outline_displacement(before, after, 0.1)
    assert rms[0] == pytest.approx(np.sqrt(0.1), rel=0.05)
    assert hausdorff[0] == pytest.approx(1.0)


def test_rms_of_one_side_that_is_longer_counts_both_ways() -> None:
    before = geometries("LINESTRING (0 0, 10 0)")
    after = geometries("LINESTRING (0 0, 10 0, 10 6)")
    rms, hausdorff = displacement.outline_displacement(before, after, 0.05)
    # nothing over 10 + 10 m, and 0 to 6 m over 6 m: the integral of x² is 72
    assert rms[0] == pytest.approx(np.sqrt(72 / 26), rel=0.02)
    assert hausdorff[0] == pytest.approx(6.0)


def test_a_hole_belongs_to_the_outline() -> None:
    before = geometries("POLYGON ((0 0, 20 0, 20 20, 0 20, 0 0), (5 5, 5 10, 10 10, 10 5, 5 5))")
    after = geometries("POLYGON ((0 0, 20 0, 20 20, 0 20, 0 0))")
    _, hausdorff = displacement.outline_displacement(before, after, 0.5)
    assert hausdorff[0] == pytest.approx(10.0)


def test_multipoints_are_compared_point_by_point() -> None:
    before = geometries("MULTIPOINT (0 0, 10 0)")
    after = geometries("MULTIPOINT (10 0.4, 0 0.3)")
    rms, hausdorff = displacement.outline_displacement(before, after, 1.0)
    assert rms[0] == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 2))
    assert hausdorff[0] == pytest.approx(0.4)


def test_a_line_without_length_is_a_point() -> None:
    before = geometries("LINESTRING (0 0, 0 0)")
    after = geometries("LINESTRING (3 4, 3 4)")
    rms, hausdorff = displacement.outline_displacement(before, after, 1.0)
    assert (rms[0], hausdorff[0]) == (pytest.approx(5.0), pytest.approx(5.0))


@pytest.mark.parametrize("kind", ["ring", "points"])
def test_long_outlines_are_measured_like_short_ones(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius = 50 + np.sin(9 * angle)
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    make = shapely.Polygon if kind == "ring" else shapely.MultiPoint
    before, after = np.array([make(ring)]), np.array([make(np.add(ring[::2], [0.2, 0.1]))])
    plain = displacement.outline_displacement(before, after, 0.5)
    monkeypatch.setattr(displacement, "_LONG_OUTLINE", 10)
    np.testing.assert_allclose(displacement.outline_displacement(before, after, 0.5), plain)


def test_samples_of_a_very_long_line_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    points = shapely.points
    monkeypatch.setattr(shapely, "points", lambda xy: counts.append(len(xy)) or points(xy))
    before = geometries("LINESTRING (0 0, 1000000 0)")
    displacement.outline_displacement(before, before, 0.001)
    assert max(counts) <= displacement.MAX_SAMPLES + 2


def test_vertex_displacement_is_the_largest_of_a_vertex() -> None:
    before = geometries("LINESTRING (0 0, 10 0)", "LINESTRING (0 0, 10 0)")
    after = geometries("LINESTRING (0 0.1, 10 0.5)", "LINESTRING (0 0, 5 0, 10 0)")
    np.testing.assert_allclose(displacement.vertex_displacement(before, after), [0.5, np.inf])


def test_vertices_in_other_parts_do_not_pair_up() -> None:
    before = geometries("MULTILINESTRING ((0 0, 10 0, 20 0), (30 0, 40 0))")
    after = geometries("MULTILINESTRING ((0 0, 10 0), (20 0, 30 0, 40 0))")
    assert np.isinf(displacement.vertex_displacement(before, after)[0])


def test_vertex_displacement_bounds_the_hausdorff_distance() -> None:
    random = np.random.default_rng(5)
    xy = random.random((200, 8, 2)) * 20
    before, after = (shapely.linestrings(xy + random.normal(0, 0.5, xy.shape)) for _ in range(2))
    bound = displacement.vertex_displacement(before, after)
    assert (shapely.hausdorff_distance(before, after) <= bound + 1e-9).all()


@pytest.mark.parametrize("make", [shapely.linestrings, shapely.polygons, shapely.multipoints])
@pytest.mark.parametrize("spacing_m", [0.05, 100.0])
def test_the_bound_of_the_rms_is_never_less(make: Any, spacing_m: float) -> None:
    random = np.random.default_rng(6)
    angle = 2 * np.pi * np.arange(8) / 8
    ring = np.stack([9 * np.cos(angle), 5 * np.sin(angle)], axis=1)
    xy = ring[None] + random.normal(0, 0.5, (60, 8, 2))
    before, after = (make(xy + random.normal(0, 0.5, xy.shape)) for _ in range(2))
    rms, _ = displacement.outline_displacement(before, after, spacing_m)
    bound = displacement.rms_bound(before, after)
    assert (rms <= bound + 1e-9).all()
    assert (bound < 2 * rms + 0.5).all()


def test_the_bound_of_the_rms_counts_holes() -> None:
    before = geometries("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 3 6, 6 6, 6 3, 3 3))")
    after = geometries("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 3 7, 6 7, 6 3, 3 3))")
    # 1 m at two of four corners of the hole; a corner stands for half of what meets in it
    expected = np.sqrt((2 * 3 + (3.5 + 3.5)) / (2 * 36 + 12 + 14))
    assert displacement.rms_bound(before, after)[0] == pytest.approx(expected)


def test_heights_are_compared_vertex_by_vertex_or_by_their_range() -> None:
    before = geometries(
        "LINESTRING Z (0 0 1, 1 0 2)", "LINESTRING Z (0 0 1, 1 0 2)", "POINT Z (0 0 NaN)"
    )
    after = geometries(
        "LINESTRING Z (0 0 1, 1 0 2.5)",
        "LINESTRING Z (0 0 1, 0.5 0 1, 1 0 5)",
        "POINT Z (0 0 3)",
    )
    np.testing.assert_allclose(displacement.height_difference(before, after), [0.5, 3.0, np.inf])


def test_heights_missing_on_both_sides_agree() -> None:
    before = geometries("POINT Z (0 0 NaN)")
    assert displacement.height_difference(before, before)[0] == 0.0


def test_nothing_gives_nothing() -> None:
    nothing = np.empty(0, dtype=object)
    assert displacement.translation(nothing, nothing).shape == (0, 2)
    assert len(displacement.vertex_displacement(nothing, nothing)) == 0
    assert len(displacement.outline_displacement(nothing, nothing, 1.0)[0]) == 0
