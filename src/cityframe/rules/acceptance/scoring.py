"""Scores: from findings to the score and grade of each unit, and of the batch.

The score of an element is the full score less the deductions of its open findings, those of
classes B to D divided by the difficulty t; that of a unit is the mean of its elements, weighted.
A unit fails with a defect of class A, with an element below the limit, or with a share of gross
errors above the limit (GB/T 24356, quality assessment of a unit product).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.config.scoring import Scoring
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Measure
from cityframe.model.report import RuleResult, RuleStatus
from cityframe.rules.compiled import CompiledRules
from cityframe.rules.measures import OWN_REGISTER, REGISTER

CLASSES = tuple(one.value for one in DefectClass)


@dataclass(frozen=True, slots=True)
class UnitScore:
    """The score of one unit of one layer.

    Attributes
    ----------
    defects : mapping of str to int
        Open findings by class.
    element_defects : mapping of str to mapping of str to int
        The same for each quality element that has any.
    elements : mapping of str to float
        Score of each quality element that a rule of the layer speaks of.
    grade : str
        Name of the grade; empty for a unit that fails.
    failures : tuple of str
        Why it fails: ``class-a``, ``element:NAME``, ``gross-errors``, ``score``; empty if it
        does not.
    """

    layer: str
    unit: str
    defects: Mapping[str, int]
    element_defects: Mapping[str, Mapping[str, int]]
    elements: Mapping[str, float]
    score: float
    grade: str
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchScore:
    """The units of a batch together: it passes if each of them does."""

    units: int
    failed: int
    score: float
    is_passed: bool


def require_scored(rules: CompiledRules, schemes: Mapping[str, Scoring]) -> None:
    """Refuse a rule whose measure counts for no element of its layer's scheme.

    Raises
    ------
    DeclarationError
        With the place of the rule.
    """
    for one in rules.rules:
        scheme = schemes.get(one.layer.name)
        if scheme is not None and element_of(one.measure, scheme) is None:
            written = f"{written_in_schemes(one.measure)} ({one.measure.name})"
            raise DeclarationError(
                where=one.place,
                found=f"measure {written} of rule {one.rule.id}",
                expected=f"a measure of one of the elements of scoring scheme {scheme.name}",
                remedy=f"add it to an element in quality_rules/scoring/{scheme.name}.yaml, "
                "or give the rule another measure",
            )


def element_of(measure: Measure, scheme: Scoring) -> str | None:
    """Return the quality element that a measure counts for."""
    written = written_in_schemes(measure)
    return next((name for name, one in scheme.elements.items() if written in one.measures), None)


def written_in_schemes(measure: Measure) -> str:
    """Return a measure as schemes write it: an id of ISO 19157 or our own, else ``REGISTER:ID``."""
    is_plain = measure.register in {REGISTER, OWN_REGISTER}
    return measure.id if is_plain else f"{measure.register}:{measure.id}"


def unit_scores(
    layer: str,
    scheme: Scoring,
    results: Sequence[RuleResult],
    findings: pd.DataFrame,
    finding_units: npt.NDArray[np.object_],
    units: Sequence[str],
    inspected: "pd.Series[int] | None" = None,
) -> tuple[UnitScore, ...]:
    """Score the units of one layer.

    Parameters
    ----------
    results : sequence of RuleResult
        Of the layer's rules; those that could not be checked say nothing of their element.
    findings : DataFrame, n rows
        Columns ``rule``, ``defect_class``, ``waiver``; waived ones do not count.
    finding_units : ndarray of str, n
        The unit of each finding.
    units : sequence of str
        All units with features, those without findings too.
    inspected : Series of int or None
        Further defects that people found, by unit, element and class.

    Returns
    -------
    tuple of UnitScore
        Sorted by unit.
    """
    element_by_rule = {
        result.rule: element_of(result.measure, scheme)
        for result in results
        if result.layer == layer and result.status is not RuleStatus.NOT_CHECKED
    }
    gross = _has_gross_errors(layer, scheme, results)
    counted = pd.DataFrame(
        {
            "unit": finding_units,
            "element": findings["rule"].map(element_by_rule),
            "class": findings["defect_class"],
        }
    )[(findings["waiver"] == "").to_numpy()]
    counts = counted.groupby(["unit", "element", "class"]).size()
    spoken_of = [name for name in scheme.elements if name in set(element_by_rule.values())]
    if inspected is not None:
        counts = counts.add(inspected, fill_value=0) if len(inspected) else counts
        spoken_of = list(scheme.elements)
    named = sorted({*units, *finding_units.tolist()})
    return tuple(_unit_score(layer, unit, scheme, spoken_of, counts, gross) for unit in named)


def batch_score(units: Sequence[UnitScore]) -> BatchScore:
    """Return the score of all units together: their mean."""
    failed = sum(1 for unit in units if unit.failures)
    mean = float(np.mean([unit.score for unit in units])) if units else float("nan")
    return BatchScore(len(units), failed, round(mean, 2), bool(units) and not failed)


def _unit_score(
    layer: str,
    unit: str,
    scheme: Scoring,
    elements: Sequence[str],
    counts: "pd.Series[int]",
    has_gross_errors: bool,
) -> UnitScore:
    scores: dict[str, float] = {}
    found = {
        element: {name: int(counts.get((unit, element, name), 0)) for name in CLASSES}
        for element in elements
    }
    for element, by_class in found.items():
        deducted = sum(number * _points(scheme, name) for name, number in by_class.items())
        scores[element] = round(max(0.0, scheme.full_score.value - deducted), 2)
    defects = {name: sum(by_class[name] for by_class in found.values()) for name in CLASSES}
    score = _weighted(scores, scheme)
    failures = _failures(scores, score, defects, scheme, has_gross_errors)
    return UnitScore(
        layer=layer,
        unit=unit,
        defects=defects,
        element_defects={name: one for name, one in found.items() if any(one.values())},
        elements=scores,
        score=score,
        grade="" if failures else _grade(score, scheme),
        failures=failures,
    )


def _points(scheme: Scoring, name: str) -> float:
    points = scheme.deductions[DefectClass(name)].value
    return points if name == DefectClass.A else points / scheme.difficulty.value


def _weighted(scores: Mapping[str, float], scheme: Scoring) -> float:
    weights = {name: scheme.elements[name].weight.value for name in scores}
    total = sum(weights.values())
    if not total:
        return scheme.full_score.value
    return round(sum(scores[name] * weight for name, weight in weights.items()) / total, 2)


def _failures(
    scores: Mapping[str, float],
    score: float,
    defects: Mapping[str, int],
    scheme: Scoring,
    has_gross_errors: bool,
) -> tuple[str, ...]:
    failures = []
    if scheme.fails.class_a and defects[DefectClass.A]:
        failures.append("class-a")
    limit = scheme.fails.element_below.value
    failures += [f"element:{name}" for name, value in scores.items() if value < limit]
    if has_gross_errors:
        failures.append("gross-errors")
    if score < min(grade.lowest.value for grade in scheme.grades.values()):
        failures.append("score")
    return tuple(failures)


def _grade(score: float, scheme: Scoring) -> str:
    reached = {
        name: grade.lowest.value
        for name, grade in scheme.grades.items()
        if score >= grade.lowest.value
    }
    return max(reached, key=lambda name: reached[name])


def _has_gross_errors(layer: str, scheme: Scoring, results: Sequence[RuleResult]) -> bool:
    """Return whether a rule that counts gross errors found too many among those checked."""
    return any(
        result.failed / result.checked > scheme.fails.gross_error_share.value
        for result in results
        if result.layer == layer and result.kind == "gross_error_rate" and result.checked
    )
