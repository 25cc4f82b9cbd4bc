"""Check one layer against its rules: findings, one result a rule, and the answer of the gate."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import geopandas as gpd
import pandas as pd

from cityframe.core.findings import concat_findings
from cityframe.model.finding import Gate, Scope
from cityframe.model.report import RuleResult
from cityframe.rules.checking.execution import Execution, Threads
from cityframe.rules.checking.gate import (
    failed_rows,
    gate_reasons,
    rule_result,
    validate_attempts,
    with_outcome,
)
from cityframe.rules.checking.gathering import gather
from cityframe.rules.checking.running import try_rules
from cityframe.rules.checking.since import Since
from cityframe.rules.checking.waiving import VoidReason, WaiverBook
from cityframe.rules.compiled import CompiledRules
from cityframe.rules.context import Context, Received


@dataclass(frozen=True)
class Checked:
    """What the check of one layer gave.

    Attributes
    ----------
    findings : GeoDataFrame
        Columns `cityframe.model.finding.FINDING_COLUMNS`, in the layer's CRS; rules in the order of
        their declaration, then by row.
    results : tuple of RuleResult
        One a rule, passes included.
    returned_records : frozenset of int
        Positions in the frame of the records that fail a blocking rule, by an open finding.
    let_in : mapping of int to str
        Positions of the records that would be returned but for waivers, with the first one's id.
    quarantine_reasons : tuple of str
        Why a delivery is set aside whole; empty in a candidate.
    gate_reasons : tuple of str
        Why a candidate can't be approved; empty in a delivery.
    suite_json, validation_json : str
        The suite and its result in the form of Great Expectations: an object with the parts
        ``features`` and ``layer``.
    void_waivers : mapping of str to VoidReason
        Waivers whose finding is met again and stays open in spite of them, and why.
    """

    findings: gpd.GeoDataFrame
    results: tuple[RuleResult, ...]
    returned_records: frozenset[int]
    quarantine_reasons: tuple[str, ...]
    gate_reasons: tuple[str, ...]
    suite_json: str
    validation_json: str
    let_in: Mapping[int, str] = field(default_factory=dict)
    void_waivers: Mapping[str, VoidReason] = field(default_factory=dict)

    @property
    def standing_waivers(self) -> frozenset[str]:
        """Ids of the waivers that stand for a finding."""
        return frozenset(self.findings["waiver"]) - {""}


def check_layer(
    compiled: CompiledRules,
    *,
    scope: Scope,
    layer: str,
    frame: gpd.GeoDataFrame,
    as_of: dt.datetime,
    delivery: str = "",
    other: Callable[[str], gpd.GeoDataFrame] | None = None,
    previous: gpd.GeoDataFrame | None = None,
    changes: gpd.GeoDataFrame | None = None,
    received: Received | None = None,
    read_observations: Callable[[], pd.DataFrame] | None = None,
    waivers: WaiverBook | None = None,
    since: Since | None = None,
    execution: Execution | None = None,
) -> Checked:
    """Check one layer in one scope.

    Parameters
    ----------
    compiled : CompiledRules
    frame : GeoDataFrame, n rows
        Layer frame; a missing attribute is one that the delivery does not provide, and its rules
        are passed over.
    as_of : datetime
        Aware; the moment that counts as now.
    delivery : str
        Id of the delivery; empty for a candidate.
    other : callable or None
        Gives the frame of another layer by its name.
    previous : GeoDataFrame or None
        The layer in the current release, with ``uid``; None before the first release.
    changes : GeoDataFrame or None
        Change table of the candidate.
    received : Received or None
        What the delivery brought, as it was before it was conformed.
    read_observations : callable or None
        Gives the observations of the sensors.
    waivers : WaiverBook or None
        What was accepted: such findings are reported and do not gate.
    since : Since or None
        The check before, by the very same rules (equal digest of the rule set); then only what a
        change can have reached is checked. None for a full check.
    execution : Execution or None
        Where the rules run; None for one thread a core.

    Returns
    -------
    Checked
        Equal inputs give equal findings in equal order, in tiles or not, in full or since.

    Raises
    ------
    IntegrityError
        With ``since``, if rows are not in the order of their uids.

    Notes
    -----
    A rule that can't be checked (its kind raises) stops nothing else; its result says so and the
    gate stays closed, whatever the rule's own gate is. Great Expectations decides whether the share
    of failures is tolerated; a finding about the whole layer never is. Waived findings are no
    failures.
    """
    context = Context(
        layer=compiled.layers[layer],
        frame=frame,
        layers=compiled.layers,
        as_of=as_of,
        previous=previous,
        changes=changes,
        read_other=other,
        received=received,
        read_observations=read_observations,
    )
    gathered = [
        gather(context, attempt, delivery=delivery, waivers=waivers)
        for attempt in try_rules(
            context, compiled.of(layer, scope), execution or Threads(), since=since
        )
    ]
    features, whole = validate_attempts(
        context, [one.attempt for one in gathered], f"{layer}-{scope}"
    )
    findings, results, returned, reasons = [], [], set[int](), []
    let_in: dict[int, str] = {}
    void: dict[str, VoidReason] = {}
    for one in gathered:
        attempt = with_outcome(context, one.attempt, features.outcomes.get(one.attempt.id))
        if attempt is not one.attempt:
            one = gather(context, attempt, delivery=delivery, waivers=waivers)
            attempt = one.attempt
        result = rule_result(
            context, attempt, features, whole, delivery=delivery, waived=one.waived
        )
        findings.append(one.findings)
        results.append(result)
        reasons += gate_reasons(attempt, result)
        void |= one.void
        if result.gate is Gate.BLOCK:
            returned |= failed_rows(attempt.open_defects)
            let_in |= attempt.waived_rows()
    is_delivery = scope is Scope.DELIVERY
    return Checked(
        findings=concat_findings(findings, context.layer.crs),
        results=tuple(results),
        returned_records=frozenset(returned),
        quarantine_reasons=tuple(reasons) if is_delivery else (),
        gate_reasons=() if is_delivery else tuple(reasons),
        suite_json=_json(features.suite, whole.suite),
        validation_json=_json(features.result, whole.result),
        let_in={row: waiver for row, waiver in let_in.items() if row not in returned},
        void_waivers=void,
    )


def _json(features: dict[str, object], layer: dict[str, object]) -> str:
    return json.dumps({"features": features, "layer": layer}, ensure_ascii=False)
