"""What a report says: what came in, what happened to it, which rules passed, what would change."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cityframe.model.delivery import Delivery
from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.text import Title


class RuleStatus(StrEnum):
    """Outcome of one rule on one layer."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "could-not-be-checked"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """Outcome of one rule on one layer, in one delivery or in the candidate.

    Attributes
    ----------
    checked, failed : int
        Records looked at, and records with at least one finding.
    is_within_tolerance : bool
        Whether the share of failed records is within the rule's tolerated share.
    message : str
        Why the rule could not be checked; empty otherwise.
    """

    rule: str
    kind: str
    version: int
    title: Title
    measure: Measure
    defect_class: DefectClass
    gate: Gate
    scope: Scope
    layer: str
    delivery: str
    checked: int
    failed: int
    status: RuleStatus
    is_within_tolerance: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class LayerAccount:
    """What became of the records of one layer in one delivery: ``read`` = sum of ``fates``."""

    layer: str
    read: int
    fates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DeliveryAccount:
    """One delivery of a cycle: its manifest, its fates by layer, and why it was quarantined."""

    delivery: Delivery
    source_title: Title
    layers: tuple[LayerAccount, ...]
    quarantine_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerChanges:
    """One layer of the candidate against the current release.

    Attributes
    ----------
    changes : mapping of str to int
        Features by `cityframe.model.change.ChangeKind`.
    with_new_attributes : int
        How many of the moved and reshaped ones have new attributes too.
    """

    layer: str
    title: Title
    before: int
    after: int
    changes: Mapping[str, int]
    with_new_attributes: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision from the ledger."""

    who: str
    when: str
    what: str
    why: str
    candidate_digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """All the results of a cycle's checks, passes included.

    Attributes
    ----------
    id : str
        The cycle's id.
    release : int or None
        The release that came of it, once there is one.
    gate_reasons : tuple of str
        Why the candidate can't be approved; empty when it can.
    """

    id: str
    city: Title
    series: Title
    state: str
    created_at: str
    parent_release: int
    release: int | None
    candidate_digest: str
    rule_set_digest: str
    deliveries: tuple[DeliveryAccount, ...]
    results: tuple[RuleResult, ...]
    changes: tuple[LayerChanges, ...]
    stale_sources: tuple[str, ...]
    decisions: tuple[Decision, ...]
    gate_reasons: tuple[str, ...]
