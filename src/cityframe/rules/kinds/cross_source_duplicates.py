"""One thing does not come from two sources as two features.

Compared are the features with those of another `layer`, or, without it, with those of this layer
that have another value of `source_column`. Two features are one thing if they lie within `within_m`
and, with `column`, have names alike: at least `min_similarity`. Names are compared without width,
case, spaces and punctuation; the similarity is twice the characters that both have in one order, as
a share of the characters of both (Ratcliff and Obershelp). A null name is like no other.

Within a layer both features fail; across layers the feature fails, and the finding names the
other. The place is the shortest line between the two; the feature's own where they meet. Null and
invalid geometries pass.

```yaml
kind: cross_source_duplicates
parameters: {layer: pois, within_m: 30.0, column: name, min_similarity: 0.8}
```
"""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.context import Context, Geometries, Positions, feature_ids, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.crowds import require_no_crowd
from cityframe.rules.kind import (
    ANY_TYPE,
    SPATIAL,
    TEXT,
    ColumnNeeds,
    OtherLayer,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.names import folded_names, name_similarity
from cityframe.rules.words import Words, words


class CrossSourceDuplicatesParameters(Parameters):
    """What `cross_source_duplicates` needs."""

    layer: Name | None = Field(default=None, description="the other layer")
    source_column: Name | None = Field(
        default=None, description="attribute with the source, to compare within the layer"
    )
    within_m: float = Field(ge=0, description="farthest that the two may lie apart, in metres")
    column: Name | None = Field(default=None, description="attribute with the name")
    layer_column: Name | None = Field(
        default=None, description="its name in the other layer, if another"
    )
    min_similarity: float = Field(
        default=0.85, gt=0, le=1, description="least similarity of the names, as a share"
    )

    @model_validator(mode="after")
    def _one_other(self) -> Self:
        if (self.layer is None) == (self.source_column is None):
            message = "either layer or source_column, to compare with"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with the name and the source."""
        del layer
        needs: dict[str, frozenset[AttributeType]] = {}
        if self.source_column is not None:
            needs[self.source_column] = ANY_TYPE
        if self.column is not None:
            needs[self.column] = TEXT
        return needs

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the other layer."""
        if self.layer is None:
            return ()
        columns = {} if self.column is None else {self.layer_column or self.column: TEXT}
        return (OtherLayer(self.layer, columns, SPATIAL),)

    def misfit(self, layer: Layer) -> str:
        """Say so if the other layer is this one."""
        return "the other layer is this one; give source_column" if self.layer == layer.name else ""

    def reach_m(self, layer: Layer) -> float:
        """Return the distance within which two features are compared."""
        del layer
        return self.within_m


def check(context: Context, parameters: CrossSourceDuplicatesParameters) -> pd.DataFrame:
    """Return the pairs that are one thing."""
    if parameters.layer is None:
        return _within(context, parameters)
    frame = context.other(parameters.layer)
    theirs = usable_geometries(frame)
    row, other = _near(context.usable_geometry, theirs, parameters.within_m)
    names = _names(context.frame, parameters.column)
    other_names = _names(frame, parameters.layer_column or parameters.column)
    share = _similarity(names, other_names, row, other, parameters.min_similarity)
    alike = share >= parameters.min_similarity
    row, other = row[alike], other[alike]
    return defects(
        row=row,
        other=feature_ids(frame)[other],
        found=_texts(context.geometry[row], theirs[other], share[alike]),
        expected=words(
            en=f"no feature of {parameters.layer} that is the same thing",
            zh=f"{parameters.layer} 中无重复要素",
        ),
        geometry=_places(context.geometry[row], theirs[other]),
    )


def _within(context: Context, parameters: CrossSourceDuplicatesParameters) -> pd.DataFrame:
    """Return the pairs within the layer, each once."""
    source = pd.factorize(context.frame[parameters.source_column])[0]
    geometry = context.usable_geometry
    row, other = _near(geometry, geometry, parameters.within_m)
    compared = (row < other) & (source[row] != source[other])
    compared &= (source[row] >= 0) & (source[other] >= 0)
    row, other = row[compared], other[compared]
    names = _names(context.frame, parameters.column)
    share = _similarity(names, names, row, other, parameters.min_similarity)
    alike = share >= parameters.min_similarity
    row, other = row[alike], other[alike]
    return defects(
        row=row,
        other_row=other,
        found=_texts(geometry[row], geometry[other], share[alike]),
        expected=words(en="one feature for one thing", zh="同一地物仅有一个要素"),
        geometry=_places(geometry[row], geometry[other]),
    )


def _near(one: Geometries, two: Geometries, within_m: float) -> tuple[Positions, Positions]:
    """Return the pairs that lie within the distance, sorted."""
    require_no_crowd(one)
    require_no_crowd(two)
    row, other = shapely.STRtree(two).query(one, predicate="dwithin", distance=within_m)
    order = np.lexsort([other, row])
    return row[order], other[order]


def _names(frame: pd.DataFrame, column: str | None) -> npt.NDArray[np.object_] | None:
    """Return the names as they are compared; None without a column."""
    return None if column is None else folded_names(frame[column], alike=False).to_numpy(object)


def _similarity(
    names: npt.NDArray[np.object_] | None,
    other_names: npt.NDArray[np.object_] | None,
    row: Positions,
    other: Positions,
    least: float,
) -> npt.NDArray[np.float64]:
    """Return how alike the names of each pair are; without names all are one."""
    if names is None or other_names is None:
        return np.ones(len(row))
    known = ~(pd.isna(names)[row] | pd.isna(other_names)[other])
    share = np.zeros(len(row))
    share[known] = name_similarity(names[row[known]], other_names[other[known]], least=least)
    return share


def _texts(one: Geometries, two: Geometries, share: npt.NDArray[np.float64]) -> Words:
    return words(
        en="the same thing {distance:.2f} m away, names {share:.0%} alike",
        zh="{distance:.2f} m 外有同一地物，名称相似度 {share:.0%}",
        distance=shapely.distance(one, two),
        share=share,
    )


def _places(one: Geometries, two: Geometries) -> Geometries:
    """Return the shortest lines; None where the two meet."""
    lines = np.asarray(shapely.shortest_line(one, two), dtype=object)
    lines[shapely.length(lines) == 0] = None
    return lines


KIND = RuleKind(
    name="cross_source_duplicates",
    number=66,
    group="I completeness",
    measure=iso_measure("4"),
    params=CrossSourceDuplicatesParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
