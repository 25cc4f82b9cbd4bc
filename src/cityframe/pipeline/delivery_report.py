"""The report of one delivery, for the supplier: what it must mend, and what became of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas as gpd

from cityframe.errors import DeclarationError
from cityframe.model.finding import FindingState, Scope
from cityframe.model.report import Report, ReportKind, RuleResult, RuleStatus
from cityframe.pipeline.accounts import Account, accounts
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import cycles_of, source_of
from cityframe.pipeline.question_sections import question_sections
from cityframe.pipeline.reporting import (
    cycle_report,
    features_by_layer,
    listed_findings,
    report_context,
)
from cityframe.products.report import ReportFiles, write_report


def write_delivery_report(city: City, delivery: str, folder: Path) -> tuple[str, ReportFiles]:
    """Write the report of a delivery as the newest cycle has it that took it in.

    Parameters
    ----------
    city : City
        The city.
    delivery : str
        Id of a delivery that a checked cycle took in.
    folder : Path
        Where to; replaced whole.

    Returns
    -------
    tuple of str and ReportFiles
        The cycle, and what was written: the same files as of a cycle's report.

    Raises
    ------
    DeclarationError
        If no cycle took the delivery in, or what the cycle found was pruned.
    GateClosedError
        If the cycle is not checked yet.
    """
    cycle = _cycle_of(city, delivery)
    taken = tuple(accounts(city, cycle))
    account = next(one for one in taken if one.delivery == delivery)
    mine = answers_for(delivery, [one.delivery for one in taken])
    findings = {
        layer: frame
        for layer, every in listed_findings(city, cycle).items()
        if len(frame := every[every["delivery"].map(mine).astype(bool)])
    }
    files = write_report(
        folder,
        replace(
            _report(cycle_report(city, cycle), account, findings),
            sections=tuple(question_sections(city, cycle, delivery)),
        ),
        findings=findings,
        features=features_by_layer(city, cycle),
        context=report_context(city, cycle, findings),
        layers=city.workspace.layers,
    )
    return cycle, files


def _cycle_of(city: City, delivery: str) -> str:
    taken = [
        entry
        for series in city.workspace.series
        for entry in cycles_of(city, series)
        if delivery in entry.body["plan"]["deliveries"]
    ]
    for entry in sorted(taken, key=lambda one: one.sequence, reverse=True):
        if any(one.delivery == delivery for one in accounts(city, entry.subject)):
            return entry.subject
    raise DeclarationError(
        where=f"delivery {delivery}",
        found="no cycle took it in",
        expected="the id of a delivery that a cycle took in",
        remedy="see the deliveries in the report of a cycle",
    )


def answers_for(delivery: str, taken: list[str]) -> Callable[[str], bool]:
    """Return what says whether a delivery answers for the findings of another one.

    The newest delivery of a source in a cycle answers for those of before: what they brought and
    it has not mended, and what it fixed.
    """
    source = source_of(delivery)
    of_source = [one for one in taken if source_of(one) == source]
    is_newest = of_source[-1] == delivery
    others = set(of_source) - {delivery}
    return lambda one: (
        one == delivery or (is_newest and source_of(one) == source and one not in others)
    )


def _report(whole: Report, account: Account, findings: dict[str, gpd.GeoDataFrame]) -> Report:
    mine = tuple(one for one in whole.deliveries if one.delivery.id == account.delivery)
    read = {one.layer: one.read for one in account.layers}
    return replace(
        whole,
        kind=ReportKind.DELIVERY,
        deliveries=mine,
        results=(
            *account.results,
            *(
                _blamed(one, findings[one.layer], account.delivery, read.get(one.layer, 0))
                for one in whole.results
                if one.scope is Scope.CANDIDATE and one.layer in findings
            ),
        ),
        changes=(),
        stale_sources=(),
        decisions=(),
        gate_reasons=(),
    )


def _blamed(result: RuleResult, findings: gpd.GeoDataFrame, delivery: str, read: int) -> RuleResult:
    """Return a candidate's result as far as one delivery is to blame for it."""
    here = (findings["rule"] == result.rule) & (findings["scope"] == Scope.CANDIDATE)
    if "state" in findings:
        here &= findings["state"] != FindingState.FIXED
    failed = int(findings.loc[here, "uid"].nunique())
    if result.status is RuleStatus.NOT_CHECKED:
        return replace(result, delivery=delivery)
    return replace(
        result,
        delivery=delivery,
        checked=read,
        failed=failed,
        status=RuleStatus.FAILED if failed else RuleStatus.PASSED,
        is_within_tolerance=result.is_within_tolerance or not failed,
    )
