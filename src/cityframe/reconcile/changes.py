"""Change tables: the full rows of what is new, removed or different."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.config.source import Feed
from cityframe.core.frames import with_column_types
from cityframe.core.identity import new_uid
from cityframe.errors import IntegrityError
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
    """Makes the rows of a change table from the matched records of one delivery."""

    matched: MatchedRecords
    delivery: Delivery
    feed: Feed
    cycle: str

    def new(self) -> gpd.GeoDataFrame:
        """Return the rows of the records that have no feature yet, under new uids.

        Raises
        ------
        IntegrityError
            If a new uid is in use.
        """
        at = self.matched.at(Role.NEW)
        uids = self._new_uids(at)
        in_use = self.matched.index["uid"].isin(uids)
        if in_use.any() or uids.duplicated().any():
            raise IntegrityError(
                found=f"{int(in_use.sum() + uids.duplicated().sum())} new uids are in use",
                where=f"layer {self.matched.records.layer.name}, delivery {self.delivery.id}",
                remedy="look whether the changes of this delivery are applied already",
            )
        rows = self.matched.records.whole(at).assign(uid=uids)
        return self._rows(
            rows,
            self._records(at),
            kind=ChangeKind.NEW.value,
            basis="new",
            has_new_attributes=False,
        )

    def changed(self, comparison: Comparison) -> gpd.GeoDataFrame:
        """Return the rows of features that are as they shall stand from now on."""
        kinds = comparison.kinds()
        changes = np.flatnonzero(kinds.notna())
        return self._rows(
            comparison.accepted().iloc[changes],
            self._records(comparison.incoming[changes]),
            kind=kinds.iloc[changes].to_numpy(),
            basis=self.matched.matches.matched_by[comparison.incoming[changes]],
            has_new_attributes=comparison.outcome["has_new_attributes"].to_numpy()[changes],
        )

    def removed(self, current: CurrentLayer, absent: Positions) -> gpd.GeoDataFrame:
        """Return the rows, as they were, of features deleted by a record or absent."""
        deletes = self.matched.at(Role.DELETE)
        said = self._records(deletes)[["record", "valid_from"]]
        # an absent feature has no record; reindexing gives it null
        said = said.reset_index(drop=True).reindex(range(len(deletes) + len(absent)))
        uids = [*self.matched.uids(deletes), *self.matched.index["uid"].iloc[absent]]
        return self._rows(
            current.rows(uids),
            said,
            kind=ChangeKind.REMOVED.value,
            basis=np.array(["delete"] * len(deletes) + ["absent"] * len(absent), dtype=object),
            has_new_attributes=False,
        )

    def _new_uids(self, at: Positions) -> pd.Series:
        key = self.matched.records.key.iloc[at]
        number = self.matched.records.frame["record"].iloc[at]
        table = f"{self.feed.file}:{self.feed.table}"
        layer = self.matched.records.layer.name
        uids = [
            new_uid(
                layer,
                self.cycle,
                self.delivery.id,
                f"record {one_number} of {table}" if is_null else f"key {one_key}",
            )
            for one_key, is_null, one_number in zip(key, key.isna(), number, strict=True)
        ]
        return pd.Series(uids, dtype="str")

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

    def _records(self, at: Positions) -> pd.DataFrame:
        return pd.DataFrame(self.matched.records.frame.iloc[at])
