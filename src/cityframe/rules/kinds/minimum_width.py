"""No part of a polygon is narrower than a width, and no neck either.

The polygon is shrunk by half the width and grown again (morphological opening with mitred
corners); what does not come back is narrow. Corners come back, so that a wide wedge is not narrow
at its tip unless that is sharper than about 1°. Besides, a reflex vertex or a corner of a hole
faces another place of the outline over the inside at no less than the width. Measured to a
ten-thousandth: a strip of exactly `min_width_m` passes. Parts of a multi-part polygon count each
for itself. Null, empty and invalid geometries pass. The place is the narrow part; of a neck it is
the line across, drawn a tenth of its length broad.

```yaml
kind: minimum_width
parameters: {min_width_m: 1.0}
```

How: when nothing is narrow, the shrunk polygon has the area that follows from the sides and
corners alone, A - r P + r² Σ tan(φ/2) over the turning angles φ (Steiner's formula with mitred
corners); only polygons with another area are grown again and compared.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context, Geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.necks import necks
from cityframe.rules.geometry.polygon_parts import polygon_parts
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

_JUST_LESS = 1 - 1e-4
"""Share of the width that is asked for, so that the width itself passes."""
_GROWN_MORE = 1.01
"""Grown by a hundredth more than shrunk: GEOS simplifies outlines by up to that share."""
_MITRE_LIMIT = 100.0
_NOISE = 1e-9
"""Share of area and of perimeter times radius that counts as equal area."""

_CHUNK = 100_000


class MinimumWidthParameters(Parameters):
    """What `minimum_width` needs."""

    min_width_m: float = Field(gt=0, description="narrowest part allowed, in metres")


def check(context: Context, parameters: MinimumWidthParameters) -> pd.DataFrame:
    """Return the narrow parts of polygons."""
    parts, row = polygon_parts(context.geometry)
    radius = parameters.min_width_m * _JUST_LESS / 2
    is_regular = np.zeros(len(parts), dtype=bool)
    with np.errstate(invalid="ignore"):  # coordinates that are no numbers are invalid
        shrunk = _grown(parts, -radius)
        for start in range(0, len(parts), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            is_regular[chunk] = _is_regular(parts[chunk], shrunk[chunk], radius)
    suspect = np.flatnonzero(~is_regular)
    suspect = suspect[shapely.is_valid(context.geometry[row[suspect]])]
    opened = _grown(shrunk[suspect], radius * _GROWN_MORE)
    rest = shapely.difference(parts[suspect], opened)
    narrow, part = shapely.get_parts(rest, return_index=True)
    is_place = shapely.area(narrow) > 0
    narrow, part = narrow[is_place], part[is_place]
    width_m = 2 * shapely.length(shapely.maximum_inscribed_circle(narrow))
    lines, of = necks(parts[suspect], 2 * radius)
    is_new = ~shapely.dwithin(lines, rest[of], radius / 10)
    lines, of = lines[is_new], of[is_new]
    length_m = shapely.length(lines)
    return defects(
        row=row[suspect[np.concatenate([part, of])]],
        found=words(
            "a part {width:.2f} m wide",
            "狭窄部位宽 {width:.2f} m",
            width=np.concatenate([width_m, length_m]),
        ),
        expected=words(
            f"at least {parameters.min_width_m:g} m", f"宽度不小于 {parameters.min_width_m:g} m"
        ),
        geometry=[*narrow, *shapely.buffer(lines, length_m / 20, cap_style="flat")],
    )


def _grown(parts: Geometries, distance_m: float) -> Geometries:
    grown = shapely.buffer(parts, distance_m, join_style="mitre", mitre_limit=_MITRE_LIMIT)
    return np.asarray(grown, dtype=object)


def _is_regular(parts: Geometries, shrunk: Geometries, radius: float) -> npt.NDArray[np.bool_]:
    """Return whether each polygon was shrunk without losing a side or being parted."""
    area, perimeter = shapely.area(parts), shapely.length(parts)
    regular = area - radius * perimeter + radius**2 * _corners(parts)
    tolerance = _NOISE * area + _area_noise(parts, perimeter) + _NOISE * radius * perimeter
    return np.asarray(np.abs(shapely.area(shrunk) - regular) <= tolerance)


def _area_noise(parts: Geometries, perimeter: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what the last digit of the coordinates makes of each area."""
    largest = np.nan_to_num(np.abs(shapely.bounds(parts)).max(axis=1), posinf=0.0)
    return np.asarray(4 * np.finfo(np.float64).eps * perimeter * largest)


def _corners(parts: Geometries) -> npt.NDArray[np.float64]:
    """Return Σ tan(φ/2) over the turning angles of each polygon's rings, positive to the inside."""
    rings, part = shapely.get_rings(parts, return_index=True)
    is_outer = np.ones(len(rings), dtype=bool)
    is_outer[1:] = part[1:] != part[:-1]
    towards = np.where(shapely.is_ccw(rings) == is_outer, 1.0, -1.0)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    total = np.zeros(len(parts))
    if not len(xy):
        return total
    step = np.diff(xy, axis=0)
    is_side = ring[1:] == ring[:-1]
    step, side_ring = step[is_side], ring[1:][is_side]
    step_length = np.hypot(step[:, 0], step[:, 1])
    is_long = step_length > 0
    step, side_ring = step[is_long] / step_length[is_long, None], side_ring[is_long]
    after = np.arange(1, len(step) + 1)
    is_last = np.ones(len(step), dtype=bool)
    is_last[:-1] = side_ring[1:] != side_ring[:-1]
    first = np.flatnonzero(np.concatenate([[True], is_last[:-1]]))
    after[is_last] = first
    other = step[after]
    cross = step[:, 0] * other[:, 1] - step[:, 1] * other[:, 0]
    dot = (step * other).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a side that turns back: no regular one
        half = towards[side_ring] * cross / (1 + dot)  # tan(φ/2) = sin φ / (1 + cos φ)
    total[:] = np.bincount(part[side_ring], half, minlength=len(parts))
    return total


KIND = RuleKind(
    name="minimum_width",
    number=27,
    group="C geometry",
    measure=iso_measure("10"),
    params=MinimumWidthParameters,
    reach="feature",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
