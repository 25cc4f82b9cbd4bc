"""Find which of two sets of records speak of the same feature by what they are called or say."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.displacement import Flags, Positions

UNMATCHED = -1
"""Position of a record without a counterpart."""


@dataclass(frozen=True)
class LabelMatch:
    """Counterparts by a label.

    Attributes
    ----------
    position : ndarray of int, n
        Position of the counterpart, else `UNMATCHED`.
    is_ambiguous : ndarray of bool, n
        Whether several have the label; then ``position`` is `UNMATCHED`.
    """

    position: Positions
    is_ambiguous: Flags


def match_labels(current: pd.Series, incoming: pd.Series) -> LabelMatch:
    """Find for each incoming label the one current label that is equal; null matches nothing.

    Parameters
    ----------
    current, incoming : Series of str
        Labels (uids or keys), null for none.
    """
    position = np.full(len(incoming), UNMATCHED, dtype=np.intp)
    has_label = incoming.notna().to_numpy()
    if not has_label.any():
        return LabelMatch(position, has_label)
    several = current[current.notna() & current.duplicated(keep=False)]
    labels = pd.Index(current.mask(current.isin(several)) if len(several) else current)
    known = np.flatnonzero(labels.notna())
    found = labels[known].get_indexer(pd.Index(incoming))
    has_one = (found >= 0) & has_label
    position[has_one] = known[found[has_one]]
    return LabelMatch(position, incoming.isin(several).to_numpy() & has_label)


def match_content(current: npt.NDArray[np.object_], incoming: npt.NDArray[np.object_]) -> Positions:
    """Pair equal digests one to one, in order: of three equal records two find two counterparts.

    Returns
    -------
    ndarray of int, n
        Position of the counterpart of each incoming digest, else `UNMATCHED`.
    """
    sides = [
        pd.DataFrame({"digest": digests, "position": np.arange(len(digests))})
        for digests in (current, incoming)
    ]
    for side in sides:
        side["occurrence"] = side.groupby("digest").cumcount()
    pairs = sides[1].merge(
        sides[0], on=["digest", "occurrence"], how="inner", suffixes=("_incoming", "_current")
    )
    position = np.full(len(incoming), UNMATCHED, dtype=np.intp)
    position[pairs["position_incoming"].to_numpy()] = pairs["position_current"].to_numpy()
    return position
