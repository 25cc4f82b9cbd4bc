"""Match the records of a delivery with the features of a layer, cheapest first.

======  ====================================================================================
pass    on what the passes before left
======  ====================================================================================
answer  a person said which feature it is
uid     the record names the feature
id      the source's own name of the record stands in the bridge table
key     the layer's key is equal
same    neither side has a key, and all that the record says is equal (one to one)
near    one side has no key, and the geometries are equal, or agree within tolerance (unique on
        both sides)
======  ====================================================================================

`cityframe.reconcile.shapes` goes on from here. What a person said is not one is never matched. Two
records with different keys are never matched by their place, unless the feed takes keys for hints:
then a key counts at once where the place agrees, and after `near` where the place is plausible.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance, within_tolerance
from cityframe.core.displacement import Geometries
from cityframe.core.matching.identical import match_identical
from cityframe.core.matching.labels import UNMATCHED, match_content, match_labels
from cityframe.core.matching.place import is_implausible, match_place
from cityframe.model.question import QuestionKind
from cityframe.reconcile.answers import NO_CONSTRAINTS, Constraints
from cityframe.reconcile.current import CurrentLayer, batches
from cityframe.reconcile.records import Records

Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]
Numbers = npt.NDArray[np.float64]
Keys: TypeAlias = Literal["strict", "hint"]
"""As `cityframe.config.source.Matching` declares it."""

CANDIDATE_COLUMNS = ("incoming", "current", "kind", "score", "margin", "group")


@dataclass(frozen=True)
class Matches:
    """The feature of each record.

    Attributes
    ----------
    position : ndarray of int, n
        Position of the feature in the layer's index, else `UNMATCHED`.
    matched_by : ndarray of str, n
        The pass that matched it; empty for none.
    score, margin : ndarray of float, n
        How well the two agree and how far the next best is, 0 to 1; 1 for a pass that has no
        degrees, NaN for no match.
    candidates : DataFrame
        `CANDIDATE_COLUMNS`: the features that a doubtful record could be (positions), a
        `QuestionKind`, and a number that records of one question share.
    """

    position: Positions
    matched_by: npt.NDArray[np.object_]
    score: Numbers
    margin: Numbers
    candidates: pd.DataFrame

    @property
    def is_doubtful(self) -> Flags:
        """Whether a record waits for an answer: n values."""
        result = np.zeros(len(self.position), dtype=bool)
        result[self.candidates["incoming"]] = True
        return result

    def is_open(self, records: Records) -> Flags:
        """Tell which records name no feature, have none yet, and are not in doubt: n values.

        Of several records with one name only the last is open.
        """
        names_none = records.uid.isna().to_numpy()
        open_: Flags = names_none & (self.position == UNMATCHED) & ~self.is_doubtful
        return open_ & ~records.is_repeated if open_.any() else open_

    def features_seen(self, count: int) -> Flags:
        """Tell for each of ``count`` features whether a record speaks, or could speak, of it."""
        seen = np.zeros(count, dtype=bool)
        seen[self.position[self.position != UNMATCHED]] = True
        seen[self.candidates["current"]] = True
        return seen

    def with_pairs(self, pairs: pd.DataFrame, matched_by: str) -> "Matches":
        """Return the same with more matches: ``incoming, current``, perhaps ``score, margin``."""
        at = pairs["incoming"].to_numpy(dtype=np.intp)
        result = replace(
            self,
            position=self.position.copy(),
            matched_by=self.matched_by.copy(),
            score=self.score.copy(),
            margin=self.margin.copy(),
        )
        result.position[at] = pairs["current"].to_numpy(dtype=np.intp)
        result.matched_by[at] = matched_by
        result.score[at] = pairs.get("score", 1.0)
        result.margin[at] = pairs.get("margin", 1.0)
        return result

    def with_candidates(self, candidates: pd.DataFrame) -> "Matches":
        """Return the same with more candidates; their groups are numbered on."""
        if candidates.empty:
            return self
        first = int(self.candidates["group"].max()) + 1 if len(self.candidates) else 0
        more = candidates.assign(group=candidates["group"] + first)[list(CANDIDATE_COLUMNS)]
        both = [one for one in (self.candidates, more) if len(one)]
        return replace(self, candidates=pd.concat(both, ignore_index=True))


def no_candidates() -> pd.DataFrame:
    """Return a table of candidates without rows."""
    types = {"kind": "object", "score": "float64", "margin": "float64"}
    return pd.DataFrame(
        {name: pd.Series(dtype=types.get(name, "intp")) for name in CANDIDATE_COLUMNS}
    )


def match_records(
    current: CurrentLayer,
    index: pd.DataFrame,
    records: Records,
    tolerance: Tolerance,
    *,
    bridge: pd.DataFrame | None = None,
    constraints: Constraints = NO_CONSTRAINTS,
    keys: Keys = "strict",
) -> Matches:
    """Match records with features, each pass on what the one before left.

    Parameters
    ----------
    bridge : DataFrame, optional
        ``source_id``, ``uid``: what the source's names have stood for so far.
    constraints : Constraints
        What people said.
    keys : "strict" or "hint"
        Whether place overrules the layer's key; a delivery without geometry has its keys alone.
    """
    if not records.has_geometry:
        keys = "strict"
    may = MayPair(index, records, constraints, keys)
    cascade = _Cascade(current, index, records, constraints, _nothing(len(records)), may)
    cascade.by_answer()
    cascade.by_label("uid", match_labels(index["uid"], records.uid).position)
    by_id = cascade.by_id(bridge)
    if keys == "hint":
        plausible = cascade.by_key_in_place(tolerance)
    else:
        cascade.by_key(by_id)
    cascade.same()
    if records.has_geometry:
        cascade.near(tolerance)
    if keys == "hint":
        cascade.by_plausible_key(plausible)
    return cascade.matches


def _nothing(count: int) -> Matches:
    return Matches(
        position=np.full(count, UNMATCHED, dtype=np.intp),
        matched_by=np.full(count, "", dtype=object),
        score=np.full(count, np.nan),
        margin=np.full(count, np.nan),
        candidates=no_candidates(),
    )


@dataclass
class _Cascade:
    """The matches so far; each pass adds to them."""

    current: CurrentLayer
    index: pd.DataFrame
    records: Records
    constraints: Constraints
    matches: Matches
    may: "MayPair"

    @property
    def _is_free(self) -> Flags:
        return ~self.matches.features_seen(len(self.index))

    def by_answer(self) -> None:
        if not self.constraints.must_link:
            return
        told = match_labels(self.index["uid"], self.constraints.must_linked(self.records.subject))
        self.by_label("answer", told.position)

    def by_label(self, name: str, position: Positions) -> None:
        at = np.flatnonzero((self.matches.position == UNMATCHED) & (position != UNMATCHED))
        pairs = pd.DataFrame({"incoming": at, "current": position[at]})
        self.matches = self.matches.with_pairs(self.may.only(pairs), name)

    def by_id(self, bridge: pd.DataFrame | None) -> Positions:
        """Match by the source's ids; return what they say of each record."""
        nothing = np.full(len(self.records), UNMATCHED, dtype=np.intp)
        if bridge is None or bridge.empty or self.records.source_id.isna().all():
            return nothing
        uid_of = pd.Series(bridge["uid"].to_numpy(), index=bridge["source_id"])
        said = self.records.source_id.map(uid_of)
        position = match_labels(self.index["uid"], said).position
        self.by_label("id", position)
        return position

    def by_key(self, by_id: Positions) -> None:
        by_key = match_labels(self.index["key"], self.records.key.mask(self.records.uid.notna()))
        differs = (by_id != UNMATCHED) & (by_key.position != UNMATCHED)
        differs &= (by_id != by_key.position) & (self.matches.matched_by == "id")
        self.by_label("key", by_key.position)
        asked = np.flatnonzero(by_key.is_ambiguous & (self.matches.position == UNMATCHED))
        candidates = [self._same_key(asked), *self._id_or_key(by_id, by_key.position, differs)]
        self._doubt(pd.concat(candidates, ignore_index=True))

    def by_key_in_place(self, tolerance: Tolerance) -> Positions:
        """Match by keys whose features lie where the records do.

        Returns
        -------
        ndarray of int, n
            The feature of each record's key, where the two may be one: no implausible ones.
        """
        position = match_labels(
            self.index["key"], self.records.key.mask(self.records.uid.notna())
        ).position.copy()
        agrees = np.full(len(position), UNMATCHED, dtype=np.intp)
        at = np.flatnonzero((self.matches.position == UNMATCHED) & (position != UNMATCHED))
        if self.records.digests is not None:
            is_equal = self.records.digests[at] == self.index["digest"].to_numpy()[position[at]]
            agrees[at[is_equal]] = position[at[is_equal]]
            at = at[~is_equal]
        uids, after = self.index["uid"].to_numpy(), self.records.frame.geometry.to_numpy()
        for batch in batches(len(at)):
            some = at[batch]
            before = self.current.rows(uids[position[some]].tolist()).geometry.to_numpy()
            position[some[is_implausible(before, after[some])]] = UNMATCHED
            placed = np.flatnonzero(~(is_nowhere(before) | is_nowhere(after[some])))
            is_near = within_tolerance(
                before[placed], after[some[placed]], tolerance, has_z=self.records.layer.has_z
            )
            agrees[some[placed[is_near]]] = position[some[placed[is_near]]]
        self.by_label("key", agrees)
        return position

    def by_plausible_key(self, position: Positions) -> None:
        """Match what place left by keys, as of `by_key_in_place`."""
        at = np.flatnonzero(self.matches.is_open(self.records) & (position != UNMATCHED))
        at = at[self._is_free[position[at]]]
        left = np.full(len(position), UNMATCHED, dtype=np.intp)
        left[at] = position[at]
        self.by_label("key", left)

    def _id_or_key(self, by_id: Positions, by_key: Positions, differs: Flags) -> list[pd.DataFrame]:
        """Return both features of records whose id and key name two; they are matched no more."""
        at = np.flatnonzero(differs)
        if not len(at):
            return []
        undone = self.matches.position.copy()
        undone[at] = UNMATCHED
        matched_by = self.matches.matched_by.copy()
        matched_by[at] = ""
        self.matches = replace(self.matches, position=undone, matched_by=matched_by)
        return [pd.DataFrame({"incoming": at, "current": side[at]}) for side in (by_id, by_key)]

    def _same_key(self, asked: Positions) -> pd.DataFrame:
        left = pd.DataFrame({"incoming": asked, "key": self.records.key.iloc[asked].to_numpy()})
        held = self.index["key"].isin(left["key"]) & self.index["key"].notna()
        right = pd.DataFrame({"current": np.flatnonzero(held), "key": self.index.loc[held, "key"]})
        return left.merge(right, on="key")[["incoming", "current"]].astype(np.intp)

    def same(self) -> None:
        """Match records without keys that say what already stands."""
        records, index = self.records, self.index
        asked = np.flatnonzero(self.matches.is_open(self.records) & records.key.isna().to_numpy())
        offered = np.flatnonzero(self._is_free & index["key"].isna().to_numpy())
        if not len(asked) or not len(offered):
            return
        if records.digests is not None:
            said, stored = records.digests[asked], index["digest"].to_numpy()[offered]
        else:
            said = records.content_digests(records.frame.iloc[asked])
            stored = records.content_digests(self.current.rows(index["uid"].iloc[offered].tolist()))
        found = match_content(stored, said)
        has_one = found != UNMATCHED
        pairs = pd.DataFrame({"incoming": asked[has_one], "current": offered[found[has_one]]})
        self.matches = self.matches.with_pairs(self.may.only(pairs), "same")

    def near(self, tolerance: Tolerance) -> None:
        """Match what agrees by place, one side without a key."""
        asked, offered = self.may.lists(
            np.flatnonzero(self.matches.is_open(self.records)), np.flatnonzero(self._is_free)
        )
        if not len(asked) or not len(offered):
            return
        before = self.current.rows(self.index["uid"].iloc[offered].tolist()).geometry.to_numpy()
        after = self.records.frame.geometry.to_numpy()[asked]
        labels = self.may.feature_has_key[offered], self.may.record_has_key[asked]
        equal = match_identical(before, after, self.records.layer)
        at = np.flatnonzero(equal != UNMATCHED)
        at = at[~(labels[0][equal[at]] & labels[1][at])]
        pairs = self.may.only(pd.DataFrame({"incoming": asked[at], "current": offered[equal[at]]}))
        self.matches = self.matches.with_pairs(pairs, "near")

        # a geometry that is equal tells more than one that is near: it is no rival any more
        left = np.flatnonzero(~np.isin(asked, pairs["incoming"]))
        free = np.flatnonzero(~np.isin(offered, pairs["current"]))
        pairs = match_place(
            before[free],
            after[left],
            tolerance,
            has_z=self.records.layer.has_z,
            has_label=(labels[0][free], labels[1][left]),
        )
        pairs = self.may.only(
            pairs.assign(
                incoming=asked[left[pairs["incoming"]]], current=offered[free[pairs["current"]]]
            )
        )
        sure, unsure = pairs[~pairs["is_ambiguous"]], pairs[pairs["is_ambiguous"]]
        self.matches = self.matches.with_pairs(sure[["incoming", "current"]], "near")
        self._doubt(unsure[["incoming", "current"]])

    def _doubt(self, pairs: pd.DataFrame) -> None:
        self.matches = self.matches.with_candidates(
            pairs.assign(
                kind=QuestionKind.AMBIGUOUS.value,
                score=1.0,
                margin=0.0,
                group=pd.factorize(pairs["incoming"])[0],
            )
        )


