"""Questions that reconciliation can't decide, and the answers of people."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cityframe.model.text import Title

QUESTION_COLUMNS = (
    "question", "kind", "layer", "source", "delivery", "record", "source_key", "subject",
    "attribute", "uid_1", "score_1", "uid_2", "score_2", "candidates", "evidence", "proposed",
    "geometry",
)  # fmt: skip
"""Columns of a question table: one row a record (a conflict: a feature and attribute).

``question`` is the id; the records of a group of several share one. ``subject`` is the lasting name
of the record (`subject_of_id`, `subject_of_key`, `subject_of_content`) or, of a conflict, of what
is said (`subject_of_value`). ``uid_1``, ``uid_2`` are the two best candidates (empty for none) with
their scores, ``candidates`` all of them, the best first, between commas. ``evidence`` is a JSON
object with what speaks for each, in the words of `EVIDENCE`. ``proposed`` is an `Action`.
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


_ONE_RECORD = (Action.SAME, Action.OTHER)
ACTIONS: Mapping[QuestionKind, tuple[Action, ...]] = {
    QuestionKind.IMPLAUSIBLE: _ONE_RECORD,
    QuestionKind.AMBIGUOUS: _ONE_RECORD,
    QuestionKind.UNCERTAIN: _ONE_RECORD,
    QuestionKind.COMPLEX: (*_ONE_RECORD, Action.REPLACED),
    QuestionKind.CONFLICT: (Action.TAKE, Action.KEEP),
}
"""How each kind of question can be answered."""

KIND_TITLES: Mapping[QuestionKind, Title] = {
    QuestionKind.IMPLAUSIBLE: Title("同号而位置不合理", "the same id, elsewhere"),
    QuestionKind.AMBIGUOUS: Title("匹配不唯一", "one of several"),
    QuestionKind.UNCERTAIN: Title("相似而不确定", "alike, not for sure"),
    QuestionKind.COMPLEX: Title("多对多", "several to several"),
    QuestionKind.CONFLICT: Title("属性值冲突", "two values"),
}
ACTION_TITLES: Mapping[Action, Title] = {
    Action.SAME: Title("同一要素", "the same"),
    Action.OTHER: Title("不是候选要素", "another"),
    Action.REPLACED: Title("取代原要素", "replaced"),
    Action.TAKE: Title("采用新值", "take"),
    Action.KEEP: Title("保留原值", "keep"),
}
EVIDENCE: Mapping[str, Title] = {
    "distance_m": Title("中心距离（m）", "distance of the centres in m"),
    "hausdorff_m": Title("豪斯多夫距离（m）", "Hausdorff distance in m"),
    "overlap_share": Title("重叠占较小者的比例", "overlap over the smaller one"),
    "iou": Title("交并比", "intersection over union"),
    "shared_length": Title("共线长度比例", "share of the length along each other"),
    "name_similarity": Title("名称相似度", "similarity of names"),
    "equal": Title("相同属性", "equal attributes"),
    "differing": Title("不同属性", "differing attributes"),
    "base_value": Title("基准值", "value of the base"),
    "current_value": Title("框架现值", "value of the framework"),
    "current_source": Title("现值来源", "who said it"),
    "current_at": Title("现值观测时间", "observed at"),
    "incoming_value": Title("新值", "value of the delivery"),
    "incoming_at": Title("新值观测时间", "observed at, by the delivery"),
}
"""Words for the names in ``evidence``; what is about a candidate ends in ``_1`` or ``_2``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person decided about one question; it holds until it is taken back.

    Attributes
    ----------
    id : str
        Identity of the answer.
    subjects : tuple of str
        The lasting names of the records asked about.
    subject : str
        ``same``: the record that is the feature; else empty.
    uids : tuple of str
        ``same``: the one feature; else the candidates that were shown.
    attribute : str
        Of a conflict; else empty.
    at : str
        ISO 8601 in UTC.
    cycle : str
        The cycle that asked.
    """

    id: str
    question: str
    kind: QuestionKind
    layer: str
    source: str
    action: Action
    subjects: tuple[str, ...]
    subject: str
    uids: tuple[str, ...]
    attribute: str
    who: str
    at: str
    why: str
    cycle: str


def question_id(
    layer: str, source: str, subjects: Iterable[str], kind: QuestionKind, attribute: str = ""
) -> str:
    """Return the lasting identity of a question: the same whenever the same records come again.

    Parameters
    ----------
    subjects : iterable of str
        Lasting names of the records, in any order.
    attribute : str
        Of a conflict.
    """
    text = "\x1f".join([layer, source, kind.value, attribute, *sorted(set(subjects))])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def subject_of_id(text: str) -> str:
    """Return the lasting name of a record that its source names."""
    return f"id {text}"


def subject_of_key(text: str) -> str:
    """Return the lasting name of a record with the layer's key."""
    return f"key {text}"


def subject_of_content(digest: str) -> str:
    """Return the lasting name of a record that has neither: the digest of what it says."""
    return f"content {digest}"


def subject_of_value(uid: str, digest: str) -> str:
    """Return the lasting name of a value said of a feature: the feature and the value's digest."""
    return f"value {uid} {digest}"


def value_of_subject(subject: str) -> tuple[str, str]:
    """Return feature and digest of a `subject_of_value`."""
    _, uid, digest = subject.split(" ", 2)
    return uid, digest
