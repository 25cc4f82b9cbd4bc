"""The shipped rule sets fit the kinds, and every rule of theirs runs."""

import datetime as dt

import geopandas as gpd
import pytest

from cityframe.config.rule_set import Include, resolved, rule_sets
from cityframe.core.frames import empty_frame
from cityframe.model.finding import Scope
from cityframe.model.layer import GeometryType
from cityframe.model.report import RuleStatus
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules

EXPECTED = {
    "point", "building", "parcel_coverage", "road_network", "underground_network", "address",
    "boundary", "sensor",
}  # fmt: skip
DATES = ("surveyed_on", "laid_on", "installed_on", "calibrated_on")
NUMBERS = ("registered_area", "storeys", "diameter", "level")
LAYERS = {
    "district": "Polygon", "parcels": "Polygon", "water": "Polygon", "roads": "LineString",
    "nodes": "Point", "point_layer": "Point", "assets": "Point", "units_above": "Polygon",
}  # fmt: skip


def _attribute(name):
    if name in DATES:
        return "date"
    unit = "m2" if name == "registered_area" else ""
    return {"type": "real", "unit": unit} if name in NUMBERS else "string"


def test_each_type_of_layer_has_a_set():
    assert set(rule_sets()) == EXPECTED


@pytest.fixture
def filled(layer_of):
    """Return a function that fills each role of a set with a layer or attribute."""

    def fill(rule_set):
        attributes = {name: _attribute(name) for name in rule_set.roles if name not in LAYERS}
        # an attribute of another layer goes by the name of its role too
        layers = {
            name: layer_of(name, LAYERS[name], attributes)
            for name in rule_set.roles
            if name in LAYERS
        }
        layers["things"] = layer_of("things", rule_set.geometry[0], attributes)
        include = Include.model_validate(
            {"set": rule_set.name, "layer": "things", "names": {one: one for one in rule_set.roles}}
        )
        return resolved(include, layers, "all.yaml:1"), layers

    return fill


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_rule_of_a_set_compiles_and_runs_on_an_empty_layer(name, filled):
    rule_set = rule_sets()[name]
    rules, layers = filled(rule_set)
    assert len(rules) == len(rule_set.rules), "a role that no rule has"
    compiled = compile_rules(rules, layers, {rule.id: "all.yaml:1" for rule in rules})
    frames = {one: empty_frame(layer, ("uid",)) for one, layer in layers.items()}
    for scope in Scope:
        checked = check_layer(
            compiled,
            scope=scope,
            layer="things",
            frame=gpd.GeoDataFrame(frames["things"], geometry="geometry"),
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            other=frames.__getitem__,
        )
        assert not [one for one in checked.results if one.status is RuleStatus.NOT_CHECKED]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_set_is_whole_without_its_optional_roles(name, layer_of):
    rule_set = rule_sets()[name]
    required = {one: one for one, role in rule_set.roles.items() if role.required}
    layers = {"things": layer_of("things", rule_set.geometry[0], dict.fromkeys(required, "string"))}
    include = Include.model_validate({"set": name, "layer": "things", "names": required})
    rules = resolved(include, layers, "all.yaml:1")
    compile_rules(rules, layers, {})
    assert len(rules) >= 4


def test_a_finer_survey_is_checked_more_finely(layer_of):
    def smallest(geometry_accuracy):
        layer = layer_of("things", GeometryType.POLYGON)
        layers = {"things": layer.__class__(**{
            **{name: getattr(layer, name) for name in layer.__slots__},
            "accuracy_m": geometry_accuracy,
        })}  # fmt: skip
        include = Include.model_validate({"set": "building", "layer": "things"})
        rules = {rule.id: rule for rule in resolved(include, layers, "a:1")}
        return rules["things.overlaps"].parameters["min_area_m2"]

    assert smallest(0.05) == pytest.approx(0.01)
    assert smallest(0.25) == pytest.approx(0.25)
