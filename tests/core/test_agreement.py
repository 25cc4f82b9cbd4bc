import numpy as np
import pytest
import shapely

from cityframe.core.agreement import Tolerance, compare_geometry, within_tolerance
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title

# σd = 0.1 m: within means RMS up to 0.2 m and 0.3 m anywhere
TOLERANCE = Tolerance(0.1)
HOUSE = "POLYGON ((0 0, 10 0, 10 8, 0 8, 0 0))"


def layer(geometry: GeometryType, *, has_z: bool = False) -> Layer:
    return Layer(
        name="things",
        title=Title("物", "things"),
        geometry=geometry,
        crs="EPSG:4547",
        precision_m=0.001,
        accuracy_m=0.1,
        key=(),
        attributes=(),
        has_z=has_z,
    )


def agreement(
    before: str | None, after: str | None, kind: GeometryType, *, has_z: bool = False
) -> str:
    sides = [np.array([text and shapely.from_wkt(text)], dtype=object) for text in (before, after)]
    outcome = compare_geometry(sides[0], sides[1], layer(kind, has_z=has_z), TOLERANCE)
    return str(outcome["agreement"].iloc[0])


def test_sigma_of_the_difference_joins_both_accuracies() -> None:
    tolerance = Tolerance.between(0.25, 0.25)
    assert tolerance.rms_m == pytest.approx(0.7071, abs=1e-4)
    assert tolerance.limit_m == pytest.approx(1.0607, abs=1e-4)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("POINT (0.0003 0)", "equal"),
        ("POINT (0.2 0)", "within"),
        ("POINT (0.3 0)", "within"),
        ("POINT (0.301 0)", "moved"),
        ("POINT (900 0)", "moved"),
        ("POINT EMPTY", "reshaped"),
        (None, "reshaped"),
    ],
)
def test_points(after: str | None, expected: str) -> None:
    assert agreement("POINT (0 0)", after, GeometryType.POINT) == expected
    if after:
        assert agreement(after, "POINT (0 0)", GeometryType.POINT) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("POLYGON ((0 8, 0 0, 10 0, 10 8, 0 8))", "equal"),
        ("POLYGON ((0 0, 5 0, 10 0, 10 8, 0 8, 0 0))", "within"),
        ("POLYGON ((0.1 0.1, 10.1 0.1, 10.1 8.1, 0.1 8.1, 0.1 0.1))", "within"),
        # one corner out by 0.29 m leaves the RMS small, by 0.6 m is too far
        ("POLYGON ((0 0, 10.29 0, 10 8, 0 8, 0 0))", "within"),
        ("POLYGON ((0 0, 10.6 0, 10 8, 0 8, 0 0))", "reshaped"),
        # 0.27 m all around: below 3 σd everywhere, but not in the mean
        ("POLYGON ((-0.27 -0.27, 10.27 -0.27, 10.27 8.27, -0.27 8.27, -0.27 -0.27))", "reshaped"),
        ("POLYGON ((5 5, 15 5, 15 13, 5 13, 5 5))", "moved"),
        ("POLYGON ((15 13, 5 13, 5 5, 15 5, 15 13))", "moved"),
        ("POLYGON ((5 5, 10 5, 15 5, 15 13, 5 13, 5 5))", "moved"),
        ("POLYGON ((5 5, 17 5, 17 13, 5 13, 5 5))", "reshaped"),
        ("POLYGON ((0 0, 10 0, 10 8, 0 8, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))", "reshaped"),
    ],
)
def test_polygons(after: str, expected: str) -> None:
    assert agreement(HOUSE, after, GeometryType.POLYGON) == expected
    assert agreement(after, HOUSE, GeometryType.POLYGON) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("LINESTRING (0 0, 50 0.1, 100 0)", "within"),
        ("LINESTRING (0 0.25, 100 0.25)", "moved"),
        ("LINESTRING (100 0, 0 0)", "reshaped"),
        ("LINESTRING (0 0, 50 0, 50 5, 51 5, 51 0, 100 0)", "reshaped"),
        ("LINESTRING (0 0, 90 0)", "reshaped"),
    ],
)
def test_lines(after: str, expected: str) -> None:
    assert agreement("LINESTRING (0 0, 100 0)", after, GeometryType.LINESTRING) == expected


