from dataclasses import replace

import pytest

from cityframe.model.finding import Scope
from cityframe.model.report import LayerAccount, LayerChanges, ReportKind, RuleStatus
from cityframe.products.report.listing import list_findings
from cityframe.products.report.sections import report_view, verdict


@pytest.fixture
def view(sample):
    table = list_findings(sample.findings, sample.layers, sample.waived).table
    return report_view(sample.report, table, sample.layers)


@pytest.mark.parametrize(
    ("state", "release", "reasons", "expected"),
    [
        ("in-review", None, ("a rule fails",), "held"),
        ("in-review", None, (), "clear"),
        ("frozen", None, (), "clear"),
        ("approved", None, ("a rule fails",), "approved"),
        ("released", 18, (), "released"),
        ("published", 18, ("a rule fails",), "released"),
        ("in-review", 18, (), "released"),
        ("returned", None, ("a rule fails",), "returned"),
        ("abandoned", None, (), "abandoned"),
    ],
)
def test_verdict_follows_the_state_then_the_gate(sample, state, release, reasons, expected):
    report = replace(sample.report, state=state, release=release, gate_reasons=reasons)
    assert verdict(report, list_findings({}, sample.layers).table) == expected


@pytest.mark.parametrize(
    ("changed", "reasons", "expected"),
    [
        ({}, (), "mend"),
        ({"gate": "note"}, (), "good"),
        ({"waiver": "w-1"}, (), "good"),
        ({"state": "fixed"}, (), "good"),
        ({}, ("too few records",), "quarantined"),
    ],
)
def test_verdict_over_a_delivery_follows_what_is_open(sample, changed, reasons, expected):
    (frame,) = sample.findings.values()
    table = list_findings({"one": frame.iloc[:3].assign(**changed)}, sample.layers).table
    delivery = replace(sample.report.deliveries[0], quarantine_reasons=reasons)
    report = replace(sample.report, kind=ReportKind.DELIVERY, deliveries=(delivery,))
    assert verdict(report, table) == expected


def test_findings_of_a_candidate_count_for_its_rule_whoever_is_to_blame(sample):
    (frame,) = sample.findings.values()
    blamed = frame.assign(delivery=frame["delivery"].where(frame["delivery"] != "", "any.0001"))
    table = list_findings({"one": blamed}, sample.layers).table
    view = report_view(sample.report, table, sample.layers)
    rows = {row.result.rule: row for group in view.groups for row in group.rows}
    assert rows["parcel.overlap"].findings == (frame["rule"] == "parcel.overlap").sum()
    assert rows["parcel.overlap"].address == "rule=parcel.overlap&layer=parcel"
    assert all(row.is_reported for row in rows.values())


def test_blocking_rules_of_the_candidate_hold_it_and_those_of_deliveries_do_not(view):
    assert [row.result.rule for row in view.holding] == ["parcel.overlap", "pipe.dangle"]
    assert all(row.result.scope is Scope.CANDIDATE for row in view.holding)


def test_rule_rows_count_their_findings_and_lead_to_them(sample, view):
    rows = {row.result.rule: row for group in view.groups for row in group.rows}
    (frame,) = sample.findings.values()
    for rule, count in frame["rule"].value_counts().items():
        assert rows[rule].findings == count
    assert rows["parcel.overlap"].address == "rule=parcel.overlap&layer=parcel"
    assert "delivery=water_company.d8834fa1067be52c" in rows["pipe.diameter"].address


def test_layers_stand_in_the_order_of_the_contracts_and_failures_first(sample, view):
    assert [group.layer for group in view.groups] == list(sample.layers)
    for group in view.groups:
        status = [row.result.status for row in group.rows]
        assert status == sorted(status, key=["failed", "could-not-be-checked", "passed"].index)
    assert sum(group.failed for group in view.groups) == view.rules_failed


def test_every_rule_is_counted_once(sample, view):
    results = sample.report.results
    assert view.rules_failed + view.rules_not_checked + view.rules_passed == len(results)
    assert view.rules_not_checked == sum(one.status is RuleStatus.NOT_CHECKED for one in results)


def test_rules_with_findings_and_no_outcome_are_listed_as_failed(sample):
    report = replace(sample.report, results=())
    table = list_findings(sample.findings, sample.layers).table
    view = report_view(report, table, sample.layers)
    rows = [row for group in view.groups for row in group.rows]
    assert {row.result.rule for row in rows} == set(table["rule"])
    assert sum(row.findings for row in rows) == len(table)
    assert not any(row.is_reported for row in rows)
    assert (view.rules, view.rules_failed) == (len(rows), len(rows))


def test_blocking_findings_of_deliveries_are_told_apart(sample, view):
    (frame,) = sample.findings.values()
    expected = ((frame["gate"] == "block") & (frame["scope"] == "delivery")).sum()
    assert view.returned_by_block == expected > 0


def test_fates_that_do_not_add_up_are_told(view):
    missing = {
        one.account.delivery.source: [row.missing for row in one.layers] for one in view.deliveries
    }
    assert missing == {
        "land_registry": [0],
        "survey_2026q4": [0, 0],
        "civil_affairs": [0],
        "water_company": [1],
    }


def test_unknown_fate_counts_for_the_balance(sample):
    account = replace(
        sample.report.deliveries[0],
        layers=(LayerAccount("parcel", 5, {"published": 3, "lost": 2}),),
    )
    report = replace(sample.report, deliveries=(account,))
    table = list_findings({}, sample.layers).table
    assert report_view(report, table, sample.layers).deliveries[0].layers[0].missing == 0


def test_change_that_does_not_explain_the_new_count_is_told(sample):
    title = sample.layers["road"].title
    changes = LayerChanges("road", title, 10, 14, {"new": 3, "removed": 1, "moved": 2}, 0)
    report = replace(sample.report, changes=(changes,))
    (row,) = report_view(report, list_findings({}, sample.layers).table, sample.layers).changes
    assert (row.difference, row.total, row.unexplained) == (4, 6, 2)


def test_layer_without_a_contract_goes_by_its_name(sample):
    layers = {name: layer for name, layer in sample.layers.items() if name != "road"}
    report = replace(sample.report, changes=())
    view = report_view(report, list_findings({}, layers).table, layers)
    assert view.groups[-1].layer == "road"
    assert view.groups[-1].title.zh == "road"
