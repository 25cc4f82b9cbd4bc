"""The registered area of a feature agrees with the area of its polygon.

The difference may be `share` of the registered area or `tolerance_m2`, whichever is larger. The
registered value is in the unit of the layer's contract: m2, ha, km2 or mu (亩, 1/15 ha). The area
is that of the projection. Features without a registered value or without a valid polygon pass.

```yaml
kind: registered_area
parameters: {column: registered_area_m2, share: 0.02, tolerance_m2: 1.0}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, NUMBERS, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

_SQUARE_METRES = {"m2": 1.0, "m²": 1.0, "ha": 1e4, "km2": 1e6, "km²": 1e6, "mu": 2000.0 / 3.0}


class RegisteredAreaParameters(Parameters):
    """What `registered_area` needs."""

    column: Name = Field(description="attribute with the registered area")
    share: float = Field(default=0.05, ge=0, description="difference allowed, as a share")
    tolerance_m2: float = Field(default=0.0, ge=0, description="difference allowed, in m²")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute with the registered area."""
        del layer
        return {self.column: NUMBERS}

    def misfit(self, layer: Layer) -> str:
        """Say so if the contract gives no unit of area."""
        unit = _unit(layer, self.column)
        if unit in _SQUARE_METRES:
            return ""
        return f"the unit of {self.column} is {unit or 'none'}, not of {', '.join(_SQUARE_METRES)}"


def check(context: Context, parameters: RegisteredAreaParameters) -> pd.DataFrame:
    """Return the features whose areas differ by more than is allowed."""
    unit = _unit(context.layer, parameters.column)
    registered = context.frame[parameters.column].to_numpy(dtype=float, na_value=np.nan)
    registered_m2 = registered * _SQUARE_METRES[unit]
    area_m2 = shapely.area(context.usable_geometry)
    allowed_m2 = np.maximum(parameters.share * np.abs(registered_m2), parameters.tolerance_m2)
    # NaN, of a null or of no geometry, compares false
    row = np.flatnonzero(np.abs(registered_m2 - area_m2) > allowed_m2)
    return defects(
        row=row,
        found=[f"{parameters.column} = {value:g} {unit}" for value in registered[row]],
        expected=words(
            en="{area:.2f} m² ± {allowed:.2f} m²",
            zh="图形面积 {area:.2f} m²，允许差 {allowed:.2f} m²",
            area=area_m2[row],
            allowed=allowed_m2[row],
        ),
    )


def _unit(layer: Layer, column: str) -> str:
    return next(attribute.unit for attribute in layer.attributes if attribute.name == column)


KIND = RuleKind(
    name="registered_area",
    number=15,
    group="B domain",
    measure=iso_measure("68"),
    params=RegisteredAreaParameters,
    reach="feature",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
