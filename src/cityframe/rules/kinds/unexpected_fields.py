"""The tables of a delivery have the fields that were agreed: none is missing, none is new.

Each table of the layer must have the `mandatory` fields. A field that is neither mandatory nor
`optional` is a defect, unless `allow_other`. Names are those of the source, before they are mapped
to attributes, and case counts.

One finding for the layer names tables and fields; the place is the extent of what was delivered.
The kind looks at deliveries only.

```yaml
kind: unexpected_fields
parameters: {mandatory: [DJH, YT], optional: [BZ]}
```
"""

from collections.abc import Iterator
from typing import Self

import pandas as pd
from pydantic import Field, model_validator

from cityframe.model.finding import Scope
from cityframe.rules.context import Context, ReceivedTable
from cityframe.rules.deliveries import stated
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class UnexpectedFieldsParameters(Parameters):
    """What `unexpected_fields` needs."""

    mandatory: tuple[str, ...] = Field(default=(), description="fields that must be there")
    optional: tuple[str, ...] = Field(default=(), description="fields that may be there")
    allow_other: bool = Field(default=False, description="whether any other field may be there")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        both = sorted(set(self.mandatory) & set(self.optional))
        if both:
            message = f"each field once; {', '.join(both)} is mandatory and optional"
            raise ValueError(message)
        if not self.mandatory and self.allow_other:
            message = "mandatory fields, or allow_other: false"
            raise ValueError(message)
        return self


def check(context: Context, parameters: UnexpectedFieldsParameters) -> pd.DataFrame:
    """Return one defect if fields are missing or unexpected."""
    found = [one for table in context.delivered().tables for one in _of_table(table, parameters)]
    mandatory, optional = ", ".join(parameters.mandatory), ", ".join(parameters.optional)
    en = [f"fields {mandatory}"] if mandatory else []
    zh = [f"必备字段 {mandatory}"] if mandatory else []
    if optional:
        en, zh = [*en, f"perhaps {optional}"], [*zh, f"可选字段 {optional}"]
    if not parameters.allow_other:
        en, zh = [*en, "no other"], [*zh, "无其他字段"]
    return stated(context, found, Words("; ".join(en), "；".join(zh)))


def _of_table(table: ReceivedTable, parameters: UnexpectedFieldsParameters) -> Iterator[Words]:
    missing = [name for name in parameters.mandatory if name not in table.columns]
    if missing:
        names = ", ".join(missing)
        yield Words(f"{table.place}: no field {names}", f"{table.place}：缺少字段 {names}")
    known = {*parameters.mandatory, *parameters.optional}
    unknown = [name for name in table.columns if name not in known]
    if unknown and not parameters.allow_other:
        names = ", ".join(unknown)
        yield Words(f"{table.place}: unexpected field {names}", f"{table.place}：多余字段 {names}")


KIND = RuleKind(
    name="unexpected_fields",
    number=2,
    group="A schema",
    measure=iso_measure("10"),
    params=UnexpectedFieldsParameters,
    reach="layer",
    check=check,
    scopes=frozenset({Scope.DELIVERY}),
    needs=("received",),
)
