"""The layer's total area, length or count stays near that of the current release.

A sum of nothing before has nothing to drift from. One finding for the layer; the place is its
extent.

```yaml
kind: sum_drift
parameters: {of: area, max_share: 0.01}
```
"""

from typing import Literal

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.model.layer import Layer
from cityframe.rules.context import Context, geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.kind import AREAS, LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

_UNITS = {"area": "m²", "length": "m", "count": "features"}
_TERMS = {"area": ("总面积", "m²"), "length": ("总长度", "m"), "count": ("要素数", "个")}


class SumDriftParameters(Parameters):
    """What `sum_drift` needs."""

    of: Literal["area", "length", "count"] = Field(description="`area`, `length` or `count`")
    max_share: float = Field(
        gt=0, description="largest change allowed, as a share of the sum before"
    )

    def misfit(self, layer: Layer) -> str:
        """Say so if the layer's geometry has no such sum."""
        fits = {"area": AREAS, "length": LINES | AREAS}.get(self.of)
        return (
            "" if fits is None or layer.geometry in fits else f"{layer.geometry} has no {self.of}"
        )


def check(context: Context, parameters: SumDriftParameters) -> pd.DataFrame:
    """Return one defect if the sum has changed too much."""
    if context.previous is None:
        return no_defects()
    before = _sum(geometries(context.previous), parameters.of)
    after = _sum(context.geometry, parameters.of)
    if before == 0 or abs(after - before) <= parameters.max_share * before:
        return no_defects()
    term, unit = _TERMS[parameters.of]
    return defects(
        found=words(
            en=f"{parameters.of} {{before:.2f}} → {{after:.2f}} {_UNITS[parameters.of]}",
            zh=f"{term} {{before:.2f}} → {{after:.2f}} {unit}",
            before=[before],
            after=[after],
        ),
        expected=words(
            en=f"a change of at most {parameters.max_share:.1%}",
            zh=f"变化不超过 {parameters.max_share:.1%}",
        ),
        geometry=[extent(context.geometry)],
    )


def _sum(geometry: np.ndarray, of: str) -> float:
    if of == "count":
        return float(len(geometry))
    return float(np.nansum(shapely.area(geometry) if of == "area" else shapely.length(geometry)))


KIND = RuleKind(
    name="sum_drift",
    number=87,
    group="L across versions",
    measure=iso_measure("10"),
    params=SumDriftParameters,
    reach="versions",
    check=check,
    needs_metres=True,
)
