"""Which ends on two sides of a border continue each other (接边).

An end is the first or last vertex of a line, or a vertex of a polygon, near a border. Ends of one
side at one place are a node; a node where features of two sides meet already needs no partner.

=======  =========================================================================
outcome  of two nodes on different sides
=======  =========================================================================
pair     within the limit, both near the border, the only partner of each other
tie      within the limit, but one of them has another partner as good elsewhere
apart    further apart than the limit; nothing within it for either
=======  =========================================================================

Partners have one class, and lines go on in the same direction within 45°. Of several partners those
of the same name come first, then those without one. Distances within the limit do not
count: they are what the accuracy explains.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from cityframe.core.displacement import Flags, Geometries, Numbers, Positions

MAX_TURN_DEG = 45.0
"""A line that goes on turns by less than half of what a crossing one does."""
DIRECTION_LIMITS = 5.0
"""A line's direction is taken over so many times the limit: noise turns it by 0.2 at most."""
_NODES = ("node_1", "node_2")


class EdgeOutcome(StrEnum):
    """What two nodes are to each other; the module's table defines it."""

    PAIR = "pair"
    TIE = "tie"
    APART = "apart"


@dataclass(frozen=True)
class Ends:
    """Ends of features, n of them.

    Attributes
    ----------
    feature : ndarray of int
        Position of the feature.
    vertex : ndarray of int
        Position of the vertex among all coordinates of all features.
    xy : ndarray, n × 2
    direction : ndarray, n × 2
        Outwards, of length 1; NaN for vertices of polygons.
    inside : ndarray, n × 2
        A point of the feature that tells on which side of a border it is.
    """

    feature: Positions
    vertex: Positions
    xy: Numbers
    direction: Numbers
    inside: Numbers

    def take(self, at: Positions | Flags) -> "Ends":
        """Return some of the ends."""
        return Ends(*(getattr(self, one.name)[at] for one in fields(self)))


def ends_of(geometry: Geometries, direction_m: float) -> Ends:
    """Return the ends of lines, and all vertices of polygons; points and nulls have none.

    Parameters
    ----------
    geometry : ndarray of geometries
        In one projected CRS in metres.
    direction_m : float
        Along how much of a line its direction at an end is taken.
    """
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    parts, feature = shapely.get_parts(geometry, return_index=True)
    stop = np.cumsum(shapely.get_num_coordinates(parts))
    start = stop - shapely.get_num_coordinates(parts)
    lines = np.flatnonzero((shapely.get_dimensions(parts) == 1) & ~shapely.is_closed(parts))
    tail = np.column_stack([start[lines], stop[lines] - 1]).ravel()
    along = np.minimum(direction_m, shapely.length(parts[lines]))
    inner = shapely.line_interpolate_point(
        np.repeat(parts[lines], 2), np.column_stack([along, -along]).ravel()
    )
    inside = shapely.get_coordinates(inner)
    outward = xy[tail] - inside
    length = np.hypot(*outward.T)
    areas = np.flatnonzero(shapely.get_dimensions(geometry) == 2)
    corner = np.flatnonzero(np.isin(owner, areas))
    centre = np.full((len(geometry), 2), np.nan)
    centre[areas] = shapely.get_coordinates(shapely.point_on_surface(geometry[areas]))
    with np.errstate(invalid="ignore"):
        direction = outward / length[:, None]
    return Ends(
        feature=np.concatenate([np.repeat(feature[lines], 2), owner[corner]]),
        vertex=np.concatenate([tail, corner]),
        xy=np.concatenate([xy[tail], xy[corner]]),
        direction=np.concatenate([direction, np.full((len(corner), 2), np.nan)]),
        inside=np.concatenate([inside, centre[owner[corner]]]),
    )


def border_distance(xy: Numbers, borders: Geometries, reach_m: float) -> Numbers:
    """Return how far points lie from the outlines of districts; infinite beyond ``reach_m``."""
    distance = np.full(len(xy), np.inf)
    outline = shapely.get_parts(shapely.boundary(borders))
    line, owner = shapely.get_coordinates(outline, return_index=True)
    joined = owner[1:] == owner[:-1]
    pieces = shapely.linestrings(np.stack([line[:-1], line[1:]], axis=1)[joined])
    points = np.asarray(shapely.points(xy), dtype=object)
    if not len(pieces) or not len(points):
        return distance
    found, apart = shapely.STRtree(pieces).query_nearest(
        points, max_distance=reach_m, return_distance=True, all_matches=False
    )
    distance[found[0]] = apart
    return distance


def sides_of(inside: Numbers, districts: Geometries) -> Positions:
    """Return the district in which each point lies, -1 for none."""
    point, district = shapely.STRtree(districts).query(
        shapely.points(inside), predicate="intersects"
    )
    side = np.full(len(inside), -1, dtype=np.intp)
    # the first of several
    side[point[::-1]] = district[::-1]
    return side