def is_nowhere(geometry: Geometries) -> Flags:
    """Tell which geometries are null or empty: of them place says nothing."""
    nowhere: Flags = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    return nowhere


@dataclass(frozen=True)
class MayPair:
    """Which records and features may be one at all."""

    index: pd.DataFrame
    records: Records
    constraints: Constraints
    keys: Keys = "strict"

    @property
    def record_has_key(self) -> Flags:
        """Whether a record has a key that sets it apart from others: n values."""
        return self.records.key.notna().to_numpy() & (self.keys == "strict")

    @property
    def feature_has_key(self) -> Flags:
        """Whether a feature of the index has such a key."""
        return self.index["key"].notna().to_numpy() & (self.keys == "strict")

    def only(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Return the pairs that nobody said are two."""
        if not self.constraints.cannot_link or pairs.empty:
            return pairs
        forbidden = self.constraints.is_forbidden(
            self.records.subject.iloc[pairs["incoming"]], self.index["uid"].iloc[pairs["current"]]
        )
        return pairs[~forbidden]

    def lists(self, asked: Positions, offered: Positions) -> tuple[Positions, Positions]:
        """Return those for which the other side has somebody without a key, or who need one."""
        lacks, feature_lacks = ~self.record_has_key, ~self.feature_has_key
        some = offered[feature_lacks[offered] | lacks[asked].any()]
        return asked[lacks[asked] | feature_lacks[some].any()], some
