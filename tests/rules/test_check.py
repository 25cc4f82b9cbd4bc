"""The check of one layer: results, gates, what can't be checked."""

import dataclasses
import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from cityframe.model.finding import FINDING_COLUMNS, Scope
from cityframe.model.report import RuleStatus
from cityframe.rules import compiled as compiled_module
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules
from cityframe.rules.defects import defects
from cityframe.rules.kind import CoreExpectation
from cityframe.rules.registry import rule_kinds

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ATTRIBUTES = {"name": "string", "storeys": "integer"}


@pytest.fixture
def layer(layer_of):
    return layer_of("things", "Polygon", ATTRIBUTES)


@pytest.fixture
def frame(layer, frame_of):
    """Ten features in a row; the last two overlap, the first has no name."""
    grid = "abcdefghij"
    features = [{"cells": mark, "name": mark, "storeys": 1} for mark in grid]
    features[0]["name"] = None
    features[9]["cells"] = "ij"
    return frame_of(layer, features, grid).drop(columns="uid").assign(source_key=list(grid))


@pytest.fixture
def check(layer, frame):
    """Return a function that checks the frame in a delivery unless told otherwise."""

    def run(*rules, scope=Scope.DELIVERY, **more):
        compiled = compile_rules(rules, {"things": layer}, {})
        given = {"frame": frame, "as_of": AS_OF, "delivery": "register.0123", **more}
        return check_layer(compiled, scope=scope, layer="things", **given)

    return run


def _rule(rule_of, kind, **more):
    return rule_of(kind, **{"scope": "delivery", **more})


def _mandatory(rule_of, **more):
    return _rule(rule_of, "mandatory", parameters={"column": "name"}, **more)


def test_a_finding_says_what_where_and_in_which_record(check, rule_of, frame):
    findings = check(_mandatory(rule_of), _rule(rule_of, "overlaps")).findings
    assert tuple(findings.columns) == FINDING_COLUMNS
    assert findings.crs == frame.crs
    name, overlap = findings.to_dict("records")
    assert (name["source_key"], name["record"], name["delivery"]) == ("a", 0, "register.0123")
    assert (name["found"], name["expected"]) == ("name = null", "a value")
    assert name["geometry"].equals(frame.geometry[0])
    assert (overlap["source_key"], overlap["other"], overlap["record"]) == ("i", "j", 8)
    assert overlap["geometry"].area == pytest.approx(1)


def test_the_identity_of_a_finding_outlasts_the_order_of_the_records(check, rule_of, frame):
    rule = _rule(rule_of, "overlaps")
    turned = frame.iloc[::-1].reset_index(drop=True)
    one, two = check(rule).findings, check(rule, frame=turned).findings
    assert list(one["finding_id"]) == list(two["finding_id"])


def test_records_that_fail_a_blocking_rule_are_returned_both_of_an_overlap(check, rule_of):
    checked = check(
        _mandatory(rule_of, gate="review"),
        _rule(rule_of, "overlaps", tolerated=0.5),
    )
    assert checked.returned_records == {8, 9}
    assert checked.quarantine_reasons == ()


@pytest.mark.parametrize(("tolerated", "is_within"), [(0.2, True), (0.1, False)])
def test_a_delivery_is_quarantined_beyond_the_tolerated_share(check, rule_of, tolerated, is_within):
    checked = check(_rule(rule_of, "overlaps", tolerated=tolerated))
    (result,) = checked.results
    assert (result.checked, result.failed) == (10, 2)
    assert result.status is RuleStatus.FAILED
    assert result.is_within_tolerance is is_within
    expected = () if is_within else ("things.overlaps: 2 of 10 records fail, tolerated 10.0%",)
    assert checked.quarantine_reasons == expected
    assert checked.gate_reasons == ()


@pytest.mark.parametrize("gate", ["review", "note"])
def test_only_a_blocking_rule_closes_the_gate(check, rule_of, gate):
    checked = check(_rule(rule_of, "overlaps", tolerated=0.0, gate=gate))
    assert not checked.results[0].is_within_tolerance
    assert checked.quarantine_reasons == ()
    assert checked.returned_records == frozenset()


def test_a_candidate_is_held_and_not_quarantined(check, rule_of):
    rule = rule_of("overlaps", tolerated=0.0)
    checked = check(rule, scope=Scope.CANDIDATE)
    assert checked.quarantine_reasons == ()
    assert checked.gate_reasons == ("things.overlaps: 2 of 10 records fail, tolerated 0.0%",)


