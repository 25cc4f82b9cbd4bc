"""Compare what records say with the features that they speak of."""

from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.config.reconciling import GEOMETRY
from cityframe.core.agreement import Agreement, Tolerance, compare_geometry
from cityframe.core.matching.place import is_implausible
from cityframe.core.three_way import same_values
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.reconcile.current import CurrentLayer, batches, digests_of, stacked
from cityframe.reconcile.disputes import Pairs, no_conflicts, no_provenance
from cityframe.reconcile.merging import AnswerKey, Merged, Merging, merge_pairs
from cityframe.reconcile.records import Records, without_geometry
from cityframe.reconcile.roles import MatchedRecords, Role

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Comparison:
    """The matched records whose rows differ from the features, k of them.

    Attributes
    ----------
    incoming : ndarray of int, k
        Positions of the records.
    before, after : GeoDataFrame, k rows
        The feature as it is, and as the record has it: ``uid``, all attributes, geometry.
    outcome : DataFrame, k rows
        ``agreement``, ``dx_m``, ``dy_m`` of `compare_geometry`: what the record says;
        ``has_new_attributes`` and ``takes_geometry``: what of it counts; ``is_implausible``.
    merged : Merged or None
        What counts attribute by attribute; None where all that a record says counts.
    """

    incoming: Positions
    before: gpd.GeoDataFrame
    after: gpd.GeoDataFrame
    outcome: pd.DataFrame
    merged: Merged | None = None

    @property
    def is_implausible(self) -> npt.NDArray[np.bool_]:
        """Whether the match of each pair is a question."""
        return self.outcome["is_implausible"].to_numpy()

    def kinds(self) -> pd.Series:
        """Return the kind of change of each pair, null where nothing changes."""
        agreement, has_new = self.outcome["agreement"], self.outcome["has_new_attributes"]
        kinds = agreement.where(self.outcome["takes_geometry"])
        kinds = kinds.mask(kinds.isna() & has_new, ChangeKind.ATTRIBUTES.value)
        return kinds.mask(self.is_implausible)

    def without_questions(self) -> "Comparison":
        """Return the same with every match taken as plausible."""
        return replace(self, outcome=self.outcome.assign(is_implausible=False))

    def taken_as_plausible(self, where: npt.NDArray[np.bool_]) -> "Comparison":
        """Return the same with some matches taken as plausible: a person made them."""
        still = self.is_implausible & ~where
        return replace(self, outcome=self.outcome.assign(is_implausible=still))

    def accepted(self) -> gpd.GeoDataFrame:
        """Return the rows as they shall stand.

        A geometry within tolerance is not taken over: the stored one stays, and the next survey
        is measured against it, so that small steps can't add up to a drift.
        """
        is_taken = self.outcome["takes_geometry"].to_numpy()
        geometry = np.where(
            is_taken, self.after.geometry.to_numpy(), self.before.geometry.to_numpy()
        )
        rows = self.after
        if self.merged is not None:
            counts = {
                name: rows[name].where(taken, self.before[name])
                for name, taken in self.merged.taken.items()
                if name != GEOMETRY
            }
            rows = rows.assign(**counts)
        return rows.set_geometry(gpd.GeoSeries(geometry, crs=self.after.crs))

    @property
    def provenance(self) -> pd.DataFrame:
        """``incoming`` (position of the record) and `PROVENANCE_COLUMNS`: where something lost."""
        if self.merged is None:
            return no_provenance()
        return self._of_pairs(self.merged.provenance)

    @property
    def conflicts(self) -> pd.DataFrame:
        """``incoming`` (position of the record) and `CONFLICT_COLUMNS`: what a person decides."""
        if self.merged is None:
            return no_conflicts()
        return self._of_pairs(self.merged.conflicts)

    @property
    def is_overruled(self) -> npt.NDArray[np.bool_]:
        """Whether something of the feature stays although the record says otherwise: k values."""
        nothing = np.zeros(len(self.incoming), dtype=bool)
        return nothing if self.merged is None else self.merged.kept

    @property
    def answered(self) -> tuple[AnswerKey, ...]:
        """Conflicts that a person decided before."""
        return () if self.merged is None else self.merged.answered

    @property
    def not_before(self) -> pd.Series:
        """Since when the present row holds, where a part of it stays against a record; else NaT.

        The accepted row must not hold from an earlier moment on: what stays was not so then.
        """
        if self.merged is None:
            return pd.Series(pd.NaT, index=range(len(self.incoming)), dtype="datetime64[us, UTC]")
        return self.merged.not_before

    def _of_pairs(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return rows about matches that are no question, with the records' positions."""
        told = table[~self.is_implausible[table["pair"].to_numpy()]].reset_index(drop=True)
        position = self.incoming[told["pair"].to_numpy()]
        found: pd.DataFrame = told.drop(columns="pair").assign(incoming=position)
        return found


def compare(
    current: CurrentLayer,
    matched: MatchedRecords,
    tolerance: Tolerance,
    merging: Merging | None = None,
) -> Comparison:
    """Compare records with the features that they update; rows of equal digest are not read.

    With ``merging`` the rows that differ are merged attribute by attribute; without it all that a
    record says counts.
    """
    layer, records, index = current.layer, matched.records, matched.index
    incoming = matched.at(Role.UPDATE)
    position = matched.matches.position[incoming]
    digests, uids = index["digest"].to_numpy(), index["uid"].to_numpy()
    parts = []
    for batch in batches(len(incoming)):
        at, to = incoming[batch], position[batch]
        if records.digests is not None:
            differs = records.digests[at] != digests[to]
            at, to = at[differs], to[differs]
        if not len(at):
            continue
        before = current.rows(uids[to].tolist())
        after = records.merged(at, before)
        if records.digests is None:
            differs = digests_of(after, layer) != digests[to]
            at, before, after = at[differs], before[differs], after[differs]
        parts.append((at, before, after))
    before = stacked([part[1] for part in parts], layer)
    after = stacked([part[2] for part in parts], layer)
    at = np.concatenate([np.empty(0, dtype=np.intp), *(part[0] for part in parts)])
    outcome = _outcome(before, after, layer, tolerance)
    if merging is None or not len(at):
        return Comparison(at, before, after, outcome)
    pairs = Pairs(
        before=before,
        after=after,
        said=pd.DataFrame(records.frame[["record", "valid_from"]].iloc[at]).reset_index(drop=True),
        agreement=outcome["agreement"].to_numpy(),
        names=_merged_names(records),
    )
    merged = merge_pairs(current, pairs, tolerance, merging)
    is_taken = np.zeros(len(at), dtype=bool)
    for name in set(merged.taken) - {GEOMETRY}:
        is_taken |= merged.taken[name]
    for name in layer.key:
        is_taken |= ~same_values(before[name], after[name])
    outcome = outcome.assign(
        has_new_attributes=is_taken, takes_geometry=merged.taken.get(GEOMETRY, False)
    )
    return Comparison(at, before, after, outcome, merged)


def _merged_names(records: Records) -> tuple[str, ...]:
    """Return what a merge decides; the key follows the record, for it tells which feature it is."""
    names = [name for name in records.attributes if name not in records.layer.key]
    return (*names, GEOMETRY) if records.has_geometry else tuple(names)


def differing_attributes(
    before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, layer: Layer
) -> npt.NDArray[np.bool_]:
    """Tell in which rows an attribute differs, by its canonical value."""
    table = replace(layer, geometry=GeometryType.NONE)
    sides = [digests_of(without_geometry(side, layer), table) for side in (before, after)]
    return np.asarray(sides[0] != sides[1], dtype=bool)


def _outcome(
    before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, layer: Layer, tolerance: Tolerance
) -> pd.DataFrame:
    old, new = before.geometry.to_numpy(), after.geometry.to_numpy()
    outcome = compare_geometry(old, new, layer, tolerance)
    outcome["has_new_attributes"] = differing_attributes(before, after, layer)
    differs = np.flatnonzero(outcome["agreement"].isin([Agreement.MOVED, Agreement.RESHAPED]))
    implausible = np.zeros(len(outcome), dtype=bool)
    implausible[differs] = is_implausible(old[differs], new[differs])
    takes = np.zeros(len(outcome), dtype=bool)
    takes[differs] = True
    return outcome.assign(is_implausible=implausible, takes_geometry=takes)
