from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.config.rule import Rule
from cityframe.config.scoring import AreaUnit, GridUnit, WholeUnit, read_scoring
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.report import RuleResult, RuleStatus
from cityframe.model.text import Title
from cityframe.rules.acceptance.score_units import UNPLACED, unit_names
from cityframe.rules.acceptance.scoring import batch_score, element_of, require_scored, unit_scores
from cityframe.rules.compiled import compile_rules
from cityframe.rules.registry import rule_kinds

FOLDER = Path(__file__).parents[2] / "quality_rules" / "scoring"


@pytest.fixture
def scheme():
    return read_scoring(FOLDER)["buildings"]


def result(rule, measure, *, kind="range", checked=100, failed=0, status=RuleStatus.PASSED):
    return RuleResult(
        rule=rule, kind=kind, version=1, title=Title("规则", "rule"),
        measure=Measure("ISO 19157:2013", measure, ""), defect_class=DefectClass.B,
        gate=Gate.REVIEW, scope=Scope.CANDIDATE, layer="buildings", delivery="", checked=checked,
        failed=failed, status=status, is_within_tolerance=True,
    )  # fmt: skip


def scores(scheme, results, defects, units=()):
    """Score defects given as (unit, rule, class) or (unit, rule, class, waiver)."""
    rows = [(*one, "")[:4] for one in defects]
    findings = pd.DataFrame(rows, columns=["unit", "rule", "defect_class", "waiver"], dtype="str")
    made = unit_scores(
        "buildings", scheme, results, findings, findings["unit"].to_numpy(dtype=object), units
    )
    return {one.unit: one for one in made}


RESULTS = [result("r.position", "30"), result("r.logic", "10"), result("r.values", "65")]


def test_deductions_of_the_classes_and_weights_of_the_elements(scheme):
    found = scores(
        scheme,
        RESULTS,
        [("u", "r.position", "B"), ("u", "r.position", "C"), ("u", "r.logic", "D")],
    )["u"]
    assert found.elements == {"logical_consistency": 99, "position": 84, "attributes": 100}
    # weights 0.25, 0.3, 0.2 of the elements that a rule speaks of
    assert found.score == pytest.approx((0.25 * 99 + 0.3 * 84 + 0.2 * 100) / 0.75, abs=0.01)
    assert (found.grade, found.failures) == ("excellent", ())
    assert found.defects == {"A": 0, "B": 1, "C": 1, "D": 1}


def test_difficulty_eases_all_but_class_a(scheme):
    eased = scheme.model_copy(
        update={"difficulty": scheme.difficulty.model_copy(update={"value": 2.0})}
    )
    found = scores(eased, RESULTS, [("u", "r.logic", "B"), ("v", "r.logic", "A")])
    assert found["u"].elements["logical_consistency"] == 94
    assert found["v"].elements["logical_consistency"] == 58


def test_a_unit_fails_with_a_severe_defect_whatever_its_score(scheme):
    found = scores(scheme, RESULTS, [("u", "r.values", "A")])["u"]
    assert found.score > 60
    assert found.failures == ("class-a", "element:attributes")
    assert found.grade == ""


@pytest.mark.parametrize(("slight", "fails"), [(40, False), (41, True)])
def test_a_unit_fails_with_an_element_below_the_limit(scheme, slight, fails):
    found = scores(scheme, RESULTS, [("u", "r.logic", "D")] * slight)["u"]
    assert found.elements["logical_consistency"] == 100 - slight
    assert bool(found.failures) == fails


@pytest.mark.parametrize(("failed", "fails"), [(5, False), (6, True)])
def test_a_unit_fails_with_too_many_gross_errors(scheme, failed, fails):
    gross = result("r.gross", "31", kind="gross_error_rate", failed=failed)
    found = scores(scheme, [*RESULTS, gross], [], units=["u"])["u"]
    assert ("gross-errors" in found.failures) == fails


def test_waived_findings_and_rules_that_were_not_checked_do_not_count(scheme):
    unchecked = result("r.time", "159", status=RuleStatus.NOT_CHECKED)
    found = scores(scheme, [*RESULTS, unchecked], [("u", "r.logic", "A", "w1")])["u"]
    assert found.score == 100
    assert "time" not in found.elements


def test_units_without_findings_are_scored_and_a_batch_passes_only_whole(scheme):
    found = scores(scheme, RESULTS, [("u", "r.logic", "A")], units=["v", "u"])
    assert found["v"].score == 100
    batch = batch_score(list(found.values()))
    assert (batch.units, batch.failed, batch.is_passed) == (2, 1, False)
    assert batch_score([found["v"]]).is_passed
    assert not batch_score([]).is_passed


def test_units_are_cells_areas_or_the_layer(scheme):
    places = np.array([shapely.Point(10, 20), shapely.box(990, 0, 1030, 10), None], dtype=object)
    areas = gpd.GeoDataFrame(
        {"code": ["east", "west"]},
        geometry=[shapely.box(500, 0, 2000, 99), shapely.box(0, 0, 500, 99)],
    )

    def named(unit):
        return unit_names(
            places, scheme.model_copy(update={"unit": unit}), "buildings", lambda name: areas
        ).tolist()

    assert named(GridUnit(by="grid", cell_m=500)) == ["e0-n0", "e1000-n0", UNPLACED]
    by_area = AreaUnit(by="areas", layer="districts", column="code")
    assert named(by_area) == ["west", "east", UNPLACED]
    assert named(WholeUnit(by="layer")) == ["buildings"] * 3


def test_a_rule_that_counts_for_no_element_is_refused(scheme, layer_of, rule_of):
    layer = layer_of("things", "Polygon")
    measure = {"register": "bureau", "id": "x1", "name": "shade of roofs"}
    rule: Rule = rule_of("valid_geometry", measure=measure)
    rules = compile_rules([rule], {"things": layer}, {rule.id: "quality_rules/a.yaml:7"})
    with pytest.raises(DeclarationError, match=r"a\.yaml:7: measure .*x1"):
        require_scored(rules, {"things": scheme})
    require_scored(rules, {"buildings": scheme})


def test_each_kind_counts_for_an_element_of_the_scheme_as_it_stands(scheme):
    element = {name: element_of(kind.measure, scheme) for name, kind in rule_kinds().items()}
    assert [name for name, one in element.items() if one is None] == []
    # QARTOD's 4, 6 and 7 are other things than ISO's duplicates, missing items and their rate
    sensors = {element[name] for name in ("gross_range", "value_spike", "rate_of_change")}
    assert sensors == {"attributes"}
    assert (element["time_gap"], element["unique"]) == ("time", "completeness")
