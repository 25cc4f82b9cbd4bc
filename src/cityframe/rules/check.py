"""Check one layer against its rules: findings, one result a rule, and the answer of the gate."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.core.findings import concat_findings
from cityframe.model.finding import Gate, Scope
from cityframe.model.report import RuleResult, RuleStatus
from cityframe.rules.compiled import CompiledRule, CompiledRules
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects, verified
from cityframe.rules.expectations import (
    Outcome,
    Planned,
    Validation,
    count_column,
    count_expectation,
    validate,
)
from cityframe.rules.gathering import findings_of
from cityframe.rules.kind import CoreExpectation
from cityframe.rules.moments import plain_times
from cityframe.rules.values import quoted


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


@dataclass(frozen=True)
class _Attempt:
    """What came of trying one rule, before the gate.

    An attribute rule has an ``expectation`` and gets its defects from the outcome. A ``message``
    says why the rule did not run: with ``is_error`` it could not, else there was nothing to check.
    """

    compiled: CompiledRule
    defects: pd.DataFrame
    expectation: CoreExpectation | None = None
    message: str = ""
    is_error: bool = False

    @property
    def id(self) -> str:
        return self.compiled.rule.id


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
    )
    attempts = [_attempt(context, rule) for rule in compiled.of(layer, scope)]
    features, whole = _validate(context, attempts, f"{layer}-{scope}")
    findings, results, returned, reasons = [], [], set[int](), []
    for attempt in attempts:
        attempt = _completed(context, attempt, features.outcomes.get(attempt.id))
        result = _result(context, attempt, features, whole, delivery)
        findings.append(findings_of(context, attempt.compiled, attempt.defects, delivery=delivery))
        results.append(result)
        reasons += _reasons(attempt, result)
        if result.gate is Gate.BLOCK:
            returned |= _failed_rows(attempt.defects)
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


def _attempt(context: Context, compiled: CompiledRule) -> _Attempt:
    kind, parameters = compiled.kind, compiled.parameters
    needed = parameters.needed_columns(context.layer)
    absent = [name for name in needed if not context.is_provided(name)]
    if absent:
        return _Attempt(compiled, no_defects(), message=f"not provided: {', '.join(absent)}")
    if kind.reach == "versions" and context.previous is None:
        return _Attempt(compiled, no_defects(), message="no release to compare with")
    try:
        found = no_defects() if kind.check is None else kind.check(context, parameters)
        wanted = None if kind.expectation is None else kind.expectation(parameters, context.layer)
        return _Attempt(compiled, verified(found, len(context.frame)), expectation=wanted)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (a kind's failure is its rule's result, and gates)
        return _not_checked(compiled, f"{type(error).__name__}: {error}")


def _not_checked(compiled: CompiledRule, message: str) -> _Attempt:
    return _Attempt(compiled, no_defects(), message=message, is_error=True)


def _validate(
    context: Context, attempts: Sequence[_Attempt], name: str
) -> tuple[Validation, Validation]:
    """Let Great Expectations judge: the features, and (a table of one row) the whole layer."""
    tried = [attempt for attempt in attempts if not attempt.message]
    counted = [attempt for attempt in tried if attempt.expectation is None]
    columns = {
        column: plain_times(context.frame[column].reset_index(drop=True))
        for attempt in tried
        if attempt.expectation is not None
        for column in attempt.compiled.parameters.needed_columns(context.layer)
    }
    counts, about_layer = {}, {}
    for attempt in counted:
        rows = attempt.defects[["row", "other_row"]].to_numpy().ravel()
        counts[count_column(attempt.id)] = np.bincount(
            rows[rows >= 0], minlength=len(context.frame)
        )
        about_layer[count_column(attempt.id)] = [int((attempt.defects["row"] < 0).sum())]
    features = validate(
        pd.DataFrame({**columns, **counts}, index=pd.RangeIndex(len(context.frame))),
        [_planned(attempt, 1 - attempt.compiled.rule.tolerated) for attempt in tried],
        name=name,
    )
    # a finding about the whole layer is never tolerated
    whole = validate(
        pd.DataFrame(about_layer), [_planned(attempt, 1.0) for attempt in counted], name=name
    )
    return features, whole


def _planned(attempt: _Attempt, mostly: float) -> Planned:
    expectation = attempt.expectation or count_expectation(attempt.id)
    # without the noise of the subtraction, which would make 0.95 a hair more
    return Planned(rule=attempt.compiled, expectation=expectation, mostly=round(mostly, 12))


def _completed(context: Context, attempt: _Attempt, outcome: Outcome | None) -> _Attempt:
    """Return the attempt with the defects that Great Expectations found."""
    if outcome is None:
        return attempt
    if outcome.error:
        return _not_checked(attempt.compiled, outcome.error)
    if attempt.expectation is None:
        return attempt
    found = quoted(context.frame, attempt.expectation.columns, outcome.failed)
    return _Attempt(
        attempt.compiled,
        defects(row=outcome.failed, found=found, expected=attempt.expectation.expected),
        expectation=attempt.expectation,
    )


def _result(
    context: Context, attempt: _Attempt, features: Validation, whole: Validation, delivery: str
) -> RuleResult:
    rule = attempt.compiled.rule
    outcomes = [part.outcomes.get(rule.id) for part in (features, whole)]
    status = RuleStatus.PASSED if attempt.defects.empty else RuleStatus.FAILED
    checked = 0 if outcomes[0] is None else outcomes[0].checked
    about_layer = int((attempt.defects["row"] < 0).sum())
    return RuleResult(
        rule=rule.id,
        kind=rule.kind,
        version=rule.version,
        title=rule.title.title(),
        measure=attempt.compiled.measure,
        defect_class=rule.defect_class,
        gate=rule.gate,
        scope=rule.scope,
        layer=context.layer.name,
        delivery=delivery,
        checked=0 if attempt.message else checked,
        failed=len(_failed_rows(attempt.defects)) + about_layer,
        status=RuleStatus.NOT_CHECKED if attempt.is_error else status,
        is_within_tolerance=not attempt.is_error
        and all(outcome is None or outcome.is_success for outcome in outcomes),
        message=attempt.message,
    )


def _reasons(attempt: _Attempt, result: RuleResult) -> list[str]:
    """Return why this rule closes the gate; empty if it does not."""
    if attempt.is_error:
        return [f"{result.rule}: could not be checked: {attempt.message}"]
    if result.gate is not Gate.BLOCK or result.is_within_tolerance:
        return []
    about_layer = attempt.defects[attempt.defects["row"] < 0]
    if len(about_layer):
        first = about_layer.iloc[0]
        more = f" and {len(about_layer) - 1} more" if len(about_layer) > 1 else ""
        return [f"{result.rule}: {first['found']}{more}, expected {first['expected']}"]
    share = f"{result.failed} of {result.checked} records fail"
    return [f"{result.rule}: {share}, tolerated {attempt.compiled.rule.tolerated:.1%}"]


def _failed_rows(defects: pd.DataFrame) -> set[int]:
    rows = pd.concat([defects["row"], defects["other_row"]])
    return set(rows[rows >= 0].tolist())


def _json(features: dict[str, object], layer: dict[str, object]) -> str:
    return json.dumps({"features": features, "layer": layer}, ensure_ascii=False)
