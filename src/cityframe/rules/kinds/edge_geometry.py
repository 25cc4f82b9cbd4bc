"""Features that end at the border of a district go on across it.

Data of two districts (map sheets, survey areas) are made apart and must fit at the seam (接边). A
line that ends at the border of two districts, or an outline of a polygon that leaves the border
there, must meet an end of the other district: no farther than `max_offset_m` (by default 2√2 times
the layer's accuracy: twice the difference that two surveys may show), bent by no more than
`max_angle_deg`, and equal in the attributes `match` (class, name; a null matches a null only).

An end that meets none fails. If a fitting end lies within `search_m`, both features fail and the
place is the line between the ends; else the place is the end. Features without a valid geometry,
and borders with a district on one side only, are passed over.

```yaml
kind: edge_geometry
parameters: {layer: districts, max_offset_m: 0.7, search_m: 5.0, match: [road_class, name]}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.seams import (
    Ends,
    Meetings,
    SeamParameters,
    joint,
    meetings,
    seam_ends,
)
from cityframe.rules.kind import ANY_TYPE, AREAS, LINES, ColumnNeeds, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class EdgeGeometryParameters(SeamParameters):
    """What `edge_geometry` needs."""

    search_m: float | None = Field(
        default=None,
        gt=0,
        description="how far to look for the end that was meant, in metres; without it five times "
        "as far as two ends may lie apart",
    )
    match: tuple[Name, ...] = Field(
        default=(), description="attributes that must be equal on both sides"
    )

    @model_validator(mode="after")
    def _searches_farther(self) -> Self:
        if self.search_m and self.max_offset_m and self.search_m < self.max_offset_m:
            message = "a search_m that is not below max_offset_m"
            raise ValueError(message)
        return self

    def search_within_m(self, layer: Layer) -> float:
        """Return how far to look for the end that was meant, in metres."""
        offset_m = self.offset_m(layer)
        return max(offset_m, 5 * offset_m if self.search_m is None else self.search_m)

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that must be equal."""
        del layer
        return dict.fromkeys(self.match, ANY_TYPE)

    def reach_m(self, layer: Layer) -> float:
        """Return how far a finding looks: at the ends near the end that its end missed."""
        return 2 * self.search_within_m(layer) + self.ends_within_m(layer)


def check(context: Context, parameters: EdgeGeometryParameters) -> pd.DataFrame:
    """Return the ends that meet nothing across the border."""
    ends = seam_ends(context, parameters)
    pairs = meetings(ends, parameters.search_within_m(context.layer))
    pairs = pairs.chosen(pairs.bend_deg <= parameters.max_angle_deg)
    pairs = pairs.chosen(_agree(context.frame, ends, pairs, parameters.match))
    offset_m = parameters.offset_m(context.layer)
    lacks = np.ones(len(ends.row), dtype=bool)
    lacks[pairs.one[pairs.distance_m <= offset_m]] = False
    meant = pairs.chosen(lacks[pairs.one]).best()
    lacks[meant.one] = False
    return pd.concat(
        [_apart(ends, meant, offset_m), _alone(ends.chosen(lacks), offset_m)], ignore_index=True
    )


def _agree(
    frame: pd.DataFrame, ends: Ends, pairs: Meetings, columns: tuple[str, ...]
) -> np.ndarray:
    """Return whether the features of each pair are equal in the attributes."""
    agree = np.ones(len(pairs.one), dtype=bool)
    for column in columns:
        code = pd.factorize(frame[column])[0]
        agree &= code[ends.row[pairs.one]] == code[ends.row[pairs.two]]
    return agree


def _apart(ends: Ends, meant: Meetings, offset_m: float) -> pd.DataFrame:
    """Return the defects of two ends that lie too far apart, each pair once."""
    pair = np.sort(np.stack([meant.one, meant.two]), axis=0)
    _, once = np.unique(pair, axis=1, return_index=True)
    one, two = pair[:, once]
    return defects(
        row=ends.row[one],
        other_row=np.where(ends.row[one] == ends.row[two], -1, ends.row[two]),
        found=words(
            en="{distance:.3f} m apart at the border",
            zh="接边处相差 {distance:.3f} m",
            distance=meant.distance_m[once],
        ),
        expected=_expected(offset_m),
        geometry=joint(ends, one, two),
    )


def _alone(ends: Ends, offset_m: float) -> pd.DataFrame:
    return defects(
        row=ends.row,
        found=words(en="nothing across the border", zh="接边处无对应要素"),
        expected=_expected(offset_m),
        geometry=np.asarray(shapely.points(ends.xy), dtype=object),
    )


def _expected(offset_m: float) -> Words:
    return words(en=f"met within {offset_m:.3f} m", zh=f"接边差不大于 {offset_m:.3f} m")


KIND = RuleKind(
    name="edge_geometry",
    number=63,
    group="H seams",
    measure=iso_measure("23"),
    params=EdgeGeometryParameters,
    reach="neighbourhood",
    geometry=LINES | AREAS,
    check=check,
    needs_metres=True,
)
