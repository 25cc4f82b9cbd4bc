import pytest

from cityframe.config.accuracy_expression import number_from
from cityframe.config.rule_set import Include, RuleSet, resolved, rule_sets
from cityframe.errors import DeclarationError
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title

LAYER = Layer(
    name="plots", title=Title("地块", "Plots"), geometry=GeometryType.POLYGON, crs="EPSG:4547",
    precision_m=0.001, accuracy_m=0.25, key=(), attributes=(),
)  # fmt: skip
TITLE = {"zh": "题", "en": "Title"}


def set_rule(name, **more):
    return {
        "id": name, "title": TITLE, "kind": "minimum_area", "defect_class": "B", "gate": "block",
        "scope": "delivery", **more,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def one_set(monkeypatch):
    made = RuleSet.model_validate(
        {
            "name": "test_set",
            "title": TITLE,
            "geometry": ["Polygon"],
            "roles": {"code": {"title": TITLE, "required": True}, "district": {"title": TITLE}},
            "rules": [
                set_rule(
                    "area", parameters={"min_m2": "= 4 * accuracy_m ** 2", "deep": [["$code"]]}
                ),
                set_rule("inside", kind="covered_by", parameters={"layer": "$district"}),
            ],
        }
    )  # fmt: skip
    monkeypatch.setattr("cityframe.config.rule_set.rule_sets", lambda: {"test_set": made})


def include(**given):
    return Include.model_validate(
        {"set": "test_set", "layer": "plots", "names": {"code": "number"}, **given}
    )


def rules(**given):
    return resolved(include(**given), {"plots": LAYER}, "quality_rules/a.yaml:3")


def test_parameters_come_from_the_layers_accuracy_and_the_names_given():
    (area,) = rules()
    assert area.id == "plots.area"
    assert area.layers == ("plots",)
    assert area.parameters == {"min_m2": 0.25, "deep": [["number"]]}


def test_a_rule_joins_when_its_optional_role_is_given():
    assert [rule.id for rule in rules(names={"code": "number", "district": "towns"})] == [
        "plots.area", "plots.inside",
    ]  # fmt: skip


def test_an_include_overrides_parameter_by_parameter_and_leaves_rules_out():
    (area,) = rules(override={"area": {"parameters": {"min_m2": 9}, "gate": "note"}})
    assert area.parameters == {"min_m2": 9, "deep": [["number"]]}
    assert area.gate == "note"
    assert rules(without=["area"]) == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"set": "nowhere"}, "no rule set 'nowhere'"),
        ({"layer": "roofs"}, "no layer 'roofs'"),
        ({"names": {}}, "test_set without code"),
        ({"names": {"code": "number", "owner": "x"}}, "no role in the set test_set: 'owner'"),
        ({"override": {"areas": {}}}, "no rule in the set test_set: 'areas'"),
        ({"without": ["areas"]}, "no rule in the set test_set: 'areas'"),
    ],
)
def test_what_an_include_names_must_be_there(given, said):
    with pytest.raises(DeclarationError, match=said) as caught:
        rules(**given)
    assert caught.value.where == "quality_rules/a.yaml:3"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3 * accuracy_m", 0.75), ("-(1 - 3) / 4 ** 0.5", 1.0), ("0.1 + 0.2", 0.3)],
)
def test_expressions_have_their_value(text, value):
    assert number_from(text, {"accuracy_m": 0.25}, where="a") == value


@pytest.mark.parametrize(
    "text", ["", "open('x')", "accuracy", "1 / 0", "(-1) ** 0.5", "True", "a.b", "9 ** 9 ** 9"]
)
def test_expressions_hold_arithmetic_only(text):
    with pytest.raises(DeclarationError, match="accuracy_m"):
        number_from(text, {"accuracy_m": 0.25}, where="a")


def test_shipped_sets_read():
    assert all(name == one.name for name, one in rule_sets().items())
