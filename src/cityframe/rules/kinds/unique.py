"""No two features of the layer have the same value, or the same combination of values.

Without `columns` it is the layer's key that must be unique. Nulls are not compared; every feature
of a group of equals fails.

```yaml
kind: unique
parameters: {columns: [district, parcel_no]}
```
"""

from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.kind import ANY_TYPE, ColumnNeeds, CoreExpectation, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class UniqueParameters(Parameters):
    """What `unique` needs."""

    columns: tuple[Name, ...] = Field(
        default=(), description="attributes that together are unique; empty for the layer's key"
    )

    def compared(self, layer: Layer) -> tuple[str, ...]:
        """Return the attributes that are compared."""
        return self.columns or layer.key

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that are compared."""
        return dict.fromkeys(self.compared(layer), ANY_TYPE)

    def misfit(self, layer: Layer) -> str:
        """Say so if there is nothing to compare."""
        return "" if self.compared(layer) else f"no columns, and layer {layer.name} has no key"


def expectation(parameters: UniqueParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that values or combinations are unique."""
    columns = parameters.compared(layer)
    arguments: dict[str, object]
    if len(columns) == 1:
        name, arguments = "ExpectColumnValuesToBeUnique", {"column": columns[0]}
    else:
        name = "ExpectCompoundColumnsToBeUnique"
        arguments = {"column_list": list(columns), "ignore_row_if": "any_value_is_missing"}
    return CoreExpectation(
        name=name,
        arguments=arguments,
        columns=columns,
        expected=Words("a value that no other feature has", "取值唯一"),
    )


KIND = RuleKind(
    name="unique",
    number=6,
    group="A schema",
    measure=iso_measure("4"),
    params=UniqueParameters,
    reach="layer",
    expectation=expectation,
)
