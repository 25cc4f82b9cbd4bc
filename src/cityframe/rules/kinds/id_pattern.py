r"""The whole text of an attribute has a form: a regular expression of Python.

The pattern must fit from the first character to the last. Groups are written `(?:…)`. Nulls pass.

```yaml
kind: id_pattern
parameters: {column: parcel_no, pattern: '\d{6}-\d{4}'}
```
"""

import re

from pydantic import Field, field_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.kind import TEXT, ColumnNeeds, CoreExpectation, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class IdPatternParameters(Parameters):
    """What `id_pattern` needs."""

    column: Name = Field(description="attribute with the text")
    pattern: str = Field(description="regular expression for the whole text", min_length=1)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            message = f"a regular expression ({error})"
            raise ValueError(message) from error
        if groups:
            message = "groups written as (?:…)"
            raise ValueError(message)
        return pattern

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: TEXT}


def expectation(parameters: IdPatternParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that the text has the form."""
    del layer
    return CoreExpectation(
        name="ExpectColumnValuesToMatchRegex",
        # \A and \Z: a dollar sign would let a line feed at the end pass
        arguments={"column": parameters.column, "regex": rf"\A(?:{parameters.pattern})\Z"},
        columns=(parameters.column,),
        expected=Words(f"the form {parameters.pattern}", f"符合格式 {parameters.pattern}"),
    )


KIND = RuleKind(
    name="id_pattern",
    number=7,
    group="A schema",
    measure=iso_measure("16"),
    params=IdPatternParameters,
    reach="feature",
    expectation=expectation,
)
