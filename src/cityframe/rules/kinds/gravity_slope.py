"""A gravity pipe falls along its flow, neither too flat nor too steep, and drains at its node.

Levels are those of the invert at the first and last vertex, from two attributes or from the
heights of the geometry (`levels`). The flow follows the order of the vertices, or the attribute
`direction`. The slope is the fall over the length of the line on the map, in ‰; a fall that is
`tolerance_m` off the limit passes. Three things fail: an adverse or too small slope, a slope above
`max_permille`, and, with `max_step_up_m`, a pipe that arrives at a node whose lowest leaving pipe
begins more than that above its own end. Features with a null level, without a known direction, or
of several pieces pass, and at a node where one level is not known the step is not judged. Null and
invalid geometries pass.

The place of a slope is the line, that of a step the node. The reach is ten times
`node_tolerance_m` with `max_step_up_m`, else the feature.

```yaml
kind: gravity_slope
parameters:
  levels: {start: invert_start_m, end: invert_end_m}
  min_permille: 2.0
  max_step_up_m: 0.02
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.flow import Direction, Levels, flow_signs
from cityframe.rules.geometry.network import Floats, Network, network, snap_reach_m
from cityframe.rules.kind import LINES, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class GravitySlopeParameters(Parameters):
    """What `gravity_slope` needs."""

    levels: Levels = Field(description="`{start, end}` or `{z: true}`: invert levels, in metres")
    direction: Direction | None = Field(
        default=None,
        description="`{column, along, against}`: which way a line flows; null for the order of "
        "its vertices",
    )
    min_permille: float = Field(default=0.0, ge=0, description="smallest slope allowed, in ‰")
    max_permille: float | None = Field(
        default=None, gt=0, description="largest slope allowed, in ‰; null for any"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="how far a fall may be off a limit, in metres"
    )
    max_step_up_m: float | None = Field(
        default=None,
        ge=0,
        description="how far the lowest leaving pipe may begin above an arriving one, in metres; "
        "null for any",
    )
    node_tolerance_m: float = Field(
        default=0.001, ge=0, description="ends up to this distance apart are one node, in metres"
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.max_permille is not None and self.max_permille <= self.min_permille:
            message = "max_permille above min_permille"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes of the levels and of the direction."""
        del layer
        flow = self.direction.needed() if self.direction else {}
        return {**self.levels.needed(), **flow}

    def misfit(self, layer: Layer) -> str:
        """Say that the layer has no heights where they are asked for."""
        return self.levels.misfit(layer)

    def reach_m(self, layer: Layer) -> float:
        """Return how far from an end others decide on its node."""
        del layer
        return 0.0 if self.max_step_up_m is None else snap_reach_m(self.node_tolerance_m)


def check(context: Context, parameters: GravitySlopeParameters) -> pd.DataFrame:
    """Return the slopes and steps that fail."""
    of = network(context, parameters.node_tolerance_m)
    start_m, end_m = parameters.levels.at_ends(context, of)
    sign = flow_signs(context, of, parameters.direction)
    fall_m = np.where(sign == 0, np.nan, sign * (start_m - end_m))
    tables = [_slopes(of, fall_m, parameters)]
    if parameters.max_step_up_m is not None:
        pipes = pd.DataFrame(
            {
                "row": of.row,
                "leaves": np.where(sign > 0, of.start, of.end),
                "reaches": np.where(sign > 0, of.end, of.start),
                "begins_m": np.where(sign > 0, start_m, end_m),
                "ends_m": np.where(sign > 0, end_m, start_m),
            }
        )
        tables.append(_steps(of, pipes, sign == 0, parameters.max_step_up_m))
    return pd.concat(tables, ignore_index=True)


def _slopes(of: Network, fall_m: Floats, parameters: GravitySlopeParameters) -> pd.DataFrame:
    length_m = shapely.length(of.lines)
    least = parameters.min_permille / 1000 * length_m - parameters.tolerance_m
    is_wrong = fall_m < least
    if parameters.max_permille is not None:
        is_wrong |= fall_m > parameters.max_permille / 1000 * length_m + parameters.tolerance_m
    arc = np.flatnonzero(is_wrong)
    permille = 1000 * fall_m[arc] / length_m[arc]
    is_adverse = permille < 0
    return defects(
        row=of.row[arc],
        found=words(
            "{kind} {permille:.2f} ‰",
            "{kind_zh} {permille:.2f} ‰",
            kind=np.where(is_adverse, "an adverse slope of", "a slope of"),
            kind_zh=np.where(is_adverse, "逆坡，坡度", "坡度"),
            permille=permille,
        ),
        expected=_limits(parameters),
        geometry=of.lines[arc],
    )


def _limits(parameters: GravitySlopeParameters) -> Words:
    low, high = parameters.min_permille, parameters.max_permille
    if high is None:
        return words(f"at least {low:g} ‰", f"坡度不小于 {low:g} ‰")
    return words(f"{low:g} to {high:g} ‰", f"坡度在 {low:g}～{high:g} ‰ 之间")


def _steps(
    of: Network, pipes: pd.DataFrame, is_unknown: np.ndarray, max_step_up_m: float
) -> pd.DataFrame:
    """Return the pipes that end below the lowest pipe that leaves their node."""
    unknown = pipes[is_unknown]
    mute = np.concatenate(
        [unknown["leaves"], unknown["reaches"], pipes.loc[pipes["begins_m"].isna(), "leaves"]]
    )
    known = pipes[~is_unknown]
    lowest = known[~known["leaves"].isin(mute)].sort_values(["leaves", "begins_m", "row"])
    lowest = lowest.drop_duplicates("leaves")[["leaves", "begins_m", "row"]]
    met = known.merge(lowest, left_on="reaches", right_on="leaves", suffixes=("", "_next"))
    step_m = met["begins_m_next"] - met["ends_m"]
    # levels are written with a few decimals: their difference must not fail for its binary tail
    met = met.assign(step_m=step_m)[step_m > max_step_up_m + 1e-9]
    return defects(
        row=met["row"],
        other_row=np.where(met["row_next"] == met["row"], -1, met["row_next"]),
        found=words(
            "the lowest pipe that leaves begins {step:.3f} m above",
            "下游管底高出上游管底 {step:.3f} m",
            step=met["step_m"],
        ),
        expected=words(f"at most {max_step_up_m:g} m", f"不高于 {max_step_up_m:g} m"),
        geometry=of.points(met["reaches"].to_numpy()),
    )


KIND = RuleKind(
    name="gravity_slope",
    number=54,
    group="F network",
    measure=iso_measure("10"),
    params=GravitySlopeParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
