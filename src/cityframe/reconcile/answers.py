"""What people have answered, as reconciliation obeys it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.model.question import Action, Answer, QuestionKind, question_id, value_of_subject

Flags = npt.NDArray[np.bool_]
Value = tuple[str, str, str]
"""Feature, attribute, and the digest of the incoming value."""


@dataclass(frozen=True)
class Constraints:
    """The answers about one layer of one source.

    Attributes
    ----------
    must_link : mapping of str to str
        The feature that a record is, by the record's lasting name.
    cannot_link : frozenset of pairs of str
        Lasting name of a record, and a feature that it is not.
    replaced : frozenset of str
        Questions whose records stand in place of the features.
    values : mapping of `Value` to pairs of Action and str
        Whether the incoming value counts, and who said so.
    """

    must_link: Mapping[str, str] = field(default_factory=dict)
    cannot_link: frozenset[tuple[str, str]] = frozenset()
    replaced: frozenset[str] = frozenset()
    values: Mapping[Value, tuple[Action, str]] = field(default_factory=dict)
    _of_subject: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _of_value: Mapping[Value, str] = field(default_factory=dict)

    @classmethod
    def of(cls, answers: Iterable[Answer], layer: str, source: str) -> "Constraints":
        """Return what the answers about a layer and source come to.

        Parameters
        ----------
        answers : iterable of Answer
            Those that stand, oldest first; of two about the same record the later one counts.
        """
        must: dict[str, str] = {}
        cannot: dict[tuple[str, str], None] = {}
        values: dict[Value, tuple[Action, str]] = {}
        of_subject: dict[str, dict[str, None]] = {}
        of_value: dict[Value, str] = {}
        replaced: set[str] = set()
        for one in answers:
            if (one.layer, one.source) != (layer, source):
                continue
            if one.attribute:
                for value in _values(one):
                    values[value], of_value[value] = (one.action, one.who), one.id
                continue
            for subject in one.subjects:
                of_subject.setdefault(subject, {})[one.id] = None
            if one.action is Action.REPLACED:
                replaced.add(one.question)
            for subject in one.subjects:
                # a group has one record that is the feature, and the others are not
                is_it = one.action is Action.SAME and subject == one.subject
                for uid in one.uids if one.action is not Action.REPLACED else ():
                    _obey(must, cannot, subject, uid, is_it=is_it)
        return cls(
            must_link=must,
            cannot_link=frozenset(cannot),
            replaced=frozenset(replaced),
            values=values,
            _of_subject={subject: tuple(ids) for subject, ids in of_subject.items()},
            _of_value=of_value,
        )

    def __bool__(self) -> bool:
        return bool(self._of_subject or self._of_value)

    def must_linked(self, subjects: pd.Series) -> pd.Series:
        """Return the feature that each record must be, null for none.

        Parameters
        ----------
        subjects : Series of str
            Lasting names of records.

        Returns
        -------
        Series of str
            Uids, on the index of ``subjects``; the layer may lack one.
        """
        if not self.must_link:
            return pd.Series(np.nan, index=subjects.index, dtype="str")
        return subjects.map(self.must_link).astype("str")

    def is_forbidden(self, subjects: pd.Series, uids: pd.Series) -> Flags:
        """Tell which pairs of a record and a feature are never one.

        Parameters
        ----------
        subjects, uids : Series of str, k
            The pairs, by position.
        """
        forbidden = np.zeros(len(subjects), dtype=bool)
        if not self.cannot_link:
            return forbidden
        asked = np.flatnonzero(subjects.isin({subject for subject, _ in self.cannot_link}))
        pairs = pd.MultiIndex.from_arrays([subjects.iloc[asked], uids.iloc[asked]])
        forbidden[asked] = pairs.isin(list(self.cannot_link))
        return forbidden

    def is_replaced(self, layer: str, source: str, subjects: Iterable[str]) -> bool:
        """Tell whether the records of a complex group stand in place of its features."""
        return question_id(layer, source, subjects, QuestionKind.COMPLEX) in self.replaced

    def taking_part(self, subjects: Iterable[str], values: Iterable[Value] = ()) -> tuple[str, ...]:
        """Return the ids of the answers about some records and values, sorted.

        Parameters
        ----------
        subjects : iterable of str
            Lasting names of the delivery's records.
        values : iterable of `Value`
            What is said of features that two sources changed.
        """
        if not self:
            return ()
        met = self._of_subject.keys() & set(subjects)
        found = {name for subject in met for name in self._of_subject[subject]}
        found |= {self._of_value[value] for value in self._of_value.keys() & set(values)}
        return tuple(sorted(found))


NO_CONSTRAINTS = Constraints()


def _values(answer: Answer) -> Iterable[Value]:
    for subject in answer.subjects:
        uid, digest = value_of_subject(subject)
        # the feature may have another uid by now: the answer follows it, the subject stays
        yield (answer.uids[0] if answer.uids else uid), answer.attribute, digest


def _obey(
    must: dict[str, str],
    cannot: dict[tuple[str, str], None],
    subject: str,
    uid: str,
    *,
    is_it: bool,
) -> None:
    """Note one link; it takes back what an earlier answer said of the same pair."""
    if is_it:
        must[subject] = uid
        cannot.pop((subject, uid), None)
    else:
        cannot[subject, uid] = None
        if must.get(subject) == uid:
            del must[subject]
