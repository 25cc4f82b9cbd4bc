r"""A delivery says of itself what was agreed: its facts are there and of the right form.

`facts` maps names to patterns (regular expressions over the whole text; an empty one allows any
text that is not empty). Known of each delivery are `origin`, `observed_at`, `landed_at`,
`watermark` (empty where the source has none), and of its source's declaration `source`,
`title_zh`, `title_en`, `kind`, `delivery_kind`, `accuracy_m`, `currency_days` and `crs`.
`documents` are patterns (`*` and `?`, whatever the case) of files with metadata, such as ISO 19115
in XML; each is met by at least one file that is not empty.

One finding for the layer; the place is the extent of what was delivered. The kind looks at
deliveries only.

```yaml
kind: metadata_present
parameters: {facts: {observed_at: "20\\d\\d-.*", accuracy_m: ""}, documents: ["*.xml"]}
```
"""

import re
from collections.abc import Iterator
from typing import Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from cityframe.model.finding import Scope
from cityframe.rules.context import Context, Received
from cityframe.rules.deliveries import files_like, stated
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class MetadataPresentParameters(Parameters):
    """What `metadata_present` needs."""

    facts: dict[str, str] = Field(
        default_factory=dict, description="patterns of the facts that must be there, by name"
    )
    documents: tuple[str, ...] = Field(
        default=(), description="patterns of the files with metadata that must come"
    )

    @field_validator("facts")
    @classmethod
    def _patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                message = f"regular expressions; that of {name} is none ({error})"
                raise ValueError(message) from error
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.facts and not self.documents:
            message = "facts or documents"
            raise ValueError(message)
        return self


def check(context: Context, parameters: MetadataPresentParameters) -> pd.DataFrame:
    """Return one defect if facts or documents are missing or of another form."""
    received = context.delivered()
    found = [*_of_facts(received, parameters), *_of_files(received, parameters)]
    wanted = [f"{name} {pattern}".rstrip() for name, pattern in parameters.facts.items()]
    expected = ", ".join([*wanted, *parameters.documents])
    return stated(context, found, Words(expected, expected))


def _of_facts(received: Received, parameters: MetadataPresentParameters) -> Iterator[Words]:
    for name, pattern in parameters.facts.items():
        text = received.metadata.get(name, "")
        if not text:
            yield Words(f"no {name}", f"缺少元数据 {name}")
        elif pattern and not re.fullmatch(pattern, text):
            yield Words(f"{name} is {text}", f"元数据 {name} 为 {text}")


def _of_files(received: Received, parameters: MetadataPresentParameters) -> Iterator[Words]:
    for pattern in parameters.documents:
        if not any(received.files[path] for path in files_like(received, pattern)):
            yield Words(f"no metadata document {pattern}", f"缺少元数据文件 {pattern}")


KIND = RuleKind(
    name="metadata_present",
    number=8,
    group="A schema",
    measure=iso_measure("10"),
    params=MetadataPresentParameters,
    reach="layer",
    check=check,
    scopes=frozenset({Scope.DELIVERY}),
    needs=("received",),
)
