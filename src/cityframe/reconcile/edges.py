"""Features of neighbouring districts meet at the border (接边), or it is told.

The limit is 2 σd of the two surveys: 2√2·m where both have the mean error m. Nodes that
`cityframe.core.edge_matching` pairs are snapped, the side of the lesser authority to the other; a
snap is within tolerance, so the next delivery of the same end does not undo it.

====================================================  ================================
two ends on different sides of a border               outcome
====================================================  ================================
a pair, one source before the other in the authority  snapped; a reshaped change
a pair, neither before the other                      finding
several partners as good                              finding
further apart than the limit, within reach            finding
====================================================  ================================

A neighbouring node's features are those whose geometry a source of kind ``node`` said: they are a
side of their own, wherever they lie, and are snapped or snapped to by the same authority.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from cityframe.config.reconciling import GEOMETRY, Reconciling
from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Flags, Geometries, Numbers, Positions
from cityframe.core.edge_matching import (
    DIRECTION_LIMITS,
    EdgeOutcome,
    Ends,
    border_distance,
    ends_of,
    match_ends,
    sides_of,
)
from cityframe.core.findings import empty_findings, findings_frame
from cityframe.model.change import ChangeKind
from cityframe.model.delivery import Delivery
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.model.text import Title
from cityframe.reconcile.current import CurrentLayer, compose
from cityframe.reconcile.follow_on import provenance_of, with_geometry

UNMATCHED_EDGE = "reconcile.unmatched-edge"
EDGE = "edge"
"""The basis of changes and the rule of provenance of what was snapped."""
REACH_LIMITS = 3.0
"""Without ``edges.reach_m``, partners are looked for so many times the limit away."""

_NEW_GEOMETRY = (ChangeKind.NEW.value, ChangeKind.MOVED.value, ChangeKind.RESHAPED.value)
_SNAPPED, _EQUAL, _BREAKS = "snapped", "equal", "breaks"
_STAYS = -1

Texts = npt.NDArray[np.object_]


def match_edges(
    changes: gpd.GeoDataFrame,
    current: CurrentLayer,
    layer: Layer,
    *,
    rules: Reconciling,
    borders: gpd.GeoDataFrame,
    origins: Callable[[Sequence[str]], pd.DataFrame],
    delivery: Delivery,
    tolerance: Tolerance,
    nodes: frozenset[str] = frozenset(),
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame, pd.DataFrame]:
    """Let the changed features meet those across the borders of districts.

    Parameters
    ----------
    changes : GeoDataFrame
        A change table on ``current``, one row a feature.
    borders : GeoDataFrame
        The layer ``rules.edges.borders``: polygons in the CRS of the layer.
    origins : callable
        Takes uids and returns ``uid``, ``attribute``, ``source``: who said the present values.
    tolerance : Tolerance
        Of the two surveys.
    nodes : frozenset of str
        Names of the sources of kind ``node``.

    Returns
    -------
    tuple
        The change table, snapped (basis `EDGE` of what had no row); findings; the provenance of
        what was snapped (`FOLLOWED_COLUMNS`).
    """
    nothing = changes, empty_findings(layer.crs), provenance_of([], EDGE, delivery)
    if rules.edges is None:
        return nothing
    limit = tolerance.rms_m
    reach = rules.edges.reach_m or REACH_LIMITS * limit
    districts = borders.geometry.to_numpy()
    is_changed = changes["change"].isin(_NEW_GEOMETRY)
    touched = ends_of(changes.geometry.to_numpy()[is_changed], DIRECTION_LIMITS * limit)
    touched = touched.take(np.isfinite(border_distance(touched.xy, districts, reach)))
    if not len(touched.xy):
        return nothing
    rows = _rows_near(touched, compose(current, changes).all_rows(), 2 * reach)
    ends = ends_of(rows.geometry.to_numpy(), DIRECTION_LIMITS * limit)
    distance = border_distance(ends.xy, districts, reach)
    ends, distance = ends.take(np.isfinite(distance)), distance[np.isfinite(distance)]
    sources = _sources(rows["uid"], changes.loc[is_changed, "uid"], origins, delivery)
    table, node = match_ends(
        ends,
        _sides(ends, districts, sources, nodes),
        _said(rows, rules).iloc[ends.feature].reset_index(drop=True),
        near_border=distance <= limit,
        limit_m=limit,
        reach_m=reach,
        precision_m=layer.precision_m,
    )
    is_new = rows["uid"].isin(changes.loc[is_changed, "uid"]).to_numpy()[ends.feature]
    is_new_node = np.bincount(node, is_new) > 0
    table = table[is_new_node[node[table["first"]]] | is_new_node[node[table["second"]]]]
    seam = _Seam(rows, ends, node, _node_ranks(ends, node, sources, rules))
    snapped, outcome = seam.snap(table)
    uids = rows["uid"].iloc[list(snapped)].tolist()
    after = with_geometry(
        changes,
        current,
        layer,
        uids=uids,
        geometry=np.array([*snapped.values(), None], dtype=object)[:-1],
        valid_from=_valid_from(changes, len(uids)),
        delivery=delivery,
        basis=EDGE,
    )
    told = table.assign(outcome=outcome)[outcome != _SNAPPED]
    findings = _findings(told, seam, limit, layer, delivery.id)
    return after, findings, provenance_of(uids, EDGE, delivery)


def _rows_near(touched: Ends, rows: gpd.GeoDataFrame, reach_m: float) -> gpd.GeoDataFrame:
    """Return the rows with an end or vertex within reach of the ends that were touched."""
    xy, owner = shapely.get_coordinates(rows.geometry.to_numpy(), return_index=True)
    apart, _ = cKDTree(touched.xy).query(xy, distance_upper_bound=reach_m)
    near = np.unique(owner[np.isfinite(apart)])
    return rows.iloc[near].reset_index(drop=True)


def _sources(
    uids: pd.Series,
    changed: pd.Series,
    origins: Callable[[Sequence[str]], pd.DataFrame],
    delivery: Delivery,
) -> Texts:
    """Return the source that said each geometry; empty where nobody knows."""
    known = origins(uids[~uids.isin(changed)].tolist())
    known = known[known["attribute"] == GEOMETRY].drop_duplicates("uid")
    said_by = dict(zip(known["uid"], known["source"], strict=True))
    said_by |= dict.fromkeys(changed, delivery.source)
    return np.array([said_by.get(uid, "") for uid in uids], dtype=object)


def _sides(ends: Ends, districts: Geometries, sources: Texts, nodes: frozenset[str]) -> Positions:
    """Return on which side each end's feature is; a neighbouring node is a side by itself."""
    side = sides_of(ends.inside, districts)
    for number, name in enumerate(sorted(nodes)):
        side[sources[ends.feature] == name] = -2 - number
    return side


