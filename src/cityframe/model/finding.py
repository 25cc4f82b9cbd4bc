"""Findings: places where data fails a rule."""

from dataclasses import dataclass
from enum import StrEnum


class DefectClass(StrEnum):
    """Weight of a defect in the sense of GB/T 24356: A severe to D slight."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Gate(StrEnum):
    """What a finding does to the way of the data.

    ======  ===============================================================================
    block   in a delivery: the record is returned, and beyond the tolerated share the whole
            delivery is quarantined; in a candidate: it can't be approved
    review  a person sees it before deciding
    note    it is listed
    ======  ===============================================================================
    """

    BLOCK = "block"
    REVIEW = "review"
    NOTE = "note"


class Scope(StrEnum):
    """Where a rule looks: at one delivery's layer, or at the candidate over all layers."""

    DELIVERY = "delivery"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Measure:
    """An ISO 19157 measure: register, identifier and name."""

    register: str
    id: str
    name: str


class FindingState(StrEnum):
    """A finding over cycles.

    ==========  =====================================================================
    new         no cycle before met it
    persisting  the cycle before met it too
    come-back   a cycle before met it, then it was fixed
    fixed       a cycle before met it; this one looked and did not
    ==========  =====================================================================
    """

    NEW = "new"
    PERSISTING = "persisting"
    COME_BACK = "come-back"
    FIXED = "fixed"


FINDING_COLUMNS = (
    "finding_id", "rule", "kind", "defect_class", "gate", "scope",
    "layer", "uid", "source_key", "record", "other", "delivery",
    "found", "expected", "found_zh", "expected_zh", "partner", "rule_version",
    "waiver", "state", "first_seen", "geometry",
)  # fmt: skip
"""Columns of a findings frame.

``finding_id``
    Lasting identity: a hash of the rule and the features (uid or source key), never of the run.
``record``
    Number of the record in its delivery, from 0; null for a finding about the whole layer.
``other``
    The other features concerned, comma-separated; empty for none.
``found``, ``expected``
    What stands in the data and what should, in English; ``found_zh``, ``expected_zh`` in Chinese.
``partner``
    Uid of a second feature of the layer that fails as well (the other one of an overlap).
``waiver``
    Id of the waiver that stands for it; empty while it is open.
``state``, ``first_seen``
    `FindingState` against the cycles before, and the cycle that first met it; empty until a
    cycle's check says so.
``geometry``
    The place on the map, in the layer's CRS; null only where the data has none.
"""
