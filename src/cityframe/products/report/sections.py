"""What the page's sections say beyond the report's own fields: verdict, groups, balances."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

import pandas as pd

from cityframe.model.change import ChangeKind
from cityframe.model.cycle import CycleState
from cityframe.model.fate import Fate
from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.layer import Layer
from cityframe.model.report import (
    DeliveryAccount,
    LayerChanges,
    Report,
    ReportKind,
    RuleResult,
    RuleStatus,
)
from cityframe.model.text import Title
from cityframe.products.report.reasons import reason_titles

_STATUS_ORDER = (RuleStatus.FAILED, RuleStatus.NOT_CHECKED, RuleStatus.PASSED)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule's outcome and how many findings the page lists for it, under which address.

    ``is_reported`` is false for a rule that has findings and no outcome in the report: of its
    result, only what the findings say is true.
    """

    result: RuleResult
    findings: int
    address: str
    is_reported: bool = True


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """The rules of one layer: failed, then not checked, then passed."""

    layer: str
    title: Title
    rows: tuple[RuleRow, ...]
    failed: int


@dataclass(frozen=True, slots=True)
class FateRow:
    """One layer of a delivery; ``missing`` is what was read less the sum of the fates."""

    layer: str
    read: int
    fates: Mapping[str, int]
    missing: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery with its bytes in all."""

    account: DeliveryAccount
    size: int
    layers: tuple[FateRow, ...]
    reasons: tuple[Title, ...]
    """Why it was quarantined."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One layer's changes; ``unexplained`` is after less (before + new - removed)."""

    layer: LayerChanges
    counts: Mapping[str, int]
    total: int
    difference: int
    unexplained: int


@dataclass(frozen=True, slots=True)
class View:
    """All that the templates need besides the report."""

    verdict: str
    reasons: tuple[Title, ...]
    """Why the candidate can't be approved."""
    holding: tuple[RuleRow, ...]
    to_mend: tuple[RuleRow, ...]
    """Rules with open findings, most severe first; of a delivery's report."""
    titles: Mapping[str, Title]
    change_kinds: tuple[str, ...]
    changes: tuple[ChangeRow, ...]
    changed: int
    fates: tuple[str, ...]
    deliveries: tuple[DeliveryRow, ...]
    quarantined: int
    read: int
    returned: int
    groups: tuple[RuleGroup, ...]
    rules: int
    rules_failed: int
    rules_not_checked: int
    rules_passed: int
    returned_by_block: int
    """Open findings with gate block in deliveries: their records are not in the candidate."""


def report_view(report: Report, findings: pd.DataFrame, layers: Mapping[str, Layer]) -> View:
    """Work out the sections.

    Parameters
    ----------
    findings : DataFrame
        The table of a `cityframe.products.report.listing.Listing`.
    """
    titles = _titles(report, layers, findings)
    rows = (*_rule_rows(report, findings), *_unreported_rows(report, findings))
    changes = tuple(_change_row(one) for one in report.changes)
    status = [row.result.status for row in rows]
    return View(
        verdict=verdict(report, findings),
        reasons=_gate_reasons(report, findings),
        holding=tuple(row for row in rows if _holds(row.result)),
        to_mend=_to_mend(report, rows),
        titles=titles,
        change_kinds=tuple(kind.value for kind in ChangeKind),
        changes=changes,
        changed=sum(row.total for row in changes),
        fates=tuple(fate.value for fate in Fate),
        deliveries=tuple(_delivery_row(one, report, findings) for one in report.deliveries),
        quarantined=sum(bool(one.quarantine_reasons) for one in report.deliveries),
        read=sum(layer.read for one in report.deliveries for layer in one.layers),
        returned=sum(
            layer.fates.get(Fate.RETURNED.value, 0)
            for one in report.deliveries
            for layer in one.layers
        ),
        groups=_groups(rows, titles, layers),
        rules=len(rows),
        rules_failed=status.count(RuleStatus.FAILED),
        rules_not_checked=status.count(RuleStatus.NOT_CHECKED),
        rules_passed=status.count(RuleStatus.PASSED),
        returned_by_block=int(
            (
                (findings["gate"] == Gate.BLOCK)
                & (findings["scope"] == Scope.DELIVERY)
                & ~findings["is_waived"]
                & ~findings["is_fixed"]
            ).sum()
        ),
    )


def verdict(report: Report, findings: pd.DataFrame) -> str:
    """Return the verdict: held, clear, approved, released, returned or abandoned.

    A state that ends or fixes the cycle speaks before the gate: reasons against approval do not
    matter any more once it is decided. A delivery is quarantined, mend (it has open findings that
    are more than notes) or good.
    """
    if report.kind is ReportKind.DELIVERY:
        if any(one.quarantine_reasons for one in report.deliveries):
            return "quarantined"
        is_open = ~findings["is_waived"] & ~findings["is_fixed"] & (findings["gate"] != Gate.NOTE)
        return "mend" if is_open.any() else "good"
    if report.release is not None or report.state in (CycleState.RELEASED, CycleState.PUBLISHED):
        return "released"
    if report.state in (CycleState.APPROVED, CycleState.RETURNED, CycleState.ABANDONED):
        return str(report.state)
    return "held" if report.gate_reasons else "clear"


def _gate_reasons(report: Report, findings: pd.DataFrame) -> tuple[Title, ...]:
    return reason_titles(
        report.gate_reasons,
        [one for one in report.results if one.scope is Scope.CANDIDATE],
        findings[findings["scope"] == Scope.CANDIDATE],
    )


