"""The kinds about positions and seams against their definitions, worked out the plain way."""

import datetime as dt
import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.interpolate import LinearNDInterpolator

from cityframe.rules.context import Context
from cityframe.rules.geometry.control_points import ControlParameters, residuals
from cityframe.rules.geometry.mean_error import MeanErrorParameters, kept_errors, mean_error
from cityframe.rules.kinds import height_against_terrain
from cityframe.rules.registry import rule_kinds

PLACES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8, unique=True)
ORIGIN = np.array([500_000.0, 3_400_000.0])
AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def context_of(layer_of):
    """Return a function that makes a context over geometries, with one other layer."""

    def make(kind, geometry, other_kind, other):
        layers = {
            name: layer_of(name, one) for name, one in (("things", kind), ("other", other_kind))
        }
        frames = [
            gpd.GeoDataFrame(
                {"uid": [f"{prefix}{row}" for row in range(len(shapes))]},
                geometry=gpd.GeoSeries(np.asarray(shapes, dtype=object), crs="EPSG:4547"),
            )
            for prefix, shapes in (("f", geometry), ("o", other))
        ]
        return Context(
            layer=layers["things"],
            frame=frames[0],
            layers=layers,
            as_of=AS_OF,
            read_other=lambda _: frames[1],
        )

    return make


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(1, 30), st.booleans())
def test_the_mean_error_is_that_of_the_standard(errors, few, same_accuracy):
    size = len(errors)
    if size < few:
        wanted = sum(abs(error) for error in errors) / size
    else:
        wanted = math.sqrt(sum(error**2 for error in errors) / size)
    wanted /= math.sqrt(2) if same_accuracy else 1
    found = mean_error(np.array(errors), few=few, same_accuracy=same_accuracy)
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("parameters", "limit_m"),
    [
        ({}, 0.5),
        ({"max_mean_error_m": 1.0}, 2.0),
        ({"max_mean_error_m": 1.0, "same_accuracy": True}, 2 * math.sqrt(2)),
        ({"max_mean_error_m": 1.0, "gross_factor": 3.0}, 3.0),
    ],
)
def test_an_error_is_gross_beyond_twice_the_mean_error_allowed(layer_of, parameters, limit_m):
    layer = layer_of("things", "Point")
    assert MeanErrorParameters(**parameters).gross_limit_m(layer) == pytest.approx(limit_m)


def test_if_all_errors_are_gross_all_take_part():
    assert kept_errors(np.array([1.0, -5.0, 5.0]), 2.0).tolist() == [True, False, False]
    assert kept_errors(np.array([-5.0, 5.0]), 2.0).all()


@settings(max_examples=60, deadline=None)
@given(PLACES, PLACES, st.integers(1, 5))
def test_by_nearness_each_check_point_has_one_feature_and_each_feature_one(
    context_of, features, controls, within
):
    context = context_of(
        "Point", [shapely.Point(xy) for xy in features],
        "Point", [shapely.Point(xy) for xy in controls],
    )  # fmt: skip
    nearest = {}
    for control, (x, y) in enumerate(controls):
        distances = [
            (math.hypot(x - a, y - b), row, control) for row, (a, b) in enumerate(features)
        ]
        near = min((one for one in distances if one[0] <= within), default=None)
        if near is not None:
            nearest[near[1]] = min(near, nearest.get(near[1], near))
    pairs = residuals(context, ControlParameters(layer="other", within_m=within))
    assert list(zip(pairs.row, pairs.control, strict=True)) == sorted(
        (row, control) for _, row, control in nearest.values()
    )
    assert pairs.length_m.tolist() == pytest.approx(shapely.length(pairs.place).tolist())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_terrain_is_interpolated_linearly_at_real_coordinates(seed):
    rng = np.random.default_rng(seed)
    terrain = rng.uniform(0, 100, (12, 3)) + np.append(ORIGIN, 0.0)
    xy = rng.uniform(-10, 110, (20, 2)) + ORIGIN
    near = terrain[:, :2] - ORIGIN
    wanted = LinearNDInterpolator(near, terrain[:, 2])(xy - ORIGIN)
    found = height_against_terrain._interpolated(terrain, xy, None)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


SHEETS = [shapely.box(x, y, x + 10, y + 10) for x in (0, 10) for y in (0, 10)]
LINES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
    .map(lambda one: tuple(value / 2 for value in one))
    .filter(lambda one: one[:2] != one[2:]),
    max_size=9,
)


