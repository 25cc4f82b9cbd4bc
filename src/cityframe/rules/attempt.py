"""Try a rule on a layer: its defects, or why it could not be checked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.rules.compiled import CompiledRule
from cityframe.rules.context import Context
from cityframe.rules.defects import no_defects, verified
from cityframe.rules.kind import CoreExpectation, Need

_NEEDED: Mapping[Need, str] = {
    "received": "what the delivery brought",
    "read_observations": "observations",
    "changes": "changes against the current release",
}


@dataclass(frozen=True)
class Attempt:
    """What came of trying one rule, before the gate.

    An attribute rule has an ``expectation`` and gets its defects from the outcome. A ``message``
    says why the rule did not run: with ``is_error`` it could not, else there was nothing to check.
    ``waiver`` is of each defect the id of the waiver that accepts its finding, empty while it is
    open; None if all are.
    """

    compiled: CompiledRule
    defects: pd.DataFrame
    expectation: CoreExpectation | None = None
    message: str = ""
    is_error: bool = False
    waiver: npt.NDArray[np.object_] | None = None

    @property
    def open_defects(self) -> pd.DataFrame:
        """The defects that count: those that no waiver accepts."""
        return self.defects if self.waiver is None else self.defects[self.waiver == ""]

    def waived_rows(self) -> dict[int, str]:
        """Return the positions of the features with waived defects, each with a waiver's id."""
        if self.waiver is None:
            return {}
        waived = self.defects[["row", "other_row"]].assign(waiver=self.waiver)
        waived = waived[waived["waiver"] != ""].melt("waiver", value_name="at")
        return {
            row: waiver
            for row, waiver in zip(waived["at"], waived["waiver"], strict=True)
            if row >= 0
        }

    @property
    def id(self) -> str:
        """Id of the rule."""
        return self.compiled.rule.id


def attempt_rule(context: Context, compiled: CompiledRule) -> Attempt:
    """Try one rule; whatever its kind raises is the rule's own result."""
    kind, parameters = compiled.kind, compiled.parameters
    needed = parameters.needed_columns(context.layer)
    absent = [name for name in needed if not context.is_provided(name)]
    needs = (*kind.needs, *parameters.needed_context())
    absent += [_NEEDED[need] for need in needs if getattr(context, need) is None]
    if absent:
        return Attempt(compiled, no_defects(), message=f"not provided: {', '.join(absent)}")
    if kind.reach == "versions" and context.previous is None:
        return Attempt(compiled, no_defects(), message="no release to compare with")
    try:
        found = no_defects() if kind.check is None else kind.check(context, parameters)
        wanted = None if kind.expectation is None else kind.expectation(parameters, context.layer)
        return Attempt(compiled, verified(found, len(context.frame)), expectation=wanted)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (a kind's failure is its rule's result, and gates)
        return not_checked(compiled, f"{type(error).__name__}: {error}")


def not_checked(compiled: CompiledRule, message: str) -> Attempt:
    """Return the attempt of a rule that could not be checked."""
    return Attempt(compiled, no_defects(), message=message, is_error=True)
