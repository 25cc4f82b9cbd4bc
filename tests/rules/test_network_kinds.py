"""The network kinds against plain definitions, and the law of their reach."""

import datetime as dt
from itertools import combinations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cityframe.rules.context import Context
from cityframe.rules.geometry.network import SNAP_STEPS, network
from cityframe.rules.registry import rule_kinds

CORNER = st.tuples(st.integers(0, 5), st.integers(0, 5))
LINES = st.lists(
    st.lists(CORNER, min_size=2, max_size=3).filter(lambda line: len(set(line)) == len(line)),
    max_size=9,
)
NUDGES = st.lists(st.sampled_from([0.0, 0.0, 0.04, -0.09, 0.15, 0.6]), min_size=18, max_size=18)
TOLERANCE_M = 0.1


@pytest.fixture(scope="module")
def context_of(layer_of):
    """Return a function that makes a context over lines with levels and widths."""

    def make(lines, has_z=False, **columns):
        layer = layer_of("things", "LineString", has_z=has_z)
        geometry = np.full(len(lines), None, dtype=object)
        geometry[:] = lines
        frame = gpd.GeoDataFrame(
            {"uid": [f"f{row}" for row in range(len(lines))], **columns},
            geometry=gpd.GeoSeries(geometry, crs=layer.crs),
        )
        return Context(
            layer=layer,
            frame=frame,
            layers={"things": layer},
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )

    return make


def _check(kind, context, **parameters):
    found = rule_kinds()[kind]
    return found.check(context, found.params.model_validate(parameters))


def _nudged(lines, nudges):
    """Return lines whose ends miss the corners of the grid by a little."""
    made = []
    for number, line in enumerate(lines):
        xy = np.array(line, dtype=float)
        xy[0, 0] += nudges[2 * number]
        xy[-1, 1] += nudges[2 * number + 1]
        made.append(shapely.LineString(xy))
    return made


def _columns(lines):
    size = len(lines)
    return {
        "width": [100.0 * (1 + row % 3) for row in range(size)],
        "top": [float(row % 4) for row in range(size)],
        "low": [float(row % 3) for row in range(size)],
        "way": ["yes" if row % 2 else "no" for row in range(size)],
        "level": [row % 2 for row in range(size)],
    }


LOCAL = {
    "dangles": {"tolerance_m": TOLERANCE_M, "near_m": 0.7},
    "undershoots": {"tolerance_m": TOLERANCE_M, "max_gap_m": 0.7},
    "overshoots": {"tolerance_m": TOLERANCE_M, "max_tail_m": 0.7},
    "pseudo_nodes": {"tolerance_m": TOLERANCE_M, "same": ["width"]},
    "gravity_slope": {
        "levels": {"start": "top", "end": "low"},
        "node_tolerance_m": TOLERANCE_M,
        "max_step_up_m": 0.5,
    },
    "node_jumps": {"tolerance_m": TOLERANCE_M, "column": "width", "downstream": True},
    "one_way_and_level": {
        "tolerance_m": TOLERANCE_M,
        "one_way": {"column": "way", "along": ["yes"]},
        "level": "level",
    },
}


@pytest.mark.parametrize("kind", LOCAL)
@settings(deadline=None, max_examples=15)
@given(lines=LINES, nudges=NUDGES)
def test_what_lies_beyond_the_reach_changes_no_defect(kind, context_of, lines, nudges):
    made, columns = _nudged(lines, nudges), _columns(lines)
    whole = _check(kind, context_of(made, **columns), **LOCAL[kind])
    parameters = rule_kinds()[kind].params.model_validate(LOCAL[kind])
    reach_m = parameters.reach_m(context_of([]).layer)
    for row in range(len(made)):
        near = [at for at, line in enumerate(made) if line.dwithin(made[row], reach_m)]
        context = context_of(
            [made[at] for at in near],
            **{name: [values[at] for at in near] for name, values in columns.items()},
        )
        context.frame["uid"] = [f"f{at}" for at in near]
        part = _check(kind, context, **LOCAL[kind])
        part["other_row"] = [near[at] if at >= 0 else -1 for at in part["other_row"]]
        assert _told(part, near.index(row)) == _told(whole, row)


def _told(table, row):
    mine = table[table["row"] == row]
    places = shapely.to_wkt(np.asarray(mine["geometry"], dtype=object))
    return sorted(zip(mine["other_row"], mine["other"], mine["found"], places, strict=True))


@settings(deadline=None, max_examples=50)
@given(places=st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True))
def test_ends_are_one_node_when_few_steps_link_them(context_of, places):
    ends = sorted(place / 10 for place in places)
    lines = [shapely.LineString([(x, 0), (x, 9)]) for x in ends]
    of = network(context_of(lines), TOLERANCE_M + 1e-9)
    for one, two in combinations(range(len(ends)), 2):
        steps = np.diff(ends[one : two + 1])
        if (steps > TOLERANCE_M + 1e-9).any():
            assert of.start[one] != of.start[two]
        elif two <= SNAP_STEPS:
            # the lowest end of the row is at most so many steps from each of the two
            assert of.start[one] == of.start[two]