def _quarantine_reasons(
    account: DeliveryAccount, report: Report, findings: pd.DataFrame
) -> tuple[Title, ...]:
    delivery = account.delivery.id
    is_its = (findings["scope"] == Scope.DELIVERY) & (findings["delivery"] == delivery)
    return reason_titles(
        account.quarantine_reasons,
        [one for one in report.results if one.scope is Scope.DELIVERY and one.delivery == delivery],
        findings[is_its],
    )


def _to_mend(report: Report, rows: tuple[RuleRow, ...]) -> tuple[RuleRow, ...]:
    if report.kind is not ReportKind.DELIVERY:
        return ()
    gates = list(Gate)
    found = (row for row in rows if row.findings)
    return tuple(
        sorted(found, key=lambda row: (gates.index(row.result.gate), row.result.defect_class.value))
    )


def _titles(
    report: Report, layers: Mapping[str, Layer], findings: pd.DataFrame
) -> dict[str, Title]:
    names = {result.layer for result in report.results} | set(findings["layer"])
    names |= {account.layer for one in report.deliveries for account in one.layers}
    titles = {name: Title(zh=name, en=name) for name in sorted(names)}
    titles |= {one.layer: one.title for one in report.changes}
    titles |= {name: layer.title for name, layer in layers.items()}
    return titles


def _holds(result: RuleResult) -> bool:
    return (
        result.gate is Gate.BLOCK
        and result.scope is Scope.CANDIDATE
        and not result.is_within_tolerance
    )


def _rule_rows(report: Report, findings: pd.DataFrame) -> tuple[RuleRow, ...]:
    counts = _counted(findings, ["rule", "layer", "delivery"])
    return tuple(
        RuleRow(result, counts.get(_key(result), 0), _address(result)) for result in report.results
    )


def _key(result: RuleResult) -> tuple[str, str, str]:
    delivery = result.delivery if result.scope is Scope.DELIVERY else ""
    return result.rule, result.layer, delivery


def _counted(findings: pd.DataFrame, keys: list[str]) -> dict[tuple[str, ...], int]:
    """Count what is found now; a candidate's findings over all deliveries that they come from."""
    found = findings[~findings["is_fixed"]]
    if found.empty:
        return {}
    delivery = found["delivery"].where(found["scope"] == Scope.DELIVERY, "")
    sizes = found.assign(delivery=delivery).groupby(keys).size()
    return {cast("tuple[str, ...]", key): int(count) for key, count in sizes.items()}


def _unreported_rows(report: Report, findings: pd.DataFrame) -> tuple[RuleRow, ...]:
    # intake, guards and reconciliation write findings too; a report may come without their outcome
    reported = {_key(one) for one in report.results}
    keys = ["rule", "layer", "delivery", "kind", "defect_class", "gate", "scope"]
    rows = []
    for found, count in _counted(findings, keys).items():
        rule, layer, delivery, kind, defect_class, gate, scope = found
        if (rule, layer, delivery) in reported:
            continue
        result = RuleResult(
            rule=rule,
            kind=kind,
            version=1,
            title=Title(zh=rule, en=rule),
            measure=Measure("", "", ""),
            defect_class=DefectClass(defect_class),
            gate=Gate(gate),
            scope=Scope(scope),
            layer=layer,
            delivery=delivery,
            checked=0,
            failed=count,
            status=RuleStatus.FAILED,
            is_within_tolerance=True,
        )
        rows.append(RuleRow(result, count, _address(result), is_reported=False))
    return tuple(rows)


def _address(result: RuleResult) -> str:
    rule, layer, delivery = _key(result)
    place = {"rule": rule, "layer": layer, "delivery": delivery}
    return urlencode({key: value for key, value in place.items() if value})


def _groups(
    rows: tuple[RuleRow, ...], titles: Mapping[str, Title], layers: Mapping[str, Layer]
) -> tuple[RuleGroup, ...]:
    gates = list(Gate)

    def severity(row: RuleRow) -> tuple[int, int, str, str, str]:
        result = row.result
        return (
            _STATUS_ORDER.index(result.status),
            gates.index(result.gate),
            result.defect_class.value,
            result.rule,
            result.delivery,
        )

    by_layer: dict[str, list[RuleRow]] = {}
    for row in rows:
        by_layer.setdefault(row.result.layer, []).append(row)
    declared = list(layers)
    names = sorted(
        by_layer, key=lambda name: (declared.index(name) if name in layers else len(layers), name)
    )
    return tuple(
        RuleGroup(
            layer=name,
            title=titles[name],
            rows=tuple(sorted(by_layer[name], key=severity)),
            failed=sum(row.result.status is RuleStatus.FAILED for row in by_layer[name]),
        )
        for name in names
    )


def _change_row(one: LayerChanges) -> ChangeRow:
    counts = {kind.value: int(one.changes.get(kind.value, 0)) for kind in ChangeKind}
    difference = one.after - one.before
    return ChangeRow(
        layer=one,
        counts=counts,
        total=sum(counts.values()),
        difference=difference,
        unexplained=difference - counts[ChangeKind.NEW] + counts[ChangeKind.REMOVED],
    )


def _delivery_row(account: DeliveryAccount, report: Report, findings: pd.DataFrame) -> DeliveryRow:
    return DeliveryRow(
        account=account,
        size=sum(file.size for file in account.delivery.files),
        layers=tuple(
            FateRow(
                layer=one.layer,
                read=one.read,
                fates={fate.value: int(one.fates.get(fate.value, 0)) for fate in Fate},
                missing=one.read - sum(one.fates.values()),
            )
            for one in account.layers
        ),
        reasons=_quarantine_reasons(account, report, findings),
    )
