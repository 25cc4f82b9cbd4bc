"""What one rule finds in a layer, without the gate of a cycle."""

from dataclasses import dataclass

import geopandas as gpd

from cityframe.rules.checking.execution import Execution
from cityframe.rules.checking.gate import validate_attempts, with_outcome
from cityframe.rules.checking.gathering import gather
from cityframe.rules.checking.running import try_rules
from cityframe.rules.checking.since import Since
from cityframe.rules.compiled import CompiledRules
from cityframe.rules.context import Context


@dataclass(frozen=True)
class Findings:
    """What one rule found.

    Attributes
    ----------
    message : str
        Why it did not run; with ``is_error`` it could not, else there was nothing to check.
    """

    findings: gpd.GeoDataFrame
    message: str = ""
    is_error: bool = False


def findings_of(
    context: Context, compiled: CompiledRules, execution: Execution, *, since: Since | None = None
) -> Findings:
    """Return what the one rule of a layer finds.

    The findings are those of `cityframe.rules.check.check_layer`; no suite is made of the counts
    of a kind's own findings, which takes more time than a small layer.
    """
    (attempt,) = try_rules(context, compiled.rules, execution, since=since)
    if attempt.expectation is not None:
        features, _ = validate_attempts(context, [attempt], attempt.id)
        attempt = with_outcome(context, attempt, features.outcomes.get(attempt.id))
    findings = gather(context, attempt, delivery="").findings
    return Findings(findings, attempt.message, is_error=attempt.is_error)
