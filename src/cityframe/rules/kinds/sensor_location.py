"""A sensor stands where it can: on Earth, inside the area, and it does not jump.

The position fails if it has no longitude and latitude, or lies outside ``bounds`` (in the layer's
CRS; without them, outside the area that the CRS is made for). In a layer of observations
(``stream``, ``time``), the position of one is suspect if it lies more than ``max_move_m`` from that
of the observation before. It is the location test of the QARTOD manuals (test 3), and so are the
flags: 1 good, 3 suspect, 4 fail, 9 missing. Null and empty geometries pass; so does a position on
the border of the bounds.

In a layer of observations a finding is a run of such positions of one stream, one after the other,
and stands on the first; in a layer of sensors (``stream`` alone) it is one a sensor.

```yaml
kind: sensor_location
parameters: {stream: stream, bounds: [490000, 3380000, 560000, 3450000]}
```
"""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field, model_validator
from pyproj import Geod

from cityframe.core.crs import CoordinateSystem, read_crs
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import POINTS, Need, RuleKind
from cityframe.rules.observed.qartod import (
    FAIL,
    GOOD,
    MISSING,
    SUSPECT,
    Flags,
    qartod_measure,
    qartod_tests,
)
from cityframe.rules.observed.runs import runs, spans
from cityframe.rules.observed.series import Series, StreamParameters, Values, series_of
from cityframe.rules.words import Words, words

_EARTH = Geod(ellps="WGS84")


class SensorLocationParameters(StreamParameters):
    """What `sensor_location` needs."""

    bounds: tuple[float, float, float, float] | None = Field(
        default=None,
        description="least x and y, greatest x and y of a position, in the layer's CRS; null for "
        "the area that the CRS is made for",
    )
    max_move_m: float | None = Field(
        default=None,
        gt=0,
        description="farthest that a position may lie from that of the observation before, metres",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.bounds and (self.bounds[0] >= self.bounds[2] or self.bounds[1] >= self.bounds[3]):
            message = "bounds as least x, least y, greatest x, greatest y"
            raise ValueError(message)
        if self.max_move_m is not None and self.time is None:
            message = "time together with max_move_m: only observations move"
            raise ValueError(message)
        return self

    def needed_context(self) -> tuple[Need, ...]:
        """Return nothing: observations of a feed have no place of their own."""
        return ()


def flags(context: Context, parameters: SensorLocationParameters) -> Flags:
    """Return the flag of the position of each row, by itself."""
    xy = _positions(context)
    system = read_crs(context.layer.crs, where=context.layer.name)
    lonlat = system.lonlat(xy)
    is_inside = _is_inside(system, xy, lonlat, parameters)
    is_finite = np.isfinite(lonlat).all(axis=1)
    flagged = np.full(len(xy), FAIL, dtype=np.uint8)
    on_earth = qartod_tests().location_test(*lonlat[is_finite].T)
    flagged[is_finite] = np.where(is_inside[is_finite], np.ma.filled(on_earth, FAIL), FAIL)
    flagged[shapely.is_missing(context.geometry) | shapely.is_empty(context.geometry)] = MISSING
    return flagged


def _is_inside(
    system: CoordinateSystem, xy: Values, lonlat: Values, parameters: SensorLocationParameters
) -> npt.NDArray[np.bool_]:
    if parameters.bounds is not None:
        low, high = np.split(np.array(parameters.bounds), 2)
        inside: npt.NDArray[np.bool_] = np.all((xy >= low) & (xy <= high), axis=1)
        return inside
    return np.ones(len(xy), dtype=bool) if system.area is None else system.area.contains(lonlat)


def move_flags(series: Series, lonlat: Values, parameters: SensorLocationParameters) -> Flags:
    """Return the flag of each observation's position by the distance from the one before.

    Parameters
    ----------
    lonlat : n × 2
        Longitudes and latitudes in degrees.
    """
    flagged = np.full(len(series.time), GOOD, dtype=np.uint8)
    if parameters.max_move_m is None or len(flagged) < 2:
        return flagged
    before, after = lonlat[:-1], lonlat[1:]
    moves = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1) & ~series.starts[1:]
    distance_m = np.zeros(len(moves))
    _, _, distance_m[moves] = _EARTH.inv(*before[moves].T, *after[moves].T)
    flagged[1:][distance_m > parameters.max_move_m] = SUSPECT
    return flagged


def _positions(context: Context) -> Values:
    """Return x and y of each row, n × 2; of several points the first; NaN for none."""
    xy = np.full((len(context.frame), 2), np.nan)
    found, row = shapely.get_coordinates(context.geometry, return_index=True)
    rows, first = np.unique(row, return_index=True)
    xy[rows] = found[first]
    return xy


def check(context: Context, parameters: SensorLocationParameters) -> pd.DataFrame:
    """Return the sensors, or the runs of observations, in places where they can't be."""
    flagged = flags(context, parameters)
    if parameters.time is None:
        row = np.flatnonzero((flagged >= SUSPECT) & (flagged <= FAIL))
        return defects(
            row=row,
            found=words(
                "{stream} at {place}, flag 4",
                "{stream} 位于 {place}，标志 4",
                stream=context.frame[parameters.stream].iloc[row].to_numpy(object),
                place=_places(context, row),
            ),
            expected=_expected(context, parameters),
        )
    series = series_of(context, parameters)
    lonlat = read_crs(context.layer.crs, where=context.layer.name).lonlat(_positions(context))
    own = flagged[series.row]
    moved = move_flags(series, lonlat[series.row], parameters)
    found = runs(series, np.where(own == GOOD, moved, own), parameters.from_flag)
    span = spans(series.time[found.first], series.time[found.last])
    return defects(
        row=series.row[found.first],
        found=words(
            "{stream}, {when}: {count} position(s), flag {flag}, the first at {place}",
            "{stream}，{when_zh}：{count} 个位置，标志 {flag}，首个位于 {place}",
            stream=series.names[series.stream[found.first]],
            when=span.en,
            when_zh=span.zh,
            count=found.count,
            flag=found.flag,
            place=_places(context, series.row[found.first]),
        ),
        expected=_expected(context, parameters),
    )


def _places(context: Context, row: Positions) -> list[str]:
    return [f"({x:.10g}, {y:.10g})" for x, y in _positions(context)[row].tolist()]


def _expected(context: Context, parameters: SensorLocationParameters) -> Words:
    if parameters.bounds is None:
        area = read_crs(context.layer.crs, where=context.layer.name).area
        english, chinese = f"inside {area}", f"在坐标系适用范围内（{area}）"
    else:
        inside = "x {:.10g} to {:.10g}, y {:.10g} to {:.10g}".format(
            *np.array(parameters.bounds)[[0, 2, 1, 3]]
        )
        english, chinese = f"inside {inside}", f"在 {inside} 范围内"
    if parameters.max_move_m is None:
        return Words(english, chinese)
    limit = f"{parameters.max_move_m:g} m"
    return Words(f"{english}, moved by at most {limit}", f"{chinese}，移动不超过 {limit}")


KIND = RuleKind(
    name="sensor_location",
    number=80,
    group="K sensors",
    measure=qartod_measure("3", "location test"),
    params=SensorLocationParameters,
    reach="layer",
    geometry=POINTS,
    check=check,
)
