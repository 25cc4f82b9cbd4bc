"""What is kept of how records found their features: the bridge table, and provenance of matches."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.model.delivery import Delivery
from cityframe.reconcile.comparison import Comparison
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.disputes import PROVENANCE_COLUMNS
from cityframe.reconcile.roles import MatchedRecords, Role
from cityframe.reconcile.setting import Setting

BRIDGE_COLUMNS = ("source", "source_id", "uid", "matched_by", "score", "margin")
NAMED = ("uid", "id", "key", "same", "")
"""Passes that need no telling: a name, or the same content, made the match."""


def bridge_rows(
    current: CurrentLayer,
    matched: MatchedRecords,
    uid_of_record: npt.NDArray[np.object_],
    setting: Setting,
) -> pd.DataFrame:
    """Return which names of the source stand for another feature than before.

    Parameters
    ----------
    uid_of_record : ndarray of str, n
        The feature that each record is; empty for none.

    Returns
    -------
    DataFrame
        `BRIDGE_COLUMNS`, sorted by name; without rows for a feed that declares no ``id``.
    """
    records, matches, source = matched.records, matched.matches, setting.delivery.source
    is_settled = np.isin(matched.role, [Role.NEW, Role.UPDATE])
    has_both = records.source_id.notna().to_numpy() & (uid_of_record != "") & is_settled
    at = np.flatnonzero(has_both) if setting.feed.id else np.empty(0, dtype=np.intp)
    rows = pd.DataFrame(
        {
            "source": pd.Series([source] * len(at), dtype="str"),
            "source_id": records.source_id.iloc[at].reset_index(drop=True),
            "uid": pd.Series(uid_of_record[at], dtype="str"),
            "matched_by": pd.Series(matches.matched_by[at], dtype="str").replace("", "new"),
            "score": matches.score[at],
            "margin": matches.margin[at],
        }
    )
    if rows.empty:
        return rows
    known = current.bridge(source).set_index("source_id")["uid"]
    is_other = rows["source_id"].map(known) != rows["uid"]
    return rows[is_other.to_numpy()].sort_values("source_id", kind="stable", ignore_index=True)


def match_provenance(
    changes: gpd.GeoDataFrame,
    matched: MatchedRecords,
    comparison: Comparison,
    delivery: Delivery,
) -> pd.DataFrame:
    """Return `PROVENANCE_COLUMNS`: matches that no name made, and what lost in a merge.

    Of the features that change only: what stays as it is needs no reason.
    """
    at, matches = matched.at(Role.UPDATE), matched.matches
    at = at[~np.isin(matches.matched_by[at], NAMED)]
    uids = pd.Series(matched.uids(at), dtype="str")
    by_match = pd.DataFrame(
        {
            "uid": uids,
            "attribute": "",
            "source": delivery.source,
            "delivery": delivery.id,
            "record": matched.records.frame["record"].iloc[at].astype("Int64").array,
            "rule": pd.Series(matches.matched_by[at], dtype="str"),
            "decided_by": "",
            "score": matches.score[at],
            "margin": matches.margin[at],
            "losers": "[]",
        }
    )
    by_match = by_match[by_match["uid"].isin(changes["uid"])]
    lost = comparison.provenance[list(PROVENANCE_COLUMNS)]
    return concat_provenance([by_match, lost])


def concat_provenance(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return several tables of provenance as one: `PROVENANCE_COLUMNS`."""
    filled = [part for part in parts if len(part)] or list(parts[:1])
    return pd.concat(filled, ignore_index=True)[list(PROVENANCE_COLUMNS)]
