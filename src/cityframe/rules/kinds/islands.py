"""No line belongs to an island: a part of the network cut off from the rest.

Lines are connected where their ends are at most `tolerance_m` apart or an end lies as near to
another line; lines that cross without an end are not. A connected part is an island if it is
shorter than `min_length_m` in all, or, with `sources`, if no point of that layer lies on any of
its lines: a district of pipes that no plant feeds. Null and invalid geometries pass.

Each line of an island fails, and is the place. The reach is the connected part.

```yaml
kind: islands
parameters: {min_length_m: 500.0}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.network import Flags, NodeFeatures, network
from cityframe.rules.kind import LINES, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class IslandsParameters(Parameters):
    """What `islands` needs."""

    min_length_m: float | None = Field(
        default=None, gt=0, description="a shorter connected part is an island, in metres"
    )
    sources: NodeFeatures | None = Field(
        default=None, description="`{layer, where}`: points one of which each part must have"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which lines are connected, in metres"
    )

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        if self.min_length_m is None and self.sources is None:
            message = "min_length_m, sources or both"
            raise ValueError(message)
        return self

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the sources."""
        return (self.sources.needed(),) if self.sources else ()


def check(context: Context, parameters: IslandsParameters) -> pd.DataFrame:
    """Return the lines of the islands."""
    component = _components(context, parameters.tolerance_m)
    length_m = np.bincount(component, weights=shapely.length(context.geometry[context.usable]))
    lines = np.bincount(component)
    is_island = np.zeros(len(lines), dtype=bool)
    if parameters.min_length_m is not None:
        is_island |= length_m < parameters.min_length_m
    if parameters.sources:
        is_fed = _is_near(context, parameters.sources, parameters.tolerance_m)
        is_island |= np.bincount(component, weights=is_fed, minlength=len(lines)) == 0
    failing = np.flatnonzero(is_island[component])
    return defects(
        row=context.usable[failing],
        found=words(
            "in an island of {lines} lines, {length:.1f} m long",
            "位于孤立网络，共 {lines} 条线，长 {length:.1f} m",
            lines=lines[component[failing]],
            length=length_m[component[failing]],
        ),
        expected=_expected(parameters),
    )


def _components(context: Context, tolerance_m: float) -> Positions:
    """Return the number of the connected part of each usable line."""
    found = network(context, tolerance_m)
    touches = found.touches(context, np.arange(len(found.xy)), tolerance_m)
    size = len(found.xy)
    node = np.concatenate([found.end_node, touches["node"].to_numpy()])
    line = np.searchsorted(
        context.usable, np.concatenate([found.end_row, touches["row"].to_numpy()])
    )
    total = size + len(context.usable)
    links = coo_array((np.ones(len(node), dtype=np.int8), (node, size + line)), (total, total))
    _, label = connected_components(links, directed=False)
    _, component = np.unique(label[size:], return_inverse=True)
    return np.asarray(component, dtype=np.int64)


def _is_near(context: Context, sources: NodeFeatures, tolerance_m: float) -> Flags:
    """Return whether one of the points lies on each usable line."""
    points = sources.points(context)
    _, row = context.tree.query(points, predicate="dwithin", distance=tolerance_m)
    return np.isin(context.usable, row)


def _expected(parameters: IslandsParameters) -> Words:
    en, zh = [], []
    if parameters.min_length_m is not None:
        en.append(f"a network of at least {parameters.min_length_m:g} m")
        zh.append(f"连通网络总长不小于 {parameters.min_length_m:g} m")
    if parameters.sources:
        en.append(f"one with a point of {parameters.sources.layer}")
        zh.append(f"连通网络与 {parameters.sources.layer} 中的点相接")
    return words(", ".join(en), "，".join(zh))


KIND = RuleKind(
    name="islands",
    number=52,
    group="F network",
    measure=iso_measure("10"),
    params=IslandsParameters,
    reach="component",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
