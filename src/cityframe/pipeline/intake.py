"""Take in a delivery: read, conform, check and reconcile each of its feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import geopandas as gpd
import pandas as pd

from cityframe.config.source import Feed, Source
from cityframe.conform import Conformed, conform
from cityframe.connectors import read_tables
from cityframe.core.findings import concat_findings, empty_findings, findings_frame
from cityframe.errors import QuarantinedError
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.fate import FATE_COLUMNS, Fate
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.model.question import Answer
from cityframe.model.report import LayerAccount, RuleResult
from cityframe.pipeline.accounts import (
    ACCOUNT_FILE,
    Account,
    delivery_folder,
    write_account,
)
from cityframe.pipeline.built_in_results import REMOVALS_HELD, built_in_results
from cityframe.pipeline.city import City, now
from cityframe.pipeline.current import current_layer
from cityframe.pipeline.features import features_of_findings
from cityframe.pipeline.feed_setting import feed_setting
from cityframe.pipeline.frames_on_disk import write_frame, write_table
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.questions import given_answers
from cityframe.pipeline.received import received_of
from cityframe.pipeline.reconciled_tables import write_reconciled
from cityframe.pipeline.suites import keep_suite
from cityframe.pipeline.turns import in_turn
from cityframe.pipeline.waivers import waiver_book
from cityframe.reconcile import CurrentLayer, Reconciled, compose, reconcile
from cityframe.reconcile.former_deliveries import FeedEffect
from cityframe.rules.check import Checked, check_layer
from cityframe.rules.checking.feature_digests import digest_table
from cityframe.rules.checking.waiving import WaiverBook
from cityframe.rules.compiled import CompiledRules, compile_rules


@dataclass
class _FeedOutcome:
    """What one feed of a delivery came to."""

    name: str
    layer: Layer
    conformed: Conformed
    checked: Checked
    reconciled: Reconciled
    fates: pd.DataFrame
    findings: gpd.GeoDataFrame
    features: gpd.GeoDataFrame
    digests: pd.DataFrame
    effect: FeedEffect


@dataclass
class _Intake:
    """One delivery on its way; ``working`` holds layers with the changes of its earlier feeds."""

    city: City
    cycle: str
    source: Source
    delivery: Delivery
    rules: CompiledRules
    waivers: WaiverBook
    answers: tuple[Answer, ...]
    working: dict[str, CurrentLayer] = field(default_factory=dict)

    def layer_now(self, name: str) -> CurrentLayer:
        if name not in self.working:
            layer = self.city.workspace.layer(name)
            self.working[name] = current_layer(self.city, self.cycle, layer)
        return self.working[name]


@in_turn
def take_in(city: City, cycle: str, source_name: str) -> None:
    """Take in a source's deliveries of a cycle; what is already taken in is left as it is.

    Parameters
    ----------
    city : City
        The city.
    cycle : str
        An open cycle.
    source_name : str
        The source; its deliveries are taken in as they landed.

    Raises
    ------
    IntegrityError
        If landed bytes are not what their manifest says.
    """
    source = city.workspace.source(source_name)
    rules = compile_rules(city.workspace.rules, city.workspace.layers, city.workspace.places)
    plan, waivers = read_plan(city, cycle), waiver_book(city, cycle, now())
    answers = given_answers(city, source_name)
    for delivery_id in plan.deliveries_of(source_name):
        if (delivery_folder(city, cycle, delivery_id) / ACCOUNT_FILE).exists():
            continue
        city.archive.verify(delivery_id)
        delivery = replace(city.archive.get(delivery_id), observed_at=plan.observed[delivery_id])
        _take_in_delivery(_Intake(city, cycle, source, delivery, rules, waivers, answers))


def _take_in_delivery(intake: _Intake) -> None:
    outcomes: list[_FeedOutcome] = []
    reasons: list[str] = []
    for number, feed in enumerate(intake.source.feeds):
        try:
            outcome = _take_in_feed(intake, f"{number:02d}-{feed.layer}", feed)
        except QuarantinedError as error:
            reasons.append(str(error))
            continue
        if outcome is None:
            if intake.source.delivery is not DeliveryKind.LAYERS_CHANGED_ONLY:
                reasons.append(
                    f"{intake.delivery.id}: no file matches {feed.file!r} for layer {feed.layer}"
                )
            continue
        outcomes.append(outcome)
        reasons += outcome.conformed.quarantine_reasons
        reasons += outcome.checked.quarantine_reasons
        reasons += outcome.reconciled.quarantine_reasons
    if not outcomes and not reasons:
        reasons.append(f"{intake.delivery.id}: no file matches any feed of {intake.source.name}")
    _leave_on_disk(intake, outcomes, tuple(dict.fromkeys(reasons)))


def _take_in_feed(intake: _Intake, name: str, feed: Feed) -> _FeedOutcome | None:
    city, delivery, source = intake.city, intake.delivery, intake.source
    files = city.archive.files(delivery.id)
    tables = read_tables(files, source, feed)
    if not tables:
        return None
    layer = city.workspace.layer(feed.layer)
    conformed = conform(
        tables,
        source=source,
        feed=feed,
        layer=layer,
        delivery=delivery,
        framework_layer=lambda other: intake.layer_now(other).all_rows(),
        root=city.workspace.root,
    )
    current = intake.layer_now(layer.name)
    checkable = _said_to_be_so(conformed.frame)
    as_of = pd.Timestamp(delivery.observed_at).to_pydatetime()
    checked = check_layer(
        intake.rules,
        scope=Scope.DELIVERY,
        layer=layer.name,
        frame=checkable,
        delivery=delivery.id,
        other=lambda other: intake.layer_now(other).all_rows(),
        previous=None,
        changes=None,
        as_of=as_of,
        received=received_of(
            tables, files, source=source, feed=feed, delivery=delivery, rules=intake.rules
        ),
        waivers=intake.waivers,
    )
    digests = digest_table(
        intake.rules,
        checked.findings,
        scope=Scope.DELIVERY,
        layer=layer.name,
        frame=checkable,
        as_of=as_of,
        other=lambda other: intake.layer_now(other).all_rows(),
    )
    at_fault = checkable["record"].iloc[sorted(checked.returned_records)]
    let_in = {int(checkable["record"].iloc[row]): name for row, name in checked.let_in.items()}
    is_returned = conformed.frame["record"].isin(at_fault).to_numpy()
    returned = conformed.frame[is_returned]
    unknown = _unknown_records(conformed.fates) if _infers_absence(source.delivery) else 0
    setting = feed_setting(
        city,
        intake.cycle,
        source,
        feed,
        name,
        delivery,
        current=current,
        answers=intake.answers,
        framework_layer=lambda other: intake.layer_now(other).all_rows(),
    )
    setting = replace(
        setting,
        delivery_kind=DeliveryKind.PARTIAL if unknown else source.delivery,
        held_keys=_keys_of_fates(conformed.fates),
        held_records=frozenset(at_fault),
    )
    reconciled = reconcile(current, conformed.frame, setting)
    intake.working[layer.name] = compose(current, reconciled.changes, reconciled.bridge)
    findings = concat_findings(
        [
            conformed.findings,
            checked.findings,
            reconciled.findings,
            _removals_held(unknown, layer, delivery),
        ],
        layer.crs,
    )
    fates = pd.concat(
        [
            conformed.fates,
            _returned_fates(returned, layer, checked.findings),
            reconciled.fates,
        ],
        ignore_index=True,
    )
    fates = _with_waived(fates, let_in)
    return _FeedOutcome(
        name=name,
        layer=layer,
        conformed=conformed,
        checked=checked,
        reconciled=reconciled,
        fates=fates[list(FATE_COLUMNS)],
        findings=findings,
        features=features_of_findings(findings, conformed.frame, current, layer),
        digests=digests,
        effect=FeedEffect(len(current.index()), _totals(reconciled.changes["change"])),
    )


def _said_to_be_so(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the records that say how something is; those that delete it say nothing to check."""
    return frame[frame["operation"] != "delete"].reset_index(drop=True)


