from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely

from cityframe.conform import Conformed

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

GOOD = [(114.3, 30.6), (114.31, 30.61), (114.32, 30.62), (114.33, 30.63)]
FEATURE = {"columns": {"name": "NAME"}}


@pytest.fixture
def points(make_layer: Make) -> Any:
    return make_layer({"name": "string"}, geometry="Point")


@pytest.fixture
def lines(make_layer: Make) -> Any:
    return make_layer({"name": "string"}, geometry="LineString")


@pytest.fixture
def table_of(make_table: Make) -> Callable[..., Any]:
    def table(places: Any) -> Any:
        names = [f"p{number}" for number in range(len(places))]
        return make_table({"NAME": names}, geometry=[shapely.Point(*place) for place in places])

    return table


def test_swapped_axes_of_one_record_are_recognised_and_shown_in_place(
    run: Run, table_of: Make, points: Any, found: Found
) -> None:
    outcome = run(table_of([*GOOD, (30.6, 114.3)]), FEATURE, points)
    assert found(outcome, "coordinates") == ["axes look swapped: 30.6, 114.3"]
    assert outcome.fates["record"].tolist() == [4]
    place = outcome.findings.geometry.iloc[0]
    assert place.distance(outcome.frame.geometry.iloc[0]) < 0.001
    assert outcome.quarantine_reasons == ()


def test_swapped_axes_of_the_whole_table_quarantine(run: Run, table_of: Make, points: Any) -> None:
    outcome = run(table_of([(y, x) for x, y in GOOD]), FEATURE, points)
    assert outcome.quarantine_reasons == (
        "intake.coordinates: axes look swapped in 4 of 4 geometries",
    )
    assert outcome.frame.empty


def test_northing_before_easting_is_recognised_too(
    run: Run, table_of: Make, points: Any, found: Found
) -> None:
    outcome = run(table_of([(3386666, 528770)]), FEATURE, points, crs="EPSG:4547")
    assert found(outcome, "coordinates")[1] == "axes look swapped: 3386666, 528770"


@pytest.mark.parametrize(
    "place",
    [(0.0, 0.0), (114.3, -30.6), (121.5, 31.2), (999.0, 30.6), (1e30, 1e30)],
    ids=["null island", "other hemisphere", "another zone", "no longitude", "far out"],
)
def test_place_far_from_the_layer_is_returned(
    run: Run, table_of: Make, points: Any, found: Found, place: tuple[float, float]
) -> None:
    outcome = run(table_of([*GOOD, place]), FEATURE, points)
    (text,) = found(outcome, "coordinates")
    assert text == f"coordinates outside: {place[0]:.12g}, {place[1]:.12g}"
    finding = outcome.findings.iloc[0]
    assert "EPSG:4547" in finding["expected"]
    assert finding["geometry"] is None
    assert len(outcome.frame) == 4


def test_place_a_little_outside_the_zone_is_accepted(run: Run, table_of: Make, points: Any) -> None:
    outcome = run(table_of([(116.2, 30.6)]), FEATURE, points)
    assert outcome.findings.empty


def test_easting_with_the_zones_number_is_outside(
    run: Run, table_of: Make, points: Any, found: Found
) -> None:
    good = [(528770 + n, 3386666) for n in range(3)]
    table = table_of([*good, (38528770, 3386666)])
    assert found(run(table, FEATURE, points, crs="EPSG:4547"), "coordinates") == [
        "coordinates outside: 38528770, 3386666"
    ]


def test_coordinates_that_are_not_finite_are_returned_wherever_they_stand(
    run: Run, make_table: Make, lines: Any, found: Found
) -> None:
    with np.errstate(invalid="ignore"):
        shapes = [
            shapely.LineString(GOOD),
            shapely.linestrings([(114.3, 30.6), (np.nan, 30.6), (114.4, 30.6)]),
            shapely.linestrings([(114.3, 30.6, 5), (114.3, np.inf, np.nan)]),
        ]
    outcome = run(make_table({"NAME": list("abc")}, geometry=shapes), FEATURE, lines)
    assert outcome.fates["record"].tolist() == [1, 2]
    assert all("not finite" in text for text in found(outcome, "coordinates"))
    assert outcome.findings.geometry.isna().all()


def test_one_vertex_far_out_returns_the_line(run: Run, make_table: Make, lines: Any) -> None:
    shapes = [shapely.LineString(GOOD), shapely.LineString([*GOOD, (0, 0)])] * 2
    shapes[2] = shapely.LineString([(114.3, 30.6), (114.4, 30.7)])
    outcome = run(make_table({"NAME": list("abcd")}, geometry=shapes), FEATURE, lines)
    assert outcome.fates["record"].tolist() == [1, 3]


def test_null_and_empty_geometries_are_left_to_the_rules(
    run: Run, make_table: Make, points: Any
) -> None:
    shapes = [shapely.Point(*GOOD[0]), None, shapely.Point()]
    outcome = run(make_table({"NAME": list("abc")}, geometry=shapes), FEATURE, points)
    assert outcome.findings.empty
    assert outcome.frame.geometry.isna().tolist() == [False, True, False]
    assert outcome.frame.geometry.iloc[2].is_empty


def test_most_places_outside_quarantine(run: Run, table_of: Make, points: Any) -> None:
    outcome = run(table_of([GOOD[0], (0, 0), (1, 1), (2, 2)]), FEATURE, points)
    assert outcome.quarantine_reasons == (
        "intake.coordinates: coordinates lie outside in 3 of 4 geometries",
    )
