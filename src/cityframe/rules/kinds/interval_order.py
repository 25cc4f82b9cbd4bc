"""One date or number does not come before another: an end before its beginning.

Both attributes are of one type. Features where one of them is null pass.

```yaml
kind: interval_order
parameters: {start: built_on, end: demolished_on}
```
"""

from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.kind import (
    NUMBERS,
    TIMES,
    ColumnNeeds,
    CoreExpectation,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class IntervalOrderParameters(Parameters):
    """What `interval_order` needs."""

    start: Name = Field(description="attribute with the beginning")
    end: Name = Field(description="attribute with the end")
    or_equal: bool = Field(default=True, description="whether they may be equal")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return both attributes."""
        del layer
        return dict.fromkeys((self.start, self.end), NUMBERS | TIMES)

    def misfit(self, layer: Layer) -> str:
        """Say so if the two are not of one type."""
        types = {attribute.name: attribute.type for attribute in layer.attributes}
        one, two = types[self.start], types[self.end]
        return "" if one is two else f"{self.start} is of type {one}, {self.end} of type {two}"


def expectation(parameters: IntervalOrderParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that the end does not come before the beginning."""
    del layer
    order = f"{parameters.start} {'<=' if parameters.or_equal else '<'} {parameters.end}"
    return CoreExpectation(
        name="ExpectColumnPairValuesAToBeGreaterThanB",
        arguments={
            "column_A": parameters.end,
            "column_B": parameters.start,
            "or_equal": parameters.or_equal,
            "ignore_row_if": "either_value_is_missing",
        },
        columns=(parameters.start, parameters.end),
        expected=Words(order, f"时间次序 {order}"),
    )


KIND = RuleKind(
    name="interval_order",
    number=69,
    group="J time",
    measure=iso_measure("159"),
    params=IntervalOrderParameters,
    reach="feature",
    expectation=expectation,
)
