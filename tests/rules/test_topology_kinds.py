"""The kinds about two features find what their definition, written out plainly, finds."""

import datetime as dt
from itertools import combinations, pairwise, permutations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cityframe.rules.context import Context
from cityframe.rules.registry import rule_kinds

BOXES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 3), st.integers(1, 3)),
    max_size=9,
)
TRIANGLES = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=3),
    max_size=8,
)
LINES = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=3, unique=True),
    max_size=6,
)


@pytest.fixture(scope="module")
def check(layer_of):
    """Return a function that checks geometries and returns the defects."""

    def run(kind, geometry_type, geometry, columns=None, /, **parameters):
        layer = layer_of("things", geometry_type, dict.fromkeys(columns or {}, "string"))
        series = gpd.GeoSeries(np.array([*geometry, None], dtype=object), crs=layer.crs)
        frame = gpd.GeoDataFrame(
            {name: [*values, None] for name, values in (columns or {}).items()}, geometry=series
        )
        context = Context(
            layer=layer,
            frame=frame,
            layers={"things": layer},
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )
        found = rule_kinds()[kind]
        return found.check(context, found.params.model_validate(parameters))

    return run


def _polygons(boxes):
    return [shapely.box(x, y, x + width, y + height) for x, y, width, height in boxes]


def _pairs(found):
    return list(zip(found["row"], found["other_row"], strict=True))


@settings(deadline=None, max_examples=60)
@given(corners=TRIANGLES)
def test_overlaps_of_any_shape_are_those_that_brute_force_finds(check, corners):
    triangles = [shapely.Polygon(corner) for corner in corners]
    triangles = [one for one in triangles if one.is_valid]
    found = check("overlaps", "Polygon", triangles, min_area_m2=1e-6)
    assert _pairs(found) == [
        (one, two)
        for one, two in combinations(range(len(triangles)), 2)
        if triangles[one].intersection(triangles[two]).area > 1e-6
    ]


@settings(deadline=None, max_examples=60)
@given(boxes=BOXES)
def test_contained_are_those_that_another_covers(check, boxes):
    polygons = _polygons(boxes)
    found = check("contained_siblings", "Polygon", polygons)
    assert list(zip(found["row"], map(int, found["other"]), strict=True)) == [
        (inner, outer)
        for inner, outer in permutations(range(len(polygons)), 2)
        if polygons[outer].covers(polygons[inner])
        and (not polygons[inner].equals(polygons[outer]) or outer < inner)
    ]


@settings(deadline=None, max_examples=60)
@given(boxes=BOXES, uses=st.lists(st.sampled_from("xy"), min_size=9, max_size=9))
def test_mergeable_are_likes_with_a_common_border(check, boxes, uses):
    polygons = _polygons(boxes)
    uses = uses[: len(polygons)]
    found = check("mergeable_neighbours", "Polygon", polygons, {"use": uses}, columns=["use"])
    assert _pairs(found) == [
        (one, two)
        for one, two in combinations(range(len(polygons)), 2)
        if uses[one] == uses[two]
        and polygons[one].boundary.intersection(polygons[two].boundary).length > 0.1
    ]


@settings(deadline=None, max_examples=60)
@given(boxes=BOXES, min_m=st.sampled_from([0.5, 1.0, 1.5, 2.0]))
def test_too_near_are_those_below_the_distance(check, boxes, min_m):
    polygons = _polygons(boxes)
    found = check("minimum_spacing", "Polygon", polygons, min_m=min_m)
    assert _pairs(found) == [
        (one, two)
        for one, two in combinations(range(len(polygons)), 2)
        if 0.001 < polygons[one].distance(polygons[two]) < min_m
    ]


def _without_match(polygons):
    """Return the segments of each polygon that no other one has."""
    sides = [
        {frozenset(side) for side in pairwise(ring)}
        for ring in (list(one.exterior.coords) for one in polygons)
    ]
    return [side - set().union(*sides[:at], *sides[at + 1 :]) for at, side in enumerate(sides)]


@settings(deadline=None, max_examples=60)
@given(boxes=BOXES)
def test_unmatched_vertices_are_ends_on_a_side_without_a_vertex(check, boxes):
    polygons = _polygons(boxes)
    loose = _without_match(polygons)
    sides = [shapely.MultiLineString([list(side) for side in one]) for one in loose]
    expected = {
        (row, owner, end)
        for row, owner in permutations(range(len(polygons)), 2)
        for end in {end for side in loose[owner] for end in side}
        if end not in polygons[row].exterior.coords and sides[row].dwithin(shapely.Point(end), 0)
    }
    found = check("unmatched_vertices", "Polygon", polygons)
    places = [(place.x, place.y) for place in found["geometry"]]
    given_back = list(zip(found["row"], map(int, found["other"]), places, strict=True))
    assert set(given_back) == expected
    assert len(given_back) == len(expected)


@settings(deadline=None, max_examples=100)
@given(paths=LINES, nodes=st.sampled_from(["one", "both", "vertex"]))
def test_crossings_are_meetings_away_from_nodes(check, paths, nodes):
    lines = [shapely.LineString(path) for path in paths]
    found = check("crossings", "LineString", lines, nodes=nodes)

    def marks(line):
        return shapely.MultiPoint(
            line.coords if nodes == "vertex" else [line.coords[0], line.coords[-1]]
        )

    expected = set()
    for one, two in combinations(range(len(lines)), 2):
        for place in shapely.get_parts(shapely.intersection(lines[one], lines[two])):
            on = [marks(lines[row]).distance(place) < 0.001 for row in (one, two)]
            is_node = any(on) if nodes == "one" else all(on)
            if not place.is_empty and (not is_node or place.length > 0.001):
                expected.add((one, two))
    assert set(_pairs(found)) == expected


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("contained_siblings", {"min_share": 0.5}),
        ("mergeable_neighbours", {"columns": []}),
        ("mergeable_neighbours", {"columns": ["use"], "tolerance_m": 0.1, "min_border_m": 0.9}),
        ("minimum_spacing", {"min_m": 1.0, "touching_m": 1.0}),
        ("crossings", {"nodes": "some"}),
        ("shared_boundary", {"layer": "parcels", "tolerance_m": 0.1, "near_m": 0.1}),
        ("shared_boundary", {"layer": "parcels", "near_m": 0.5, "min_length_m": 0.9}),
        ("sensor_on_asset", {"layer": "poles", "column": "pole"}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        rule_kinds()[kind].params.model_validate(parameters)


@pytest.mark.parametrize(
    ("kind", "parameters", "reach_m"),
    [
        ("overlaps", {}, 0.0),
        ("gaps", {"max_extent_m": 50.0}, 50.002),
        ("gaps", {}, None),
        ("gaps", {"max_extent_m": 50.0, "within": "districts"}, None),
        ("covered_by", {"layer": "districts", "tolerance_m": 0.2}, 0.2),
        ("ends_on_nodes", {"layer": "nodes", "tolerance_m": 0.2}, 0.2),
        ("shared_boundary", {"layer": "parcels", "tolerance_m": 0.2}, 0.2),
        ("shared_boundary", {"layer": "parcels", "near_m": 0.5, "min_length_m": 1.0}, 0.5),
        ("minimum_spacing", {"min_m": 3.0}, 3.0),
        ("sensor_on_asset", {"layer": "poles", "max_m": 3.0}, 3.0),
    ],
)
def test_reach_is_what_the_parameters_say(layer_of, kind, parameters, reach_m):
    made = rule_kinds()[kind].params.model_validate(parameters)
    assert made.reach_m(layer_of("things", "Polygon")) == reach_m