def test_a_finding_about_the_whole_layer_is_never_tolerated(check, rule_of):
    checked = check(_rule(rule_of, "silent_feed", parameters={"min_count": 11}, tolerated=1.0))
    (result,) = checked.results
    assert (result.failed, result.is_within_tolerance) == (1, False)
    assert checked.quarantine_reasons == ("things.silent_feed: 10 features, expected at least 11",)
    assert checked.returned_records == frozenset()


def test_rules_of_another_scope_are_left_alone(check, rule_of):
    assert check(rule_of("overlaps")).results == ()


def test_an_attribute_that_is_not_provided_is_passed_over_and_said_so(check, rule_of, frame):
    checked = check(_mandatory(rule_of, tolerated=0.0), frame=frame.drop(columns="name"))
    (result,) = checked.results
    assert (result.checked, result.failed) == (0, 0)
    assert result.status is RuleStatus.PASSED
    assert result.message == "not provided: name"
    assert checked.quarantine_reasons == ()


def test_rules_about_versions_wait_for_a_release(check, rule_of):
    rule = _rule(rule_of, "sum_drift", parameters={"of": "count", "max_share": 0.1})
    (result,) = check(rule).results
    assert (result.status, result.message) == (RuleStatus.PASSED, "no release to compare with")


@pytest.fixture
def broken(monkeypatch):
    """Return a function that makes the check of one kind raise an error."""

    def break_kind(name, error):
        def check(context, parameters):
            raise error

        kinds = dict(rule_kinds())
        kinds[name] = dataclasses.replace(kinds[name], check=check)
        monkeypatch.setattr(compiled_module, "rule_kinds", lambda: kinds)

    return break_kind


@pytest.mark.parametrize("scope", list(Scope))
def test_a_rule_that_can_not_be_checked_closes_the_gate_and_stops_no_other(
    check, rule_of, broken, scope
):
    broken("overlaps", ZeroDivisionError("division by zero"))
    checked = check(
        _rule(rule_of, "overlaps", gate="note", scope=scope),
        _mandatory(rule_of, scope=scope, gate="note"),
        scope=scope,
    )
    broken_result, other = checked.results
    assert broken_result.status is RuleStatus.NOT_CHECKED
    assert broken_result.message == "ZeroDivisionError: division by zero"
    assert (broken_result.checked, broken_result.is_within_tolerance) == (0, False)
    assert (other.status, other.failed) == (RuleStatus.FAILED, 1)
    reasons = checked.quarantine_reasons + checked.gate_reasons
    assert reasons == (
        "things.overlaps: could not be checked: ZeroDivisionError: division by zero",
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (pd.DataFrame({"row": [0]}), "defects without other_row"),
        (defects(row=[10], found="x"), "positions outside the 10 rows"),
        (None, "TypeError"),
        (defects(row=[0], found="x").assign(row=[0.5]), "anything in row"),
        (defects(row=[0], found="x").assign(other_row=[True]), "anything in other_row"),
        (defects(row=[0], found="x").assign(found=[None]), "anything in found"),
        (defects(row=[0], found="x").assign(other=[7]), "anything in other"),
        (defects(row=[0], found="x").assign(geometry=["POINT (0 0)"]), "anything in geometry"),
    ],
)
def test_a_kind_that_answers_nonsense_has_not_checked(check, rule_of, monkeypatch, answer, message):
    kinds = dict(rule_kinds())
    kinds["overlaps"] = dataclasses.replace(kinds["overlaps"], check=lambda *_: answer)
    monkeypatch.setattr(compiled_module, "rule_kinds", lambda: kinds)
    (result,) = check(_rule(rule_of, "overlaps")).results
    assert result.status is RuleStatus.NOT_CHECKED
    assert message in result.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "the kind gave None for an expectation"),
        (CoreExpectation("ExpectNothing", {}, (), "x"), "no expectation ExpectNothing"),
        (
            CoreExpectation("ExpectColumnValuesToNotBeNull", {"colum": "name"}, (), "x"),
            "no expectation ExpectColumnValuesToNotBeNull of this form",
        ),
        (
            CoreExpectation("ExpectTableRowCountToBeBetween", {"min_value": 1}, (), "x"),
            "no expectation ExpectTableRowCountToBeBetween of this form",
        ),
    ],
)
def test_a_kind_that_asks_for_no_expectation_has_not_checked_and_stops_no_other(
    check, rule_of, monkeypatch, answer, message
):
    kinds = dict(rule_kinds())
    kinds["mandatory"] = dataclasses.replace(kinds["mandatory"], expectation=lambda *_: answer)
    monkeypatch.setattr(compiled_module, "rule_kinds", lambda: kinds)
    rule = _mandatory(rule_of)
    result, other = check(rule, _rule(rule_of, "overlaps")).results
    assert (result.status, other.status) == (RuleStatus.NOT_CHECKED, RuleStatus.FAILED)
    assert message in result.message
    alone = check(rule)
    assert alone.results == (result,)
    assert message in alone.quarantine_reasons[0]


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_what_ends_the_run_is_not_held_back(check, rule_of, broken, error):
    broken("overlaps", error)
    with pytest.raises(type(error)):
        check(_rule(rule_of, "overlaps"))


