"""A delivery states the coordinate system that was agreed, and its coordinates look like it.

Each table with coordinates states one of the systems `allowed`; where the file says nothing, the
source's declaration counts, unless `must_state`. Systems are compared by what they do to x and y,
not by name. The middle half of the coordinates lies in the area of use of that system, in its unit
and with easting before northing; if not, the finding says what they look like: exchanged axes,
degrees, kilometres or millimetres instead of metres, or eastings with or without the number of
their zone. Single features out of place are for `finite_extent`.

One finding for the layer names tables and systems; the place is the extent of what was delivered.
The kind looks at deliveries only.

```yaml
kind: declared_crs
parameters: {allowed: ["EPSG:4547"], must_state: true}
```
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, field_validator

from cityframe.core.crs import CoordinateSystem, describe, is_same_crs, read_crs
from cityframe.errors import DeclarationError
from cityframe.model.finding import Scope
from cityframe.rules.context import Context, Received, ReceivedTable
from cityframe.rules.deliveries import stated
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words

_ZONE_M = 1_000_000.0
"""Eastings with the number of their zone in front have it at the place of the millions."""
_WHOLE_CIRCLE = np.array([180.0, 90.0])

Corners = npt.NDArray[np.float64]


class DeclaredCrsParameters(Parameters):
    """What `declared_crs` needs."""

    allowed: tuple[str, ...] = Field(
        min_length=1, description="coordinate systems allowed, as authority codes"
    )
    must_state: bool = Field(default=False, description="whether each file must state its system")

    @field_validator("allowed")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                read_crs(text, where="allowed")
            except DeclarationError as error:
                message = f"authority codes like EPSG:4547, GCJ-02 or BD-09; {text!r} is none"
                raise ValueError(message) from error
        return value


def check(context: Context, parameters: DeclaredCrsParameters) -> pd.DataFrame:
    """Return one defect if a table states another system or does not look like its own."""
    received = context.delivered()
    allowed = [read_crs(text, where=context.layer.name) for text in parameters.allowed]
    found = [
        one
        for table in received.tables
        if table.has_geometry
        for one in _of_table(table, received, allowed, must_state=parameters.must_state)
    ]
    names = ", ".join(describe(one) for one in allowed)
    return stated(context, found, Words(names, names))


def _of_table(
    table: ReceivedTable, received: Received, allowed: list[CoordinateSystem], *, must_state: bool
) -> Iterator[Words]:
    place, text = table.place, table.crs or received.crs
    if must_state and not table.crs:
        yield Words(f"{place}: states no CRS", f"{place}：文件未声明坐标系")
    if not text:
        yield Words(f"{place}: no CRS", f"{place}：坐标系未知")
        return
    try:
        system = read_crs(text, where=place)
    except DeclarationError:
        yield Words(f"{place}: unknown CRS {text}", f"{place}：无法识别的坐标系 {text}")
        return
    if not any(_is_same(system, one) for one in allowed):
        name = describe(system)
        yield Words(f"{place}: CRS {name}", f"{place}：坐标系为 {name}")
    if table.central_bounds is not None:
        look = _look(np.reshape(table.central_bounds, (2, 2)), system)
        if look is not None:
            yield Words(f"{place}: {look.en}", f"{place}：{look.zh}")


def _is_same(one: CoordinateSystem, other: CoordinateSystem) -> bool:
    return one.grid == other.grid and is_same_crs(one.crs, other.crs)


def _look(corners: Corners, system: CoordinateSystem) -> Words | None:
    """Return what coordinates look like that do not lie where their system is meant for."""
    if _is_inside(corners, system):
        return None
    zone, own_zone = (
        np.array([np.floor(easting / _ZONE_M) * _ZONE_M, 0.0])
        for easting in (corners[0, 0], _false_easting(system))
    )
    exchanged = corners[:, ::-1], "axes look exchanged", "坐标轴疑似互换"
    as_metres = [
        exchanged,
        (corners * 1000, "coordinates look like kilometres", "坐标单位疑似千米"),
        (corners / 1000, "coordinates look like millimetres", "坐标单位疑似毫米"),
        (corners - zone, "eastings carry a zone number", "横坐标疑似带有带号"),
        (corners + own_zone, "eastings lack their zone number", "横坐标疑似缺少带号"),
    ]
    if system.crs.is_projected and (np.abs(corners) <= _WHOLE_CIRCLE).all():
        return Words("coordinates look like degrees", "坐标单位疑似度")
    for changed, en, zh in as_metres if system.crs.is_projected else [exchanged]:
        if _is_inside(changed, system):
            return Words(en, zh)
    x, y = corners.mean(axis=0)
    return Words(
        f"coordinates around {x:.10g}, {y:.10g} lie outside the area of use",
        f"坐标（{x:.10g}，{y:.10g}）附近超出坐标系适用范围",
    )


def _is_inside(corners: Corners, system: CoordinateSystem) -> bool:
    if system.area is None:
        return True
    lonlat = system.lonlat(corners)
    return bool(np.isfinite(lonlat).all() and system.area.contains(lonlat).all())


def _false_easting(system: CoordinateSystem) -> float:
    conversion = system.crs.coordinate_operation
    parameters = [] if conversion is None else conversion.params
    values = [one.value for one in parameters if one.name == "False easting"]
    return float(values[0]) if values else 0.0


KIND = RuleKind(
    name="declared_crs",
    number=4,
    group="A schema",
    measure=iso_measure("10"),
    params=DeclaredCrsParameters,
    reach="layer",
    check=check,
    scopes=frozenset({Scope.DELIVERY}),
    needs=("received",),
)
