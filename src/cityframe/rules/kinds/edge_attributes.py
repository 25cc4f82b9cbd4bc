"""Features that meet at the border of a district agree in their attributes.

Data of two districts (map sheets, survey areas) are made apart; what is one thing in the field must
have the same attributes on both sides (属性接边). Ends at the border are found as `edge_geometry`
does; two are a pair if each is the nearest end across the other has, no farther than `max_offset_m`
and bent by no more than `max_angle_deg`. A null agrees with a null only.

Both features fail. The place is the line between the ends, a point where they coincide. Ends that
meet none pass; `edge_geometry` finds them.

```yaml
kind: edge_attributes
parameters: {layer: districts, columns: [road_class, name, lanes]}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.seams import SeamParameters, joint, meetings, seam_ends
from cityframe.rules.kind import ANY_TYPE, AREAS, LINES, ColumnNeeds, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class EdgeAttributesParameters(SeamParameters):
    """What `edge_attributes` needs."""

    columns: tuple[Name, ...] = Field(min_length=1, description="attributes that must agree")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that must agree."""
        del layer
        return dict.fromkeys(self.columns, ANY_TYPE)

    def reach_m(self, layer: Layer) -> float:
        """Return how far a finding looks: at what lies near the partner, and at the border."""
        return 2 * self.offset_m(layer) + self.ends_within_m(layer)


def check(context: Context, parameters: EdgeAttributesParameters) -> pd.DataFrame:
    """Return the pairs that differ."""
    ends = seam_ends(context, parameters)
    pairs = meetings(ends, parameters.offset_m(context.layer))
    best = pairs.chosen(pairs.bend_deg <= parameters.max_angle_deg).best()
    partner = np.full(len(ends.row), -1)
    partner[best.one] = best.two
    is_mutual = (partner[best.two] == best.one) & (best.one < best.two)
    one, two = best.one[is_mutual], best.two[is_mutual]
    texts = _differences(context.frame, ends.row[one], ends.row[two], parameters.columns)
    differ = texts != ""
    one, two = one[differ], two[differ]
    return defects(
        row=ends.row[one],
        other_row=np.where(ends.row[one] == ends.row[two], -1, ends.row[two]),
        found=texts[differ],
        expected=words(en="the same on both sides of the border", zh="接边两侧属性一致"),
        geometry=joint(ends, one, two),
    )


def _differences(
    frame: pd.DataFrame, one: Positions, two: Positions, columns: tuple[str, ...]
) -> np.ndarray:
    """Return ``column: value / value`` of the attributes that differ; empty for none."""
    texts = np.full(len(one), "", dtype=object)
    for name in columns:
        code = pd.factorize(frame[name])[0]
        differ = np.flatnonzero(code[one] != code[two])
        shown = frame[name].astype("str").where(frame[name].notna(), "null").to_numpy(dtype=object)
        comma = np.where(texts[differ] == "", "", ", ")
        here, there = shown[one[differ]], shown[two[differ]]
        texts[differ] += comma + f"{name}: " + here + " / " + there
    return texts


KIND = RuleKind(
    name="edge_attributes",
    number=64,
    group="H seams",
    measure=iso_measure("65"),
    params=EdgeAttributesParameters,
    reach="neighbourhood",
    geometry=LINES | AREAS,
    check=check,
    needs_metres=True,
)
