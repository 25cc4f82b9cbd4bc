"""What must hold of the kinds on any data: the fast way finds what the plain way finds."""

import datetime as dt
from itertools import combinations, pairwise

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.rules.context import Context
from cityframe.rules.geometry.vertices import vertices
from cityframe.rules.registry import rule_kinds

BOXES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 3), st.integers(1, 3)),
    min_size=0,
    max_size=12,
)


@pytest.fixture(scope="module")
def context_of(layer_of):
    """Return a function that makes a context over geometries."""

    def make(geometry_type, geometry):
        layer = layer_of("things", geometry_type)
        series = gpd.GeoSeries(np.asarray(geometry, dtype=object), crs=layer.crs)
        return Context(
            layer=layer,
            frame=gpd.GeoDataFrame(geometry=series),
            layers={"things": layer},
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )

    return make


def _check(kind, context, **parameters):
    found = rule_kinds()[kind]
    return found.check(context, found.params.model_validate(parameters))


def _polygons(boxes):
    return [shapely.box(x, y, x + width, y + height) for x, y, width, height in boxes]


@settings(deadline=None, max_examples=150)
@given(boxes=BOXES)
def test_overlaps_finds_every_pair_that_brute_force_finds(context_of, boxes):
    polygons = _polygons(boxes)
    found = _check("overlaps", context_of("Polygon", polygons), min_area_m2=0.0)
    expected = {
        (one, two)
        for one, two in combinations(range(len(polygons)), 2)
        if polygons[one].intersection(polygons[two]).area > 0
    }
    assert set(zip(found["row"], found["other_row"], strict=True)) == expected
    assert len(found) == len(expected)


@settings(deadline=None, max_examples=150)
@given(boxes=BOXES)
def test_gaps_are_the_holes_of_the_union(context_of, boxes):
    polygons = _polygons(boxes)
    found = _check("gaps", context_of("Polygon", polygons), min_area_m2=0.0)
    union = shapely.union_all(polygons)
    holes = [ring for part in shapely.get_parts(union) for ring in getattr(part, "interiors", [])]
    filled = shapely.union_all([shapely.Polygon(ring) for ring in holes])
    expected = shapely.difference(filled, union)  # without the islands
    places = np.asarray(found["geometry"], dtype=object)
    assert len(found) == len(shapely.get_parts(expected))
    assert shapely.union_all(places).symmetric_difference(expected).area < 1e-9


@pytest.mark.parametrize("first", ["tiles", "ring"])
@pytest.mark.parametrize("second", ["tiles", "ring", "turned ring"])
def test_a_gap_is_found_in_a_coverage_that_stands_twice(context_of, first, second):
    places = [(x, y) for x in range(3) for y in range(3) if (x, y) != (1, 1)]
    tiles = [shapely.box(x, y, x + 1, y + 1) for x, y in places]
    ring = shapely.union_all(tiles)
    coverages = {"tiles": tiles, "ring": [ring], "turned ring": [shapely.reverse(ring)]}
    # each edge at the gap stands twice, with the same side open
    found = _check("gaps", context_of("Polygon", [*coverages[first], *coverages[second]]))
    (place,) = found["geometry"]
    assert shapely.equals(place, shapely.box(1, 1, 2, 2))


@settings(deadline=None, max_examples=100)
@given(boxes=BOXES, shift=st.integers(0, 40))
def test_duplicates_do_not_depend_on_where_a_ring_begins(context_of, boxes, shift):
    polygons = _polygons(boxes)
    turned = [
        shapely.Polygon(np.roll(np.array(one.exterior.coords)[:-1], shift, axis=0)[::-1])
        for one in polygons
    ]
    context = context_of("Polygon", [*polygons, *turned])
    found = _check("duplicate_geometry", context)
    assert len(found) == 2 * len(boxes) - len(set(boxes))


LINES = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=6), max_size=5
)


@settings(deadline=None, max_examples=150)
@given(lines=LINES, is_area=st.booleans())
def test_corners_are_those_that_a_walk_along_the_path_meets(lines, is_area):
    rings = [[*line, line[0]] for line in lines if len(line) > 2]
    paths = rings if is_area else lines
    make = shapely.Polygon if is_area else shapely.LineString
    geometry = np.full(len(paths), None, dtype=object)
    geometry[:] = [make(path) for path in paths]
    found = vertices(geometry).without_repeats()
    triples = found.xy[np.stack(found.corners(), axis=1)].tolist()
    walked = []
    for path in paths:
        steps = [list(map(float, path[0]))]
        steps += [list(map(float, two)) for one, two in pairwise(path) if one != two]
        if is_area and len(steps) > 2:
            walked += [[steps[-2], steps[0], steps[1]]]
        walked += [steps[at : at + 3] for at in range(len(steps) - 2)]
    assert triples == walked


@settings(deadline=None, max_examples=60)
@given(boxes=BOXES, holes=st.sets(st.integers(0, 11)))
def test_null_and_empty_geometries_never_disturb_the_others(context_of, boxes, holes):
    polygons = _polygons(boxes)
    sparse = [None if at in holes else one for at, one in enumerate(polygons)]
    kept = [at for at in range(len(polygons)) if at not in holes]
    for kind in ("overlaps", "duplicate_geometry"):
        whole = _check(kind, context_of("Polygon", sparse))
        part = _check(kind, context_of("Polygon", [polygons[at] for at in kept]))
        assert [kept[row] for row in part["row"]] == whole["row"].tolist()
