"""Match the records of a delivery with the features of a layer, cheapest first.

====  =====================================================================================
pass  on what the passes before left
====  =====================================================================================
uid   the record names the feature
key   the layer's key is equal
same  neither side has a key, and all that the record says is equal (one to one)
near  one side has no key, and the geometries agree within tolerance (unique on both sides)
====  =====================================================================================

Two records with different keys are never matched by their place.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.labels import UNMATCHED, LabelMatch, match_content, match_labels
from cityframe.core.matching.place import match_place
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.records import Records

Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Matches:
    """The feature of each record.

    Attributes
    ----------
    position : ndarray of int, n
        Position of the feature in the layer's index, else `UNMATCHED`.
    matched_by : ndarray of str, n
        The pass that matched it; empty for none.
    candidates : DataFrame
        ``incoming``, ``current`` (positions): the features that an ambiguous record could be.
    """

    position: Positions
    matched_by: npt.NDArray[np.object_]
    candidates: pd.DataFrame

    @property
    def is_ambiguous(self) -> Flags:
        """Whether a record could be one of several features, or share one: n values."""
        result = np.zeros(len(self.position), dtype=bool)
        result[self.candidates["incoming"]] = True
        return result

    def features_seen(self, count: int) -> Flags:
        """Tell for each of ``count`` features whether a record speaks, or could speak, of it."""
        seen = np.zeros(count, dtype=bool)
        seen[self.position[self.position != UNMATCHED]] = True
        seen[self.candidates["current"]] = True
        return seen


def match_records(
    current: CurrentLayer, index: pd.DataFrame, records: Records, tolerance: Tolerance
) -> Matches:
    """Match records with features, each pass on what the one before left."""
    position = match_labels(index["uid"], records.uid).position
    matched_by = np.where(position == UNMATCHED, "", "uid").astype(object)
    by_key = match_labels(index["key"], records.key.mask(records.uid.notna()))
    matched_by[(position == UNMATCHED) & (by_key.position != UNMATCHED)] = "key"
    position = np.where(position == UNMATCHED, by_key.position, position)
    is_open = records.uid.isna().to_numpy() & ~by_key.is_ambiguous

    same = _same_content(position, is_open, current, index, records)
    position[same["incoming"]] = same["current"]
    matched_by[same["incoming"]] = "same"
    candidates = [_same_key(index, records, by_key)]
    if records.has_geometry:
        near = _near(position, is_open, current, index, records, tolerance)
        sure, unsure = near[~near["is_ambiguous"]], near[near["is_ambiguous"]]
        position[sure["incoming"]] = sure["current"]
        matched_by[sure["incoming"]] = "near"
        candidates.append(unsure[["incoming", "current"]])
    return Matches(position, matched_by, pd.concat(candidates, ignore_index=True))


def _same_key(index: pd.DataFrame, records: Records, by_key: LabelMatch) -> pd.DataFrame:
    asked = np.flatnonzero(by_key.is_ambiguous)
    left = pd.DataFrame({"incoming": asked, "key": records.key.iloc[asked].to_numpy()})
    held = index["key"].isin(left["key"]) & index["key"].notna()
    right = pd.DataFrame({"current": np.flatnonzero(held), "key": index.loc[held, "key"]})
    return left.merge(right, on="key")[["incoming", "current"]].astype(np.intp)


def _free(position: Positions, count: int) -> Flags:
    free = np.ones(count, dtype=bool)
    free[position[position != UNMATCHED]] = False
    return free


def _same_content(
    position: Positions,
    is_open: Flags,
    current: CurrentLayer,
    index: pd.DataFrame,
    records: Records,
) -> pd.DataFrame:
    """Return the pairs without keys of which the record says what already stands."""
    asked = np.flatnonzero(is_open & (position == UNMATCHED) & records.key.isna().to_numpy())
    offered = np.flatnonzero(_free(position, len(index)) & index["key"].isna().to_numpy())
    if not len(asked) or not len(offered):
        return pd.DataFrame({"incoming": asked[:0], "current": offered[:0]})
    if records.digests is not None:
        said, stored = records.digests[asked], index["digest"].to_numpy()[offered]
    else:
        said = records.content_digests(records.frame.iloc[asked])
        stored = records.content_digests(current.rows(index["uid"].iloc[offered].tolist()))
    found = match_content(stored, said)
    has_one = found != UNMATCHED
    return pd.DataFrame({"incoming": asked[has_one], "current": offered[found[has_one]]})


def _near(
    position: Positions,
    is_open: Flags,
    current: CurrentLayer,
    index: pd.DataFrame,
    records: Records,
    tolerance: Tolerance,
) -> pd.DataFrame:
    """Return the pairs that agree by place, as `match_place` does, one side without a key."""
    lacks_key, feature_lacks_key = records.key.isna().to_numpy(), index["key"].isna().to_numpy()
    left, free = is_open & (position == UNMATCHED), _free(position, len(index))
    offered = np.flatnonzero(free & (feature_lacks_key | (left & lacks_key).any()))
    asked = np.flatnonzero(left & (lacks_key | feature_lacks_key[offered].any()))
    if not len(asked) or not len(offered):
        return pd.DataFrame({"incoming": asked[:0], "current": offered[:0], "is_ambiguous": False})
    pairs = match_place(
        current.rows(index["uid"].iloc[offered].tolist()).geometry.to_numpy(),
        records.frame.geometry.to_numpy()[asked],
        tolerance,
        has_z=records.layer.has_z,
        has_label=(~feature_lacks_key[offered], ~lacks_key[asked]),
    )
    return pairs.assign(incoming=asked[pairs["incoming"]], current=offered[pairs["current"]])
