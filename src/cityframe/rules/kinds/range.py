"""A number lies between two limits; the limits themselves are allowed.

`unit` repeats the unit of the limits; it must be the one of the layer's contract, so that a change
of the contract can't change the meaning of the rule unseen. Nulls pass.

```yaml
kind: range
parameters: {column: diameter_mm, min: 20, max: 3000, unit: mm}
```
"""

from typing import Self

from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.kind import NUMBERS, ColumnNeeds, CoreExpectation, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import limits


class RangeParameters(Parameters):
    """What `range` needs."""

    column: Name = Field(description="attribute with the number")
    min: float | None = Field(default=None, description="lowest value allowed")
    max: float | None = Field(default=None, description="highest value allowed")
    unit: str = Field(default="", description="unit of the limits; that of the contract")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.min is None and self.max is None:
            message = "min, max or both"
            raise ValueError(message)
        if self.min is not None and self.max is not None and self.min > self.max:
            message = "a min that is not above max"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: NUMBERS}

    def misfit(self, layer: Layer) -> str:
        """Say so if the limits are in another unit than the contract."""
        units = {attribute.name: attribute.unit for attribute in layer.attributes}
        unit = units[self.column]
        if not self.unit or self.unit == unit:
            return ""
        return f"the limits are in {self.unit}, {self.column} is in {unit or 'no unit'}"


def expectation(parameters: RangeParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that the number is within the limits."""
    del layer
    limit = limits(parameters.min, parameters.max, parameters.unit)
    return CoreExpectation(
        name="ExpectColumnValuesToBeBetween",
        arguments={
            "column": parameters.column,
            "min_value": parameters.min,
            "max_value": parameters.max,
        },
        columns=(parameters.column,),
        expected=limit,
    )


KIND = RuleKind(
    name="range",
    number=10,
    group="B domain",
    measure=iso_measure("16"),
    params=RangeParameters,
    reach="feature",
    expectation=expectation,
)
