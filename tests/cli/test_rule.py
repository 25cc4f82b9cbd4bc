"""``cityframe rule``: what it lists, shows, tries and writes."""

import importlib
import json
import runpy
from importlib.metadata import EntryPoint

import geopandas as gpd
import pyogrio
import pytest
import shapely

from cityframe.cli import main
from cityframe.rules import registry
from cityframe.rules.kind import RuleKind

SCHEMA = """\
name: parcels
title: {zh: 宗地, en: Parcels}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.05
attributes:
  number: {type: string, title: {zh: 编号, en: Number}}
"""
RULES = """\
include:
  - set: parcel_coverage
    layer: parcels
    names: {key: number}
rules:
  - id: own
    title: {zh: 自有, en: Own}
    kind: minimum_area
    layers: [parcels]
    parameters: {min_m2: 4}
    defect_class: C
    gate: note
    scope: candidate
"""


@pytest.fixture
def city(tmp_path, capsys):
    """Return a function that runs a command in a small workspace and reads what it prints."""
    for folder in ("schemas", "sources", "quality_rules", "cycles"):
        (tmp_path / folder).mkdir()
    (tmp_path / "cityframe.yaml").write_text("title: {zh: 城, en: City}\n", encoding="utf-8")
    (tmp_path / "schemas" / "parcels.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "quality_rules" / "all.yaml").write_text(RULES, encoding="utf-8")

    def run(*arguments, code=0, text=False):
        form = () if text else ("--output", "json")
        assert main(["--workspace", str(tmp_path), *form, "rule", *arguments]) == code
        printed = capsys.readouterr().out
        return printed if text else json.loads(printed)

    return run


@pytest.fixture
def squares(tmp_path):
    path = tmp_path / "squares.gpkg"
    x = [500_000.0 + 20 * row for row in range(24)]
    shapes = [
        shapely.box(one, 3_400_000.0, one + (1 if row % 2 else 9), 3_400_001.0)
        for row, one in enumerate(x)
    ]
    number = [f"n{row}" for row in range(24)]
    gpd.GeoDataFrame({"number": number}, geometry=shapes, crs="EPSG:4547").to_file(path)
    return path


def test_kinds_are_listed_with_number_group_reach_and_measure(city):
    kinds = city("list")["kinds"]
    assert len(kinds) == len(registry.rule_kinds())
    overlaps = next(one for one in kinds if one["kind"] == "overlaps")
    assert (overlaps["number"], overlaps["reach"]) == (32, "neighbourhood")
    assert overlaps["measure"] == "ISO 19157:2013 11"
    assert overlaps["title"] in city("list", text=True)


def test_sets_are_listed_with_their_rules(city):
    sets = {one["set"]: one for one in city("list", "--sets")["sets"]}
    assert "gaps" in sets["parcel_coverage"]["rules"]


def test_the_rules_of_a_layer_are_listed_resolved_and_with_their_place(city):
    rules = {one["id"]: one for one in city("list", "--layer", "parcels")["rules"]}
    assert rules["parcels.overlaps"]["parameters"]["min_area_m2"] == pytest.approx(0.0025)
    assert rules["parcels.overlaps"]["place"].endswith("quality_rules/all.yaml:2")
    assert rules["own"]["place"].endswith("quality_rules/all.yaml:6")
    assert "parcels.inside" not in rules
    error = city("list", "--layer", "parcel", code=2)["error"]
    assert "parcels" in error["expected"]


def test_a_kind_a_set_and_a_rule_are_shown(city):
    assert "min_area_m2" in city("show", "overlaps")["parameters"]["properties"]
    assert "| `min_area_m2` | number |" in city("show", "overlaps", text=True)
    assert "key" in city("show", "parcel_coverage")["roles"]
    assert "{min_area_m2: = accuracy_m ** 2}" in city("show", "parcel_coverage", text=True)
    assert city("show", "own")["parameters"] == {"min_m2": 4.0}
    assert "min_m2: 4.0" in city("show", "own", text=True)
    assert "overlaps" in city("show", "overlap", code=2)["error"]["expected"]


def test_trying_a_kind_prints_ten_findings_and_writes_all(city, squares, tmp_path):
    to = tmp_path / "found.gpkg"
    call = ("try", "minimum_area", "--on", str(squares), "--set", "min_m2=4", "--to", str(to))
    answer = city(*call)
    assert (answer["findings"], len(answer["first"]), answer["records"]) == (12, 10, 24)
    assert answer["attributes"] == {"number": "string"}
    assert len(pyogrio.read_dataframe(to, layer="polygons")) == 12
    chinese, english = city(*call, text=True), city(*call, "--language", "en", text=True)
    assert "发现 12 处" in chinese
    assert "面积不小于 4 m²" in chinese
    assert "另有 2 处" in chinese
    assert "12 findings in 24 records" in english
    assert "record 1   500020.5 3400000.5" in english


def test_trying_a_rule_takes_what_the_call_sets(city, squares):
    assert city("try", "own", "--on", str(squares))["findings"] == 12
    assert city("try", "own", "--on", str(squares), "--set", "min_m2=0.5")["findings"] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("minimum_area", "--set", "min_m2"), "NAME=VALUE"),
        (("minimum_area", "--set", "min_m2=[1"), "a value as in a declaration"),
        (("minimum_area",), "parameters.min_m2 is missing"),
        (("identity_loss",), "the current release to compare with"),
    ],
)
def test_a_wrong_call_is_told(city, squares, arguments, told):
    name, *rest = arguments
    error = city("try", name, "--on", str(squares), *rest, code=2)["error"]
    assert told in json.dumps(error)


def test_a_new_kind_passes_its_own_test(city, tmp_path, monkeypatch):
    written = city("new", "roof_size", "--into", str(tmp_path / "new"))["written"]
    root = tmp_path / "new" / "cityframe-roof-size"
    assert {path.removeprefix(f"{root}/") for path in written} == {
        "pyproject.toml",
        "src/cityframe_roof_size/__init__.py",
        "src/cityframe_roof_size/roof_size.py",
        "tests/roof_size.yaml",
        "tests/sowing.py",
        "tests/test_conformance.py",
    }
    declared = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert 'roof_size = "cityframe_roof_size.roof_size:KIND"' in declared
    # as an installed package is: on the path, with its entry point
    monkeypatch.syspath_prepend(str(root / "src"))
    entry = EntryPoint("roof_size", "cityframe_roof_size.roof_size:KIND", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry._registered.cache_clear()
    try:
        assert isinstance(importlib.import_module("cityframe_roof_size.roof_size").KIND, RuleKind)
        test = runpy.run_path(str(root / "tests" / "test_conformance.py"))
        test["test_the_kind_conforms"]()
        assert city("list")["kinds"][-1]["number"] == 1000
    finally:
        monkeypatch.undo()
        registry._registered.cache_clear()
