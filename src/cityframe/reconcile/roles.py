"""What each record of a delivery asks for, once it is matched."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.matching.labels import UNMATCHED
from cityframe.reconcile.cascade import Matches
from cityframe.reconcile.records import Records

Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


class Role(StrEnum):
    """The one role of a record.

    ==========  ==============================================================
    held        it was returned before; its feature is not absent
    unsure      it could be one of several features: it waits for an answer
    superseded  a later record of the delivery speaks of the same feature, or has its name
    delete      its feature shall go
    update      its feature shall be as it says
    unknown     it names a feature that is not there
    new         it has no feature yet
    ==========  ==============================================================
    """

    HELD = "held"
    UNSURE = "unsure"
    SUPERSEDED = "superseded"
    DELETE = "delete"
    UPDATE = "update"
    UNKNOWN = "unknown"
    NEW = "new"


@dataclass(frozen=True)
class MatchedRecords:
    """The records of a delivery with their features and roles.

    Attributes
    ----------
    index : DataFrame
        The layer's index.
    role : ndarray of Role, n
        The role of each record.
    """

    records: Records
    index: pd.DataFrame
    matches: Matches
    role: npt.NDArray[np.object_]

    @classmethod
    def sort_out(cls, records: Records, index: pd.DataFrame, matches: Matches) -> "MatchedRecords":
        """Give each record its role."""
        operation, is_held = records.frame["operation"], records.is_held
        has_feature = matches.position != UNMATCHED
        is_delete = (operation == "delete").to_numpy()
        # a change log may insert a feature and update it before it is ever sent
        inserted = records.key.isin(records.key[operation == "insert"]) & records.key.notna()
        names_one = is_delete | records.uid.notna() | ((operation == "update") & ~inserted)
        role = np.select(
            [
                is_held,
                records.is_repeated,
                matches.is_doubtful,
                _has_later(matches, ~is_held & ~records.is_repeated & ~matches.is_doubtful),
                has_feature & is_delete,
                has_feature,
                names_one.to_numpy(),
            ],
            [
                Role.HELD,
                Role.SUPERSEDED,
                Role.UNSURE,
                Role.SUPERSEDED,
                Role.DELETE,
                Role.UPDATE,
                Role.UNKNOWN,
            ],
            default=Role.NEW,
        )
        return cls(records, index, matches, role.astype(object))

    def at(self, role: Role) -> Positions:
        """Return the positions of the records with a role."""
        return self._by_role[role]

    def uids(self, at: Positions) -> npt.NDArray[np.object_]:
        """Return the uids of the features of some matched records."""
        return self._uids[self.matches.position[at]]

    @cached_property
    def _by_role(self) -> Mapping[Role, Positions]:
        return {role: np.flatnonzero(self.role == role) for role in Role}

    @cached_property
    def _uids(self) -> npt.NDArray[np.object_]:
        return self.index["uid"].to_numpy(dtype=object)


def _has_later(matches: Matches, counts: Flags) -> Flags:
    """Tell which of the records that count have the feature of a later one."""
    result = np.zeros(len(counts), dtype=bool)
    matched = np.flatnonzero(counts & (matches.position != UNMATCHED))
    result[matched] = pd.Series(matches.position[matched]).duplicated(keep="last")
    return result
