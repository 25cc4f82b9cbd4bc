"""Compare what records say with the features that they speak of."""

from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.agreement import Agreement, Tolerance, compare_geometry
from cityframe.core.matching.place import is_implausible
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.reconcile.current import CurrentLayer, batches, digests_of, stacked
from cityframe.reconcile.records import without_geometry
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
        ``agreement``, ``dx_m``, ``dy_m`` of `compare_geometry`, ``has_new_attributes`` and
        ``is_implausible``.
    """

    incoming: Positions
    before: gpd.GeoDataFrame
    after: gpd.GeoDataFrame
    outcome: pd.DataFrame

    @property
    def is_implausible(self) -> npt.NDArray[np.bool_]:
        """Whether the match of each pair is a question."""
        return self.outcome["is_implausible"].to_numpy()

    def kinds(self) -> pd.Series:
        """Return the kind of change of each pair, null where nothing changes."""
        agreement, has_new = self.outcome["agreement"], self.outcome["has_new_attributes"]
        kinds = agreement.where(agreement.isin([Agreement.MOVED, Agreement.RESHAPED]))
        kinds = kinds.mask(kinds.isna() & has_new, ChangeKind.ATTRIBUTES.value)
        return kinds.mask(self.is_implausible)

    def without_questions(self) -> "Comparison":
        """Return the same with every match taken as plausible."""
        return replace(self, outcome=self.outcome.assign(is_implausible=False))

    def accepted(self) -> gpd.GeoDataFrame:
        """Return the rows as they shall stand.

        A geometry within tolerance is not taken over: the stored one stays, and the next survey
        is measured against it, so that small steps can't add up to a drift.
        """
        is_kept = self.outcome["agreement"].isin([Agreement.EQUAL, Agreement.WITHIN]).to_numpy()
        geometry = np.where(
            is_kept, self.before.geometry.to_numpy(), self.after.geometry.to_numpy()
        )
        return self.after.set_geometry(gpd.GeoSeries(geometry, crs=self.after.crs))


def compare(current: CurrentLayer, matched: MatchedRecords, tolerance: Tolerance) -> Comparison:
    """Compare records with the features that they update; rows of equal digest are not read."""
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
    return Comparison(
        incoming=np.concatenate([np.empty(0, dtype=np.intp), *(part[0] for part in parts)]),
        before=before,
        after=after,
        outcome=_outcome(before, after, layer, tolerance),
    )


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
    return outcome.assign(is_implausible=implausible)
