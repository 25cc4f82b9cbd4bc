"""Checks in tiles: threads, errors, and layers that are read from a file."""

import dataclasses
import datetime as dt
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.core.findings import concat_findings
from cityframe.errors import DeclarationError
from cityframe.model.finding import Scope
from cityframe.model.report import RuleStatus
from cityframe.rules import compiled as compiled_module
from cityframe.rules.check import check_layer
from cityframe.rules.checking.execution import Threads, cores
from cityframe.rules.checking.row_source import FrameRows, GeoParquetRows
from cityframe.rules.checking.tile_check import check_tiles
from cityframe.rules.compiled import compile_rules
from cityframe.rules.registry import rule_kinds

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SIDE = 12


@pytest.fixture
def layers(layer_of):
    return {
        "things": layer_of("things", "Polygon", {"name": "string", "storeys": "integer"}),
        "points": layer_of("points", "Point"),
    }


@pytest.fixture
def frames(layers):
    """Return houses of which some overlap, some are nameless, some hold no point."""
    x, y = (one.ravel() for one in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
    wide = np.choose((x * 7 + y * 3) % 11, [1.4, 0.8, *[1.0] * 9])
    shapes = shapely.box(x, y, x + wide, y + 1)
    shapes[7] = None
    number = np.arange(len(x))
    things = gpd.GeoDataFrame(
        {
            "uid": [f"f{one:04}" for one in number],
            "name": pd.array([None if one % 13 == 0 else "a" for one in number], dtype="str"),
            "storeys": pd.array(number % 50, dtype="Int64"),
        },
        geometry=gpd.GeoSeries(shapes, crs=layers["things"].crs),
    )
    points = gpd.GeoDataFrame(
        {"uid": things["uid"]}, geometry=gpd.GeoSeries(shapely.points(x + 0.5, y + 0.5))
    ).set_crs(layers["points"].crs)
    return {"things": things, "points": points[::2].reset_index(drop=True)}


@pytest.fixture
def rules(rule_of, layers):
    """Return rules of every reach."""
    return compile_rules(
        [
            rule_of("mandatory", parameters={"column": "name"}, tolerated=0.5),
            rule_of("range", parameters={"column": "storeys", "max": 40}),
            rule_of("overlaps", tolerated=0.5),
            rule_of("minimum_area", parameters={"min_m2": 0.9}),
            rule_of("one_point_a_polygon", parameters={"layer": "points"}),
            rule_of("gaps", parameters={"min_area_m2": 0.1}),
        ],
        layers,
        {},
    )


@pytest.fixture
def check(rules, frames):
    """Return a function that checks the houses."""

    def run(execution, compiled=rules):
        return check_layer(
            compiled,
            scope=Scope.CANDIDATE,
            layer="things",
            frame=frames["things"],
            as_of=AS_OF,
            other=frames.__getitem__,
            execution=execution,
        )

    return run


def _assert_equal(one, other):
    pd.testing.assert_frame_equal(one.findings.to_wkb(), other.findings.to_wkb())
    for field in dataclasses.fields(one):
        if field.name not in ("findings", "validation_json"):
            assert getattr(one, field.name) == getattr(other, field.name)
    # beside the results it holds the time of the run
    said, also_said = (json.loads(each.validation_json) for each in (one, other))
    for part in said:
        assert said[part]["results"] == also_said[part]["results"]


@pytest.mark.parametrize(("workers", "tile_rows"), [(1, 10), (3, 25), (2, 1000), (None, 1)])
def test_neither_workers_nor_tiles_change_the_outcome(check, workers, tile_rows):
    whole = check(Threads(workers=1, tile_rows=1000))
    assert {result.failed for result in whole.results}.isdisjoint({0})
    _assert_equal(check(Threads(workers=workers, tile_rows=tile_rows)), whole)


def test_a_tile_that_can_not_be_checked_is_told_as_the_whole_rule(check, rules, monkeypatch):
    kinds = dict(rule_kinds())
    sound = kinds["minimum_area"].check

    def picky(context, parameters):
        if "f0077" in set(context.frame["uid"]):
            message = "no house 77, please"
            raise ValueError(message)
        return sound(context, parameters)

    kinds["minimum_area"] = dataclasses.replace(kinds["minimum_area"], check=picky)
    monkeypatch.setattr(compiled_module, "rule_kinds", lambda: kinds)
    broken = compile_rules([one.rule for one in rules.rules], rules.layers, {})
    whole = check(Threads(tile_rows=1000), broken)
    (said,) = [one for one in whole.results if one.status is RuleStatus.NOT_CHECKED]
    assert said.message == "ValueError: no house 77, please"
    assert said.failed == 0
    _assert_equal(check(Threads(tile_rows=10), broken), whole)


def test_want_of_memory_in_a_tile_ends_the_run(check, rules, monkeypatch):
    def greedy(context, parameters):
        raise MemoryError

    kinds = dict(rule_kinds())
    kinds["minimum_area"] = dataclasses.replace(kinds["minimum_area"], check=greedy)
    monkeypatch.setattr(compiled_module, "rule_kinds", lambda: kinds)
    broken = compile_rules([one.rule for one in rules.rules], rules.layers, {})
    with pytest.raises(MemoryError):
        check(Threads(tile_rows=10), broken)


def test_a_kind_of_a_near_reach_may_not_speak_of_the_whole_layer(check, rules, monkeypatch):
    kinds = dict(rule_kinds())
    far = dataclasses.replace(kinds["gaps"], check=lambda *_: _about_the_layer(), reach="feature")
    kinds["gaps"] = far
    monkeypatch.setattr(compiled_module, "rule_kinds", lambda: kinds)
    broken = compile_rules([one.rule for one in rules.rules], rules.layers, {})
    for size in (10, 1000):
        result = check(Threads(tile_rows=size), broken).results[-1]
        assert result.message == "TypeError: a defect on no feature, from a kind of reach feature"


def _about_the_layer():
    from cityframe.rules.defects import defects

    return defects(row=[-1], found="all wrong")


def test_the_cores_are_those_that_the_process_may_use():
    assert cores() >= 1


@pytest.fixture
def written(frames, tmp_path):
    """Return a function that writes a layer in small row groups, in an order of its own."""

    def write(name, **more):
        path = tmp_path / f"{name}.parquet"
        frames[name].to_parquet(path, row_group_size=17, **more)
        return path

    return write


@pytest.mark.parametrize("covering", [False, True])
def test_a_file_gives_the_rows_that_the_frame_gives(written, frames, layers, covering):
    path = written("things", write_covering_bbox=covering)
    file, frame = GeoParquetRows(path, layers["things"]), FrameRows(frames["things"])
    assert np.array_equal(file.boxes, frame.boxes, equal_nan=True)
    for positions in (np.array([0, 3, 16, 17, 99, 143]), np.empty(0, dtype=np.int64)):
        got, expected = file.rows(positions), frame.rows(positions)
        assert list(got.columns) == list(expected.columns)
        pd.testing.assert_frame_equal(got.to_wkb(), expected.to_wkb())
        assert got.crs == expected.crs
    some = np.array([1, 50])
    assert shapely.bounds(file.shapes(some)).tolist() == frame.boxes[some].tolist()


def test_a_layer_with_geometry_needs_a_file_with_geometry(layers, tmp_path):
    path = tmp_path / "plain.parquet"
    pd.DataFrame({"name": ["a"]}).to_parquet(path)
    with pytest.raises(DeclarationError, match=r"no geometry in plain\.parquet"):
        GeoParquetRows(path, layers["things"])


@pytest.mark.parametrize("tile_rows", [10, 1000])
def test_a_layer_is_checked_from_a_file_as_it_is_in_memory(
    check, rules, written, layers, tile_rows
):
    parts = []
    checked = check_tiles(
        rules,
        scope=Scope.CANDIDATE,
        layer="things",
        rows=GeoParquetRows(written("things", write_covering_bbox=True), layers["things"]),
        other_rows={"points": GeoParquetRows(written("points"), layers["points"])},
        as_of=AS_OF,
        write=parts.append,
        execution=Threads(tile_rows=tile_rows),
    )
    whole = check(Threads(workers=1, tile_rows=1000))
    assert checked.left == ("things.gaps",)
    assert checked.results == whole.results[:-1]
    assert checked.gate_reasons == tuple(
        reason for reason in whole.gate_reasons if not reason.startswith("things.gaps")
    )
    expected = whole.findings[whole.findings["rule"] != "things.gaps"]
    key = ["rule", "uid", "other"]
    found = concat_findings(parts, layers["things"].crs).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(
        found.to_wkb(), expected.sort_values(key, ignore_index=True).to_wkb()
    )
    assert max(len(part) for part in parts) < len(expected)
