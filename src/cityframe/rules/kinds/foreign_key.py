"""The value stands in a column of another layer.

Nulls pass; declare a `mandatory` rule beside it where they must not. Reach: the whole layer
referred to.

```yaml
kind: foreign_key
parameters: {column: road_name, layer: roads, layer_column: name}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import ANY_TYPE, ColumnNeeds, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import quoted
from cityframe.rules.words import words


class ForeignKeyParameters(Parameters):
    """What `foreign_key` needs."""

    column: Name = Field(description="attribute with the reference")
    layer: Name = Field(description="layer referred to")
    layer_column: Name = Field(description="attribute of that layer")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute with the reference."""
        del layer
        return {self.column: ANY_TYPE}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer referred to."""
        return (OtherLayer(name=self.layer, columns={self.layer_column: ANY_TYPE}),)


def check(context: Context, parameters: ForeignKeyParameters) -> pd.DataFrame:
    """Return the features whose reference leads nowhere."""
    values = context.frame[parameters.column]
    known = context.other(parameters.layer)[parameters.layer_column]
    row = np.flatnonzero((values.notna() & ~values.isin(known.dropna().unique())).to_numpy())
    return defects(
        row=row,
        found=quoted(context.frame, [parameters.column], row),
        expected=words(
            f"a value of {parameters.layer}.{parameters.layer_column}",
            f"{parameters.layer}.{parameters.layer_column} 中已有的值",
        ),
    )


KIND = RuleKind(
    name="foreign_key",
    number=13,
    group="B domain",
    measure=iso_measure("10"),
    params=ForeignKeyParameters,
    reach="layer",
    check=check,
)
