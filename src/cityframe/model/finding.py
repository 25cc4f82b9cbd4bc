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


FINDING_COLUMNS = (
    "finding_id", "rule", "kind", "defect_class", "gate", "scope",
    "layer", "uid", "source_key", "record", "other", "delivery",
    "found", "expected", "geometry",
)  # fmt: skip
"""Columns of a findings frame.

``finding_id``
    Lasting identity: a hash of the rule and the features (uid or source key), never of the run.
``record``
    Number of the record in its delivery, from 0; null for a finding about the whole layer.
``other``
    The other features concerned, comma-separated; empty for none.
``geometry``
    The place on the map, in the layer's CRS; null only where the data has none.
"""
