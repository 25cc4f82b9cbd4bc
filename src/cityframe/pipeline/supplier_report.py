"""What a supplier delivered over the cycles: records, findings, what was fixed, how punctual."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, FindingState, Gate
from cityframe.model.report import SupplierCycle, SupplierReport, SupplierRule
from cityframe.model.text import Title
from cityframe.pipeline.accounts import Account, accounts
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import Plan, cycle_state, cycles_of, read_plan
from cityframe.pipeline.reporting import report_folder
from cityframe.products.report import findings_of_source, write_supplier_report

GEOPACKAGE = "findings.gpkg"


def write_supplier_trend(city: City, source: str, folder: Path) -> Path:
    """Write the report of a source over all cycles that were reported on.

    Raises
    ------
    DeclarationError
        If there is no such source, or no reported cycle took anything of it.
    """
    return write_supplier_report(folder, supplier_report(city, source))


def supplier_report(city: City, source: str) -> SupplierReport:
    """Return how a source's deliveries fared, cycle by cycle.

    Findings are counted in the reports of the cycles, which are never pruned; so the counts are
    those that the decisions were taken over.
    """
    declared = city.workspace.source(source)
    plans = sorted(_reported(city, source), key=lambda plan: (plan.opened_at, plan.cycle))
    if not any(plan.deliveries_of(source) for plan in plans):
        raise DeclarationError(
            where=f"source {source}",
            found="no cycle with a report took a delivery of it",
            remedy="run a cycle of a series that has this source",
        )
    rules: dict[str, SupplierRule] = {}
    cycles: list[SupplierCycle] = []
    for plan in plans:
        findings = findings_of_source(report_folder(city, plan.cycle) / GEOPACKAGE, source)
        rules |= _rules(city, findings)
        cycles += _cycle(city, plan, source, findings)
    return SupplierReport(
        source=source,
        source_title=declared.title.title(),
        city=city.workspace.title.title(),
        as_of=plans[-1].opened_at,
        time_zone=city.workspace.time_zone,
        currency_days=declared.currency_days,
        cycles=tuple(cycles),
        rules=tuple(rules[name] for name in sorted(rules)),
    )


def _reported(city: City, source: str) -> Iterator[Plan]:
    for series in city.workspace.series.values():
        for entry in cycles_of(city, series.name):
            is_reported = (report_folder(city, entry.subject) / GEOPACKAGE).exists()
            if is_reported and source in series.sources:
                yield read_plan(city, entry.subject)


def _rules(city: City, findings: pd.DataFrame) -> dict[str, SupplierRule]:
    titles = {rule.id: rule.title.title() for rule in city.workspace.rules}
    kinds = findings.drop_duplicates("rule")[["rule", "defect_class", "gate"]]
    return {
        rule: SupplierRule(
            rule, titles.get(rule, Title(rule, rule)), DefectClass(defect_class), Gate(gate)
        )
        for rule, defect_class, gate in kinds.itertuples(index=False, name=None)
    }


def _cycle(city: City, plan: Plan, source: str, findings: pd.DataFrame) -> Iterator[SupplierCycle]:
    taken = {one.delivery: one for one in accounts(city, plan.cycle)}
    mine = [taken[name] for name in plan.deliveries_of(source) if name in taken]
    # blame goes back to older deliveries of the source: the newest one in the cycle answers
    newest = mine[-1].delivery if mine else ""
    owner = findings["delivery"].where(
        findings["delivery"].isin([one.delivery for one in mine]), newest
    )
    if not mine:
        yield _period(city, plan, source, None, findings)
    for account in mine:
        yield _period(city, plan, source, account, findings[owner == account.delivery])


def _period(
    city: City, plan: Plan, source: str, account: Account | None, findings: pd.DataFrame
) -> SupplierCycle:
    found = findings[findings["state"] != FindingState.FIXED]
    still_open = found[~found["is_waived"]]
    delivery = city.archive.get(account.delivery) if account else None
    observed = plan.observed.get(delivery.id, delivery.observed_at) if delivery else ""
    layers = account.layers if account else ()
    fates: dict[str, int] = {}
    for layer in layers:
        for fate, count in layer.fates.items():
            fates[fate] = fates.get(fate, 0) + count
    return SupplierCycle(
        cycle=plan.cycle,
        state=cycle_state(city, plan.cycle).value,
        cut_off=plan.opened_at,
        delivery=delivery.id if delivery else "",
        observed_at=observed,
        landed_at=delivery.landed_at if delivery else "",
        age_days=_days(observed, plan.opened_at) if observed else None,
        is_overdue=source in plan.stale_sources,
        is_quarantined=bool(account and account.quarantine_reasons),
        read=sum(layer.read for layer in layers),
        fates=dict(sorted(fates.items())),
        failing=int(still_open["feature"].nunique()),
        waived=int(found["is_waived"].sum()),
        by_class=_counts(still_open["defect_class"], [one.value for one in DefectClass]),
        by_rule=_counts(still_open["rule"], sorted(still_open["rule"].unique())),
        by_state=_counts(findings["state"], [one.value for one in FindingState]),
    )


def _counts(column: pd.Series, values: list[str]) -> Mapping[str, int]:
    counted = column.value_counts()
    return {value: int(counted.get(value, 0)) for value in values}


def _days(earlier: str, later: str) -> float:
    passed = dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)
    return round(passed / dt.timedelta(days=1), 2)
