"""Two checks and one acceptance: who inspected what, and how it came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cityframe.model.text import Title


class Stage(StrEnum):
    """The stages of inspection, in their order (二级检查一级验收).

    =============  =====  ====================================================================
    process-check  一级检查  by those who made the data: every unit
    final-check    二级检查  by the quality department of the same house: every unit
    acceptance     验收     by whom the data is for: a sample of the units
    =============  =====  ====================================================================
    """

    PROCESS_CHECK = "process-check"
    FINAL_CHECK = "final-check"
    ACCEPTANCE = "acceptance"


@dataclass(frozen=True, slots=True)
class LayerScore:
    """The score of one layer of a candidate: of the units that the cycle changes.

    Attributes
    ----------
    units, failed : int
        Units scored, and those of them that fail.
    score : float
        Mean of the units.
    elements : mapping of str to float
        Mean of the units by quality element.
    grades : mapping of str to int
        Units by grade; those that fail stand under ``failed``.
    worst : tuple of str
        The units with the lowest scores, at most ten.
    """

    layer: str
    scheme: str
    title: Title
    units: int
    failed: int
    score: float
    elements: Mapping[str, float]
    element_titles: Mapping[str, Title]
    grades: Mapping[str, int]
    grade_titles: Mapping[str, Title]
    worst: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """One stage of inspection of a candidate.

    Attributes
    ----------
    seed : str
        Of the draw; empty where every unit is inspected.
    lots : mapping of str to tuple of str
        The units to inspect, by lot.
    units : int
        Units of the batch, inspected or not.
    who, when : str
        Who recorded the result and when, ISO 8601 in UTC; empty while it is awaited.
    failed : tuple of str
        Units that fail, as ``LAYER UNIT (WHY)``; why is what a unit's score says
        (``class-a``, ``element:NAME``, ``gross-errors``, ``score``).
    is_passed : bool or None
        None while it is awaited.
    worksheet : str
        SHA-256 of the worksheet as it was handed in, in hexadecimal.
    """

    stage: Stage
    candidate_digest: str
    seed: str
    lots: Mapping[str, tuple[str, ...]]
    units: int
    planned_by: str
    planned_at: str
    who: str = ""
    when: str = ""
    score: float | None = None
    failed: tuple[str, ...] = ()
    is_passed: bool | None = None
    worksheet: str = ""
