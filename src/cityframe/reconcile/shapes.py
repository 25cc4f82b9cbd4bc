"""The pass by shape: what records without a name of their own are, and of what they are parts.

Links between records and features fall into groups (`cityframe.core.matching.correspondence`):

=====  ======================================  ===============================================
group  condition                               outcome
=====  ======================================  ===============================================
1:1    overlap of at least `MIN_IOU` (areas)   a match
1:1    less                                    replaced, if the feature is gone; else a question
1:n    the union covers `COVERED` both ways    split
n:1    the union covers `COVERED` both ways    merged
other                                          complex: a question
=====  ======================================  ===============================================

A group with an unsure link is a question, and so is one in which a record would be new that says
it updates a feature. The table reads the same from either side, so exchanging
the sides turns a split into a merge. A split or merge leaves the uid to the part that has
``keep_share`` of the whole, if the layer says so; else the whole is retired.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.config.reconciling import Reconciling
from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.shapes import dimension, shared_parts
from cityframe.model.layer import GeometryType
from cityframe.model.lineage import LineageKind
from cityframe.model.question import QuestionKind
from cityframe.reconcile.cascade import CANDIDATE_COLUMNS, no_candidates

Positions = npt.NDArray[np.intp]

COVERED = 0.8
"""Share of parts and whole that the other covers in a split or merge."""
MIN_IOU = 0.3
"""Overlap over union below which one area has taken the place of another."""

_PAIR_COLUMNS = ("incoming", "current", "score", "margin")
EVENT_COLUMNS = ("event", "current", "incoming", "share")


@dataclass(frozen=True)
class ShapeOutcome:
    """What the shapes of records and features without a match tell.

    Attributes
    ----------
    pairs : DataFrame
        ``incoming, current, score, margin``: records that are the feature; of a split or merge
        that leaves the uid, the part that has it.
    events : DataFrame
        `EVENT_COLUMNS`: positions of feature (parent) and record (child), and the share of the
        parent that went to the child. The pairs are among them.
    candidates : DataFrame
        `cityframe.reconcile.cascade.CANDIDATE_COLUMNS`.
    """

    pairs: pd.DataFrame
    events: pd.DataFrame
    candidates: pd.DataFrame

    def retired(self) -> Positions:
        """Return the positions of the features that end by an event."""
        parents = self.events["current"].unique()
        kept = self.pairs["current"].to_numpy()
        retired: Positions = np.setdiff1d(parents, kept).astype(np.intp)
        return retired


def no_outcome() -> ShapeOutcome:
    """Return that shapes tell nothing."""
    pairs = pd.DataFrame({name: pd.Series(dtype="float64") for name in _PAIR_COLUMNS})
    return ShapeOutcome(
        pairs=pairs.astype({"incoming": np.intp, "current": np.intp}),
        events=no_events(),
        candidates=no_candidates(),
    )


def no_events() -> pd.DataFrame:
    """Return a table of events without rows."""
    types = {"event": "str", "current": "intp", "incoming": "intp", "share": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=types[name]) for name in EVENT_COLUMNS})


@dataclass(frozen=True)
class Sides:
    """The geometries that are looked at, and where they are in the index and the delivery."""

    current: Positions
    incoming: Positions
    before: Geometries
    after: Geometries
    is_gone: npt.NDArray[np.bool_]

    def links(
        self, found: Correspondence, kind: GeometryType, tolerance: Tolerance
    ) -> pd.DataFrame:
        """Return the links with positions of index and delivery, and what the two share."""
        links = found.links
        before, after = links["before"].to_numpy(), links["after"].to_numpy()
        parts = shared_parts(self.before[before], self.after[after], kind, tolerance)
        twice = {
            f"{side}_twice": links["group"].map(
                _shared_within(links, side, geometry, kind, tolerance)
            )
            for side, geometry in (("before", self.before), ("after", self.after))
        }
        placed = links.assign(
            current=self.current[before],
            incoming=self.incoming[after],
            is_gone=self.is_gone[before],
            **{name: sizes.fillna(0.0) for name, sizes in twice.items()},
        )
        return placed.join(parts)


def _shared_within(
    links: pd.DataFrame, side: str, geometry: Geometries, kind: GeometryType, tolerance: Tolerance
) -> "pd.Series[float]":
    """Return by group how much the features of one side of it lie over one another."""
    ends = links[[side, "group"]].drop_duplicates()
    ends = ends[ends["group"].duplicated(keep=False)]
    at, group = ends[side].to_numpy(dtype=np.intp), ends["group"].to_numpy()
    apart = tolerance.limit_m if dimension(kind) == 1 else 0.0
    one, other = shapely.STRtree(geometry[at]).query(
        geometry[at], predicate="dwithin", distance=apart
    )
    is_pair = (one < other) & (group[one] == group[other])
    one, other = one[is_pair], other[is_pair]
    parts = shared_parts(geometry[at[one]], geometry[at[other]], kind, tolerance)
    return (parts["of_before"] * parts["before_size"]).groupby(group[one]).sum()


def interpret(links: pd.DataFrame, kind: GeometryType, rules: Reconciling) -> ShapeOutcome:
    """Tell what groups of links mean.

    Parameters
    ----------
    links : DataFrame
        As `Sides.links` gives them; with ``may_be_new``: whether the record may be a new feature.
    """
    groups = with_groups(links)
    is_one = (groups["befores"] == 1) & (groups["afters"] == 1)
    agrees = groups["is_sure_group"] & (iou(groups) >= MIN_IOU if dimension(kind) == 2 else True)
    is_replaced = is_one & groups["is_sure_group"] & ~agrees & groups["is_gone"]
    is_replaced &= groups["may_be_new"]
    is_match = is_one & agrees
    has_parts = groups["is_sure_group"] & groups["is_covered"] & (dimension(kind) > 0)
    is_split = has_parts & (groups["befores"] == 1) & (groups["afters"] > 1)
    is_merged = has_parts & (groups["befores"] > 1) & (groups["afters"] == 1)

    kept = _kept(groups[is_split | is_merged], rules)
    is_kept = groups["incoming"].isin(kept["incoming"])
    is_told = (groups["may_be_new"] | is_kept).groupby(groups["group"]).transform("all")
    is_split, is_merged = is_split & is_told, is_merged & is_told
    kept = kept[is_told[kept.index]]
    events = groups[is_split | is_merged | is_replaced]
    # its own column: one of all groups would fill up a table without rows
    events = events.assign(share=events["of_before"])
    events["event"] = np.select(
        [is_split[events.index], is_merged[events.index]],
        [LineageKind.SPLIT.value, LineageKind.MERGED.value],
        default=LineageKind.REPLACED.value,
    )
    asked = groups[~(is_match | is_split | is_merged | is_replaced)]
    return ShapeOutcome(
        pairs=pd.concat([groups[is_match], kept])[list(_PAIR_COLUMNS)],
        events=events[list(EVENT_COLUMNS)],
        candidates=asked.assign(kind=_kind_of_question(asked, kind))[list(CANDIDATE_COLUMNS)],
    )


def with_groups(links: pd.DataFrame) -> pd.DataFrame:
    """Return links with ``befores``, ``afters``, ``is_sure_group`` and ``is_covered``.

    Covered: of parts and whole the other side covers `COVERED`, the parts taken together, and as
    much of the parts lies beside one another.
    """
    grouped = links.groupby("group")
    twice = {side: grouped[f"{side}_twice"].first() for side in ("before", "after")}
    covered = []
    for side, feature, other in (("before", "current", "after"), ("after", "incoming", "before")):
        name = f"{side}_size"
        size = links[name]
        shared = (links[f"of_{side}"] * size).groupby(links["group"]).sum()
        each = links.drop_duplicates(["group", feature])
        whole = each.groupby("group")[name].sum()
        covered.append(shared - twice[other] >= COVERED * whole)
        covered.append(whole - twice[side] >= COVERED * whole)
    return links.assign(
        befores=grouped["current"].transform("nunique"),
        afters=grouped["incoming"].transform("nunique"),
        is_sure_group=grouped["is_sure"].transform("all"),
        is_covered=links["group"].map(pd.concat(covered, axis=1).all(axis=1)).astype(bool),
    )


def iou(links: pd.DataFrame) -> pd.Series:
    """Return the overlap over the union of each pair of areas."""
    both = links["of_before"] * links["before_size"]
    union = links["before_size"] + links["after_size"] - both
    return both / union.where(union > 0, 1.0)


def _kept(parts: pd.DataFrame, rules: Reconciling) -> pd.DataFrame:
    """Return the links along which a uid lives on: at most one of each group."""
    if rules.split == "retire" or parts.empty:
        return parts.iloc[:0]
    # of the whole on whichever side it is
    share = parts["of_before"].where(parts["befores"] == 1, parts["of_after"])
    large = parts.assign(whole=share)[share >= rules.keep_share]
    largest = large.sort_values(["whole", "current", "incoming"], ascending=[False, True, True])
    return largest.drop_duplicates("group").sort_index()


def _kind_of_question(asked: pd.DataFrame, kind: GeometryType) -> npt.NDArray[np.object_]:
    is_one = (asked["befores"] == 1) & (asked["afters"] == 1)
    several = QuestionKind.COMPLEX if dimension(kind) > 0 else QuestionKind.AMBIGUOUS
    kinds: npt.NDArray[np.object_] = np.where(
        is_one, QuestionKind.UNCERTAIN.value, several.value
    ).astype(object)
    return kinds
