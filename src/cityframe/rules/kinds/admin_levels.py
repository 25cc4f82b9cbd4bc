"""Administrative levels nest and sum: the units of a level make up the units above, exactly.

The rule stands on the lower level; `parent` holds the code of the unit above, which is found by
`layer_column` in `layer`. Checked are

* nesting: a unit sticks out of the unit above by no more than `tolerance_m`;
* completeness: the units of a unit above leave nothing of it open, but for what lies within
  `tolerance_m` of them;
* sums: each attribute of `sums`, present in both layers, adds up to that of the unit above, to
  `max_difference`. A null on either side leaves the sum unknown, and it passes.

That units overlap is for `overlaps` to find, that a code leads nowhere for `foreign_key`. Units
above with one code count as one. A finding stands on the unit that sticks out, else on the first
unit of the unit above, and names that; where a unit above has none it is about the layer. The place
is the part outside or open, for sums the unit above. Null and invalid geometries pass. Reach: the
whole layer.

```yaml
kind: admin_levels
parameters: {parent: county_code, layer: counties, layer_column: code, sums: [population]}
```
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import (
    Context,
    Geometries,
    Positions,
    feature_ids,
    usable_geometries,
)
from cityframe.rules.defects import defects
from cityframe.rules.geometry.sizes import sized
from cityframe.rules.kind import (
    ANY_TYPE,
    AREAS,
    NUMBERS,
    ColumnNeeds,
    OtherLayer,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class AdminLevelsParameters(Parameters):
    """What `admin_levels` needs."""

    parent: Name = Field(description="attribute with the code of the unit above")
    layer: Name = Field(description="layer of the units above")
    layer_column: Name = Field(description="attribute with their codes")
    tolerance_m: float = Field(
        default=0.001, gt=0, description="how far borders may part, in metres"
    )
    sums: tuple[Name, ...] = Field(default=(), description="attributes that add up")
    max_difference: float = Field(
        default=0.0, ge=0, description="difference allowed of a sum, in the attribute's unit"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the code of the unit above and the attributes that add up."""
        del layer
        return {self.parent: ANY_TYPE, **dict.fromkeys(self.sums, NUMBERS)}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the units above."""
        columns = {self.layer_column: ANY_TYPE, **dict.fromkeys(self.sums, NUMBERS)}
        return (OtherLayer(self.layer, columns=columns, geometry=AREAS),)


@dataclass(frozen=True)
class _Above:
    """The units above, one a code.

    ``number`` is the unit above of each row of the layer, -1 for none; ``first`` the first row of
    each unit above, -1 for none.
    """

    frame: pd.DataFrame
    of_frame: Positions
    number: Positions
    first: Positions
    names: npt.NDArray[np.object_]
    shapes: Geometries


def check(context: Context, parameters: AdminLevelsParameters) -> pd.DataFrame:
    """Return the units that stick out, and the units above that are not made up by theirs."""
    above = _above(context, parameters)
    parts = [
        _sticking_out(context, above, parameters),
        _left_open(context, above, parameters),
        *_wrong_sums(context, above, parameters),
    ]
    return _one_a_pair(pd.concat(parts, ignore_index=True))


def _above(context: Context, parameters: AdminLevelsParameters) -> _Above:
    frame = context.other(parameters.layer).reset_index(drop=True)
    codes = pd.Index(frame[parameters.layer_column].dropna().unique())
    of_frame = codes.get_indexer(pd.Index(frame[parameters.layer_column]))
    number = codes.get_indexer(pd.Index(context.frame[parameters.parent]))
    first = np.full(len(codes), -1)
    known = np.flatnonzero(number >= 0)[::-1]
    first[number[known]] = known
    names = pd.Series(feature_ids(frame)).groupby(of_frame).agg(",".join)
    shapes = _united(usable_geometries(frame), of_frame, len(codes))
    return _Above(
        frame, of_frame, number, first, names.reindex(range(len(codes))).to_numpy(object), shapes
    )


def _united(
    geometry: Geometries,
    number: Positions,
    size: int,
    unite: Callable[..., Any] = shapely.unary_union,
) -> Geometries:
    """Return the union of the geometries of each number; None where it has none."""
    united = np.full(size, None, dtype=object)
    there = np.flatnonzero(~shapely.is_missing(geometry) & (number >= 0))
    there = there[np.argsort(number[there], kind="stable")]
    if len(there):
        found, index = np.unique(number[there], return_inverse=True)
        together = np.asarray(
            shapely.geometrycollections(geometry[there], indices=index), dtype=object
        )
        united[found] = unite(together[:, np.newaxis], axis=1)
    return united


def _sticking_out(
    context: Context, above: _Above, parameters: AdminLevelsParameters
) -> pd.DataFrame:
    unit, row = context.tree.query(above.shapes, predicate="covers")
    nested = row[above.number[row] == unit]
    row = np.setdiff1d(context.usable[above.number[context.usable] >= 0], nested)
    unit = above.number[row]
    place = _beyond(context.geometry[row], above.shapes, unit, parameters.tolerance_m)
    out = ~shapely.is_missing(place)
    row, unit, place = row[out], unit[out], place[out]
    found = sized("{size} outside the unit above", "{size} 超出上级单位", place)
    expected = words("inside the unit above", "位于上级单位之内")
    return _table(row, above.names[unit], found, expected, place)


def _left_open(context: Context, above: _Above, parameters: AdminLevelsParameters) -> pd.DataFrame:
    made = _made_up(context, above)
    unit = np.flatnonzero(~shapely.is_missing(above.shapes))
    place = _beyond(above.shapes[unit], made, unit, parameters.tolerance_m)
    is_open = ~shapely.is_missing(place)
    unit, place = unit[is_open], place[is_open]
    found = sized("{size} of the unit above left open", "上级单位有 {size} 未被覆盖", place)
    expected = words("units that make up the unit above", "下级单位完整覆盖上级单位")
    return _table(above.first[unit], above.names[unit], found, expected, place)


def _made_up(context: Context, above: _Above) -> Geometries:
    """Return the union of the units of each unit above; an empty one where it has none."""
    geometry, size = context.usable_geometry, len(above.first)
    is_broken = np.zeros(len(geometry), dtype=bool)
    is_broken[context.usable[context.breaks_coverage]] = True
    # the units of a unit above are united as a coverage, many times faster, if all fit together
    is_slow = np.isin(above.number, above.number[is_broken])
    made = _united(geometry, np.where(is_slow, -1, above.number), size, shapely.coverage_union_all)
    slow = _united(geometry, np.where(is_slow, above.number, -1), size)
    made = np.where(shapely.is_missing(made), slow, made)
    made[shapely.is_missing(made)] = shapely.Polygon()
    return made


def _beyond(
    geometry: Geometries, within: Geometries, number: Positions, tolerance_m: float
) -> Geometries:
    """Return what of each geometry lies outside ``within[number]``; None for no more than noise."""
    needed = np.unique(number)
    wider = np.full(len(within), None, dtype=object)
    wider[needed] = shapely.buffer(within[needed], tolerance_m)
    beyond = np.asarray(shapely.difference(geometry, within[number]), dtype=object)
    rest = shapely.difference(beyond, wider[number])
    beyond[shapely.is_empty(rest) | shapely.is_missing(rest)] = None
    return beyond


def _wrong_sums(
    context: Context, above: _Above, parameters: AdminLevelsParameters
) -> Iterator[pd.DataFrame]:
    for name in parameters.sums:
        below = _sums(context.frame[name], above.number, len(above.first))
        given = _sums(above.frame[name], above.of_frame, len(above.first))
        # beside the rounding of a long sum
        limit = parameters.max_difference + 1e-9 * np.abs(given)
        unit = np.flatnonzero(np.abs(below - given) > limit)
        found = words(
            f"{name} of the units adds up to {{below:g}}",
            f"下级单位 {name} 合计为 {{below:g}}",
            below=below[unit],
        )
        expected = words(f"{name} = {{given:g}}", f"{name} = {{given:g}}", given=given[unit])
        yield _table(above.first[unit], above.names[unit], found, expected, above.shapes[unit])


def _sums(column: pd.Series, number: Positions, size: int) -> npt.NDArray[np.float64]:
    """Return the sum of each number's values; NaN with a null among them or without any."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    is_known = number >= 0
    sums: npt.NDArray[np.float64] = np.bincount(
        number[is_known], weights=values[is_known], minlength=size
    ).astype(np.float64)
    sums[np.bincount(number[is_known], minlength=size) == 0] = np.nan
    return sums