def _infers_absence(kind: DeliveryKind) -> bool:
    return kind in (DeliveryKind.FULL, DeliveryKind.LAYERS_CHANGED_ONLY)


def _unknown_records(fates: pd.DataFrame) -> int:
    """Count the records that stopped and of which nobody can tell which feature they are."""
    has_stopped = fates["fate"].isin([Fate.RETURNED, Fate.WAITING])
    is_double = fates["reason"].str.contains("duplicate")
    return int((has_stopped & (fates["source_key"] == "") & ~is_double).sum())


def _removals_held(unknown: int, layer: Layer, delivery: Delivery) -> gpd.GeoDataFrame:
    """Say that no removal is inferred, because an absent feature may be a returned record."""
    if not unknown:
        return empty_findings(layer.crs)
    return findings_frame(
        pd.DataFrame(
            {
                "found": [f"{unknown} returned records without a key"],
                "expected": ["a key, so that absence tells what was removed"],
                "found_zh": [f"退回的 {unknown} 条记录没有主键"],
                "expected_zh": ["有主键，才能由缺失推断删除"],
            }
        ),
        rule=REMOVALS_HELD,
        kind="reconcile",
        defect_class=DefectClass.C,
        gate=Gate.REVIEW,
        scope=Scope.DELIVERY,
        layer=layer.name,
        delivery=delivery.id,
        crs=layer.crs,
    )


