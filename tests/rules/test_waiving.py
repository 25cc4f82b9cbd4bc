"""Waivers in the check of one layer: what stands, what is void, what the gate counts."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.model.finding import Scope
from cityframe.model.report import RuleStatus
from cityframe.model.waiver import Waiver, WaiverScope
from cityframe.rules.check import check_layer
from cityframe.rules.checking.attempt import Attempt
from cityframe.rules.checking.feature_digests import ABSENT, feature_digests
from cityframe.rules.checking.waiving import VoidReason, WaiverBook, match_waivers
from cityframe.rules.compiled import compile_rules
from cityframe.rules.context import Context
from cityframe.rules.defects import no_defects

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MAY, JUNE = "2026-05-01T00:00:00+00:00", "2026-06-01T00:00:00+00:00"


@pytest.fixture
def layer(layer_of):
    return layer_of("things", "Polygon", {"name": "string", "storeys": "integer"})


@pytest.fixture
def frame(layer, frame_of):
    """Ten features in a row; the last two overlap, the first two have no name."""
    grid = "abcdefghij"
    features = [{"cells": mark, "name": mark, "storeys": 1} for mark in grid]
    features[0]["name"] = features[1]["name"] = None
    features[9]["cells"] = "ij"
    return frame_of(layer, features, grid)


@pytest.fixture
def run(layer, frame):
    """Return a function that checks with one rule, in a candidate unless told otherwise."""

    def run(rule, book=None, *, frame=frame, others=None, delivery="", **more):
        others = others or {}
        compiled = compile_rules(
            [rule], {"things": layer, **{name: one for name, (one, _) in others.items()}}, {}
        )
        return check_layer(
            compiled,
            scope=rule.scope,
            layer="things",
            frame=frame,
            as_of=AS_OF,
            delivery=delivery,
            other=lambda name: others[name][1],
            waivers=book,
            **more,
        )

    return run


@pytest.fixture
def digests_of(layer, frame):
    def digests_of(rule, findings, *, frame=frame, others=None, previous=None):
        others = others or {}
        layers = {"things": layer, **{name: one for name, (one, _) in others.items()}}
        compiled = compile_rules([rule], layers, {}).rules[0]
        context = Context(
            layer=layer,
            frame=frame,
            layers=layers,
            as_of=AS_OF,
            previous=previous,
            read_other=lambda name: others[name][1],
        )
        return feature_digests(context, compiled, findings)

    return digests_of


@pytest.fixture
def waive(digests_of):
    """Return a function that makes the waiver of a finding."""

    def waive(rule, findings, place=0, **more):
        given = {name: more.pop(name) for name in ("frame", "others", "previous") if name in more}
        chosen = findings.iloc[[place]]
        finding = chosen.iloc[0]
        return Waiver(
            **{
                "id": f"w{place}",
                "finding_id": finding["finding_id"],
                "rule": finding["rule"],
                "rule_version": finding["rule_version"],
                "layer": finding["layer"],
                "features": digests_of(rule, chosen, **given)[0],
                "reason": "as in the field",
                "approver": "li",
                "given_at": "2026-01-01T00:00:00+00:00",
                "expires_at": JUNE,
                "scope": WaiverScope.STANDING,
                "cycle": "monthly-0001",
                **more,
            }
        )

    return waive


def book(*waivers, withdrawn=(), cycle="monthly-0002", at=MAY):
    return WaiverBook(waivers, frozenset(withdrawn), cycle, dt.datetime.fromisoformat(at))


def test_a_waived_finding_is_reported_and_does_not_gate(run, waive, rule_of):
    rule = rule_of("overlaps", tolerated=0.0)
    without = run(rule)
    assert without.gate_reasons
    checked = run(rule, book(waive(rule, without.findings)))
    (result,) = checked.results
    assert list(checked.findings["waiver"]) == ["w0"]
    assert (result.status, result.failed, result.waived) == (RuleStatus.PASSED, 0, 1)
    assert result.is_within_tolerance
    assert checked.gate_reasons == ()
    assert checked.void_waivers == {}


def test_both_records_of_a_waived_pair_are_let_in_and_known(run, waive, rule_of):
    rule = rule_of("overlaps", scope="delivery", tolerated=0.5)
    without = run(rule, delivery="register.01")
    assert without.returned_records == {8, 9}
    assert without.let_in == {}
    checked = run(rule, book(waive(rule, without.findings)), delivery="register.01")
    assert checked.returned_records == frozenset()
    assert checked.let_in == {8: "w0", 9: "w0"}


def test_a_record_with_another_open_finding_is_returned_all_the_same(
    layer, frame, rule_of, waive, run
):
    rules = [
        rule_of("overlaps", scope="delivery", tolerated=0.5),
        rule_of("range", scope="delivery", tolerated=0.5, parameters={"column": "storeys",
                "min": 1}),
    ]  # fmt: skip
    frame.loc[9, "storeys"] = 0
    waiver = waive(rules[0], run(rules[0], frame=frame).findings, frame=frame)
    checked = check_layer(
        compile_rules(rules, {"things": layer}, {}),
        scope=Scope.DELIVERY, layer="things", frame=frame, as_of=AS_OF, waivers=book(waiver),
    )  # fmt: skip
    assert checked.returned_records == {9}
    assert checked.let_in == {8: "w0"}


@pytest.mark.parametrize(("tolerated", "is_within"), [(0.1, True), (0.0, False)])
def test_attribute_rules_are_judged_over_their_open_findings(
    run, waive, rule_of, tolerated, is_within
):
    rule = rule_of("mandatory", parameters={"column": "name"}, tolerated=tolerated)
    without = run(rule)
    assert not without.results[0].is_within_tolerance
    checked = run(rule, book(waive(rule, without.findings)))
    (result,) = checked.results
    assert (result.checked, result.failed, result.waived) == (10, 1, 1)
    assert result.status is RuleStatus.FAILED
    assert result.is_within_tolerance is is_within
    assert bool(checked.gate_reasons) is not is_within


def test_an_attribute_rule_passes_when_all_its_findings_are_waived(run, waive, rule_of):
    rule = rule_of("mandatory", parameters={"column": "name"}, tolerated=0.0)
    findings = run(rule).findings
    checked = run(rule, book(waive(rule, findings), waive(rule, findings, 1)))
    assert checked.results[0].status is RuleStatus.PASSED
    assert checked.gate_reasons == ()


@pytest.mark.parametrize(
    ("changed", "given", "expected"),
    [
        ({}, {"at": JUNE}, VoidReason.EXPIRED),
        ({}, {"withdrawn": ["w0"]}, VoidReason.WITHDRAWN),
        ({"scope": WaiverScope.CYCLE}, {}, VoidReason.OTHER_CYCLE),
        ({"rule_version": "0"}, {}, VoidReason.RULE_CHANGED),
        ({"features": {"f8": "00"}}, {}, VoidReason.FEATURE_CHANGED),
    ],
)
def test_a_void_waiver_leaves_the_finding_open_and_says_why(
    run, waive, rule_of, changed, given, expected
):
    rule = rule_of("overlaps", tolerated=0.0)
    waiver = waive(rule, run(rule).findings, **changed)
    checked = run(rule, book(waiver, **given))
    assert list(checked.findings["waiver"]) == [""]
    assert checked.void_waivers == {"w0": expected}
    assert checked.gate_reasons


def test_a_waiver_of_its_own_cycle_stands_until_the_moment_it_expires(run, waive, rule_of):
    rule = rule_of("overlaps")
    waiver = waive(rule, run(rule).findings, scope=WaiverScope.CYCLE)
    checked = run(rule, book(waiver, cycle="monthly-0001", at="2026-05-31T23:59:59+00:00"))
    assert list(checked.findings["waiver"]) == ["w0"]


@pytest.mark.parametrize("row", [8, 9])
def test_either_feature_of_a_pair_makes_the_waiver_void_when_it_changes(
    run, waive, rule_of, frame, row
):
    rule = rule_of("overlaps")
    waiver = waive(rule, run(rule).findings)
    changed = frame.copy()
    changed.loc[row, "storeys"] = 2
    checked = run(rule, book(waiver), frame=changed)
    assert checked.void_waivers == {"w0": VoidReason.FEATURE_CHANGED}


def test_a_feature_of_another_layer_makes_the_waiver_void_when_it_changes(
    run, waive, rule_of, layer_of, frame_of
):
    roads = layer_of("roads", "Polygon", {"name": "string"})
    rule = rule_of("must_not_overlap", parameters={"layer": "roads"})

    def others(name):
        return {"roads": (roads, frame_of(roads, [{"cells": "c", "name": name}], "abcdefghij"))}

    findings = run(rule, others=others("x")).findings
    assert list(findings["other"]) == ["roads.0"]
    waiver = waive(rule, findings, others=others("x"))
    assert set(waiver.features) == {"f2", "roads.0"}
    stands = run(rule, book(waiver), others=others("x"))
    assert list(stands.findings["waiver"]) == ["w0"]
    void = run(rule, book(waiver), others=others("y"))
    assert void.void_waivers == {"w0": VoidReason.FEATURE_CHANGED}


def test_a_finding_about_the_whole_layer_binds_to_what_it_says(run, waive, rule_of, frame):
    rule = rule_of("silent_feed", parameters={"min_count": 11})
    waiver = waive(rule, run(rule).findings)
    assert list(waiver.features) == ["things"]
    assert run(rule, book(waiver)).gate_reasons == ()
    fewer = run(rule, book(waiver), frame=frame.iloc[:9])
    assert fewer.void_waivers == {"w0": VoidReason.FEATURE_CHANGED}
    assert fewer.gate_reasons


def test_a_newer_waiver_takes_the_place_of_a_void_one(run, waive, rule_of):
    rule = rule_of("overlaps")
    findings = run(rule).findings
    old = waive(rule, findings, expires_at=MAY)
    new = dataclasses.replace(waive(rule, findings), id="new")
    checked = run(rule, book(old, new))
    assert list(checked.findings["waiver"]) == ["new"]
    assert checked.void_waivers == {"w0": VoidReason.EXPIRED}


def test_digests_are_only_asked_for_where_a_waiver_was_given(run, rule_of, waive):
    rule = rule_of("mandatory", parameters={"column": "name"})
    findings = run(rule).findings
    waiver, asked = waive(rule, findings, 1), []

    def digests(chosen):
        asked.extend(chosen["uid"])
        return [waiver.features]

    assert list(match_waivers(findings, book(waiver), digests).waiver) == ["", "w1"]
    assert asked == ["f1"]


def test_records_with_one_identity_have_one_digest_together(digests_of, rule_of, frame):
    rule = rule_of("mandatory", parameters={"column": "name"}, scope="delivery")
    keyed = frame.drop(columns="uid").assign(source_key=["a", "a", *"cdefghij"])
    finding = pd.DataFrame([{"uid": "", "source_key": "a", "record": 0, "other": ""}])
    both = digests_of(rule, finding, frame=keyed)[0]["a"]
    changed = keyed.copy()
    changed.loc[1, "storeys"] = 7
    assert digests_of(rule, finding, frame=changed)[0]["a"] != both
    turned = keyed.iloc[::-1].reset_index(drop=True)
    assert digests_of(rule, finding, frame=turned)[0]["a"] == both


def test_a_feature_that_is_gone_or_beyond_digesting_says_so(digests_of, rule_of, frame):
    rule = rule_of("valid_geometry")
    endless = frame.copy()
    with np.errstate(invalid="ignore"):
        endless.loc[0, "geometry"] = shapely.Polygon([(0, 0), (1, 0), (np.inf, 1)])
    findings = pd.DataFrame(
        [{"uid": name, "source_key": "", "record": None, "other": ""} for name in ("f0", "f1", "x")]
    )
    first, second, third = digests_of(rule, findings, frame=endless)
    assert first == {"f0": None}
    assert second == digests_of(rule, findings.iloc[[1]])[0]
    assert third == {"x": ABSENT}


def test_a_feature_that_was_removed_is_found_in_the_release_before(digests_of, rule_of, frame):
    rule = rule_of("identity_loss")
    findings = pd.DataFrame([{"uid": "f3", "source_key": "", "record": None, "other": ""}])
    gone = frame[frame["uid"] != "f3"].reset_index(drop=True)
    now, before = (
        digests_of(rule, findings, frame=one, previous=frame)[0] for one in (gone, frame)
    )
    assert now == before


def test_an_attempt_without_waivers_has_only_open_defects():
    attempt = Attempt(None, no_defects())  # type: ignore[arg-type]
    assert attempt.waived_rows() == {}
    assert len(attempt.open_defects) == 0
