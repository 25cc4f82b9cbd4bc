"""The gate of one check as a suite of Great Expectations; the only module that knows it.

The suite is compiled from the rules on every run: attribute rules as core expectations, every
other rule as one expectation over a column ``n_RULE`` that counts its open findings. It runs over
the attributes only, never the geometry, in a context of its own that keeps nothing: no file, no
network, no analytics. Importing Great Expectations costs seconds and 250 MB, so it happens in the
first check of a process.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.errors import IntegrityError
from cityframe.model.finding import DefectClass
from cityframe.rules.compiled import CompiledRule
from cityframe.rules.kind import CoreExpectation

_IMPORT = Lock()

_SEVERITY = {
    DefectClass.A: "critical",
    DefectClass.B: "warning",
    DefectClass.C: "warning",
    DefectClass.D: "info",
}


@dataclass(frozen=True)
class Planned:
    """One expectation of the suite.

    Attributes
    ----------
    mostly : float
        Share of the records looked at that must succeed.
    """

    rule: CompiledRule
    expectation: CoreExpectation
    mostly: float


@dataclass(frozen=True)
class Outcome:
    """What one expectation gave.

    Attributes
    ----------
    is_success : bool
        Whether enough records succeed; of a failed run, False.
    checked : int
        Records looked at: those with a value, and of the subtype if there is one.
    failed : ndarray of int
        Positions of the records that fail, sorted.
    error : str
        Why it could not run; empty otherwise.
    """

    is_success: bool
    checked: int
    failed: npt.NDArray[np.int64]
    error: str = ""


@dataclass(frozen=True)
class Validation:
    """The outcomes by rule, with the suite and the result in the form of Great Expectations."""

    outcomes: Mapping[str, Outcome]
    suite: dict[str, Any]
    result: dict[str, Any]


def count_expectation(rule: str) -> CoreExpectation:
    """Return the expectation that no record has an open finding of a rule."""
    column = count_column(rule)
    return CoreExpectation(
        name="ExpectColumnValuesToBeInSet",
        arguments={"column": column, "value_set": [0]},
        columns=(),
        expected="no open finding",
    )


def count_column(rule: str) -> str:
    """Return the name of the column that counts a rule's open findings."""
    return f"n_{rule}"


def validate(frame: pd.DataFrame, planned: Sequence[Planned], *, name: str) -> Validation:
    """Run expectations over a table.

    Parameters
    ----------
    frame : DataFrame, n rows
        The attributes and counts that the expectations name; no geometry.
    planned : sequence of Planned
        At most one a rule; with none, nothing is run.
    name : str
        Name of the suite.

    Raises
    ------
    IntegrityError
        If the suite or its result does not hold exactly the expectations planned.
    """
    if not planned:
        return Validation(outcomes={}, suite={}, result={})
    _import_quietly()
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # the context is current for the whole process, yet each batch below keeps to its own
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        ),
    )
    built, refused = _expectations(planned)
    if not built:
        return Validation(outcomes=refused, suite={}, result={})
    suite = gx.ExpectationSuite(name=name, expectations=built)
    _check_count("suite", name, len(suite.expectations), len(built))
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    definition = asset.add_batch_definition_whole_dataframe(name)
    batch = definition.get_batch(batch_parameters={"dataframe": frame.reset_index(drop=True)})
    # with a plain index and no unexpected_index_column_names the failing positions come as one
    # list; named columns are looked up cell by cell, 40 µs a failing record
    result = batch.validate(
        suite,
        result_format={
            "result_format": "COMPLETE",
            "exclude_unexpected_values": True,
            "partial_unexpected_count": 0,
            "return_unexpected_index_query": False,
        },
    )
    report = json.loads(json.dumps(result.to_json_dict()))  # type: ignore[no-untyped-call]
    outcomes = {
        one["expectation_config"]["meta"]["rule"]: _outcome(one) for one in report["results"]
    }
    _check_count("result", name, len(outcomes), len(built))
    return Validation(
        outcomes=outcomes | refused,
        suite=json.loads(json.dumps(suite.to_json_dict())),
        result=report,
    )


def _import_quietly() -> None:
    """Import Great Expectations for the first time without the warnings of its own imports.

    It would take a fingerprint of each batch, two thirds of the time of twenty rules over a million
    rows; nothing here reads it.
    """
    with _IMPORT, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="module 'sre_[a-z]+' is deprecated", category=DeprecationWarning
        )
        import great_expectations  # noqa: F401
        from great_expectations.execution_engine import pandas_execution_engine

        pandas_execution_engine.HASH_THRESHOLD = 0


def _expectations(planned: Sequence[Planned]) -> tuple[list[Any], dict[str, Outcome]]:
    """Return the expectations; and of the rules whose kind asks for one that there is not, why."""
    built, refused = [], {}
    for one in planned:
        try:
            built.append(_expectation(one))
        except (AttributeError, TypeError, ValueError) as error:
            nothing = np.empty(0, dtype=np.int64)
            message = f"no expectation {one.expectation.name} of this form: {error}"
            refused[one.rule.rule.id] = Outcome(False, 0, nothing, message)
    return built, refused


def _expectation(planned: Planned) -> Any:
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    rule, expectation = planned.rule.rule, planned.expectation
    measure = planned.rule.measure
    arguments: dict[str, Any] = dict(expectation.arguments)
    if expectation.when is not None:
        column, values = expectation.when
        arguments["row_condition"] = Column(column).is_in(values)
    return getattr(gxe, expectation.name)(
        **arguments,
        mostly=planned.mostly,
        severity=_SEVERITY[rule.defect_class],
        description=rule.title.en,
        meta={
            "rule": rule.id,
            "version": rule.version,
            "kind": rule.kind,
            "title": rule.title.model_dump(),
            "gate": rule.gate.value,
            "defect_class": rule.defect_class.value,
            "measure": {"register": measure.register, "id": measure.id, "name": measure.name},
        },
    )


def _outcome(report: Mapping[str, Any]) -> Outcome:
    """Read one result."""
    error = _error(report["exception_info"])
    values = report["result"]
    return Outcome(
        is_success=bool(report["success"]) and not error,
        checked=values.get("element_count", 0) - values.get("missing_count", 0),
        failed=np.unique(np.array(values.get("unexpected_index_list") or [], dtype=np.int64)),
        error=error,
    )


def _error(information: Mapping[str, Any]) -> str:
    """Return the message of an exception inside an expectation: of the run or of a metric."""
    entries = [information] if "raised_exception" in information else list(information.values())
    messages = [str(one["exception_message"]) for one in entries if one["raised_exception"]]
    return "; ".join(dict.fromkeys(messages))


def _check_count(what: str, name: str, found: int, expected: int) -> None:
    if found != expected:
        raise IntegrityError(
            found=f"the {what} of {name} holds {found} expectations",
            expected=f"{expected}, one a rule",
            remedy="report it; the gate can't be trusted",
        )
