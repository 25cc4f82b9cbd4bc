"""Change tables: the full rows of what is new, removed or different."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.frames import with_column_types
from cityframe.core.identity import mint
from cityframe.model.change import CHANGE_COLUMNS, ChangeKind
from cityframe.model.delivery import Delivery
from cityframe.model.layer import Layer
from cityframe.reconcile.comparison import Comparison
from cityframe.reconcile.current import CurrentLayer, stacked
from cityframe.reconcile.roles import MatchedRecords, Role

Positions = npt.NDArray[np.intp]


def change_table(parts: Sequence[gpd.GeoDataFrame], layer: Layer) -> gpd.GeoDataFrame:
    """Return the parts of a change table as one.

    Returns
    -------
    GeoDataFrame
        `CHANGE_COLUMNS`, all attributes, geometry; RangeIndex; sorted by uid.
    """
    table = stacked(parts, layer, CHANGE_COLUMNS)
    columns = [*CHANGE_COLUMNS, *layer.attribute_names, "geometry"]
    ordered = table[columns].sort_values("uid", kind="stable", ignore_index=True)
    return with_column_types(ordered, layer)


@dataclass(frozen=True)
class Draft:
    """Makes the rows of a change table from the matched records of one delivery.

    Attributes
    ----------
    node : str
        Name of the city among those that exchange with it.
    basis_of : Series of str
        What let in the new features that descend from others (an event's name), by the position
        of their record.
    """

    matched: MatchedRecords
    delivery: Delivery
    node: str
    basis_of: "pd.Series[str]"

    def new(self, current: CurrentLayer) -> gpd.GeoDataFrame:
        """Return the rows of the records that have no feature yet, under new uids."""
        at = self.matched.at(Role.NEW)
        records = self.matched.records
        uids = mint(self.node, records.layer.name, self._names(at).tolist(), current.known_uids)
        basis = self.basis_of.reindex(at).fillna("new")
        return self._rows(
            records.whole(at).assign(uid=pd.Series(uids, dtype="str")),
            self._records(at),
            kind=ChangeKind.NEW.value,
            basis=basis.to_numpy(dtype=object),
            has_new_attributes=False,
        )

    def changed(self, comparison: Comparison) -> gpd.GeoDataFrame:
        """Return the rows of features that are as they shall stand from now on."""
        kinds = comparison.kinds()
        changes = np.flatnonzero(kinds.notna())
        said = self._records(comparison.incoming[changes])
        since = comparison.not_before.iloc[changes].array
        is_older = (said["valid_from"].array < since) & ~pd.isna(since)
        return self._rows(
            comparison.accepted().iloc[changes],
            said.assign(valid_from=said["valid_from"].mask(is_older, since)),
            kind=kinds.iloc[changes].to_numpy(),
            basis=self.matched.matches.matched_by[comparison.incoming[changes]],
            has_new_attributes=comparison.outcome["has_new_attributes"].to_numpy()[changes],
        )

    def removed(
        self, current: CurrentLayer, absent: Positions, succeeded: pd.DataFrame
    ) -> gpd.GeoDataFrame:
        """Return the rows, as they were, of features that end.

        Parameters
        ----------
        absent : ndarray of int
            Positions of the features of which nothing speaks.
        succeeded : DataFrame
            ``event`` and ``valid_from`` of the features in whose place others come, by position;
            none ends before its present row begins.
        """
        deletes = self.matched.at(Role.DELETE)
        deleted = self.matched.matches.position[deletes]
        ends = np.setdiff1d(succeeded.index.to_numpy(dtype=np.intp), deleted)
        lost = np.setdiff1d(absent, ends)
        said = self._records(deletes)[["record", "valid_from"]]
        # what ends without a word has no record; reindexing gives it null
        count = len(deletes) + len(ends) + len(lost)
        said = said.reset_index(drop=True).reindex(range(count))
        basis = ["delete"] * len(deletes) + succeeded["event"][ends].tolist()
        basis += ["absent"] * len(lost)
        position = np.concatenate([deleted, ends, lost])
        uids = self.matched.index["uid"].iloc[position].reset_index(drop=True)
        of_ends = pd.RangeIndex(len(deletes), len(deletes) + len(ends))
        since = current.standing(uids[of_ends].tolist()).set_index("uid")["since"]
        since = since.reindex(uids[of_ends]).set_axis(of_ends)
        ended = succeeded["valid_from"][ends].set_axis(of_ends)
        ended = ended.where(~(since > ended), since)
        return self._rows(
            current.rows(uids.tolist()),
            said.assign(valid_from=said["valid_from"].fillna(ended)),
            kind=ChangeKind.REMOVED.value,
            basis=np.array(basis, dtype=object),
            has_new_attributes=False,
        )

    def _rows(
        self,
        rows: gpd.GeoDataFrame,
        said: pd.DataFrame,
        *,
        kind: str | npt.NDArray[np.object_],
        basis: str | npt.NDArray[np.object_],
        has_new_attributes: bool | npt.NDArray[np.bool_],
    ) -> gpd.GeoDataFrame:
        """Return rows with the system columns; ``said`` are their records, one to one."""
        valid_from = said["valid_from"].fillna(pd.to_datetime(self.delivery.observed_at, utc=True))
        return rows.assign(
            change=kind,
            has_new_attributes=has_new_attributes,
            delivery=self.delivery.id,
            record=said["record"].array,
            basis=basis,
            valid_from=valid_from.array,
            valid_to=pd.array([pd.NaT] * len(rows), dtype="datetime64[us, UTC]"),
        )

    def begins(self) -> pd.Series:
        """Return since when each record holds, by its position."""
        valid_from = self.matched.records.frame["valid_from"]
        begins: pd.Series = valid_from.fillna(pd.to_datetime(self.delivery.observed_at, utc=True))
        return begins

    def _names(self, at: Positions) -> pd.Series:
        """Return what names new features; an id means something to its own source only."""
        subjects = self.matched.records.subjects(at)
        has_id = self.matched.records.source_id.iloc[at].notna()
        return subjects.mask(has_id, f"{self.delivery.source} " + subjects)

    def _records(self, at: Positions) -> pd.DataFrame:
        return pd.DataFrame(self.matched.records.frame.iloc[at])