def _keys_of_fates(fates: pd.DataFrame) -> frozenset[str]:
    keys = fates["source_key"]
    return frozenset(keys[keys.notna() & (keys != "")])


def _returned_fates(
    returned: gpd.GeoDataFrame, layer: Layer, findings: gpd.GeoDataFrame
) -> pd.DataFrame:
    blocking = findings[findings["gate"] == "block"]
    reasons = blocking.groupby("record")["rule"].agg(lambda rules: ", ".join(sorted(set(rules))))
    return pd.DataFrame(
        {
            "layer": layer.name,
            "record": returned["record"],
            "source_key": returned["source_key"],
            "uid": "",
            "fate": Fate.RETURNED.value,
            "reason": returned["record"].map(reasons).astype("str").fillna(""),
        }
    )


def _with_waived(fates: pd.DataFrame, let_in: Mapping[int, str]) -> pd.DataFrame:
    """Tell of the records that came in although they fail a blocking rule, by which waiver."""
    waiver = fates["record"].map(let_in)
    is_waived = waiver.notna() & (fates["fate"] == Fate.PUBLISHED.value)
    return fates.assign(
        fate=fates["fate"].mask(is_waived, Fate.WAIVED.value),
        reason=fates["reason"].mask(is_waived, "waiver " + waiver.astype("str")),
    )


def _leave_on_disk(
    intake: _Intake, outcomes: Sequence[_FeedOutcome], reasons: tuple[str, ...]
) -> None:
    folder = delivery_folder(intake.city, intake.cycle, intake.delivery.id)
    layers: list[LayerAccount] = []
    results: list[RuleResult] = []
    for outcome in outcomes:
        fates = outcome.fates
        if reasons:
            fates = fates.assign(fate=Fate.WAITING.value, reason="the delivery is quarantined")
        write_table(folder / f"{outcome.name}.fates.parquet", fates)
        write_frame(folder / f"{outcome.name}.findings.parquet", outcome.findings)
        write_frame(folder / f"{outcome.name}.features.parquet", outcome.features)
        write_reconciled(folder, outcome.name, outcome.reconciled)
        write_table(folder / f"{outcome.name}.digests.parquet", outcome.digests)
        keep_suite(folder, outcome.name, outcome.checked)
        layers.append(
            LayerAccount(
                layer=outcome.layer.name,
                read=outcome.conformed.records,
                fates=_totals(fates["fate"]),
            )
        )
        results += built_in_results(
            outcome.findings,
            layer=outcome.layer.name,
            delivery=intake.delivery.id,
            checked=outcome.conformed.records,
        )
        results += outcome.checked.results
    write_account(
        folder / ACCOUNT_FILE,
        Account(
            delivery=intake.delivery.id,
            layers=tuple(layers),
            results=tuple(results),
            quarantine_reasons=reasons,
            feeds=tuple(outcome.name for outcome in outcomes),
            waivers=tuple(
                sorted({name for one in outcomes for name in one.checked.standing_waivers})
            ),
            void_waivers={
                name: why for one in outcomes for name, why in one.checked.void_waivers.items()
            },
            answers=tuple(one.id for one in intake.answers),
            answers_met=tuple(
                sorted({name for one in outcomes for name in one.reconciled.answers_met})
            ),
            effects={outcome.name: outcome.effect for outcome in outcomes},
        ),
    )


def _totals(column: "pd.Series[str]") -> Mapping[str, int]:
    counts = column.value_counts()
    return {str(name): int(counts[name]) for name in sorted(counts.index)}
