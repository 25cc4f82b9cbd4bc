"""The road that an address names runs past it.

A road of that very name lies within `max_m` of the feature; a finding tells the nearest road there
is within that distance. An address without a road name passes: declare a `mandatory` rule beside
it. So do null and invalid geometries. The place is the feature. Reach: `max_m`.

```yaml
kind: address_road_name
parameters: {column: road_name, layer: roads, layer_column: name, max_m: 80.0}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import SPATIAL, TEXT, ColumnNeeds, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import quoted
from cityframe.rules.words import Words, words


class AddressRoadNameParameters(Parameters):
    """What `address_road_name` needs."""

    column: Name = Field(description="attribute with the name of the road")
    layer: Name = Field(description="layer of the roads")
    layer_column: Name = Field(description="attribute with their names")
    max_m: float = Field(default=100.0, gt=0, description="how far the road may be, in metres")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute with the name."""
        del layer
        return {self.column: TEXT}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the roads."""
        return (OtherLayer(self.layer, columns={self.layer_column: TEXT}, geometry=SPATIAL),)

    def reach_m(self, layer: Layer) -> float:
        """Return how far the road may be."""
        del layer
        return self.max_m


def check(context: Context, parameters: AddressRoadNameParameters) -> pd.DataFrame:
    """Return the features without a road of their road's name near."""
    frame = context.other(parameters.layer)
    names = frame[parameters.layer_column].reset_index(drop=True)
    wanted = context.frame[parameters.column].reset_index(drop=True)
    roads = usable_geometries(frame)
    roads[names.isna().to_numpy()] = None
    tree = shapely.STRtree(roads)
    row = context.usable[wanted.notna().to_numpy()[context.usable]]
    row = row[~_has_its_road(tree, context.geometry[row], wanted.iloc[row], names, parameters)]
    return defects(
        row=row,
        found=_texts(
            quoted(context.frame, [parameters.column], row),
            _nearest(tree, context.geometry[row], names, parameters.max_m),
        ),
        expected=words(
            f"a road of that name within {parameters.max_m:g} m",
            f"{parameters.max_m:g} m 内有同名道路",
        ),
    )


def _has_its_road(
    tree: shapely.STRtree,
    features: Geometries,
    wanted: pd.Series,
    names: pd.Series,
    parameters: AddressRoadNameParameters,
) -> npt.NDArray[np.bool_]:
    """Return whether a road of the name wanted is near each feature."""
    number, _ = pd.factorize(pd.concat([names, wanted], ignore_index=True))
    of_road, of_feature = number[: len(names)], number[len(names) :]
    low_x, low_y, high_x, high_y = shapely.bounds(features).T
    far = parameters.max_m
    # names are compared before distances: most roads near a feature are not its own
    feature, road = tree.query(shapely.box(low_x - far, low_y - far, high_x + far, high_y + far))
    is_namesake = of_feature[feature] == of_road[road]
    feature, road = feature[is_namesake], road[is_namesake]
    is_near = shapely.dwithin(features[feature], tree.geometries[road], far)
    found = np.zeros(len(features), dtype=bool)
    found[feature[is_near]] = True
    return found


def _nearest(
    tree: shapely.STRtree, features: Geometries, names: pd.Series, max_m: float
) -> npt.NDArray[np.object_]:
    """Return the name of the nearest road of each feature; empty where none is near."""
    nearest = np.full(len(features), "", dtype=object)
    feature, road = _all_nearest(tree, features, max_m)
    name = names.to_numpy(dtype=object)[road]
    # of roads equally near the first by name, so that their order does not matter
    order = np.lexsort([name.astype(str), feature])[::-1]
    nearest[feature[order]] = name[order]
    return nearest


def _all_nearest(
    tree: shapely.STRtree, features: Geometries, max_m: float
) -> tuple[Positions, Positions]:
    if not len(tree.geometries) or not len(features):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    feature, road = tree.query_nearest(features, max_distance=max_m)
    return feature, road


def _texts(quotes: npt.NDArray[np.object_], nearest: npt.NDArray[np.object_]) -> Words:
    is_near = nearest != ""
    en = np.where(is_near, "; the nearest road is " + nearest, "; no road is near")
    zh = np.where(is_near, "；最近道路为 " + nearest, "；附近无道路")
    return Words(quotes + en, quotes + zh)


KIND = RuleKind(
    name="address_road_name",
    number=45,
    group="E across layers",
    measure=iso_measure("65"),
    params=AddressRoadNameParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
