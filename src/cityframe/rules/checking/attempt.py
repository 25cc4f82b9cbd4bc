"""Try a rule on a layer: its defects, or why it could not be checked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.rules.checking.reach import reach_of
from cityframe.rules.compiled import CompiledRule
from cityframe.rules.context import Context, Positions
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


def reason_to_pass(context: Context, compiled: CompiledRule) -> str:
    """Return why there is nothing for a rule to check; empty if there is."""
    kind, parameters = compiled.kind, compiled.parameters
    needed = parameters.needed_columns(context.layer)
    absent = [name for name in needed if not context.is_provided(name)]
    needs = (*kind.needs, *parameters.needed_context())
    absent += [_NEEDED[need] for need in needs if getattr(context, need) is None]
    if absent:
        return f"not provided: {', '.join(absent)}"
    if kind.reach == "versions" and context.previous is None:
        return "no release to compare with"
    return ""


def expectation_of(context: Context, compiled: CompiledRule) -> Attempt:
    """Return the attempt of an attribute rule, for Great Expectations to run."""
    try:
        wanted = compiled.kind.expectation and compiled.kind.expectation(
            compiled.parameters, context.layer
        )
        if not isinstance(wanted, CoreExpectation):
            message = f"the kind gave {wanted!r} for an expectation"
            raise TypeError(message)  # noqa: TRY301 (one way out for all that is wrong with a kind)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (a kind's failure is its rule's result, and gates)
        return not_checked(compiled, _said(error))
    return Attempt(compiled, no_defects(), expectation=wanted)


def defects_of(context: Context, compiled: CompiledRule) -> pd.DataFrame | str:
    """Return the defects that a rule's kind finds, or why the rule could not be checked."""
    kind = compiled.kind
    try:
        found = no_defects() if kind.check is None else kind.check(context, compiled.parameters)
        found = verified(found, len(context.frame))
        if reach_of(compiled) is not None and (found["row"] < 0).any():
            message = f"a defect on no feature, from a kind of reach {kind.reach}"
            raise TypeError(message)  # noqa: TRY301 (one way out for all that is wrong with a kind)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (a kind's failure is its rule's result, and gates)
        return _said(error)
    return found


def suspects_of(context: Context, compiled: CompiledRule) -> Positions | str:
    """Return the rows beside which a rule may have a defect, or why it can't be said."""
    if compiled.kind.suspects is None:
        return np.arange(len(context.frame))
    try:
        return compiled.kind.suspects(context, compiled.parameters)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (the check of the rule will tell it)
        return _said(error)


def not_checked(compiled: CompiledRule, message: str) -> Attempt:
    """Return the attempt of a rule that could not be checked."""
    return Attempt(compiled, no_defects(), message=message, is_error=True)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
