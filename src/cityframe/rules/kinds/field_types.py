"""The fields of a delivery are of the types, lengths and text encoding that were agreed.

For each field named: it was read as one of the `types`, and no text of it is longer than
`max_length` characters. A field that is absent passes (`unexpected_fields` finds it), and so does
one without any text that was read as text: nothing says what it would have held. Text formats such
as CSV hold text only. With `encodings` each table was read in one of them; a format that fixes its
own encoding passes. Names are those of the source, before they are mapped to attributes.

One finding for the layer names tables and fields; the place is the extent of what was delivered.
The kind looks at deliveries only.

```yaml
kind: field_types
parameters:
  fields: {DJH: {types: [string], max_length: 19}, MJ: {types: [integer, real]}}
  encodings: [utf-8, gb18030]
```
"""

import codecs
from collections.abc import Iterator
from typing import Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from cityframe.config.document import Declaration
from cityframe.model.finding import Scope
from cityframe.model.layer import AttributeType
from cityframe.rules.context import Context, ReceivedTable
from cityframe.rules.deliveries import stated
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words

_ZH = {
    "string": "文本", "integer": "整型", "real": "浮点型", "boolean": "布尔型", "date": "日期型",
    "datetime": "日期时间型",
}  # fmt: skip


class FieldForm(Declaration):
    """The form of one field."""

    types: tuple[AttributeType, ...] = Field(
        default=(), description="types that it may be read as; empty for any"
    )
    max_length: int | None = Field(
        default=None, ge=1, description="longest text allowed, in characters"
    )


class FieldTypesParameters(Parameters):
    """What `field_types` needs."""

    fields: dict[str, FieldForm] = Field(
        default_factory=dict, description="`types` and `max_length` of fields, by name"
    )
    encodings: tuple[str, ...] = Field(
        default=(), description="text encodings allowed; empty for any"
    )

    @field_validator("encodings")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _codec(name):
                message = f"names of text encodings; {name!r} is none"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.fields and not self.encodings:
            message = "fields or encodings"
            raise ValueError(message)
        return self


def check(context: Context, parameters: FieldTypesParameters) -> pd.DataFrame:
    """Return one defect if fields or texts are of another form."""
    found = [one for table in context.delivered().tables for one in _of_table(table, parameters)]
    encodings = ", ".join(parameters.encodings)
    en = [f"encoding {encodings}"] if encodings else []
    zh = [f"编码 {encodings}"] if encodings else []
    for name, form in parameters.fields.items():
        limit_en = f" of at most {form.max_length} characters" if form.max_length else ""
        limit_zh = f"（不超过 {form.max_length} 字）" if form.max_length else ""
        kinds = [one.value for one in form.types]
        en.append(f"{name} {' or '.join(kinds) or 'text'}{limit_en}")
        zh.append(f"{name} 为{'或'.join(_ZH[kind] for kind in kinds) or '文本'}{limit_zh}")
    return stated(context, found, Words("; ".join(en), "；".join(zh)))


def _of_table(table: ReceivedTable, parameters: FieldTypesParameters) -> Iterator[Words]:
    allowed = {_codec(name) for name in parameters.encodings}
    if allowed and table.encoding and _codec(table.encoding) not in allowed:
        yield Words(
            f"{table.place}: encoding {table.encoding}", f"{table.place}：编码为 {table.encoding}"
        )
    for name, form in parameters.fields.items():
        kind, longest = table.columns.get(name), table.longest.get(name)
        is_untyped = kind == AttributeType.STRING and longest is None
        if kind is None or is_untyped:
            continue
        if form.types and kind not in form.types:
            yield Words(
                f"{table.place}: {name} is {kind}",
                f"{table.place}：{name} 为{_ZH.get(kind, kind)}",
            )
        if form.max_length and longest and longest > form.max_length:
            yield Words(
                f"{table.place}: {name} has {longest} characters",
                f"{table.place}：{name} 长 {longest} 字",
            )


def _codec(name: str) -> str:
    """Return the plain name of an encoding; empty for none. A byte order mark makes no other."""
    try:
        return codecs.lookup(name).name.removesuffix("-sig")
    except LookupError:
        return ""


KIND = RuleKind(
    name="field_types",
    number=3,
    group="A schema",
    measure=iso_measure("19"),
    params=FieldTypesParameters,
    reach="layer",
    check=check,
    scopes=frozenset({Scope.DELIVERY}),
    needs=("received",),
)
