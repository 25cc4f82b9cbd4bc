"""Check one layer against its rules: findings, one result a rule, and the answer of the gate."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import pandas as pd

from cityframe.core.findings import concat_findings
from cityframe.model.finding import Gate, Scope
from cityframe.model.report import RuleResult
from cityframe.rules.attempt import attempt_rule
from cityframe.rules.compiled import CompiledRules
from cityframe.rules.context import Context, Received
from cityframe.rules.gate import (
    failed_rows,
    gate_reasons,
    rule_result,
    validate_attempts,
    with_outcome,
)
from cityframe.rules.gathering import findings_of


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
        Positions in the frame of the records that fail a blocking rule.
    quarantine_reasons : tuple of str
        Why a delivery is set aside whole; empty in a candidate.
    gate_reasons : tuple of str
        Why a candidate can't be approved; empty in a delivery.
    suite_json, validation_json : str
        The suite and its result in the form of Great Expectations: an object with the parts
        ``features`` and ``layer``.
    """

    findings: gpd.GeoDataFrame
    results: tuple[RuleResult, ...]
    returned_records: frozenset[int]
    quarantine_reasons: tuple[str, ...]
    gate_reasons: tuple[str, ...]
    suite_json: str
    validation_json: str


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

    Returns
    -------
    Checked
        Equal inputs give equal findings in equal order.

    Notes
    -----
    A rule that can't be checked (its kind raises) stops nothing else; its result says so and the
    gate stays closed, whatever the rule's own gate is. Great Expectations decides whether the share
    of failures is tolerated; a finding about the whole layer never is.
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
    attempts = [attempt_rule(context, rule) for rule in compiled.of(layer, scope)]
    features, whole = validate_attempts(context, attempts, f"{layer}-{scope}")
    findings, results, returned, reasons = [], [], set[int](), []
    for attempt in attempts:
        attempt = with_outcome(context, attempt, features.outcomes.get(attempt.id))
        result = rule_result(context, attempt, features, whole, delivery)
        findings.append(findings_of(context, attempt.compiled, attempt.defects, delivery=delivery))
        results.append(result)
        reasons += gate_reasons(attempt, result)
        if result.gate is Gate.BLOCK:
            returned |= failed_rows(attempt.defects)
    is_delivery = scope is Scope.DELIVERY
    return Checked(
        findings=concat_findings(findings, context.layer.crs),
        results=tuple(results),
        returned_records=frozenset(returned),
        quarantine_reasons=tuple(reasons) if is_delivery else (),
        gate_reasons=() if is_delivery else tuple(reasons),
        suite_json=_json(features.suite, whole.suite),
        validation_json=_json(features.result, whole.result),
    )


def _json(features: dict[str, object], layer: dict[str, object]) -> str:
    return json.dumps({"features": features, "layer": layer}, ensure_ascii=False)