def _said(rows: gpd.GeoDataFrame, rules: Reconciling) -> pd.DataFrame:
    """Return the names of features, and what partners have in common."""
    edges = rules.edges
    said = {name: rows[name] for name in (edges.same if edges else ())}
    nameless = pd.Series(None, index=rows.index, dtype="str")
    return pd.DataFrame({**said, "name": rows[rules.name] if rules.name else nameless})


def _node_ranks(ends: Ends, node: Positions, sources: Texts, rules: Reconciling) -> Numbers:
    """Return the best rank of the sources at each node, 0 first; infinite for none declared."""
    order = {name: rank for rank, name in enumerate(rules.authorities(GEOMETRY) or ())}
    rank = np.array([order.get(source, np.inf) for source in sources], dtype=np.float64)
    best = np.full(int(node.max(initial=-1)) + 1, np.inf)
    np.minimum.at(best, node, rank[ends.feature])
    return best


def _valid_from(changes: gpd.GeoDataFrame, count: int) -> pd.Series:
    """Return the time of the latest change, ``count`` times: then the ends first meet."""
    latest = pd.Series([changes["valid_from"].max()] * count)
    return latest.astype("datetime64[us, UTC]")


@dataclass(frozen=True)
class _Seam:
    """The features along borders, their ends, and the rank of each node."""

    rows: gpd.GeoDataFrame
    ends: Ends
    node: Positions
    rank: Numbers

    def snap(self, table: pd.DataFrame) -> tuple[dict[int, shapely.Geometry], Texts]:
        """Return the new geometry of the features snapped, and what became of each pair."""
        outcome = table["outcome"].to_numpy(dtype=object).copy()
        is_pair = outcome == EdgeOutcome.PAIR.value
        first, second = (table[name].to_numpy() for name in ("first", "second"))
        one, other = self.rank[self.node[first]], self.rank[self.node[second]]
        outcome[is_pair & (one == other)] = _EQUAL
        moves = np.flatnonzero(is_pair & (one != other))
        lesser = np.where(one > other, first, second)[moves]
        higher = np.where(one > other, second, first)[moves]
        snapped = self._moved(lesser, higher)
        is_broken = {at for at, geometry in snapped.items() if not _is_sound(geometry)}
        broken_nodes = self.node[np.isin(self.ends.feature, list(is_broken))]
        breaks = np.isin(self.node[lesser], broken_nodes)
        outcome[moves] = np.where(breaks, _BREAKS, _SNAPPED)
        # a node is snapped with all that ends there, or not at all
        return (self._moved(lesser[~breaks], higher[~breaks]) if is_broken else snapped), outcome

    def _moved(self, lesser: Positions, higher: Positions) -> dict[int, shapely.Geometry]:
        """Return the features of the lesser nodes, with their ends where the higher ones are."""
        geometry = self.rows.geometry.to_numpy()
        has_z = bool(shapely.has_z(geometry).any())
        coordinates = shapely.get_coordinates(geometry, include_z=has_z)
        target = np.full(len(self.rank), _STAYS)
        target[self.node[lesser]] = self.ends.vertex[higher]
        ends = np.flatnonzero(target[self.node] != _STAYS)
        coordinates[self.ends.vertex[ends]] = coordinates[target[self.node[ends]]]
        features = np.unique(self.ends.feature[ends])
        moved = shapely.set_coordinates(geometry.copy(), coordinates)
        return {int(at): moved[at] for at in features}

    def uids(self, ends: Positions) -> Texts:
        """Return the features of some ends."""
        uids: Texts = self.rows["uid"].to_numpy(dtype=object)[self.ends.feature[ends]]
        return uids


