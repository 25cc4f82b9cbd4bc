"""A layer of lines as a network: arcs, and nodes where their ends meet within a tolerance.

Ends up to the tolerance apart are one node, and so are ends that are linked over at most
`SNAP_STEPS` such steps. Without that bound a row of ends could make one node of any length, and
what a node is would depend on data far away.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field
from scipy.spatial import cKDTree

from cityframe.config.document import Declaration
from cityframe.config.schema import Name
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.expression import ExpressionText, parse_expression
from cityframe.rules.kind import ANY_TYPE, POINTS, OtherLayer

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SNAP_STEPS = 3


@dataclass(frozen=True)
class Network:
    """Arcs and nodes of the usable lines of a layer.

    An arc is a line, or each piece of a multi-part one whose parts do not follow on each other.
    Positions count arcs from 0 to a - 1 in the order of the layer and nodes from 0 to n - 1.

    Attributes
    ----------
    lines : a geometries
    row : ndarray of shape (a,)
        Position in the layer of each arc's feature.
    start, end : ndarray of shape (a,)
        Node at the first and at the last vertex of each arc.
    xy : ndarray of shape (n, 2)
        Where each node is: the first of its ends, by x and then y.
    place_xy, place_node : ndarrays of shapes (p, 2) and (p,)
        The different places of ends, and the node that each is part of.
    """

    lines: Geometries
    row: Positions
    start: Positions
    end: Positions
    xy: Floats
    place_xy: Floats
    place_node: Positions

    @cached_property
    def end_node(self) -> Positions:
        """Node of each of the 2a ends: the starts of all arcs, then their ends."""
        return np.concatenate([self.start, self.end])

    @cached_property
    def end_row(self) -> Positions:
        """Position in the layer of the feature of each of the 2a ends."""
        return np.tile(self.row, 2)

    @cached_property
    def degree(self) -> Positions:
        """Number of ends at each node, n."""
        return self.count(self.end_node)

    def count(self, nodes: Positions) -> Positions:
        """Return how often each node is named, n."""
        return np.bincount(nodes, minlength=len(self.xy))

    def points(self, nodes: Positions) -> Geometries:
        """Return nodes as points."""
        return np.asarray(shapely.points(self.xy[nodes]), dtype=object)

    def touches(self, context: Context, nodes: Positions, tolerance_m: float) -> pd.DataFrame:
        """Return which lines pass nodes within a tolerance without ending there.

        Parameters
        ----------
        nodes : positions

        Returns
        -------
        DataFrame
            Columns ``node``, ``row``.
        """
        is_asked = self.flags(nodes)
        places = np.flatnonzero(is_asked[self.place_node])
        points = shapely.points(self.place_xy[places])
        place, row = context.tree.query(points, predicate="dwithin", distance=tolerance_m)
        node = self.place_node[places[place]]
        own = is_asked[self.end_node]
        ends = self.end_node[own] * len(context.frame) + self.end_row[own]
        is_end = pd.Series(node * len(context.frame) + row).isin(ends).to_numpy()
        return pd.DataFrame({"node": node[~is_end], "row": row[~is_end]}).drop_duplicates()

    def is_passed(self, context: Context, nodes: Positions, tolerance_m: float) -> Flags:
        """Return whether another line passes each node, which then is a branch of that too."""
        touches = self.touches(context, nodes, tolerance_m)
        return self.flags(touches["node"].to_numpy())[nodes]

    def flags(self, nodes: Positions) -> Flags:
        """Return whether each node is among those named, n."""
        flags = np.zeros(len(self.xy), dtype=bool)
        flags[nodes] = True
        return flags


def network(context: Context, tolerance_m: float) -> Network:
    """Return the network of the usable lines; ends within the tolerance, in metres, are one."""
    lines, row = _arcs(context)
    xy, arc = shapely.get_coordinates(lines, return_index=True)
    first = np.searchsorted(arc, np.arange(len(lines)))
    last = np.searchsorted(arc, np.arange(len(lines)), side="right") - 1
    ends = np.ascontiguousarray(xy[np.concatenate([first, last])]).view(np.complex128)[:, 0]
    places, place = np.unique(ends, return_inverse=True)
    place_xy = places.view(np.float64).reshape(-1, 2)
    lowest, place_node = np.unique(_snapped(place_xy, tolerance_m), return_inverse=True)
    node = place_node[place]
    return Network(
        lines=lines,
        row=row,
        start=node[: len(lines)],
        end=node[len(lines) :],
        xy=place_xy[lowest],
        place_xy=place_xy,
        place_node=place_node,
    )


def snap_reach_m(tolerance_m: float) -> float:
    """Return how far from an end others decide on its node and on what passes there, in metres.

    Its node is named after a place up to `SNAP_STEPS` away, the other ends of that node may lie as
    far on the other side, and what names those as far again; a line may pass one step beyond.
    """
    return (3 * SNAP_STEPS + 1) * tolerance_m


def _arcs(context: Context) -> tuple[Geometries, Positions]:
    """Return the arcs and the position of each one's feature."""
    lines, row = context.geometry[context.usable], context.usable
    is_many = shapely.get_num_geometries(lines) > 1
    if not is_many.any():
        return lines, row
    lines = lines.copy()
    lines[is_many] = shapely.line_merge(lines[is_many], directed=True)
    parts, index = shapely.get_parts(lines, return_index=True)
    return np.asarray(parts, dtype=object), row[index]


