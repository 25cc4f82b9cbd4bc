"""A value stands in the attribute: it is not null.

An attribute that the delivery does not provide at all is not looked at: absent is not null.

```yaml
kind: mandatory
parameters: {column: road_class}
```
"""

from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.kind import ANY_TYPE, ColumnNeeds, CoreExpectation, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class MandatoryParameters(Parameters):
    """What `mandatory` needs."""

    column: Name = Field(description="attribute that must have a value")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: ANY_TYPE}


def expectation(parameters: MandatoryParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that the attribute is not null."""
    del layer
    return CoreExpectation(
        name="ExpectColumnValuesToNotBeNull",
        arguments={"column": parameters.column},
        columns=(parameters.column,),
        expected=Words("a value", "有值"),
    )


KIND = RuleKind(
    name="mandatory",
    number=5,
    group="A schema",
    measure=iso_measure("16"),
    params=MandatoryParameters,
    reach="feature",
    expectation=expectation,
)
