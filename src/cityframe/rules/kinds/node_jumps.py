"""An attribute or a level does not jump where lines meet: diameter, material, height.

What is compared is an attribute (`column`) or the levels at the ends of the lines (`levels`).
Ends within `tolerance_m` are one node.

* `column`: where exactly two lines of two features meet and no other passes, their values differ
  by at most `max_change`; texts and codes must be equal.
* `column` with `downstream: true`: the greatest value that leaves a node is at least that of each
  line that arrives, less `max_change`: a sewer does not narrow. The flow follows the order of the
  vertices, or the attribute `direction`; a node with a line of unknown direction or value passes.
* `levels`: at any node the highest end is at most `max_change` metres above the lowest.

Nulls pass, so do null and invalid geometries, and a node on which a point of the layer
`transitions` stands, such as a reducer. The place is the node. The reach is ten times
`tolerance_m`.

```yaml
kind: node_jumps
parameters: {column: diameter_mm, downstream: true}
```
"""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.flow import Direction, Levels, flow_signs, numbers
from cityframe.rules.geometry.network import Network, NodeFeatures, network, snap_reach_m
from cityframe.rules.kind import (
    ANY_TYPE,
    LINES,
    NUMBERS,
    ColumnNeeds,
    OtherLayer,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words

_ROUNDING = 1e-9
"""Decimal values differ from their sums in the last binary digits; that is no jump."""


class NodeJumpsParameters(Parameters):
    """What `node_jumps` needs."""

    column: Name | None = Field(default=None, description="attribute that is compared")
    levels: Levels | None = Field(
        default=None, description="`{start, end}` or `{z: true}`: levels at the ends, in metres"
    )
    max_change: float = Field(
        default=0.0, ge=0, description="change allowed, in the unit of the attribute or metres"
    )
    downstream: bool = Field(default=False, description="only a decrease along the flow is a jump")
    direction: Direction | None = Field(
        default=None,
        description="`{column, along, against}`: which way a line flows; null for the order of "
        "its vertices",
    )
    transitions: NodeFeatures | None = Field(
        default=None, description="`{layer, where}`: points where a jump is allowed"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="ends up to this distance apart are one node, in metres"
    )

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if (self.column is None) is (self.levels is None):
            message = "either column or levels"
            raise ValueError(message)
        if self.downstream and self.column is None:
            message = "a column with downstream"
            raise ValueError(message)
        if self.direction and not self.downstream:
            message = "downstream with direction"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that are compared, and that of the direction."""
        del layer
        flow = self.direction.needed() if self.direction else {}
        if self.column is None:
            return {**(self.levels.needed() if self.levels else {}), **flow}
        is_number = self.downstream or self.max_change > 0
        return {self.column: NUMBERS if is_number else ANY_TYPE, **flow}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the transitions."""
        return (self.transitions.needed(),) if self.transitions else ()

    def misfit(self, layer: Layer) -> str:
        """Say that the layer has no heights where they are asked for."""
        return self.levels.misfit(layer) if self.levels else ""

    def reach_m(self, layer: Layer) -> float:
        """Return how far from an end others decide on its node."""
        del layer
        return snap_reach_m(self.tolerance_m)


def check(context: Context, parameters: NodeJumpsParameters) -> pd.DataFrame:
    """Return the jumps at nodes."""
    of = network(context, parameters.tolerance_m)
    if parameters.levels is not None:
        jumps = _of_levels(context, of, parameters.levels, parameters.max_change)
    elif parameters.downstream:
        jumps = _downstream(context, of, parameters)
    else:
        jumps = _between_two(context, of, parameters)
    if parameters.transitions:
        is_declared = parameters.transitions.stand_on(context, of, parameters.tolerance_m)
        jumps = jumps[~is_declared[jumps["node"].to_numpy(dtype=np.int64)]]
    jumps = jumps.sort_values(["row", "other_row", "node"])
    return defects(
        row=jumps["row"],
        other_row=np.where(jumps["other_row"] == jumps["row"], -1, jumps["other_row"]),
        found=words(
            f"{_named(parameters)[0]} {{one}} meets {{two}}",
            f"{_named(parameters)[1]}突变：{{one}} 与 {{two}}",
            one=jumps["one"],
            two=jumps["two"],
        ),
        expected=_expected(parameters),
        geometry=of.points(jumps["node"].to_numpy(dtype=np.int64)),
    )


def _between_two(context: Context, of: Network, parameters: NodeJumpsParameters) -> pd.DataFrame:
    """Return the jumps where exactly two lines meet."""
    name = str(parameters.column)
    order = np.argsort(of.end_node, kind="stable")
    order = order[of.degree[of.end_node[order]] == 2]
    node = of.end_node[order[::2]]
    one, two = np.sort(of.end_row[order].reshape(-1, 2), axis=1).T
    column = context.frame[name]
    is_known = column.notna().to_numpy()
    if parameters.max_change > 0:
        values = numbers(context.frame, name)
        differ = np.abs(values[one] - values[two]) > parameters.max_change + _ROUNDING
    else:
        codes, _ = pd.factorize(column)
        differ = codes[one] != codes[two]
    jump = np.flatnonzero(differ & is_known[one] & is_known[two])
    jump = jump[~of.is_passed(context, node[jump], parameters.tolerance_m)]
    return _jumps(node[jump], one[jump], two[jump], column)


def _downstream(context: Context, of: Network, parameters: NodeJumpsParameters) -> pd.DataFrame:
    """Return the lines that arrive at a node with a value that none which leaves has."""
    name = str(parameters.column)
    column = context.frame[name]
    values = numbers(context.frame, name)[of.row]
    sign = flow_signs(context, of, parameters.direction)
    is_mute = (sign == 0) | np.isnan(values)
    mute = np.concatenate([of.start[is_mute], of.end[is_mute]])
    flow = pd.DataFrame(
        {
            "leaves": np.where(sign > 0, of.start, of.end),
            "node": np.where(sign > 0, of.end, of.start),
            "value": values,
            "row": of.row,
        }
    )
    leaving = flow[~flow["leaves"].isin(mute)]
    leaving = leaving.sort_values(["leaves", "value", "row"], ascending=[True, False, True])
    widest = leaving.drop_duplicates("leaves")[["leaves", "value", "row"]]
    met = flow[~is_mute].merge(widest, left_on="node", right_on="leaves", suffixes=("", "_next"))
    met = met[met["value_next"] < met["value"] - parameters.max_change - _ROUNDING]
    node = met["node"].to_numpy()
    met = met[~of.is_passed(context, node, parameters.tolerance_m)]
    return _jumps(met["node"].to_numpy(), met["row"].to_numpy(), met["row_next"].to_numpy(), column)


def _of_levels(context: Context, of: Network, levels: Levels, max_change: float) -> pd.DataFrame:
    """Return the lowest and the highest end of the nodes where they are too far apart."""
    ends = pd.DataFrame(
        {
            "node": of.end_node,
            "row": of.end_row,
            "level": np.concatenate(levels.at_ends(context, of)),
        }
    )
    ends = ends.dropna().sort_values(["node", "level", "row"])
    low, high = ends.drop_duplicates("node"), ends.drop_duplicates("node", keep="last")
    pairs = low.merge(high, on="node", suffixes=("", "_high"))
    pairs = pairs[pairs["level_high"] - pairs["level"] > max_change + _ROUNDING]
    is_turned = pairs["row"] > pairs["row_high"]
    return pd.DataFrame(
        {
            "node": pairs["node"],
            "row": pairs["row"].where(~is_turned, pairs["row_high"]),
            "other_row": pairs["row_high"].where(~is_turned, pairs["row"]),
            "one": pairs["level"].map("{:.3f}".format),
            "two": pairs["level_high"].map("{:.3f}".format),
        }
    )


def _jumps(node: Positions, one: Positions, two: Positions, column: pd.Series) -> pd.DataFrame:
    texts = column.astype("str").to_numpy(dtype=object)
    return pd.DataFrame(
        {"node": node, "row": one, "other_row": two, "one": texts[one], "two": texts[two]}
    )


def _named(parameters: NodeJumpsParameters) -> tuple[str, str]:
    """Return what is compared, in English and in Chinese."""
    if parameters.column is None:
        return "a level of", "高程"
    return f"{parameters.column}", f"{parameters.column} "


def _expected(parameters: NodeJumpsParameters) -> Words:
    change = parameters.max_change
    if parameters.downstream:
        return words(f"a decrease downstream of at most {change:g}", f"沿流向减小不超过 {change:g}")
    if parameters.levels is None and change == 0:
        return words("equal values", "取值相同")
    return words(f"a change of at most {change:g}", f"变化不超过 {change:g}")


KIND = RuleKind(
    name="node_jumps",
    number=55,
    group="F network",
    measure=iso_measure("10"),
    params=NodeJumpsParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