def test_a_loop_that_closes_within_tolerance_is_not_taken_as_reversed() -> None:
    before = "LINESTRING (0 0, 50 0, 50 50, 0 0.1)"
    after = "LINESTRING (0 0.12, 50 0, 50 50, 0 -0.02)"
    assert agreement(before, after, GeometryType.LINESTRING) == "within"


def test_parts_that_join_differently_are_measured_and_not_paired() -> None:
    before = "MULTILINESTRING ((0 0, 10 0, 20 0), (30 0, 40 0))"
    after = "MULTILINESTRING ((0 0, 10 0), (20 0, 30 0, 40 0))"
    assert agreement(before, after, GeometryType.MULTILINESTRING) == "reshaped"


def test_multipoints_within_moved_and_reshaped() -> None:
    before = "MULTIPOINT (0 0, 10 0)"
    kind = GeometryType.MULTIPOINT
    assert agreement(before, "MULTIPOINT (0.1 0, 10 0.1)", kind) == "within"
    assert agreement(before, "MULTIPOINT (5 5, 15 5)", kind) == "moved"
    assert agreement(before, "MULTIPOINT (0 0, 12 0)", kind) == "reshaped"


def test_no_geometry_on_both_sides_is_equal() -> None:
    assert agreement(None, None, GeometryType.POLYGON) == "equal"
    assert agreement("POLYGON EMPTY", HOUSE, GeometryType.POLYGON) == "reshaped"


def test_heights_count_where_the_layer_has_them() -> None:
    pipe = "LINESTRING Z (0 0 5, 100 0 5)"
    lower = "LINESTRING Z (0 0 4, 100 0 5)"
    kind = GeometryType.LINESTRING
    assert agreement(pipe, lower, kind, has_z=True) == "reshaped"
    assert agreement(pipe, lower, kind) == "equal"
    assert agreement(pipe, "LINESTRING Z (0 0 5.2, 100 0 5)", kind, has_z=True) == "within"
    assert agreement("POINT Z (0 0 5)", "POINT Z (0 0 6)", GeometryType.POINT, has_z=True) == (
        "moved"
    )
    assert agreement(pipe, "LINESTRING Z (9 9 5, 109 9 5)", kind, has_z=True) == "moved"


def test_displacements_are_reported_beside_the_agreement() -> None:
    before = shapely.from_wkt(["POINT (0 0)", "POINT (0 0)", "POINT (0 0)"])
    after = np.append(shapely.from_wkt(["POINT (0 0)", "POINT (0.1 0.2)"]), [None])
    outcome = compare_geometry(before, after, layer(GeometryType.POINT), TOLERANCE)
    assert outcome["agreement"].tolist() == ["equal", "within", "reshaped"]
    np.testing.assert_allclose(outcome["dx_m"], [0, 0.1, np.nan])
    np.testing.assert_allclose(outcome["dy_m"], [0, 0.2, np.nan])


def test_within_agrees_with_a_dense_measurement_of_random_shapes() -> None:
    random = np.random.default_rng(3)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rings = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 10
    before = shapely.polygons(np.repeat(rings[None], 300, axis=0))
    noise = random.normal(0, random.uniform(0.01, 0.2, (300, 1, 1)), (300, 12, 2))
    after = shapely.polygons(rings + noise)
    hausdorff = shapely.hausdorff_distance(
        shapely.boundary(before), shapely.boundary(after), densify=0.01
    )
    within = within_tolerance(before, after, TOLERANCE)
    assert not within[hausdorff > TOLERANCE.limit_m * 1.01].any()
    assert within[hausdorff < TOLERANCE.rms_m].all()
    assert 0 < within.sum() < 300


def test_input_is_left_alone() -> None:
    before, after = shapely.from_wkt([HOUSE]), shapely.from_wkt([HOUSE.replace("10", "15")])
    compare_geometry(before, after, layer(GeometryType.POLYGON), TOLERANCE)
    assert before[0].equals(shapely.from_wkt(HOUSE))
