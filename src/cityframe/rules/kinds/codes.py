"""The value is one of the codes.

Without `codes` they are those of the layer's contract. Nulls pass.

```yaml
kind: codes
parameters: {column: usage, codes: [residential, office, industry]}
```
"""

from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.kind import ColumnNeeds, CoreExpectation, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class CodesParameters(Parameters):
    """What `codes` needs."""

    column: Name = Field(description="attribute with the code")
    codes: tuple[str | int, ...] = Field(
        default=(), description="values allowed; empty for the codes of the layer's contract"
    )

    def allowed(self, layer: Layer) -> tuple[str | int, ...]:
        """Return the values allowed."""
        of_contract = {attribute.name: attribute.codes for attribute in layer.attributes}
        return self.codes or of_contract.get(self.column, ())

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute; its type follows from the codes."""
        is_text = all(isinstance(code, str) for code in self.allowed(layer))
        return {
            self.column: frozenset({AttributeType.STRING if is_text else AttributeType.INTEGER})
        }

    def misfit(self, layer: Layer) -> str:
        """Say so if there are no codes, or texts and numbers are mixed."""
        allowed = self.allowed(layer)
        if not allowed:
            return f"no codes, and the contract of {layer.name} has none for {self.column}"
        return "" if len({type(code) for code in allowed}) == 1 else "codes mix texts and numbers"


def expectation(parameters: CodesParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that the value is one of the codes."""
    allowed = parameters.allowed(layer)
    texts = ", ".join(str(code) for code in allowed)
    return CoreExpectation(
        name="ExpectColumnValuesToBeInSet",
        arguments={"column": parameters.column, "value_set": list(allowed)},
        columns=(parameters.column,),
        expected=Words(f"one of {texts}", f"值域：{texts}"),
    )


KIND = RuleKind(
    name="codes",
    number=9,
    group="B domain",
    measure=iso_measure("16"),
    params=CodesParameters,
    reach="feature",
    expectation=expectation,
)
