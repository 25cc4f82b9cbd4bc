"""Lineage of one delivery: of what its new features descend, and what takes the place of others."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.model.change import ChangeKind
from cityframe.model.lineage import LineageKind
from cityframe.reconcile.comparison import Comparison
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.descent import descent
from cityframe.reconcile.roles import MatchedRecords, Role
from cityframe.reconcile.setting import Setting
from cityframe.reconcile.shapes import EVENT_COLUMNS, ShapeOutcome, Sides

Positions = npt.NDArray[np.intp]

LIVES_ON = (LineageKind.SPLIT.value, LineageKind.MERGED.value)
"""Events in which nothing is lost: a feature that ends by them is no removal for the guards."""


@dataclass(frozen=True)
class Lineage:
    """The events of one delivery.

    Attributes
    ----------
    events : DataFrame
        `EVENT_COLUMNS`, by positions of features and records.
    gone : ndarray of int
        Positions of all features that end.
    uids : ndarray of str
        The uids of the layer's index.
    """

    events: pd.DataFrame
    gone: Positions
    uids: npt.NDArray[np.object_]

    def basis_of_records(self) -> pd.Series:
        """Return what lets new features in that descend from others, by the record's position."""
        first = self.events.drop_duplicates("incoming").set_index("incoming")["event"]
        return first.astype("str")

    def ends(self, begins: pd.Series) -> pd.DataFrame:
        """Return ``event`` and ``valid_from`` of the end of features that others succeed.

        Parameters
        ----------
        begins : Series of datetime
            Since when each record holds, by its position: a feature ends when the last of its
            successors begins.

        Returns
        -------
        DataFrame
            By the position of the feature, sorted.
        """
        ending = self.events[self.events["current"].isin(self.gone)]
        times = begins.iloc[ending["incoming"]].set_axis(ending["current"])
        event = ending.groupby("current")["event"].first().astype("str")
        return event.to_frame().assign(valid_from=times.groupby(level=0).max())

    def table(self, uid_of_record: npt.NDArray[np.object_]) -> pd.DataFrame:
        """Return ``event, parent, child, share`` by uid; a part that keeps the uid is no child."""
        parent = self.uids[self.events["current"].to_numpy(dtype=np.intp)]
        child = uid_of_record[self.events["incoming"].to_numpy(dtype=np.intp)]
        table = pd.DataFrame(
            {
                "event": self.events["event"].astype("str").to_numpy(),
                "parent": pd.Series(parent, dtype="str"),
                "child": pd.Series(child, dtype="str"),
                "share": self.events["share"].to_numpy(dtype=np.float64).round(4),
            }
        )
        told = table[(table["parent"] != table["child"]) & (table["child"] != "")]
        return told.sort_values(["parent", "child"], ignore_index=True)


def lineage_of(
    current: CurrentLayer,
    matched: MatchedRecords,
    comparison: Comparison,
    shapes: ShapeOutcome,
    absent: Positions,
    setting: Setting,
) -> Lineage:
    """Return the events that shapes told, and those of features and records with names.

    Parameters
    ----------
    absent : ndarray of int
        Positions of the features that go because nothing speaks of them.
    """
    retired = shapes.retired()
    deleted = matched.matches.position[matched.at(Role.DELETE)]
    gone = np.setdiff1d(np.concatenate([absent, deleted]), retired).astype(np.intp)
    new = np.setdiff1d(matched.at(Role.NEW), shapes.events["incoming"]).astype(np.intp)
    parts = [shapes.events]
    if matched.records.has_geometry and (len(gone) or len(new)):
        parts.append(_descent(current, matched, comparison, gone, new, setting))
    filled = [part for part in parts if len(part)] or parts[:1]
    return Lineage(
        events=pd.concat(filled, ignore_index=True)[list(EVENT_COLUMNS)],
        gone=np.union1d(gone, retired).astype(np.intp),
        uids=matched.index["uid"].to_numpy(dtype=object),
    )


def _descent(
    current: CurrentLayer,
    matched: MatchedRecords,
    comparison: Comparison,
    gone: Positions,
    new: Positions,
    setting: Setting,
) -> pd.DataFrame:
    reshaped = np.flatnonzero(comparison.kinds() == ChangeKind.RESHAPED.value)
    incoming = comparison.incoming[reshaped]
    ends = current.rows(matched.index["uid"].iloc[gone].tolist()).geometry.to_numpy()
    comes = matched.records.frame.geometry.to_numpy()[new]
    sides = Sides(
        current=np.concatenate([gone, matched.matches.position[incoming]]),
        incoming=np.concatenate([new, incoming]),
        before=np.concatenate([ends, comparison.before.geometry.to_numpy()[reshaped]]),
        after=np.concatenate([comes, comparison.after.geometry.to_numpy()[reshaped]]),
        is_gone=np.arange(len(gone) + len(reshaped)) < len(gone),
    )
    return descent(
        sides,
        np.arange(len(new) + len(reshaped)) < len(new),
        setting.layer.geometry,
        setting.tolerance,
        setting.feed.matching.reach_m,
    )
