"""The layer has what a reference layer has: nothing more, nothing less.

With `column` features and reference are compared by that key. Else by place: a feature is in
excess (多余) if its middle lies farther than `within_m` from all features of the reference, and a
feature of the reference is missing (遗漏) if its middle lies so from all features of the layer. The
middle is a point itself, the middle of a line's longest part, a point on the surface of a polygon.

Nothing is paired one to one: a thing that stands twice is a duplicate, not excess. Null keys, and
null and invalid geometries, are passed over on both sides. An excess is a finding on its feature; a
missing thing is one for the layer that names the feature of the reference and stands at its place.

```yaml
kind: excess_and_missing
parameters: {layer: field_survey, within_m: 2.0}
```
"""

from typing import Literal, Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.core.frames import key_text
from cityframe.model.layer import Layer
from cityframe.rules.context import (
    Context,
    Geometries,
    Positions,
    feature_ids,
    geometries,
    usable_geometries,
)
from cityframe.rules.defects import defects
from cityframe.rules.geometry.control_points import KEYS
from cityframe.rules.geometry.middles import middles
from cityframe.rules.kind import (
    SPATIAL,
    ColumnNeeds,
    OtherLayer,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class ExcessAndMissingParameters(Parameters):
    """What `excess_and_missing` needs."""

    layer: Name = Field(description="the reference")
    column: Name | None = Field(default=None, description="attribute with the key")
    layer_column: Name | None = Field(
        default=None, description="its name in the reference, if another"
    )
    within_m: float | None = Field(
        default=None, ge=0, description="farthest that the two may lie apart, in metres"
    )
    look_for: tuple[Literal["excess", "missing"], ...] = Field(
        default=("excess", "missing"), min_length=1, description="`excess`, `missing` or both"
    )

    @model_validator(mode="after")
    def _compares_somehow(self) -> Self:
        if (self.column is None) == (self.within_m is None):
            message = "either column or within_m, to compare with the reference"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute with the key."""
        del layer
        return {} if self.column is None else {self.column: KEYS}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the reference."""
        if self.column is None:
            return (OtherLayer(self.layer, geometry=SPATIAL),)
        return (OtherLayer(self.layer, {self.layer_column or self.column: KEYS}),)


def check(context: Context, parameters: ExcessAndMissingParameters) -> pd.DataFrame:
    """Return the features in excess and the things that are missing."""
    frame = context.other(parameters.layer)
    if parameters.column is None:
        theirs = usable_geometries(frame)
        within_m = parameters.within_m or 0.0
        excess = _unmet(context.usable_geometry, shapely.STRtree(theirs), within_m)
        missing = _unmet(theirs, context.tree, within_m)
    else:
        own = key_text(context.frame, (parameters.column,))
        other = key_text(frame, (parameters.layer_column or parameters.column,))
        excess = np.flatnonzero((own.notna() & ~own.isin(other)).to_numpy())
        missing = np.flatnonzero((other.notna() & ~other.isin(own)).to_numpy())
    if "excess" not in parameters.look_for:
        excess = excess[:0]
    if "missing" not in parameters.look_for:
        missing = missing[:0]
    return pd.concat(
        [
            defects(
                row=excess,
                found=words(en="in excess", zh="多余要素"),
                expected=words(
                    en=f"a feature of {parameters.layer}", zh=f"{parameters.layer} 中有对应要素"
                ),
            ),
            defects(
                row=np.full(len(missing), -1),
                other=feature_ids(frame)[missing],
                found=words(
                    en=f"a feature of {parameters.layer} is missing",
                    zh=f"遗漏 {parameters.layer} 中的要素",
                ),
                expected=words(en="a feature", zh="有对应要素"),
                geometry=geometries(frame)[missing],
            ),
        ],
        ignore_index=True,
    )


def _unmet(geometry: Geometries, tree: shapely.STRtree, within_m: float) -> Positions:
    """Return the positions of the geometries whose middle lies far from all in the tree."""
    met, _ = tree.query(middles(geometry), predicate="dwithin", distance=within_m)
    is_unmet = ~shapely.is_missing(geometry)
    is_unmet[met] = False
    return np.flatnonzero(is_unmet)


KIND = RuleKind(
    name="excess_and_missing",
    number=65,
    group="I completeness",
    measure=iso_measure("6"),
    params=ExcessAndMissingParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
