"""One-way lines leave a way through each node, and levels meet only at declared transitions.

* `one_way`: at a node where several lines end, at least one may be left by and one may be
  entered by; lines whose value is in neither list carry both ways. With `dead_ends` this holds
  where a single line ends too; without it the edge of the data passes. A node that another line
  passes is left and entered by that.
* `level`: the lines that end at a node have one level (a bridge on 1 does not join the road on
  0), save those of which `transitions` is true, such as ramps.

Ends within `tolerance_m` are one node. Nulls carry both ways and have no level; null and invalid
geometries pass. The place is the node; all lines there fail for a one-way, the lowest and the
highest for a level. The reach is ten times `tolerance_m`.

```yaml
kind: one_way_and_level
parameters:
  one_way: {column: oneway, along: ["yes"], against: ["-1"]}
  level: level
  transitions: structure == 'ramp'
```
"""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.expression import ExpressionText, parse_expression
from cityframe.rules.geometry.flow import Direction, numbers
from cityframe.rules.geometry.network import Network, features_at, network, snap_reach_m
from cityframe.rules.kind import ANY_TYPE, LINES, NUMBERS, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class OneWayAndLevelParameters(Parameters):
    """What `one_way_and_level` needs."""

    one_way: Direction | None = Field(
        default=None, description="`{column, along, against}`: values of one-way lines"
    )
    dead_ends: bool = Field(
        default=False, description="whether a one-way line may not be alone at a node either"
    )
    level: Name | None = Field(default=None, description="attribute with the level of a line")
    transitions: ExpressionText | None = Field(
        default=None, description="lines that may join levels"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="ends up to this distance apart are one node, in metres"
    )

    @model_validator(mode="after")
    def _something_to_check(self) -> Self:
        if self.one_way is None and self.level is None:
            message = "one_way, level or both"
            raise ValueError(message)
        if (self.dead_ends and self.one_way is None) or (self.transitions and self.level is None):
            message = "one_way with dead_ends, level with transitions"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes of one-ways and levels, and those that ``transitions`` names."""
        del layer
        named = parse_expression(self.transitions).columns if self.transitions else ()
        return {
            **dict.fromkeys(sorted(named), ANY_TYPE),
            **(self.one_way.needed() if self.one_way else {}),
            **({self.level: NUMBERS} if self.level else {}),
        }

    def misfit(self, layer: Layer) -> str:
        """Say what is wrong with the types in the expression."""
        if self.transitions is None:
            return ""
        types = {attribute.name: attribute.type for attribute in layer.attributes}
        return parse_expression(self.transitions).misfit(types)

    def reach_m(self, layer: Layer) -> float:
        """Return how far from an end others decide on its node."""
        del layer
        return snap_reach_m(self.tolerance_m)


def check(context: Context, parameters: OneWayAndLevelParameters) -> pd.DataFrame:
    """Return the nodes without a way out or in, and those where levels meet."""
    of = network(context, parameters.tolerance_m)
    tables = []
    if parameters.one_way:
        tables += _blocked(context, of, parameters.one_way, parameters)
    if parameters.level:
        tables.append(_level_breaks(context, of, parameters.level, parameters.transitions))
    return pd.concat(tables, ignore_index=True)


def _blocked(
    context: Context, of: Network, one_way: Direction, parameters: OneWayAndLevelParameters
) -> list[pd.DataFrame]:
    """Return the nodes that can't be left, and those that can't be entered."""
    sign = one_way.signs(context.frame)[of.row]
    # a start is entered by lines against, an end by lines along; two-way lines do both
    ways_in = of.count(np.concatenate([of.end[sign >= 0], of.start[sign <= 0]]))
    ways_out = of.count(np.concatenate([of.start[sign >= 0], of.end[sign <= 0]]))
    is_junction = of.degree >= (1 if parameters.dead_ends else 2)
    tables = []
    for ways, found in (
        (ways_out, words("a node that can't be left", "结点只能驶入、不能驶出")),
        (ways_in, words("a node that can't be entered", "结点只能驶出、不能驶入")),
    ):
        nodes = np.flatnonzero(is_junction & (ways == 0))
        nodes = nodes[~of.is_passed(context, nodes, parameters.tolerance_m)]
        tables.append(
            defects(
                **features_at(context, of, nodes),
                found=found,
                expected=words("a way in and a way out", "可驶入且可驶出"),
                geometry=of.points(nodes),
            )
        )
    return tables


def _level_breaks(
    context: Context, of: Network, level: str, transitions: str | None
) -> pd.DataFrame:
    """Return the lowest and the highest line of the nodes where levels meet."""
    values = numbers(context.frame, level)
    if transitions:
        joins = parse_expression(transitions).is_true(context.frame)
        values = np.where(joins, np.nan, values)
    ends = pd.DataFrame({"node": of.end_node, "row": of.end_row, "level": values[of.end_row]})
    ends = ends.dropna().sort_values(["node", "level", "row"])
    low = ends.drop_duplicates("node")
    ends = ends.sort_values(["node", "level", "row"], ascending=[True, False, True])
    pairs = low.merge(ends.drop_duplicates("node"), on="node", suffixes=("", "_high"))
    pairs = pairs[pairs["level_high"] > pairs["level"]]
    rows = np.sort(pairs[["row", "row_high"]].to_numpy(), axis=1)
    return defects(
        row=rows[:, 0],
        other_row=rows[:, 1],
        found=_meeting(pairs),
        expected=words("one level at a node", "同一结点层级一致"),
        geometry=of.points(pairs["node"].to_numpy()),
    )


def _meeting(pairs: pd.DataFrame) -> Words:
    return words(
        "level {low:g} meets level {high:g}",
        "层级 {low:g} 与层级 {high:g} 相接",
        low=pairs["level"],
        high=pairs["level_high"],
    )


KIND = RuleKind(
    name="one_way_and_level",
    number=56,
    group="F network",
    measure=iso_measure("10"),
    params=OneWayAndLevelParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