def _is_sound(geometry: shapely.Geometry) -> Flags:
    return np.asarray(shapely.is_valid(geometry) & ~shapely.is_empty(geometry), dtype=bool)


_REASONS = {
    EdgeOutcome.APART.value: Title("超出接边限差", "further than accuracy explains"),
    EdgeOutcome.TIE.value: Title("可接对象不止一个", "not the only partner"),
    _EQUAL: Title("两侧来源权威相同", "neither source has authority over the other"),
    _BREAKS: Title("接边后几何无效", "the geometry would not be valid"),
}


def _findings(
    told: pd.DataFrame, seam: _Seam, limit_m: float, layer: Layer, delivery: str
) -> gpd.GeoDataFrame:
    """Return a finding for each two features that should meet and do not."""
    if told.empty:
        return empty_findings(layer.crs)
    first, second = told["first"].to_numpy(), told["second"].to_numpy()
    uids = np.sort(np.column_stack([seam.uids(first), seam.uids(second)]).astype(str), axis=1)
    other = pd.Series(uids[:, 1], dtype="str")
    gap = told["gap_m"].round(2).astype("str").reset_index(drop=True)
    reason = told["outcome"].reset_index(drop=True)
    english, chinese = (
        reason.map({name: getattr(title, text) for name, title in _REASONS.items()})
        for text in ("en", "zh")
    )
    rows = pd.DataFrame(
        {
            "uid": uids[:, 0],
            "other": other,
            "partner": other,
            "found": "ends " + gap + " m from feature " + other + " across the border: " + english,
            "found_zh": "与边界另一侧要素 " + other + " 相距 " + gap + " m：" + chinese,
            "expected": f"ends within {limit_m:.2f} m that meet",
            "expected_zh": f"相距 {limit_m:.2f} m 以内的端点相接",
            "geometry": shapely.linestrings(
                np.stack([seam.ends.xy[first], seam.ends.xy[second]], axis=1)
            ),
        }
    )
    findings = findings_frame(
        rows,
        rule=UNMATCHED_EDGE,
        kind="reconcile",
        defect_class=DefectClass.C,
        gate=Gate.REVIEW,
        scope=Scope.DELIVERY,
        layer=layer.name,
        delivery=delivery,
        crs=layer.crs,
    )
    return findings.drop_duplicates("finding_id", ignore_index=True)
