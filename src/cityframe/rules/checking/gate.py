"""Let Great Expectations judge what the rules found, and say whether the gate stays open."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cityframe.model.finding import Gate
from cityframe.model.report import RuleResult, RuleStatus
from cityframe.rules.checking.attempt import Attempt, not_checked
from cityframe.rules.checking.expectations import (
    Outcome,
    Planned,
    Validation,
    count_column,
    count_expectation,
    validate,
)
from cityframe.rules.checking.plain_columns import plain_column
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.values import quoted


def validate_attempts(
    context: Context, attempts: Sequence[Attempt], name: str
) -> tuple[Validation, Validation]:
    """Let Great Expectations judge: the features, and (a table of one row) the whole layer."""
    tried = [attempt for attempt in attempts if not attempt.message]
    counted = [attempt for attempt in tried if attempt.expectation is None]
    columns = {
        column: plain_column(context.frame[column].reset_index(drop=True))
        for attempt in tried
        if attempt.expectation is not None
        for column in attempt.compiled.parameters.needed_columns(context.layer)
    }
    counts, about_layer = {}, {}
    for attempt in counted:
        open_defects = attempt.open_defects
        rows = open_defects[["row", "other_row"]].to_numpy().ravel()
        counts[count_column(attempt.id)] = np.bincount(
            rows[rows >= 0], minlength=len(context.frame)
        )
        about_layer[count_column(attempt.id)] = [int((open_defects["row"] < 0).sum())]
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


def _planned(attempt: Attempt, mostly: float) -> Planned:
    expectation = attempt.expectation or count_expectation(attempt.id)
    # without the noise of the subtraction, which would make 0.95 a hair more
    return Planned(rule=attempt.compiled, expectation=expectation, mostly=round(mostly, 12))


def with_outcome(context: Context, attempt: Attempt, outcome: Outcome | None) -> Attempt:
    """Return the attempt with the defects that Great Expectations found."""
    if outcome is None:
        return attempt
    if outcome.error:
        return not_checked(attempt.compiled, outcome.error)
    if attempt.expectation is None:
        return attempt
    found = quoted(context.frame, attempt.expectation.columns, outcome.failed)
    return Attempt(
        attempt.compiled,
        defects(row=outcome.failed, found=found, expected=attempt.expectation.expected),
        expectation=attempt.expectation,
    )


def rule_result(
    context: Context,
    attempt: Attempt,
    features: Validation,
    whole: Validation,
    *,
    delivery: str,
    waived: int,
) -> RuleResult:
    """Return the result of one rule from what Great Expectations said of it.

    Parameters
    ----------
    waived : int
        How many of its findings a waiver accepts.
    """
    rule, defects = attempt.compiled.rule, attempt.open_defects
    outcomes = [part.outcomes.get(rule.id) for part in (features, whole)]
    status = RuleStatus.PASSED if defects.empty else RuleStatus.FAILED
    checked = 0 if outcomes[0] is None else outcomes[0].checked
    about_layer = int((defects["row"] < 0).sum())
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
        failed=len(failed_rows(defects)) + about_layer,
        status=RuleStatus.NOT_CHECKED if attempt.is_error else status,
        is_within_tolerance=not attempt.is_error
        and all(outcome is None or _is_tolerated(attempt, outcome) for outcome in outcomes),
        message=attempt.message,
        waived=waived,
    )


def _is_tolerated(attempt: Attempt, outcome: Outcome) -> bool:
    """Return whether enough records succeed, those with a waived finding among them."""
    if attempt.expectation is None or attempt.waiver is None:
        return outcome.is_success
    # an attribute rule's expectation runs before anybody knows which of its findings are waived
    passed = outcome.checked - len(failed_rows(attempt.open_defects))
    mostly = _planned(attempt, 1 - attempt.compiled.rule.tolerated).mostly
    return passed >= mostly * outcome.checked


def gate_reasons(attempt: Attempt, result: RuleResult) -> list[str]:
    """Return why this rule closes the gate; empty if it does not."""
    if attempt.is_error:
        return [f"{result.rule}: could not be checked: {attempt.message}"]
    if result.gate is not Gate.BLOCK or result.is_within_tolerance:
        return []
    about_layer = attempt.open_defects[attempt.open_defects["row"] < 0]
    if len(about_layer):
        first = about_layer.iloc[0]
        more = f" and {len(about_layer) - 1} more" if len(about_layer) > 1 else ""
        return [f"{result.rule}: {first['found']}{more}, expected {first['expected']}"]
    share = f"{result.failed} of {result.checked} records fail"
    return [f"{result.rule}: {share}, tolerated {attempt.compiled.rule.tolerated:.1%}"]


def failed_rows(defects: pd.DataFrame) -> set[int]:
    """Return the positions of the features that fail."""
    rows = pd.concat([defects["row"], defects["other_row"]])
    return set(rows[rows >= 0].tolist())
