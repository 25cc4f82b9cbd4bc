"""The lineage of several deliveries of one cycle as that of one.

A release tells of what was before it and what it leaves. Features that came and went in between are
passed over: of A split into B and C, and B into D and E, come C, D and E of A, each with its share
of A. The event is the one that brought the child.
"""

from collections.abc import Sequence

import geopandas as gpd
import pandas as pd

from cityframe.model.change import ChangeKind

LINEAGE_COLUMNS = ("event", "parent", "child", "share")
_DIGITS = 4


def net_lineage(parts: Sequence[pd.DataFrame], changes: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return the events between the features before some deliveries and those after them.

    Parameters
    ----------
    parts : sequence of DataFrame
        `LINEAGE_COLUMNS` of each delivery, in order.
    changes : GeoDataFrame
        All their changes, as `cityframe.reconcile.changes_in_order` gives them.

    Returns
    -------
    DataFrame
        `LINEAGE_COLUMNS`, sorted by parent and child: each parent stood before, and changes; each
        child stands after, and changes. Each pair stands once, as it was told last.
    """
    first, last = (changes.drop_duplicates("uid", keep=which) for which in ("first", "last"))
    ends = last["change"] == ChangeKind.REMOVED.value
    parents = last["uid"][~last["uid"].isin(_uids(first, ChangeKind.NEW))]
    # what was split or merged and then as it was again has no change that an event is about
    told = _passed_over(_in_order(parts), last["uid"][~ends])
    told = told[told["parent"].isin(parents) & (told["parent"] != told["child"])]
    several = told.groupby(["parent", "child", "order"], sort=False)
    once = several.agg(event=("event", "last"), share=("share", "sum")).reset_index()
    once = once.sort_values("order", kind="stable").drop_duplicates(
        ["parent", "child"], keep="last"
    )
    once = once.assign(share=once["share"].clip(upper=1.0).round(_DIGITS))
    return once.sort_values(["parent", "child"], ignore_index=True)[list(LINEAGE_COLUMNS)]


def _uids(changes: gpd.GeoDataFrame, kind: ChangeKind) -> pd.Series:
    uids: pd.Series = changes["uid"][changes["change"] == kind.value]
    return uids


def _in_order(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    numbered = [part.assign(order=at) for at, part in enumerate(parts)]
    filled = [part for part in numbered if len(part)] or numbered[:1]
    return pd.concat(filled, ignore_index=True)[[*LINEAGE_COLUMNS, "order"]]


def _passed_over(events: pd.DataFrame, stands: pd.Series) -> pd.DataFrame:
    """Return events whose child stands; one that does not gives way to its own children."""
    done, waiting = [], events
    while len(waiting):
        is_done = waiting["child"].isin(stands)
        done.append(waiting[is_done])
        both = waiting[~is_done].merge(
            events, left_on="child", right_on="parent", suffixes=("", "_next")
        )
        both = both[both["order_next"] > both["order"]]
        waiting = pd.DataFrame(
            {
                "event": both["event_next"],
                "parent": both["parent"],
                "child": both["child_next"],
                "share": both["share"] * both["share_next"],
                "order": both["order_next"],
            }
        )
    return pd.concat(done, ignore_index=True) if done else events
