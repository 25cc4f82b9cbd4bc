"""Each sensor stands on an asset: a gauge on its bridge, a camera on its pole.

An asset of the other layer lies within `max_m` of the sensor. With `column` it is the very asset
that the sensor names there, by `layer_column`; a sensor that names none may stand on any. Null and
invalid geometries pass. The place is the sensor. Reach: `max_m`.

```yaml
kind: sensor_on_asset
parameters: {layer: poles, max_m: 1.5, column: pole_no, layer_column: pole_no}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import ANY_TYPE, SPATIAL, ColumnNeeds, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import quoted
from cityframe.rules.words import Words, words


class SensorOnAssetParameters(Parameters):
    """What `sensor_on_asset` needs."""

    layer: Name = Field(description="layer of the assets")
    max_m: float = Field(default=1.0, ge=0, description="distance allowed, in metres")
    column: Name | None = Field(default=None, description="attribute that names the asset")
    layer_column: Name | None = Field(default=None, description="attribute of the asset named")

    @model_validator(mode="after")
    def _whole_reference(self) -> Self:
        if (self.column is None) != (self.layer_column is None):
            message = "column and layer_column together"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute that names the asset."""
        del layer
        return {} if self.column is None else {self.column: ANY_TYPE}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the assets."""
        columns = {} if self.layer_column is None else {self.layer_column: ANY_TYPE}
        return (OtherLayer(self.layer, columns=columns, geometry=SPATIAL),)

    def reach_m(self, layer: Layer) -> float:
        """Return the distance allowed."""
        del layer
        return self.max_m


def check(context: Context, parameters: SensorOnAssetParameters) -> pd.DataFrame:
    """Return the sensors that stand on no asset, or not on their own."""
    frame = context.other(parameters.layer)
    sensor, asset = _near(context, usable_geometries(frame), parameters.max_m)
    names_one = np.zeros(len(context.frame), dtype=bool)
    if parameters.column is not None and parameters.layer_column is not None:
        named = context.frame[parameters.column].reset_index(drop=True)
        names_one = named.notna().to_numpy()
        known = frame[parameters.layer_column].reset_index(drop=True)
        number, _ = pd.factorize(pd.concat([named, known], ignore_index=True).astype(object))
        is_own = number[sensor] == number[len(named) :][asset]
        sensor = sensor[is_own | ~names_one[sensor]]
    row = np.setdiff1d(context.usable, sensor)
    return defects(
        row=row,
        found=_texts(context, parameters, row, names_one[row]),
        expected=words(
            f"its asset of {parameters.layer} within {parameters.max_m:g} m",
            f"距所属 {parameters.layer} 设施不超过 {parameters.max_m:g} m",
        ),
    )


def _near(context: Context, assets: Geometries, distance_m: float) -> tuple[Positions, Positions]:
    """Return the pairs of a sensor and an asset within the distance."""
    found, asset = shapely.STRtree(assets).query(
        context.geometry[context.usable], predicate="dwithin", distance=distance_m
    )
    return context.usable[found], asset


def _texts(
    context: Context, parameters: SensorOnAssetParameters, row: Positions, names_one: np.ndarray
) -> Words:
    if parameters.column is None:
        return words("no asset beneath", "未落在设施上")
    quotes = quoted(context.frame, [parameters.column], row)
    its = words("not at {quote}", "未落在所属设施上：{quote}", quote=quotes)
    return Words(
        np.where(names_one, its.en, "no asset beneath"),
        np.where(names_one, its.zh, "未落在设施上"),
    )


KIND = RuleKind(
    name="sensor_on_asset",
    number=47,
    group="E across layers",
    measure=iso_measure("10"),
    params=SensorOnAssetParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