@settings(deadline=None, max_examples=50)
@given(lines=LINES)
def test_islands_are_the_parts_that_a_walk_does_not_leave(context_of, lines):
    made = [shapely.LineString(line) for line in lines]
    ends = [shapely.MultiPoint([line.coords[0], line.coords[-1]]) for line in made]
    part = list(range(len(made)))
    for one, two in [*combinations(range(len(made)), 2)] * len(made):
        if made[one].intersects(ends[two]) or made[two].intersects(ends[one]):
            part[one] = part[two] = min(part[one], part[two])
    length = dict.fromkeys(part, 0.0)
    for name, line in zip(part, made, strict=True):
        length[name] += line.length
    found = _check("islands", context_of(made), min_length_m=6.0, tolerance_m=1e-6)
    assert found["row"].tolist() == [row for row, name in enumerate(part) if length[name] < 6.0]


@settings(deadline=None, max_examples=60)
@given(arcs=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_flow_without_a_finding_reaches_a_mouth_and_passes_no_line_twice(context_of, arcs):
    arcs = [(one, two) for one, two in arcs if one != two]
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    node = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 100
    lines = [shapely.LineString([node[one], node[two]]) for one, two in arcs]
    found = _check("flow_direction", context_of(lines))
    degree = np.bincount([end for arc in arcs for end in arc], minlength=8)

    def is_fine(start, seen):
        onward = [two for one, two in arcs if one == start]
        if not onward:
            return degree[start] == 1
        return all(two not in seen and is_fine(two, {*seen, two}) for two in onward)

    assert found.empty == all(is_fine(two, {one, two}) for one, two in arcs)


def test_heights_of_the_geometry_are_levels(context_of):
    lines = [
        shapely.LineString([(0, 0, 5), (10, 0, 4)]),
        shapely.LineString([(10, 0, 4.5), (20, 0, 4.6)]),
        shapely.LineString([(0, 5), (10, 5)]),
    ]
    context = context_of(lines, has_z=True)
    slopes = _check("gravity_slope", context, levels={"z": True}, max_step_up_m=0.1)
    assert slopes[["row", "other_row"]].to_numpy().tolist() == [[1, -1], [0, 1]]
    jumps = _check("node_jumps", context, levels={"z": True}, max_change=0.1)
    assert jumps["found"].tolist() == ["a level of 4.000 meets 4.500"]
    parameters = rule_kinds()["node_jumps"].params.model_validate({"levels": {"z": True}})
    assert not parameters.misfit(context.layer)
    assert "has none" in parameters.misfit(context_of([]).layer)


def test_levels_may_be_real_numbers_and_stay_as_they_are(context_of):
    lines = [shapely.LineString([(x, 0), (x + 10, 0)]) for x in (0, 10, 20)]
    context = context_of(lines, level=[0.0, 1.0, 0.5])
    found = _check("one_way_and_level", context, level="level", transitions="level == 1")
    assert found.empty
    assert context.frame["level"].tolist() == [0.0, 1.0, 0.5]


def test_texts_are_in_both_languages(context_of):
    lines = [shapely.LineString([(0, 0), (10, 0)]), shapely.LineString([(11, 0), (20, 0)])]
    found = _check("undershoots", context_of(lines), max_gap_m=2.0)
    assert found["found_zh"].iloc[0] == "线头不及，距另一条线 1.000 m"
    assert found["expected_zh"].iloc[0] == "端点落在另一条线上"


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("dangles", {"near_m": 0.001}),
        ("undershoots", {"max_gap_m": 0.1, "tolerance_m": 0.1}),
        ("overshoots", {"max_tail_m": 0.1, "tolerance_m": 0.1}),
        ("islands", {}),
        ("flow_direction", {"direction": {"column": "way"}}),
        ("flow_direction", {"direction": {"column": "way", "along": [1], "against": [1]}}),
        ("gravity_slope", {"levels": {}}),
        ("gravity_slope", {"levels": {"start": "top"}}),
        ("gravity_slope", {"levels": {"start": "top", "z": True}}),
        ("gravity_slope", {"levels": {"z": True}, "min_permille": 5, "max_permille": 5}),
        ("node_jumps", {}),
        ("node_jumps", {"column": "width", "levels": {"z": True}}),
        ("node_jumps", {"levels": {"z": True}, "downstream": True}),
        ("node_jumps", {"column": "width", "direction": {"column": "way", "along": [1]}}),
        ("one_way_and_level", {}),
        ("one_way_and_level", {"level": "level", "dead_ends": True}),
        (
            "one_way_and_level",
            {"one_way": {"column": "way", "along": [1]}, "transitions": "level == 1"},
        ),
    ],
)
def test_parameters_that_make_no_sense_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        rule_kinds()[kind].params.model_validate(parameters)


def test_needs_are_declared(layer_of):
    layer = layer_of("things", "LineString", {"material": "string", "level": "integer"})
    make = {
        name: rule_kinds()[name].params.model_validate
        for name in ("node_jumps", "one_way_and_level", "islands")
    }
    text = make["node_jumps"]({"column": "material"})
    number = make["node_jumps"]({"column": "material", "max_change": 1})
    assert text.needed_columns(layer)["material"] > number.needed_columns(layer)["material"]
    ways = make["one_way_and_level"]({"level": "level", "transitions": "level + 1"})
    assert set(ways.needed_columns(layer)) == {"level"}
    assert "not true or false" in ways.misfit(layer)
    fed = make["islands"]({"sources": {"layer": "plants", "where": "state == 'on'"}})
    (needed,) = fed.needed_layers()
    assert (needed.name, set(needed.columns)) == ("plants", {"state"})
    assert make["islands"]({"min_length_m": 1.0}).needed_layers() == ()
