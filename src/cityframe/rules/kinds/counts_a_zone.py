"""Each zone holds about as many features as it should.

The zones are the polygons of another layer. `expected_column` there has the number of features
expected (a census, the register's count), which may be missed by `tolerance` features or by the
share `tolerance_share`, whichever is more; `min_per_km2` and `max_per_km2` limit the density. A
feature counts where its middle lies: a point itself, the middle of a line, a point on the surface
of a polygon; on a border it counts for each zone. Zones without a number are passed over by the
first; features and zones with null or invalid geometries by all.

A finding for the layer a zone, which it names; the place is the zone.

```yaml
kind: counts_a_zone
parameters: {layer: districts, expected_column: households, tolerance_share: 0.1}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.rules.context import Context, Geometries, feature_ids, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.middles import middles
from cityframe.rules.kind import AREAS, NUMBERS, SPATIAL, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class CountsAZoneParameters(Parameters):
    """What `counts_a_zone` needs."""

    layer: Name = Field(description="layer of the zones")
    expected_column: Name | None = Field(
        default=None, description="attribute of the zones with the number expected"
    )
    tolerance: float = Field(default=0.0, ge=0, description="difference allowed, in features")
    tolerance_share: float = Field(
        default=0.0, ge=0, description="difference allowed, as a share of the number expected"
    )
    min_per_km2: float | None = Field(default=None, ge=0, description="least features a km²")
    max_per_km2: float | None = Field(default=None, ge=0, description="most features a km²")

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        low, high = self.min_per_km2, self.max_per_km2
        if self.expected_column is None and low is None and high is None:
            message = "expected_column, min_per_km2 or max_per_km2"
            raise ValueError(message)
        if low is not None and high is not None and low > high:
            message = "a min_per_km2 that is not above max_per_km2"
            raise ValueError(message)
        return self

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the zones."""
        columns = {} if self.expected_column is None else {self.expected_column: NUMBERS}
        return (OtherLayer(self.layer, columns, AREAS),)


def check(context: Context, parameters: CountsAZoneParameters) -> pd.DataFrame:
    """Return the zones with too few or too many features."""
    frame = context.other(parameters.layer)
    zones = usable_geometries(frame)
    _, zone = shapely.STRtree(zones).query(middles(context.usable_geometry), predicate="intersects")
    count = np.bincount(zone, minlength=len(zones))
    low, high = _limits(frame, zones, parameters)
    off = np.flatnonzero((count < low) | (count > high))
    return defects(
        row=np.full(len(off), -1),
        other=feature_ids(frame)[off],
        found=words(en="{n} features in the zone", zh="区内有 {n} 个要素", n=count[off]),
        expected=words(
            en="{low:g} to {high:g}",
            zh="{low:g} 至 {high:g} 个",
            low=np.ceil(low[off]),
            high=np.floor(high[off]),
        ),
        geometry=zones[off],
    )


def _limits(
    frame: pd.DataFrame, zones: Geometries, parameters: CountsAZoneParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most features of each zone; 0 and infinity where none is set."""
    km2 = shapely.area(zones) / 1e6  # NaN without a geometry
    low = km2 * (parameters.min_per_km2 or 0.0)
    high = np.full(len(zones), np.inf)
    if parameters.max_per_km2 is not None:
        high = km2 * parameters.max_per_km2
    if parameters.expected_column is not None:
        number = frame[parameters.expected_column].to_numpy(dtype=float, na_value=np.nan)
        spread = np.maximum(parameters.tolerance, parameters.tolerance_share * number)
        has_zone = ~shapely.is_missing(zones)
        low = np.where(has_zone, np.fmax(low, number - spread), np.nan)
        high = np.where(has_zone, np.fmin(high, number + spread), np.nan)
    return low, high


KIND = RuleKind(
    name="counts_a_zone",
    number=67,
    group="I completeness",
    measure=iso_measure("7"),
    params=CountsAZoneParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