def _table(
    row: Positions,
    other: npt.NDArray[np.object_],
    found: Words,
    expected: Words,
    geometry: Geometries,
) -> pd.DataFrame:
    return defects(row=row, other=other, found=found, expected=expected, geometry=geometry)


def _one_a_pair(table: pd.DataFrame) -> pd.DataFrame:
    """Return one defect a unit and unit above, which tells all that is wrong between them."""
    if table.empty:
        return table
    pairs = table.groupby(["row", "other"], sort=True)
    number = np.asarray(pairs.ngroup(), dtype=np.int64)
    joined = dict.fromkeys(["found", "expected"], "; ".join)
    joined |= dict.fromkeys(["found_zh", "expected_zh"], "；".join)
    texts = pairs.agg(joined).reset_index()
    return defects(
        row=texts["row"],
        other=texts["other"],
        found=Words(texts["found"], texts["found_zh"]),
        expected=Words(texts["expected"], texts["expected_zh"]),
        geometry=_collected(table["geometry"].to_numpy(), number, len(texts)),
    )


def _collected(geometry: Geometries, number: Positions, size: int) -> Geometries:
    collected = np.full(size, None, dtype=object)
    is_there = ~shapely.is_missing(geometry)
    if is_there.any():
        order = np.flatnonzero(is_there)[np.argsort(number[is_there], kind="stable")]
        found, index = np.unique(number[order], return_inverse=True)
        collected[found] = shapely.geometrycollections(geometry[order], indices=index)
    return collected


KIND = RuleKind(
    name="admin_levels",
    number=44,
    group="E across layers",
    measure=iso_measure("10"),
    params=AdminLevelsParameters,
    reach="layer",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
