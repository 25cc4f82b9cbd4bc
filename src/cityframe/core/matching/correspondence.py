"""Which features of two sides correspond: links between them, and the groups that they make."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cityframe.core.displacement import Positions

LINK_COLUMNS = ("before", "after", "score", "margin", "is_sure", "group")


@dataclass(frozen=True)
class Correspondence:
    """What of one side is what of the other; a feature without a link has no counterpart.

    Attributes
    ----------
    links : DataFrame, k rows
        `LINK_COLUMNS`, sorted by ``before`` and ``after``: positions on the two sides;
        ``score`` from 0 to 1; ``margin``, how far the score is from that of the best rival or from
        the threshold, whichever is nearer; ``is_sure``, false for what a person must decide;
        ``group``, the number of the connected component (1:1, 1:n, n:1, n:m).
    """

    links: pd.DataFrame

    @classmethod
    def of(cls, links: pd.DataFrame) -> "Correspondence":
        """Return links with their groups.

        Parameters
        ----------
        links : DataFrame
            ``before``, ``after``, ``score``, ``margin``, ``is_sure``; in any order.
        """
        ordered = links.sort_values(["before", "after"], ignore_index=True)
        group = components(
            ordered["before"].to_numpy(dtype=np.intp), ordered["after"].to_numpy(dtype=np.intp)
        )
        return cls(ordered.assign(group=group)[list(LINK_COLUMNS)])

    def groups(self) -> pd.DataFrame:
        """Return ``before_count``, ``after_count``, ``is_sure`` by group.

        A group is sure if all its links are.
        """
        grouped = self.links.groupby("group")
        return pd.DataFrame(
            {
                "before_count": grouped["before"].nunique(),
                "after_count": grouped["after"].nunique(),
                "is_sure": grouped["is_sure"].all(),
            }
        )


def components(before: Positions, after: Positions) -> Positions:
    """Return the connected component of each link, numbered from 0 as they are met.

    Parameters
    ----------
    before, after : ndarray of int, k
        The ends of each link.
    """
    if not len(before):
        return np.empty(0, dtype=np.intp)
    first, second = int(before.max()) + 1, int(after.max()) + 1
    joined = coo_array(
        (np.ones(len(before), dtype=bool), (before, after + first)), shape=(first + second,) * 2
    )
    _, label = connected_components(joined, directed=False)
    number: Positions = pd.factorize(label[before])[0].astype(np.intp)
    return number
