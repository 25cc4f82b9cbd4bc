"""A delivery brings the files and the layers that were agreed, and if need be nothing else.

`files` are patterns (`*` and `?`, whatever the case) over the path or the base name of a file,
those inside archives too; each is met by at least one file that is not empty. `layers` are the
tables as the source names them: layers of a GeoPackage or geodatabase, sheets of a workbook, and
for formats with one table the file's name without suffix. With `only_these` a file that no pattern
meets, or a layer that is not listed, is a defect too; a list that is empty limits nothing.

One finding for the layer says all of it; the place is the extent of what was delivered. The kind
looks at deliveries only.

```yaml
kind: layers_present
parameters: {files: ["*.gpkg", "metadata/*.xml"], layers: [buildings, roads]}
```
"""

from collections.abc import Iterator
from typing import Self

import pandas as pd
from pydantic import Field, model_validator

from cityframe.model.finding import Scope
from cityframe.rules.context import Context, Received
from cityframe.rules.deliveries import files_like, stated
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class LayersPresentParameters(Parameters):
    """What `layers_present` needs."""

    files: tuple[str, ...] = Field(default=(), description="patterns of the files that must come")
    layers: tuple[str, ...] = Field(
        default=(), description="layers that must come, as the source names them"
    )
    only_these: bool = Field(default=False, description="whether anything else is a defect")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.files and not self.layers:
            message = "files or layers"
            raise ValueError(message)
        return self


def check(context: Context, parameters: LayersPresentParameters) -> pd.DataFrame:
    """Return one defect if files or layers are missing or unexpected."""
    received = context.delivered()
    found = [*_of_files(received, parameters), *_of_layers(received, parameters)]
    wanted = ", ".join([*parameters.files, *parameters.layers])
    if parameters.only_these:
        expected = words(f"only {wanted}", f"仅有 {wanted}")
    else:
        expected = words(wanted, wanted)
    return stated(context, found, expected)


def _of_files(received: Received, parameters: LayersPresentParameters) -> Iterator[Words]:
    met = {pattern: files_like(received, pattern) for pattern in parameters.files}
    for pattern, paths in met.items():
        if not paths:
            yield Words(f"no file {pattern}", f"缺少文件 {pattern}")
        elif not any(received.files[path] for path in paths):
            yield Words(f"empty file {paths[0]}", f"空文件 {paths[0]}")
    if parameters.only_these and parameters.files:
        known = {path for paths in met.values() for path in paths}
        for path in sorted(set(received.files) - known):
            yield Words(f"unexpected file {path}", f"多余文件 {path}")


def _of_layers(received: Received, parameters: LayersPresentParameters) -> Iterator[Words]:
    for name in parameters.layers:
        if name not in received.layers:
            yield Words(f"no layer {name}", f"缺少图层 {name}")
    if parameters.only_these and parameters.layers:
        for name in sorted(received.layers - set(parameters.layers)):
            yield Words(f"unexpected layer {name}", f"多余图层 {name}")


KIND = RuleKind(
    name="layers_present",
    number=1,
    group="A schema",
    measure=iso_measure("19"),
    params=LayersPresentParameters,
    reach="layer",
    check=check,
    scopes=frozenset({Scope.DELIVERY}),
    needs=("received",),
)
