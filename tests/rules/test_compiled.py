"""Compilation of rules: what is wrong is told with the place, before any data is read."""

import pytest

from cityframe.errors import DeclarationError
from cityframe.model.finding import Measure, Scope
from cityframe.rules.compiled import compile_rules
from cityframe.rules.registry import rule_kinds

ATTRIBUTES = {
    "name": "string",
    "height_m": {"type": "real", "unit": "m"},
    "storeys": "integer",
    "built_on": "date",
    "seen_at": "datetime",
}


@pytest.fixture
def layers(layer_of):
    return {
        "things": layer_of("things", "Polygon", ATTRIBUTES),
        "roads": layer_of("roads", "LineString", {"level": "integer"}),
        "wells": layer_of("wells", "Point"),
        "degrees": layer_of("degrees", "Polygon", ATTRIBUTES, crs="EPSG:4490"),
        "feet": layer_of("feet", "Polygon", ATTRIBUTES, crs="EPSG:2249"),
        "owners": layer_of("owners", "none", {"name": "string"}),
    }


def _compile(rule_of, known, kind, parameters=None, **more):
    rule = rule_of(kind, parameters=parameters or {}, **more)
    return compile_rules([rule], known, {rule.id: "quality_rules/things.yaml:7"})


def test_a_rule_is_compiled_for_each_of_its_layers(rule_of, layers):
    compiled = _compile(
        rule_of, layers, "mandatory", {"column": "name"}, layers=["things", "owners"]
    )
    assert [one.layer.name for one in compiled.rules] == ["things", "owners"]
    assert len(compiled.of("owners", Scope.CANDIDATE)) == 1
    assert compiled.of("owners", Scope.DELIVERY) == ()
    assert compiled.of("roads", Scope.CANDIDATE) == ()


def test_the_measure_is_that_of_the_kind_unless_the_rule_has_its_own(rule_of, layers):
    own = {"register": "GB/T 24356", "id": "x", "name": "y"}
    (plain,) = _compile(rule_of, layers, "overlaps").rules
    (other,) = _compile(rule_of, layers, "overlaps", measure=own).rules
    assert plain.measure.id == "11"
    assert plain.measure.register == "ISO 19157:2013"
    assert other.measure == Measure(register="GB/T 24356", id="x", name="y")


@pytest.mark.parametrize(
    ("kind", "parameters", "more", "message"),
    [
        ("overlap", {}, {}, "no rule kind 'overlap', expected one of address_road_name, "),
        ("range", {"column": "height_m", "max": "tall"}, {}, "parameters.max is 'tall'"),
        ("range", {"column": "height_m"}, {}, "min, max or both"),
        ("range", {"max": 1}, {}, "parameters.column is missing"),
        ("overlaps", {"min_area": 1}, {}, "parameters.min_area is not known"),
        ("mandatory", {"column": "nome"}, {}, "layer things has no attribute 'nome'"),
        ("range", {"column": "name", "max": 1}, {}, "things.name is of type string"),
        (
            "range",
            {"column": "height_m", "max": 1, "unit": "mm"},
            {},
            "the limits are in mm, height_m is in m",
        ),
        ("unique", {}, {}, "no columns, and layer things has no key"),
        ("codes", {"column": "name"}, {}, "has none for name"),
        ("codes", {"column": "storeys", "codes": [1, "x"]}, {}, "codes mix texts and numbers"),
        ("codes", {"column": "name", "codes": [1]}, {}, "things.name is of type string"),
        ("id_pattern", {"column": "name", "pattern": "["}, {}, "a regular expression"),
        ("id_pattern", {"column": "name", "pattern": "(a)"}, {}, "groups written as (?:…)"),
        ("cross_field", {"expression": "height_m >"}, {}, "can't be read"),
        ("cross_field", {"expression": "width_m > 1"}, {}, "no attribute 'width_m'"),
        ("cross_field", {"expression": "height_m"}, {}, "gives a number"),
        (
            "interval_order",
            {"start": "built_on", "end": "seen_at"},
            {},
            "built_on is of type date, seen_at of type datetime",
        ),
        ("registered_area", {"column": "height_m"}, {}, "the unit of height_m is m"),
        ("sum_drift", {"of": "area", "max_share": 0.1}, {"layers": ["wells"]}, "has no area"),
        ("overlaps", {}, {"layers": ["roads"]}, "geometry of layer roads is LineString"),
        ("null_geometry", {}, {"layers": ["owners"]}, "geometry of layer owners is none"),
        ("overlaps", {}, {"layers": ["degrees"]}, "layer degrees is in EPSG:4490"),
        ("overlaps", {}, {"layers": ["feet"]}, "layer feet is in EPSG:2249"),
        ("overlaps", {}, {"layers": ["lakes"]}, "no layer 'lakes'"),
        ("covered_by", {"layer": "lakes"}, {}, "no layer 'lakes'"),
        ("covered_by", {"layer": "roads"}, {}, "geometry of layer roads is LineString"),
        ("one_point_a_polygon", {"layer": "wells", "min": 2}, {}, "a max that is not below min"),
        (
            "foreign_key",
            {"column": "name", "layer": "owners", "layer_column": "nome"},
            {},
            "layer owners has no attribute 'nome'",
        ),
        (
            "must_not_overlap",
            {"layer": "roads", "other_where": "level == 'x'"},
            {},
            "'level' is a number",
        ),
        ("covered_by", {"layer": "degrees"}, {}, "layer degrees is in EPSG:4490, things in"),
        ("identity_loss", {}, {"scope": "delivery"}, "kind identity_loss in scope delivery"),
        ("dangles", {"near_m": 0.0001}, {"layers": ["roads"]}, "near_m above tolerance_m"),
    ],
)
def test_what_is_wrong_is_told_with_the_place(rule_of, layers, kind, parameters, more, message):
    with pytest.raises(DeclarationError) as caught:
        _compile(rule_of, layers, kind, parameters, **more)
    assert message in str(caught.value)
    assert caught.value.where == "quality_rules/things.yaml:7"
    assert caught.value.remedy


def test_a_layer_in_degrees_can_have_rules_that_measure_nothing(rule_of, layers):
    compiled = _compile(rule_of, layers, "valid_geometry", layers=["degrees"])
    assert len(compiled.rules) == 1


@pytest.mark.parametrize(
    ("method", "answer", "message"),
    [
        ("reach_m", float("nan"), "a reach of nan m"),
        ("reach_m", -1.0, "a reach of -1.0 m"),
        ("reach_m", "far", "TypeError from kind overlaps"),
        ("needed_columns", None, "AttributeError from kind overlaps"),
        ("needed_layers", None, "TypeError from kind overlaps"),
        ("needed_context", ("weather",), "needs weather, which no context has"),
    ],
)
def test_a_kind_that_does_not_know_what_it_needs_is_told_with_the_place(
    rule_of, layers, monkeypatch, method, answer, message
):
    monkeypatch.setattr(rule_kinds()["overlaps"].params, method, lambda *_: answer)
    with pytest.raises(DeclarationError, match=message) as caught:
        _compile(rule_of, layers, "overlaps")
    assert caught.value.where == "quality_rules/things.yaml:7"