def test_other_layers_are_read_only_when_a_rule_asks(layer, layer_of, frame, frame_of, rule_of):
    roads = layer_of("roads", "none", {"name": "string"})
    asked = []

    def other(name):
        asked.append(name)
        return frame_of(roads, [{"name": "b"}])

    parameters = {"column": "name", "layer": "roads", "layer_column": "name"}
    rules = [
        rule_of("foreign_key", parameters=parameters),
        rule_of("overlaps", scope="delivery"),
    ]
    compiled = compile_rules(rules, {"things": layer, "roads": roads}, {})
    given = {"layer": "things", "frame": frame, "as_of": AS_OF}
    check_layer(compiled, scope=Scope.DELIVERY, other=other, **given)
    assert asked == []
    checked = check_layer(compiled, scope=Scope.CANDIDATE, other=other, **given)
    assert asked == ["roads"]
    assert checked.results[0].failed == 8
    without = check_layer(compiled, scope=Scope.CANDIDATE, **given)
    assert without.results[0].status is RuleStatus.NOT_CHECKED
    assert "layer roads is not at hand" in without.results[0].message


def test_the_input_is_not_changed(check, rule_of, frame):
    before = frame.copy(deep=True)
    check(_mandatory(rule_of), _rule(rule_of, "overlaps"), _rule(rule_of, "gaps"))
    assert frame.equals(before)


def test_any_index_will_do(check, rule_of, frame):
    odd = frame.set_index(frame["source_key"])
    rules = [_mandatory(rule_of), _rule(rule_of, "overlaps"), _rule(rule_of, "duplicate_geometry")]
    one, two = check(*rules), check(*rules, frame=odd)
    assert one.findings.equals(two.findings)
    assert one.returned_records == two.returned_records


def test_suite_and_validation_are_kept_as_great_expectations_writes_them(check, rule_of):
    checked = check(_mandatory(rule_of), _rule(rule_of, "overlaps"))
    suite, validation = json.loads(checked.suite_json), json.loads(checked.validation_json)
    assert [one["meta"]["rule"] for one in suite["features"]["expectations"]] == [
        "things.mandatory",
        "things.overlaps",
    ]
    assert suite["layer"]["expectations"][0]["kwargs"]["column"] == "n_things.overlaps"
    failed = {
        one["expectation_config"]["meta"]["rule"]: one["result"]["unexpected_index_list"]
        for one in validation["features"]["results"]
    }
    assert failed == {
        "things.mandatory": [0],
        "things.overlaps": [8, 9],
    }


def test_without_rules_there_is_nothing(check):
    checked = check()
    assert (checked.results, len(checked.findings)) == ((), 0)
    assert json.loads(checked.suite_json) == {"features": {}, "layer": {}}


def test_checks_side_by_side_give_what_one_after_another_gives(check, rule_of, frame):
    rules = [
        _mandatory(rule_of, tolerated=0.1),
        _rule(rule_of, "unique", parameters={"columns": ["storeys", "name"]}),
        _rule(rule_of, "range", parameters={"column": "storeys", "max": 2}),
        _rule(rule_of, "overlaps"),
    ]
    frames = []
    for number in range(8):
        other = frame.copy()
        other.loc[: number + 1, "name"] = None
        other.loc[number:, "storeys"] = number
        frames.append(other)

    def run(one):
        checked = check(*rules, frame=one)
        return checked.results, checked.findings.to_json(), checked.returned_records

    serial = [run(one) for one in frames]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(run, frames))
    assert parallel == serial
    assert len({results for results, _, _ in serial}) == 8
