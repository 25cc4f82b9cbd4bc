"""What flows along the lines can always flow on: no line runs against the others, no ring.

Lines flow in the order of their vertices, or as the attribute `direction` says; one whose value
is in neither list has no known direction and takes part in no defect. Ends within `tolerance_m`
are one node. Three things fail:

reversed
    a line that ends where all lines arrive and begins where all lines leave, with others at both
    nodes; it alone fails, and is the place
sink
    a node where lines arrive and none leaves, if no reversed line explains it. Without `outlets`
    a node where only one line ends is the mouth of the network and passes; with it every node
    must have an outlet, a point of that layer within the tolerance, or a line that leaves. A node
    that another line passes is no sink. All lines there fail, and the place is the node
ring
    lines that flow round in a ring; each fails, and is the place

Null and invalid geometries pass. The reach is the connected part of the network.

```yaml
kind: flow_direction
parameters:
  direction: {column: flow, along: [0], against: [1]}
  outlets: {layer: outfalls}
```
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.flow import Direction, flow_signs
from cityframe.rules.geometry.network import Flags, Network, NodeFeatures, features_at, network
from cityframe.rules.kind import LINES, ColumnNeeds, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class FlowDirectionParameters(Parameters):
    """What `flow_direction` needs."""

    direction: Direction | None = Field(
        default=None,
        description="`{column, along, against}`: which way a line flows; null for the order of "
        "its vertices",
    )
    outlets: NodeFeatures | None = Field(
        default=None, description="`{layer, where}`: points where flow may end"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="ends up to this distance apart are one node, in metres"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute of the direction."""
        del layer
        return self.direction.needed() if self.direction else {}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the outlets."""
        return (self.outlets.needed(),) if self.outlets else ()


@dataclass(frozen=True)
class _Flow:
    """The arcs with a known direction, and the node that each leaves and reaches."""

    arc: Positions
    source: Positions
    target: Positions


def check(context: Context, parameters: FlowDirectionParameters) -> pd.DataFrame:
    """Return reversed lines, sinks and rings."""
    of = network(context, parameters.tolerance_m)
    sign = flow_signs(context, of, parameters.direction)
    arc = np.flatnonzero(sign)
    flow = _Flow(
        arc=arc,
        source=np.where(sign > 0, of.start, of.end)[arc],
        target=np.where(sign > 0, of.end, of.start)[arc],
    )
    is_reversed, sinks = _stuck(context, of, flow, parameters)
    return pd.concat(
        [
            defects(
                row=of.row[flow.arc[is_reversed]],
                found=words("flows against the lines at both ends", "流向与两端相接的线相反"),
                expected=words("the other direction", "流向与两端相接的线一致"),
                geometry=of.lines[flow.arc[is_reversed]],
            ),
            defects(
                **features_at(context, of, sinks),
                found=words("flow arrives and none leaves", "只有流入而无流出"),
                expected=words("a line that leaves, or an outlet", "有流出的线或出口"),
                geometry=of.points(sinks),
            ),
            _rings(of, flow),
        ],
        ignore_index=True,
    )


def _stuck(
    context: Context, of: Network, flow: _Flow, parameters: FlowDirectionParameters
) -> tuple[Flags, Positions]:
    """Return which of the flowing arcs are reversed, and the sinks that they leave unexplained."""
    arrivals, departures = of.count(flow.target), of.count(flow.source)
    is_known = arrivals + departures == of.degree
    is_sink = is_known & (departures == 0)
    if parameters.outlets:
        is_sink &= ~parameters.outlets.stand_on(context, of, parameters.tolerance_m)
    else:
        is_sink &= arrivals > 1
    is_spring = is_known & (arrivals == 0) & (departures > 1)
    # few nodes are either, so only these are looked at for other lines that pass
    odd = np.flatnonzero(is_sink | is_spring)
    passed = odd[of.is_passed(context, odd, parameters.tolerance_m)]
    is_sink[passed] = is_spring[passed] = False
    is_reversed = is_spring[flow.source] & is_sink[flow.target] & (arrivals[flow.target] > 1)
    is_sink[flow.target[is_reversed]] = False
    return is_reversed, np.flatnonzero(is_sink)


def _rings(of: Network, flow: _Flow) -> pd.DataFrame:
    """Return the arcs that flow round in a ring: both nodes in one strongly connected part."""
    size = len(of.xy)
    ones = np.ones(len(flow.arc), dtype=np.int8)
    graph = coo_array((ones, (flow.source, flow.target)), (size, size))
    _, part = connected_components(graph, directed=True, connection="strong")
    in_ring = part[flow.source] == part[flow.target]
    lines = np.bincount(part[flow.source[in_ring]], minlength=1)
    return defects(
        row=of.row[flow.arc[in_ring]],
        found=words(
            "flows in a ring of {lines} lines",
            "流向成环，共 {lines} 条线",
            lines=lines[part[flow.source[in_ring]]],
        ),
        expected=words("a way out", "流向不成环"),
        geometry=of.lines[flow.arc[in_ring]],
    )


KIND = RuleKind(
    name="flow_direction",
    number=53,
    group="F network",
    measure=iso_measure("65"),
    params=FlowDirectionParameters,
    reach="component",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