@pytest.mark.parametrize("name", ["edge_geometry", "edge_attributes"])
@settings(max_examples=40, deadline=None)
@given(lines=LINES)
def test_a_seam_finding_depends_on_nothing_beyond_the_reach(context_of, name, lines):
    kind = rule_kinds()[name]
    more = {"search_m": 2.0} if name == "edge_geometry" else {"columns": ("uid",)}
    parameters = kind.params(layer="other", max_offset_m=1.0, border_m=0.5, **more)
    geometry = [shapely.LineString([one[:2], one[2:]]) for one in lines]
    context = context_of("LineString", geometry, "Polygon", SHEETS)
    found = _with_ids(context, kind.check(context, parameters))
    reach_m = parameters.reach_m(context.layer)
    for row in range(len(geometry)):
        near = np.flatnonzero(shapely.distance(context.geometry, geometry[row]) <= reach_m)
        part = context_of("LineString", context.geometry[near], "Polygon", SHEETS)
        part.frame["uid"] = context.frame["uid"].to_numpy()[near]
        alone = _with_ids(part, kind.check(part, parameters))
        own = f"f{row}"
        assert [one for one in alone if one[0] == own] == [one for one in found if one[0] == own]


def _with_ids(context, table):
    uids = [*context.frame["uid"], ""]
    return sorted(
        (uids[row], uids[other], text, place.wkt)
        for row, other, text, place in zip(
            table["row"], table["other_row"], table["found"], table["geometry"], strict=True
        )
    )


@settings(max_examples=60, deadline=None)
@given(lines=LINES)
def test_an_end_at_a_border_is_met_or_a_finding(context_of, lines):
    kind = rule_kinds()["edge_geometry"]
    parameters = kind.params(layer="other", max_offset_m=1.0, border_m=0.5, max_angle_deg=180.0)
    geometry = [shapely.LineString([one[:2], one[2:]]) for one in lines]
    context = context_of("LineString", geometry, "Polygon", SHEETS)
    ends = []
    for row, one in enumerate(lines):
        for end, other in ((one[:2], one[2:]), (one[2:], one[:2])):
            length = math.dist(end, other)
            share = min(length / 2, 1.0) / length
            inside = shapely.Point(
                end[0] + (other[0] - end[0]) * share, end[1] + (other[1] - end[1]) * share
            )
            own = next(i for i, sheet in enumerate(SHEETS) if sheet.intersects(inside))
            across = [sheet for i, sheet in enumerate(SHEETS) if i != own]
            if min(shapely.distance(across, shapely.Point(end))) <= 0.5:
                ends.append((row, end, own))
    lonely = {
        row
        for row, end, own in ends
        if not any(other != own and math.dist(end, place) <= 1.0 for _, place, other in ends)
    }
    table = kind.check(context, parameters)
    failing = set(table["row"]) | set(table["other_row"])
    assert lonely <= failing
    assert set(table["row"][table["other_row"] < 0]) <= lonely


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("position_rmse", {"layer": "other"}),
        ("position_rmse", {"layer": "other", "column": "no", "max_mean_error_m": 0}),
        ("gross_error_rate", {"layer": "other", "column": "no", "max_share": 1.0}),
        ("position_bias", {"layer": "other", "within_m": -1}),
        ("relative_distance", {"layer": "other"}),
        ("height_against_terrain", {"layer": "other"}),
        ("survey_shift", {"factor": 0}),
        ("edge_geometry", {"layer": "other", "max_offset_m": 2.0, "search_m": 1.0}),
        ("edge_attributes", {"layer": "other", "columns": []}),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name, parameters):
    with pytest.raises(ValidationError):
        rule_kinds()[name].params(**parameters)


def test_a_layer_without_heights_does_not_fit_a_terrain(layer_of):
    params = rule_kinds()["height_against_terrain"].params
    by_z = params(layer="dem", max_mean_error_m=1.0)
    by_column = params(layer="dem", max_mean_error_m=1.0, column="height")
    assert "no Z" in by_z.misfit(layer_of("things", "Point"))
    assert not by_z.misfit(layer_of("things", "LineString", has_z=True))
    assert "LineString" in by_column.misfit(layer_of("things", "LineString"))
    assert not by_column.misfit(layer_of("things", "Point"))
