"""What the former deliveries of a feed say about the next: what is usual, what is absent again."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.model.change import ChangeKind

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FeedEffect:
    """What one delivery did to the layer of one feed.

    Attributes
    ----------
    count : int
        Features of the layer before.
    changes : mapping of str to int
        Features by `ChangeKind`.
    """

    count: int
    changes: Mapping[str, int]

    def share(self, *kinds: ChangeKind) -> float:
        """Return the share of the layer that was changed in some ways; by default in any."""
        wanted = kinds or tuple(ChangeKind)
        return sum(self.changes.get(kind.value, 0) for kind in wanted) / max(self.count, 1)


@dataclass(frozen=True)
class Absence:
    """What becomes of the features that a full delivery lacks, k of them.

    Attributes
    ----------
    is_removed : ndarray of bool, k
        Absent from as many full deliveries as the feed demands.
    times : mapping of str to int
        Of the others: from how many deliveries in a row they are absent by now, by uid.
    """

    is_removed: Flags
    times: Mapping[str, int]


def held_absent(absent: pd.Series, before: Mapping[str, int], absent_in: int) -> Absence:
    """Remove what is absent from several full deliveries, one after another; hold the rest.

    Parameters
    ----------
    absent : Series of str, k
        Uids that the delivery lacks, inside its coverage. One that it has again is not among them,
        and is counted anew when it is absent another time.
    before : mapping of str to int
        ``times`` of the feed's delivery before.
    absent_in : int
        How many deliveries must lack a feature.
    """
    times = pd.Series(1, index=absent.index, dtype="int64")
    if before:
        times += absent.map(before).fillna(0).astype("int64")
    is_removed = (times >= absent_in).to_numpy(dtype=bool)
    held = zip(absent[~is_removed], times[~is_removed], strict=True)
    return Absence(is_removed, {str(uid): int(count) for uid, count in held})