def _snapped(place_xy: Floats, tolerance_m: float) -> Positions:
    """Return of each place the lowest place that it is linked to over at most `SNAP_STEPS`."""
    lowest = np.arange(len(place_xy))
    if tolerance_m == 0 or not len(place_xy):
        return lowest
    one, two = cKDTree(place_xy).query_pairs(tolerance_m, output_type="ndarray").T
    for _ in range(SNAP_STEPS):
        before = lowest.copy()
        np.minimum.at(lowest, one, before[two])
        np.minimum.at(lowest, two, before[one])
    return lowest


class NodeFeatures(Declaration):
    """Points of another layer that stand on nodes."""

    layer: Name = Field(description="layer of the points")
    where: ExpressionText | None = Field(default=None, description="which of them")

    def needed(self) -> OtherLayer:
        """Return what a rule needs of that layer."""
        named = parse_expression(self.where).columns if self.where else ()
        return OtherLayer(
            name=self.layer,
            columns=dict.fromkeys(sorted(named), ANY_TYPE),
            geometry=POINTS,
            where=self.where,
        )

    def points(self, context: Context) -> Geometries:
        """Return the points that are meant; null, empty and invalid ones are none."""
        frame = context.other(self.layer)
        points = usable_geometries(frame)
        if self.where:
            points = points[parse_expression(self.where).is_true(frame)]
        return points[~shapely.is_missing(points)]

    def stand_on(self, context: Context, of: Network, tolerance_m: float) -> Flags:
        """Return whether one of the points stands on each node within a tolerance, n."""
        xy = shapely.get_coordinates(self.points(context))
        found = np.zeros(len(of.xy), dtype=bool)
        if len(xy):
            # the bound of the tree is exclusive
            bound = np.nextafter(tolerance_m, np.inf)
            distance, _ = cKDTree(xy).query(of.place_xy, distance_upper_bound=bound)
            found[of.place_node[np.isfinite(distance)]] = True
        return found


def features_at(context: Context, of: Network, nodes: Positions) -> dict[str, Any]:
    """Return who fails at nodes where all arcs fail together, as `defects` takes it.

    Returns
    -------
    dict
        ``row`` of the first feature at each node, ``other_row`` of the second (-1 for none), and
        in ``other`` the identities of the rest.
    """
    chosen = of.flags(nodes)[of.end_node]
    met = pd.DataFrame({"node": of.end_node[chosen], "row": of.end_row[chosen]})
    met = met.drop_duplicates().sort_values(["node", "row"])
    place = met.groupby("node").cumcount().to_numpy()
    rest = met[place > 1].assign(id=lambda rows: context.ids[rows["row"].to_numpy()])
    others = rest.groupby("node")["id"].agg(",".join)
    return {
        "row": met[place == 0].set_index("node")["row"].reindex(nodes).to_numpy(),
        "other_row": met[place == 1]
        .set_index("node")["row"]
        .reindex(nodes, fill_value=-1)
        .to_numpy(),
        "other": others.reindex(nodes, fill_value="").to_numpy(dtype=object),
    }
