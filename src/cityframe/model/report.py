"""What a report says: what came in, what happened to it, which rules passed, what would change."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cityframe.model.delivery import Delivery
from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.text import Title


class ReportKind(StrEnum):
    """What a report is about."""

    CYCLE = "cycle"
    DELIVERY = "delivery"


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
        Records looked at, and records with at least one open finding.
    waived : int
        Findings that a waiver accepts; they do not fail the rule.
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
    waived: int = 0


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
class Section:
    """A table that a report shows besides its own parts: scores, an inspection.

    Attributes
    ----------
    id : str
        Name for links; unique in a report.
    note : Title
        A sentence above the table; empty texts for none.
    columns : tuple of Title
        Heads of the columns.
    rows : tuple of tuple of Title
        Each as long as ``columns``; a number is a text that is equal in both languages.
    """

    id: str
    title: Title
    note: Title
    columns: tuple[Title, ...]
    rows: tuple[tuple[Title, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All the results of a cycle's checks, passes included; or those of one of its deliveries.

    Attributes
    ----------
    id : str
        The cycle's id.
    release : int or None
        The release that came of it, once there is one.
    gate_reasons : tuple of str
        Why the candidate can't be approved; empty when it can. A delivery's report has none.
    kind : ReportKind
        Of the cycle, or of one delivery: then ``deliveries`` has that one, and there are no
        changes, decisions and stale sources.
    time_zone : str
        IANA name of the zone in which people read the times; they are kept in UTC.
    sections : tuple of Section
        Tables that other parts of the system add.
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
    kind: ReportKind = ReportKind.CYCLE
    time_zone: str = "UTC"
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class SupplierCycle:
    """How one delivery of a source fared in one cycle; or that the cycle got none.

    Attributes
    ----------
    cut_off, observed_at, landed_at : str
        ISO 8601 in UTC; the last two are empty where nothing was delivered.
    delivery : str
        Empty where the cycle got none.
    age_days : float or None
        How old the content was at the cut-off.
    is_overdue : bool
        Whether the content was older than the source promises.
    read : int
        Records read, over all layers; `fates` adds up to it.
    failing : int
        Features or records with an open finding.
    by_class, by_rule : mapping of str to int
        Open findings that are not waived, by defect class and by rule.
    by_state : mapping of str to int
        All findings by `FindingState`, fixed ones too.
    """

    cycle: str
    state: str
    cut_off: str
    delivery: str
    observed_at: str
    landed_at: str
    age_days: float | None
    is_overdue: bool
    is_quarantined: bool
    read: int
    fates: Mapping[str, int]
    failing: int
    waived: int
    by_class: Mapping[str, int]
    by_rule: Mapping[str, int]
    by_state: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SupplierRule:
    """A rule of which a supplier's deliveries had findings."""

    rule: str
    title: Title
    defect_class: DefectClass
    gate: Gate


@dataclass(frozen=True, slots=True)
class SupplierReport:
    """What a source delivered over the cycles, oldest first.

    Attributes
    ----------
    as_of : str
        Cut-off of the newest cycle, ISO 8601 in UTC.
    currency_days : int or None
        The source's promise how old its content may get.
    """

    source: str
    source_title: Title
    city: Title
    as_of: str
    time_zone: str
    currency_days: int | None
    cycles: tuple[SupplierCycle, ...]
    rules: tuple[SupplierRule, ...]
