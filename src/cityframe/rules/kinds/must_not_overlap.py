"""No feature overlaps a feature of another layer: a building and a road, a parcel and water.

Two features overlap if their interiors meet; sharing a border is no overlap. Common areas up to
`min_area_m2` and common lines up to `min_length_m` are passed over. `where` and `other_where` pick
the features compared (the language of `cross_field`), as tunnels may run below buildings. The
place is the overlap. Null and invalid geometries pass. Reach: what touches the feature.

```yaml
kind: must_not_overlap
parameters: {layer: roads, min_length_m: 0.5, other_where: "level is None or level == 0"}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import (
    Context,
    Geometries,
    Positions,
    feature_ids,
    usable_geometries,
)
from cityframe.rules.defects import defects
from cityframe.rules.expression import ExpressionText, parse_expression
from cityframe.rules.geometry.crowds import require_no_crowd
from cityframe.rules.geometry.sizes import sized
from cityframe.rules.kind import (
    ANY_TYPE,
    SPATIAL,
    ColumnNeeds,
    OtherLayer,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class MustNotOverlapParameters(Parameters):
    """What `must_not_overlap` needs."""

    layer: Name = Field(description="the other layer")
    min_area_m2: float = Field(default=0.0, ge=0, description="passed over up to this area, in m²")
    min_length_m: float = Field(
        default=0.0, ge=0, description="passed over up to this length, in m"
    )
    where: ExpressionText | None = Field(default=None, description="which features are compared")
    other_where: ExpressionText | None = Field(
        default=None, description="which features of the other layer are compared"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that ``where`` names."""
        del layer
        return _columns(self.where)

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the other layer, with the attributes that ``other_where`` names."""
        return (OtherLayer(self.layer, _columns(self.other_where), SPATIAL, self.other_where),)

    def misfit(self, layer: Layer) -> str:
        """Say what is wrong with the types in ``where``."""
        if self.where is None:
            return ""
        types = {attribute.name: attribute.type for attribute in layer.attributes}
        return parse_expression(self.where).misfit(types)


def _columns(expression: str | None) -> ColumnNeeds:
    if expression is None:
        return {}
    return dict.fromkeys(sorted(parse_expression(expression).columns), ANY_TYPE)


def check(context: Context, parameters: MustNotOverlapParameters) -> pd.DataFrame:
    """Return the overlaps of each feature with the other layer."""
    frame = context.other(parameters.layer)
    others = usable_geometries(frame)
    others[~_is_compared(frame, parameters.other_where)] = None
    row, other = _meeting(context, others, _is_compared(context.frame, parameters.where))
    common = shapely.intersection(context.geometry[row], others[other])
    large = _is_large(common, parameters)
    order = np.lexsort([other[large], row[large]])
    row, other, common = row[large][order], other[large][order], common[large][order]
    return defects(
        row=row,
        other=feature_ids(frame)[other],
        found=sized(
            f"{{size}} on {parameters.layer}", f"与 {parameters.layer} 重叠 {{size}}", common
        ),
        expected=words("no overlap", "不重叠"),
        geometry=common,
    )


def _is_compared(frame: pd.DataFrame, where: str | None) -> npt.NDArray[np.bool_]:
    if where is None:
        return np.ones(len(frame), dtype=bool)
    return parse_expression(where).is_true(frame)


def _meeting(
    context: Context, others: Geometries, is_compared: npt.NDArray[np.bool_]
) -> tuple[Positions, Positions]:
    """Return the pairs of a row and another feature whose interiors meet."""
    own = context.usable[is_compared[context.usable]]
    require_no_crowd(others)
    require_no_crowd(context.geometry[own])
    # the fewer ask, as they are the larger as a rule, and the one that asks is prepared
    if len(others) < len(own):
        other, row = context.tree.query(others, predicate="intersects")
        other, row = other[is_compared[row]], row[is_compared[row]]
    else:
        found, other = shapely.STRtree(others).query(context.geometry[own], predicate="intersects")
        row = own[found]
    # touching pairs are many and cheaper to relate than to cut
    meet = shapely.relate_pattern(context.geometry[row], others[other], "T********")
    return row[meet], other[meet]


def _is_large(common: Geometries, parameters: MustNotOverlapParameters) -> npt.NDArray[np.bool_]:
    dimension = shapely.get_dimensions(common)
    large: npt.NDArray[np.bool_] = (
        ((dimension == 2) & (shapely.area(common) > parameters.min_area_m2))
        | ((dimension == 1) & (shapely.length(common) > parameters.min_length_m))
        | (dimension == 0)
    )
    return large


KIND = RuleKind(
    name="must_not_overlap",
    number=42,
    group="E across layers",
    measure=iso_measure("10"),
    params=MustNotOverlapParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
