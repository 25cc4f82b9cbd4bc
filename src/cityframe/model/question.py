"""Questions that reconciliation can't decide, and the answers of people."""

from dataclasses import dataclass
from enum import StrEnum

QUESTION_COLUMNS = (
    "question", "kind", "layer", "delivery", "record", "subject", "attribute",
    "uid_1", "score_1", "uid_2", "score_2", "evidence", "proposed", "geometry",
)  # fmt: skip
"""Columns of a question table: one row a record (a conflict: a feature and attribute).

``question`` is the id; the records of a group of several share one. ``subject`` is the lasting name
of the record (`subject_of_id`, `subject_of_key`, `subject_of_content`) or, of a conflict, of what
is said. ``uid_1``, ``uid_2`` are the two best candidates (empty for none) with their scores.
``evidence`` is a JSON object with what speaks for each. ``proposed`` is an `Action`.
"""


class QuestionKind(StrEnum):
    """What is asked.

    =============  ==================================================================
    implausible    a record has the id or key of a feature that lies elsewhere
    ambiguous      a record could be one of several features
    uncertain      a record resembles a feature, not enough to be sure
    complex        several records stand for several features, in no plain way
    conflict       two sources changed one attribute since the base, and none has
                   the authority or is the later one
    =============  ==================================================================
    """

    IMPLAUSIBLE = "implausible"
    AMBIGUOUS = "ambiguous"
    UNCERTAIN = "uncertain"
    COMPLEX = "complex"
    CONFLICT = "conflict"


class Action(StrEnum):
    """What a person can answer.

    ========  =========================================================================
    same      the record is the feature named (must-link)
    other     the record is none of the candidates; it is new (cannot-link)
    replaced  the records stand in place of the features (complex): new uids, lineage
    take      the incoming value counts (conflict)
    keep      the framework's value counts (conflict)
    ========  =========================================================================
    """

    SAME = "same"
    OTHER = "other"
    REPLACED = "replaced"
    TAKE = "take"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person decided about one question; it holds until it is taken back.

    Attributes
    ----------
    subjects : tuple of str
        The lasting names of the records asked about.
    uids : tuple of str
        ``same``: the one feature; else the candidates that were shown.
    attribute : str
        Of a conflict; else empty.
    """

    question: str
    layer: str
    source: str
    action: Action
    subjects: tuple[str, ...]
    uids: tuple[str, ...]
    attribute: str
    who: str
    at: str
    why: str


def subject_of_id(text: str) -> str:
    """Return the lasting name of a record that its source names."""
    return f"id {text}"


def subject_of_key(text: str) -> str:
    """Return the lasting name of a record with the layer's key."""
    return f"key {text}"


def subject_of_content(digest: str) -> str:
    """Return the lasting name of a record that has neither: the digest of what it says."""
    return f"content {digest}"
