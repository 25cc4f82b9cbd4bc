"""No feature has the geometry of another: equal on the layer's grid, in any order of vertices.

Of a group of equals the first in the layer passes and each of the others fails, naming the first.
Lines are equal in both directions. `columns` lets features share a place that differ in one of
these attributes (two addresses on one point). The coordinates are compared on the contract's
`precision_m`; what is equal on it lies no farther apart than its diagonal, and that is the reach.

```yaml
kind: duplicate_geometry
parameters: {columns: [house_no]}
```
"""

import math

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.core.digest import quantised
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import ANY_TYPE, SPATIAL, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class DuplicateGeometryParameters(Parameters):
    """What `duplicate_geometry` needs."""

    columns: tuple[Name, ...] = Field(
        default=(), description="attributes that must be equal too for a duplicate"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that are compared too."""
        del layer
        return dict.fromkeys(self.columns, ANY_TYPE)

    def reach_m(self, layer: Layer) -> float:
        """Return how far apart features may lie that are equal on the layer's grid."""
        return math.sqrt(2) * layer.precision_m


def check(context: Context, parameters: DuplicateGeometryParameters) -> pd.DataFrame:
    """Return all but the first of each group of equals."""
    attributes = context.frame[list(parameters.columns)].reset_index(drop=True)
    row = _same_extent(context, attributes)
    shape = shapely.to_wkb(
        shapely.normalize(quantised(context.geometry[row], context.layer)), output_dimension=3
    )
    # no attribute begins with an underscore
    groups = attributes.iloc[row].assign(_shape=shape, _row=row)
    first = groups.groupby([*parameters.columns, "_shape"], dropna=False)["_row"].transform("min")
    is_copy = (groups["_row"] != first).to_numpy(dtype=bool)
    original = first.to_numpy(dtype=np.int64)[is_copy]
    return defects(
        row=row[is_copy],
        other=context.ids[original],
        found=words("the geometry of another feature", "与另一要素图形重复"),
        expected=words("a geometry of its own", "图形不重复"),
    )


def _same_extent(context: Context, attributes: pd.DataFrame) -> Positions:
    """Return the positions of the features that share their bounds on the grid with another."""
    bounds = shapely.bounds(context.geometry[context.usable])
    grid = np.round(bounds / context.layer.precision_m)
    keys = attributes.iloc[context.usable].reset_index(drop=True)
    keys = pd.concat([keys, pd.DataFrame(grid)], axis=1)
    shared: Positions = context.usable[keys.duplicated(keep=False).to_numpy()]
    return shared


KIND = RuleKind(
    name="duplicate_geometry",
    number=35,
    group="D within a layer",
    measure=iso_measure("4"),
    params=DuplicateGeometryParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
)