def match_ends(
    ends: Ends,
    side: Positions,
    said: pd.DataFrame,
    *,
    near_border: Flags,
    limit_m: float,
    reach_m: float,
    precision_m: float,
) -> tuple[pd.DataFrame, Positions]:
    """Find what continues what across a border.

    Parameters
    ----------
    ends : Ends, n
        Within reach of a border.
    side : ndarray of int, n
        On which side each feature lies.
    said : DataFrame, n rows
        ``name`` (in words), and attributes that partners share; null says nothing.
    near_border : ndarray of bool, n
        Which lie within the limit of a border.
    limit_m, reach_m, precision_m : float
        What the accuracies of both explain; how far partners are looked for; what is one place.

    Returns
    -------
    tuple
        A table ``first``, ``second`` (ends, first < second, one of each node), ``gap_m``,
        ``outcome`` (`EdgeOutcome`), sorted; and the node of each end.
    """
    units = np.round(ends.xy / precision_m).astype(np.int64)
    place = pd.MultiIndex.from_arrays(list(units.T)).factorize()[0]
    node = pd.MultiIndex.from_arrays([place, side]).factorize()[0].astype(np.intp)
    sides_at = pd.Series(side).groupby(place).transform("nunique").to_numpy()
    free = np.flatnonzero(sides_at == 1)
    found = cKDTree(ends.xy[free]).query_pairs(reach_m, output_type="ndarray")
    first, second = free[found.min(axis=1)], free[found.max(axis=1)]
    fits = (side[first] != side[second]) & _fits(ends, said, first, second)
    first, second = first[fits], second[fits]
    pairs = pd.DataFrame(
        {
            "first": first,
            "second": second,
            "node_1": np.minimum(node[first], node[second]),
            "node_2": np.maximum(node[first], node[second]),
            "gap_m": np.hypot(*(ends.xy[first] - ends.xy[second]).T),
            "likeness": _likeness(said["name"], first, second),
            "at_border": near_border[first] & near_border[second],
        }
    )
    pairs = pairs.sort_values(["likeness", "first", "second"], ascending=[False, True, True])
    pairs = pairs.drop_duplicates(["node_1", "node_2"])
    is_within = pairs["gap_m"].to_numpy() <= limit_m
    close = _close(pairs[is_within & pairs["at_border"].to_numpy()])
    nodes = list(_NODES)
    has_close = np.isin(pairs[nodes].to_numpy(), close[nodes].to_numpy()).any(axis=1)
    apart = _apart(pairs[~is_within & ~has_close])
    table = pd.concat([close, apart])[["first", "second", "gap_m", "outcome"]]
    return table.sort_values(["first", "second"], ignore_index=True), node


def _fits(ends: Ends, said: pd.DataFrame, first: Positions, second: Positions) -> Flags:
    """Tell which two have one class and, if they are lines, go on in one direction."""
    turn: Numbers = -np.einsum("ij,ij->i", ends.direction[first], ends.direction[second])
    fits = np.asarray(np.isnan(turn) | (turn >= np.cos(np.radians(MAX_TURN_DEG))), dtype=bool)
    for name in said.columns.drop("name"):
        one = said[name].iloc[first].reset_index(drop=True)
        other = said[name].iloc[second].reset_index(drop=True)
        differs = (one != other).fillna(False).to_numpy(dtype=bool)
        fits &= ~(differs & (one.notna() & other.notna()).to_numpy())
    return fits


def _likeness(name: pd.Series, first: Positions, second: Positions) -> npt.NDArray[np.int64]:
    """Return 2 for the same name, 1 if one has none, 0 for different names."""
    text = name.astype("str").str.casefold().str.strip()
    one, other = (text.iloc[at].reset_index(drop=True) for at in (first, second))
    unknown = (one.isna() | other.isna()).to_numpy()
    same = (one == other).fillna(False).to_numpy(dtype=bool)
    return np.select([same, unknown], [2, 1], default=0).astype(np.int64)


def _close(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs and ties among nodes within the limit."""
    likeness = _by_node(pairs, "likeness").groupby("node")["value"].max()
    is_best = [pairs["likeness"] == pairs[node].map(likeness) for node in _NODES]
    best = pairs[is_best[0] & is_best[1]]
    count = _by_node(best, "likeness").groupby("node").size()
    is_tie = (best["node_1"].map(count) > 1) | (best["node_2"].map(count) > 1)
    outcome = np.where(is_tie, EdgeOutcome.TIE.value, EdgeOutcome.PAIR.value)
    return best.assign(outcome=outcome)


def _apart(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs beyond the limit that are nearest to each other."""
    gap = _by_node(pairs, "gap_m").groupby("node")["value"].min()
    is_nearest = [pairs["gap_m"] == pairs[node].map(gap) for node in _NODES]
    return pairs[is_nearest[0] & is_nearest[1]].assign(outcome=EdgeOutcome.APART.value)


def _by_node(pairs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return ``node`` and ``value``, each pair once for each of its nodes."""
    return pd.DataFrame(
        {
            "node": pd.concat([pairs[node] for node in _NODES], ignore_index=True),
            "value": pd.concat([pairs[column]] * 2, ignore_index=True),
        }
    )
