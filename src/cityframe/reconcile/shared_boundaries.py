"""A boundary that two features share is one: when it moves, it moves on both sides, or is told.

==============================================  ===========================================
the neighbour of a feature that moved           what becomes of it
==============================================  ===========================================
no record moves it                              follows, and is a reshaped change by itself
a record of the delivery says where it lies     follows if that agrees within tolerance
a record moves it too                           stays as its record has it
other features of the change stand in between   stays: a split or a merge
==============================================  ===========================================

What then still overlaps, or lies open between features that were neighbours, is a finding. A
geometry within tolerance was not taken over in the first place, so nothing follows it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance, within_tolerance
from cityframe.core.boundary_course import Limits, course_of
from cityframe.core.displacement import Flags, Geometries, Positions
from cityframe.core.findings import empty_findings, findings_frame
from cityframe.core.frames import key_text
from cityframe.core.shared_boundaries import followed, neighbour_pairs, thick_parts
from cityframe.model.change import ChangeKind
from cityframe.model.delivery import Delivery
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.model.text import Title
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.follow_on import provenance_of, with_geometry

TORN_BOUNDARY = "reconcile.torn-boundary"
BOUNDARY = "boundary"
"""The basis of changes and the rule of provenance of what followed."""

_MOVED = (ChangeKind.MOVED.value, ChangeKind.RESHAPED.value)
_KEPT = 0.5
"""A neighbour follows if it and what it was have so much of their union in common, or more."""


def follow_boundaries(
    changes: gpd.GeoDataFrame,
    current: CurrentLayer,
    layer: Layer,
    *,
    delivery: Delivery,
    tolerance: Tolerance,
    said: Callable[[Sequence[str]], Mapping[str, shapely.Geometry]] | None = None,
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame, pd.DataFrame]:
    """Let the neighbours of moved and reshaped polygons follow.

    Parameters
    ----------
    changes : GeoDataFrame
        A change table of a polygon layer on ``current``, one row a feature.
    tolerance : Tolerance
        Of the two surveys.
    said : callable, optional
        Takes uids and returns what the records of the delivery say of those that they do not
        move: their geometries by uid.

    Returns
    -------
    tuple
        The change table with what followed (basis `BOUNDARY`); findings; the provenance of what
        followed (`FOLLOWED_COLUMNS`).
    """
    block = _Block.around(changes, current, Limits(layer.precision_m, tolerance.limit_m))
    if not len(block.moved):
        return changes, empty_findings(layer.crs), provenance_of([], BOUNDARY, delivery)
    follows = _follows(block, tolerance, said(block.uids.tolist()) if said else {})
    uids = [block.uids[at] for at in follows]
    after = with_geometry(
        changes,
        current,
        layer,
        uids=uids,
        geometry=np.array([*follows.values(), None], dtype=object)[:-1],
        valid_from=block.valid_from(list(follows)),
        delivery=delivery,
        basis=BOUNDARY,
    )
    final = block.final(follows)
    torn = pd.concat([_overlaps(block, final), _gaps(block, final)], ignore_index=True)
    keys = pd.Series(key_text(block.moved, layer.key).to_numpy(), index=block.moved["uid"])
    findings = _findings(torn.assign(source_key=torn["uid"].map(keys)), layer, delivery.id)
    return after, findings, provenance_of(uids, BOUNDARY, delivery)


@dataclass(frozen=True)
class _Block:
    """Moved polygons and what stands beside them.

    Attributes
    ----------
    moved : GeoDataFrame, m rows
        The rows of the change table; ``before``, ``after`` are their geometries.
    uids, features, tree
        The layer's features before, without those that are removed, and their index.
    moved_as : ndarray of int
        Position of each feature in ``moved``, else -1.
    pairs : tuple of ndarray
        Positions of moved ones, and of features that one meets before or after; sorted.
    standing : ndarray
        The geometries after of all that is new, moved or reshaped.
    """

    moved: gpd.GeoDataFrame
    before: Geometries
    after: Geometries
    uids: npt.NDArray[np.object_]
    features: Geometries
    tree: shapely.STRtree
    moved_as: Positions
    pairs: tuple[Positions, Positions]
    standing: Geometries
    limits: Limits

    @classmethod
    def around(cls, changes: gpd.GeoDataFrame, current: CurrentLayer, limits: Limits) -> "_Block":
        stands = changes["change"].isin([ChangeKind.NEW.value, *_MOVED]) & _has_area(changes)
        moved = changes[stands & changes["change"].isin(_MOVED)]
        rows = current.all_rows() if len(moved) else current.rows([])
        is_removed = changes["change"] == ChangeKind.REMOVED.value
        rows = rows[_has_area(rows) & ~rows["uid"].isin(changes.loc[is_removed, "uid"])]
        moved = moved[moved["uid"].isin(rows["uid"])].reset_index(drop=True)
        uids, features = rows["uid"].to_numpy(dtype=object), rows.geometry.to_numpy()
        moved_as = pd.Index(moved["uid"]).get_indexer(pd.Index(uids, dtype="str"))
        before = features[pd.Index(uids, dtype="str").get_indexer(pd.Index(moved["uid"]))]
        after = moved.geometry.to_numpy()
        tree = shapely.STRtree(features)
        found = [np.column_stack(neighbour_pairs(side, tree)) for side in (before, after)]
        pairs = np.unique(np.concatenate(found), axis=0)
        pairs = pairs[moved_as[pairs[:, 1]] != pairs[:, 0]]
        return cls(
            moved=moved,
            before=before,
            after=after,
            uids=uids,
            features=features,
            tree=tree,
            moved_as=moved_as,
            pairs=(pairs[:, 0], pairs[:, 1]),
            standing=changes.geometry.to_numpy()[stands],
            limits=limits,
        )

    @cached_property
    def _standing_tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.standing)

    def near(self, area: shapely.Geometry) -> Positions:
        """Return the features, moved ones apart, that an area meets before the change."""
        near: Positions = self.tree.query(area, predicate="intersects")
        return near[self.moved_as[near] < 0]

    def standing_at(self, area: shapely.Geometry) -> shapely.Geometry:
        """Return the union of what stands there after the change, of those that changed."""
        at = self._standing_tree.query(area, predicate="intersects")
        return shapely.union_all(self.standing[np.sort(at)])

    def beside(self, moved: int) -> Positions:
        """Return the features beside a moved one."""
        first, last = np.searchsorted(self.pairs[0], [moved, moved + 1])
        beside: Positions = self.pairs[1][first:last]
        return beside

    def valid_from(self, features: list[int]) -> pd.Series:
        """Return from when the boundary of each feature is another: when its last mover is."""
        times = self.moved["valid_from"].iloc[self.pairs[0]].groupby(self.pairs[1]).max()
        latest: pd.Series = times.reindex(features).reset_index(drop=True)
        return latest

    def final(self, follows: Mapping[int, shapely.Geometry]) -> Geometries:
        """Return the features as they are after the change."""
        final = self.features.copy()
        is_moved = self.moved_as >= 0
        final[is_moved] = self.after[self.moved_as[is_moved]]
        for at, geometry in follows.items():
            final[at] = geometry
        return final


def _has_area(frame: gpd.GeoDataFrame) -> Flags:
    return np.asarray(shapely.area(frame.geometry.to_numpy()) > 0, dtype=bool)


def _follows(
    block: _Block, tolerance: Tolerance, said: Mapping[str, shapely.Geometry]
) -> dict[int, shapely.Geometry]:
    """Return the new geometry of the features that follow, by their positions."""
    courses = {
        at: course_of(
            block.before[at],
            block.after[at],
            block.features[block.beside(at)],
            block.limits,
        )
        for at in range(len(block.moved))
    }
    free = np.unique(block.pairs[1][block.moved_as[block.pairs[1]] < 0])
    follows: dict[int, shapely.Geometry] = {}
    for feature in free.tolist():
        beside = block.pairs[0][block.pairs[1] == feature].tolist()
        geometry = followed(block.features[feature], [courses[at] for at in beside])
        if geometry is None or not _is_plausible(block, feature, geometry):
            continue
        own = said.get(block.uids[feature])
        if own is None or _agrees(geometry, own, tolerance):
            follows[feature] = geometry
    while colliding := _colliding(block, follows):
        follows = {at: geometry for at, geometry in follows.items() if at not in colliding}
    return follows


def _is_plausible(block: _Block, feature: int, geometry: shapely.Geometry) -> bool:
    """Tell whether a feature may become this: changed, not much, and over nothing that stands."""
    precision = block.limits.precision_m
    before = block.features[feature]
    gained, lost = shapely.difference(geometry, before), shapely.difference(before, geometry)
    if not len(thick_parts(gained, precision)) and not len(thick_parts(lost, precision)):
        return False
    kept, union = shapely.intersection(before, geometry), shapely.union(before, geometry)
    if shapely.area(kept) < _KEPT * shapely.area(union):
        return False
    over = shapely.intersection(gained, block.standing_at(gained))
    return not len(thick_parts(over, precision))


def _colliding(block: _Block, follows: Mapping[int, shapely.Geometry]) -> set[int]:
    """Return those that follow over other features, where each alone would have fitted."""
    order = np.array(list(follows), dtype=np.intp)
    after = np.array([*follows.values(), None], dtype=object)[:-1]
    gained = shapely.difference(after, block.features[order])
    pairs = shapely.STRtree(after).query(gained, predicate="intersects")
    one, other = pairs[:, pairs[0] != pairs[1]]
    beside = [near[~np.isin(near, order)] for near in map(block.near, gained)]
    owner = np.repeat(np.arange(len(order)), list(map(len, beside)))
    others = np.concatenate([np.empty(0, dtype=np.intp), *beside])
    over = shapely.intersection(
        gained[np.append(one, owner)], np.append(after[other], block.features[others])
    )
    is_over = [len(thick_parts(area, block.limits.precision_m)) > 0 for area in over]
    return set(order[np.append(one, owner)[is_over]].tolist())


def _agrees(one: shapely.Geometry, other: shapely.Geometry, tolerance: Tolerance) -> bool:
    before, after = (np.array([side], dtype=object) for side in (one, other))
    return bool(within_tolerance(before, after, tolerance)[0])


def _overlaps(block: _Block, final: Geometries) -> pd.DataFrame:
    """Return where moved features overlap their neighbours as they did not before."""
    moved, feature = block.pairs
    over = shapely.intersection(block.after[moved], final[feature])
    at = np.flatnonzero(shapely.area(over) > block.limits.precision_m**2)
    was = shapely.intersection(block.before[moved[at]], block.features[feature[at]])
    return _torn_rows(
        block, moved[at], block.uids[feature[at]], shapely.difference(over[at], was), "overlap"
    )


def _gaps(block: _Block, final: Geometries) -> pd.DataFrame:
    """Return what moved features left open between them and those that were beside them."""
    moved, others, open_areas = [], [], []
    for at in range(len(block.moved)):
        left = shapely.difference(block.before[at], block.after[at])
        beside = block.beside(at)
        taken = shapely.union_all([block.standing_at(left), *final[beside]])
        was = shapely.union_all(block.features[beside])
        for part in thick_parts(shapely.difference(left, taken), block.limits.precision_m):
            if _is_between(part, block.after[at], was, block.limits):
                near = shapely.dwithin(final[beside], part, block.limits.precision_m)
                moved.append(at)
                others.append(",".join(sorted(block.uids[beside[near]])))
                open_areas.append(part)
    areas = np.array([*open_areas, None], dtype=object)[:-1]
    return _torn_rows(
        block, np.array(moved, dtype=np.intp), np.array(others, dtype=object), areas, "gap"
    )


def _is_between(
    part: shapely.Geometry, after: shapely.Geometry, neighbours: shapely.Geometry, limits: Limits
) -> bool:
    """Tell whether an area lies between a feature and its former neighbours, and not in the open.

    Of its boundary away from the feature, half or more was the neighbours'.
    """
    width = 2 * limits.precision_m
    outer = shapely.difference(shapely.boundary(part), shapely.buffer(after, width))
    free = shapely.difference(outer, shapely.buffer(neighbours, width))
    return bool(shapely.length(free) <= shapely.length(outer) / 2)


def _torn_rows(
    block: _Block,
    moved: Positions,
    others: npt.NDArray[np.object_],
    areas: Geometries,
    kind: str,
) -> pd.DataFrame:
    """Return a row for each area: ``uid``, ``other``, ``kind``, ``geometry``."""
    parts = [shapely.union_all(thick_parts(area, block.limits.precision_m)) for area in areas]
    rows = pd.DataFrame(
        {
            "uid": block.moved["uid"].to_numpy(dtype=object)[moved],
            "other": others,
            "kind": kind,
            "geometry": np.array([*parts, None], dtype=object)[:-1],
        }
    )
    rows = rows[~shapely.is_empty(rows["geometry"].to_numpy())]
    union = rows.groupby(["uid", "other", "kind"])["geometry"].agg(shapely.union_all)
    return union.reset_index()


_KINDS = {"overlap": Title("重叠", "an overlap"), "gap": Title("缝隙", "a gap")}


def _findings(torn: pd.DataFrame, layer: Layer, delivery: str) -> gpd.GeoDataFrame:
    """Return a finding for each boundary that is torn; of two that both moved only one."""
    if torn.empty:
        return empty_findings(layer.crs)
    torn = torn.assign(source_key=torn["source_key"].fillna(""))
    size = pd.Series(np.round(shapely.area(torn["geometry"].to_numpy()), 2)).astype("str")
    kind, other = torn["kind"].reset_index(drop=True), torn["other"].reset_index(drop=True)
    names = {
        text: kind.map({name: getattr(title, text) for name, title in _KINDS.items()})
        for text in ("en", "zh")
    }
    rows = torn.reset_index(drop=True).assign(
        partner=other.str.partition(",")[0],
        found="its boundary moved and leaves " + names["en"] + " of " + size + " m² with " + other,
        found_zh="界线移动后与要素 " + other + " 之间出现" + names["zh"] + " " + size + " m²",
        expected="a shared boundary that moves on both of its sides",
        expected_zh="共用界线两侧同步变动",
    )
    findings = findings_frame(
        rows.drop(columns=["kind"]),
        rule=TORN_BOUNDARY,
        kind="reconcile",
        defect_class=DefectClass.B,
        gate=Gate.REVIEW,
        scope=Scope.DELIVERY,
        layer=layer.name,
        delivery=delivery,
        crs=layer.crs,
    )
    return findings.drop_duplicates("finding_id", ignore_index=True)
