"""An expression over the attributes of one feature is true.

The language is a small part of Python's: column names, numbers, texts, `True`, `False`;
`and or not`; `== != < <= > >=`, `in (…)`, `is None`; `+ - * /`. A text beside a date or time is
read as one. What a null takes part in is unknown, and unknown passes: write `x is None` or
`x is not None` where a null matters.

```yaml
kind: cross_field
parameters: {expression: 'storeys is None or height_m >= 2 * storeys'}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.expression import ExpressionText, parse_expression
from cityframe.rules.kind import ANY_TYPE, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import quoted
from cityframe.rules.words import Words


class CrossFieldParameters(Parameters):
    """What `cross_field` needs."""

    expression: ExpressionText = Field(description="what must be true of each feature")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that the expression names."""
        del layer
        return dict.fromkeys(sorted(parse_expression(self.expression).columns), ANY_TYPE)

    def misfit(self, layer: Layer) -> str:
        """Say what is wrong with the types in the expression."""
        types = {attribute.name: attribute.type for attribute in layer.attributes}
        return parse_expression(self.expression).misfit(types)


def check(context: Context, parameters: CrossFieldParameters) -> pd.DataFrame:
    """Return the features of which the expression is known to be false."""
    expression = parse_expression(parameters.expression)
    row = np.flatnonzero(expression.is_false(context.frame))
    return defects(
        row=row,
        found=quoted(context.frame, sorted(expression.columns), row),
        expected=Words(expression.text, f"满足 {expression.text}"),
    )


KIND = RuleKind(
    name="cross_field",
    number=12,
    group="B domain",
    measure=iso_measure("10"),
    params=CrossFieldParameters,
    reach="feature",
    check=check,
)
