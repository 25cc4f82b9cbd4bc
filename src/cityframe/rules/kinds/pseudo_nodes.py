"""No node joins just two lines that could be one.

A pseudo-node is a node where exactly two lines end, of two features with equal values in the
attributes `same` (two nulls are equal; without `same` any two lines could be one), and that no
other line passes. Ends within `tolerance_m` are one node. A node is needed, and passes, where a
point of the layer `nodes` stands on it, such as a valve or a manhole. A closed line that meets
nothing has no pseudo-node. Null and invalid geometries pass.

The place is the node. The reach is ten times `tolerance_m`: ends may be one node over three steps.

```yaml
kind: pseudo_nodes
parameters: {same: [road_name, road_class]}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.network import Flags, NodeFeatures, network, snap_reach_m
from cityframe.rules.kind import ANY_TYPE, LINES, ColumnNeeds, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class PseudoNodesParameters(Parameters):
    """What `pseudo_nodes` needs."""

    same: tuple[Name, ...] = Field(
        default=(), description="attributes that must be equal on both sides"
    )
    nodes: NodeFeatures | None = Field(
        default=None, description="`{layer, where}`: points that a node is needed for"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="ends up to this distance apart are one node, in metres"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that are compared."""
        del layer
        return dict.fromkeys(self.same, ANY_TYPE)

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the points."""
        return (self.nodes.needed(),) if self.nodes else ()

    def reach_m(self, layer: Layer) -> float:
        """Return how far from an end others decide on its node."""
        del layer
        return snap_reach_m(self.tolerance_m)


def check(context: Context, parameters: PseudoNodesParameters) -> pd.DataFrame:
    """Return the pairs of lines that meet at a pseudo-node."""
    found = network(context, parameters.tolerance_m)
    order = np.argsort(found.end_node, kind="stable")
    order = order[found.degree[found.end_node[order]] == 2]
    node = found.end_node[order[::2]]
    one, two = np.sort(found.end_row[order].reshape(-1, 2), axis=1).T
    is_pseudo = (one != two) & _are_equal(context, one, two, parameters.same)
    if parameters.nodes:
        is_pseudo &= ~parameters.nodes.stand_on(context, found, parameters.tolerance_m)[node]
    node, one, two = node[is_pseudo], one[is_pseudo], two[is_pseudo]
    is_free = ~found.is_passed(context, node, parameters.tolerance_m)
    return defects(
        row=one[is_free],
        other_row=two[is_free],
        found=words("a node between two lines alike", "伪结点，两条线属性相同"),
        expected=words("one line", "连为一条线"),
        geometry=found.points(node[is_free]),
    )


def _are_equal(context: Context, one: Positions, two: Positions, names: tuple[str, ...]) -> Flags:
    """Return whether the features of each pair have equal values."""
    equal = np.ones(len(one), dtype=bool)
    for name in names:
        codes, _ = pd.factorize(context.frame[name])
        equal &= codes[one] == codes[two]
    return equal


KIND = RuleKind(
    name="pseudo_nodes",
    number=51,
    group="F network",
    measure=iso_measure("21"),
    params=PseudoNodesParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
