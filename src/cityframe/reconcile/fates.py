"""The one fate of each record."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.fate import FATE_COLUMNS, Fate
from cityframe.model.question import QuestionKind
from cityframe.reconcile.comparison import Comparison
from cityframe.reconcile.question_findings import QUESTION_RULES
from cityframe.reconcile.record_findings import SAME_TARGET, UNKNOWN_TARGET
from cityframe.reconcile.roles import MatchedRecords, Role

Positions = npt.NDArray[np.intp]


class FateTable:
    """Fates of the records of one layer in one delivery, given step by step, each once."""

    def __init__(self, matched: MatchedRecords) -> None:
        self._records = matched.records
        self._held = matched.at(Role.HELD)
        count = len(matched.records)
        self._fate = np.full(count, "", dtype=object)
        self._reason = np.full(count, "", dtype=object)
        self._uid = np.full(count, "", dtype=object)
        self._is_asked = np.zeros(count, dtype=bool)

    def give(
        self,
        at: Positions,
        fate: Fate,
        reason: str | npt.NDArray[np.object_],
        uid: str | npt.NDArray[np.object_] = "",
    ) -> None:
        """Give records at some positions their fate, the reason and the feature concerned."""
        if (self._fate[at] != "").any():
            raise IntegrityError(
                found="a record with two fates", where=f"layer {self._records.layer.name}"
            )
        self._fate[at] = fate.value
        self._reason[at] = reason
        self._uid[at] = uid
        self._is_asked[at] = fate is Fate.WAITING

    def hold(self, reason: str) -> None:
        """Let all that would have been published or was unchanged wait: the delivery is held."""
        is_settled = np.isin(self._fate, [Fate.PUBLISHED.value, Fate.UNCHANGED.value])
        self._fate[is_settled] = Fate.WAITING.value
        self._reason[is_settled] = reason

    def uids(self) -> npt.NDArray[np.object_]:
        """Return the feature that each record is; empty for none, and while a person is asked."""
        return np.where(self._is_asked, "", self._uid)

    def frame(self) -> pd.DataFrame:
        """Return the fates of all records but those returned before, in their order.

        Raises
        ------
        IntegrityError
            If a record has no fate.
        """
        told = np.ones(len(self._fate), dtype=bool)
        told[self._held] = False
        if (self._fate[told] == "").any():
            raise IntegrityError(
                found=f"{int((self._fate[told] == '').sum())} records without a fate",
                where=f"layer {self._records.layer.name}",
            )
        frame = pd.DataFrame(
            {
                "layer": self._records.layer.name,
                "record": self._records.frame["record"],
                "source_key": self._records.frame["source_key"],
                "uid": pd.Series(self._uid, dtype="str"),
                "fate": pd.Series(self._fate, dtype="str"),
                "reason": pd.Series(self._reason, dtype="str"),
            }
        )
        return frame.loc[told, list(FATE_COLUMNS)].reset_index(drop=True)


def record_fates(
    matched: MatchedRecords, comparison: Comparison, new: pd.DataFrame, doubt_rules: pd.Series
) -> FateTable:
    """Return what becomes of each record if no guard holds the delivery.

    Parameters
    ----------
    new : DataFrame
        ``uid`` and ``basis`` of the records that are new, in their order.
    doubt_rules : Series of str
        The rule of the finding about each doubtful record, by its position.
    """
    fates = FateTable(matched)
    unsure = matched.at(Role.UNSURE)
    fates.give(unsure, Fate.WAITING, doubt_rules[unsure].to_numpy(dtype=object))
    fates.give(matched.at(Role.SUPERSEDED), Fate.SUPERSEDED, SAME_TARGET.id)
    fates.give(matched.at(Role.UNKNOWN), Fate.RETURNED, UNKNOWN_TARGET.id)
    fates.give(
        matched.at(Role.NEW),
        Fate.PUBLISHED,
        new["basis"].to_numpy(dtype=object),
        new["uid"].to_numpy(dtype=object),
    )
    deletes = matched.at(Role.DELETE)
    fates.give(deletes, Fate.PUBLISHED, ChangeKind.REMOVED.value, matched.uids(deletes))

    updates, kinds = comparison.incoming, comparison.kinds()
    is_question, changes = comparison.is_implausible, kinds.notna().to_numpy()
    stays, is_overruled = ~changes & ~is_question, comparison.is_overruled
    differs = np.zeros(len(matched.records), dtype=bool)
    differs[updates] = True
    equal = matched.at(Role.UPDATE)
    for at, fate, reason in (
        (equal[~differs[equal]], Fate.UNCHANGED, "equal"),
        (updates[stays & ~is_overruled], Fate.UNCHANGED, "within tolerance"),
        (updates[stays & is_overruled], Fate.UNCHANGED, "overruled"),
        (updates[is_question], Fate.WAITING, QUESTION_RULES[QuestionKind.IMPLAUSIBLE]),
        (updates[changes], Fate.PUBLISHED, kinds[changes].to_numpy(dtype=object)),
    ):
        fates.give(at, fate, reason, matched.uids(at))
    return fates
