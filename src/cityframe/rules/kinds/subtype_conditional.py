"""Features of a subtype must meet a condition that others need not.

`when` picks the subtype: an attribute and its values. Of those features, `column` must have a
value (`required`), have none (`empty`), have one of `codes`, or lie between `min` and `max`;
exactly one of these is declared. But for `required`, nulls pass.

```yaml
kind: subtype_conditional
parameters:
  when: {column: usage, values: [residential]}
  column: storeys
  required: true
```
"""

from typing import Self

from pydantic import Field, model_validator

from cityframe.config.document import Declaration
from cityframe.config.schema import Name
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.kind import (
    ANY_TYPE,
    NUMBERS,
    ColumnNeeds,
    CoreExpectation,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import limits
from cityframe.rules.words import Words


class Subtype(Declaration):
    """An attribute and the values that make the subtype."""

    column: Name
    values: tuple[str | int, ...] = Field(min_length=1)


class SubtypeConditionalParameters(Parameters):
    """What `subtype_conditional` needs."""

    when: Subtype = Field(description="`{column, values}`: the features looked at")
    column: Name = Field(description="attribute with the condition")
    required: bool = Field(default=False, description="it must have a value")
    empty: bool = Field(default=False, description="it must have none")
    codes: tuple[str | int, ...] = Field(default=(), description="values allowed")
    min: float | None = Field(default=None, description="lowest value allowed")
    max: float | None = Field(default=None, description="highest value allowed")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        has_limits = self.min is not None or self.max is not None
        if [self.required, self.empty, bool(self.codes), has_limits].count(True) != 1:
            message = "exactly one of required, empty, codes, and min with max"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return both attributes; limits need a number."""
        del layer
        condition = ANY_TYPE
        if self.codes:
            condition = _type_of(self.codes)
        elif not (self.required or self.empty):
            condition = NUMBERS
        return {self.when.column: _type_of(self.when.values), self.column: condition}

    def misfit(self, layer: Layer) -> str:
        """Say so if the subtype and its condition are on the same attribute."""
        del layer
        return "when and the condition are on one column" if self.when.column == self.column else ""


def _type_of(values: tuple[str | int, ...]) -> frozenset[AttributeType]:
    is_text = all(isinstance(value, str) for value in values)
    return frozenset({AttributeType.STRING if is_text else AttributeType.INTEGER})


def expectation(parameters: SubtypeConditionalParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation over the features of the subtype."""
    del layer
    arguments: dict[str, object] = {"column": parameters.column}
    if parameters.required:
        name, demand = "ExpectColumnValuesToNotBeNull", Words("a value", "有值")
    elif parameters.empty:
        name, demand = "ExpectColumnValuesToBeNull", Words("no value", "为空")
    elif parameters.codes:
        name = "ExpectColumnValuesToBeInSet"
        arguments["value_set"] = list(parameters.codes)
        texts = ", ".join(str(code) for code in parameters.codes)
        demand = Words(f"one of {texts}", f"取值为 {texts} 之一")
    else:
        name = "ExpectColumnValuesToBeBetween"
        arguments |= {"min_value": parameters.min, "max_value": parameters.max}
        demand = limits(parameters.min, parameters.max)
    when = parameters.when
    values = [str(value) for value in when.values]
    return CoreExpectation(
        name=name,
        arguments=arguments,
        columns=(parameters.column, when.column),
        expected=Words(
            f"{demand.en} where {when.column} is {' or '.join(values)}",
            f"{when.column} 为 {'、'.join(values)} 时{demand.zh}",
        ),
        when=(when.column, when.values),
    )


KIND = RuleKind(
    name="subtype_conditional",
    number=11,
    group="B domain",
    measure=iso_measure("10"),
    params=SubtypeConditionalParameters,
    reach="feature",
    expectation=expectation,
)
