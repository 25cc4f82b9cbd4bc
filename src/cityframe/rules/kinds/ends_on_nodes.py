"""Each end of a line lies on a node of another layer: a pipe ends at a manhole.

An end is on a node within `tolerance_m`. Where the parts of a multi-line meet there is no end, nor
on a closed line. The places are the ends without a node. Null and invalid geometries pass.
Reach: `tolerance_m`.

```yaml
kind: ends_on_nodes
parameters: {layer: manholes, tolerance_m: 0.2}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.line_ends import line_ends
from cityframe.rules.kind import LINES, POINTS, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class EndsOnNodesParameters(Parameters):
    """What `ends_on_nodes` needs."""

    layer: Name = Field(description="layer of the nodes")
    tolerance_m: float = Field(default=0.01, ge=0, description="distance allowed, in metres")

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the nodes."""
        return (OtherLayer(name=self.layer, geometry=POINTS),)

    def reach_m(self, layer: Layer) -> float:
        """Return the tolerance."""
        del layer
        return self.tolerance_m


def check(context: Context, parameters: EndsOnNodesParameters) -> pd.DataFrame:
    """Return the ends without a node."""
    ends, row = line_ends(context)
    tree = shapely.STRtree(usable_geometries(context.other(parameters.layer)))
    met, _ = tree.query(ends, predicate="dwithin", distance=parameters.tolerance_m)
    is_bare = np.ones(len(ends), dtype=bool)
    is_bare[met] = False
    return defects(
        row=row[is_bare],
        found=words("an end without a node", "线端点未落在节点上"),
        expected=words(
            f"one of {parameters.layer} within {parameters.tolerance_m:g} m",
            f"{parameters.tolerance_m:g} m 内有 {parameters.layer} 的节点",
        ),
        geometry=ends[is_bare],
    )


KIND = RuleKind(
    name="ends_on_nodes",
    number=46,
    group="E across layers",
    measure=iso_measure("21"),
    params=EndsOnNodesParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
