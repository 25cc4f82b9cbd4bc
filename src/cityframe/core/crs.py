"""Coordinate systems: reading and comparing them.

Axis order is that of files and of the web throughout: x is longitude or easting, y is latitude or
northing.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from cityframe.core.chinese_grid import CHINA, ChineseGrid
from cityframe.errors import DeclarationError

AREA_MARGIN_DEG = 1.0
"""How far outside its area of use a coordinate system is still taken as meant, in degrees."""

_WGS84 = "EPSG:4326"
_GREENWICH_DEGREES = (0.0, round(math.radians(1), 12))
_ALIASES = {
    spelling: grid for grid in ChineseGrid for spelling in (grid.value, grid.value.replace("-", ""))
}

Coordinates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Area:
    """Bounds in longitude and latitude, degrees; ``west > east`` crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def contains(
        self, coordinates: Coordinates, margin: float = AREA_MARGIN_DEG
    ) -> npt.NDArray[np.bool_]:
        """Return for each longitude and latitude whether it lies inside; NaN does not."""
        east = self.east + 360 if self.west > self.east else self.east
        lon, lat = coordinates[:, 0], coordinates[:, 1]
        lon = np.where(lon < self.west - margin, lon + 360, lon)
        return np.asarray(
            (lon >= self.west - margin)
            & (lon <= east + margin)
            & (lat >= self.south - margin)
            & (lat <= self.north + margin)
        )

    def __str__(self) -> str:
        return f"longitude {self.west} to {self.east}, latitude {self.south} to {self.north}"


@dataclass(frozen=True)
class CoordinateSystem:
    """A horizontal coordinate system as a declaration names it.

    Attributes
    ----------
    name : str
        The declared text.
    crs : CRS
        Two-dimensional; for a Chinese web map grid WGS 84, which its formulae lead to.
    grid : ChineseGrid or None
        The displaced grid of Chinese web maps that it is.
    heights : tuple of str
        Names and code of the vertical part of a compound or three-dimensional system.
    """

    name: str
    crs: CRS
    grid: ChineseGrid | None = None
    heights: tuple[str, ...] = ()

    @property
    def area(self) -> Area | None:
        """Area of use; None where the system has none."""
        if self.grid is not None:
            return Area(*CHINA)
        bounds = self.crs.area_of_use
        if bounds is None:
            return None
        return Area(bounds.west, bounds.south, bounds.east, bounds.north)

    def lonlat(self, coordinates: Coordinates) -> Coordinates:
        """Return rough longitudes and latitudes in degrees, good to a kilometre, to judge a place.

        Parameters
        ----------
        coordinates : ndarray, n × 2

        Returns
        -------
        ndarray, n × 2
            Not finite where the coordinates have no meaning in this system.
        """
        base = self.crs.geodetic_crs
        if base is None:
            return np.full_like(coordinates, np.nan)
        # the datum does not matter here, so that no operation has to be searched for
        rough = base.to_2d() if meridian_and_unit(base) == _GREENWICH_DEGREES else CRS(_WGS84)
        if is_same_crs(self.crs, rough):
            return coordinates
        to_rough = Transformer.from_crs(self.crs, rough, always_xy=True)
        return np.column_stack(to_rough.transform(coordinates[:, 0], coordinates[:, 1]))


def read_crs(text: str, *, where: str) -> CoordinateSystem:
    """Read a coordinate system from a declaration or a file.

    Parameters
    ----------
    text : str
        Authority code (``EPSG:4547``), WKT, or ``GCJ-02`` or ``BD-09``.

    Raises
    ------
    DeclarationError
        If it is none of these.
    """
    grid = _ALIASES.get(text.strip().upper())
    if grid is not None:
        return CoordinateSystem(name=grid.value, crs=CRS(_WGS84), grid=grid)
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise DeclarationError(
            where=where,
            found=f"coordinate system {text!r} is not known",
            expected="an authority code like EPSG:4547, WKT, GCJ-02 or BD-09",
        ) from error
    return CoordinateSystem(name=text, crs=crs.to_2d(), heights=_height_names(crs))


def _height_names(crs: CRS) -> tuple[str, ...]:
    if crs.is_compound:
        vertical = crs.sub_crs_list[1]
    elif len(crs.axis_info) == 3 and crs.is_geographic:
        vertical = crs
    else:
        return ()
    names = [vertical.name, vertical.datum.name if vertical.datum else ""]
    authority = vertical.to_authority()
    return tuple(name for name in [*names, ":".join(authority or ())] if name)


def is_same_crs(left: CRS, right: CRS) -> bool:
    """Return whether two systems give a place the same x and y.

    Names, axis order, heights and the way of spelling (WKT 1, Esri, PROJ) do not count: the base
    system, the projection with its parameters, and the units and directions of the axes do.
    """
    left, right = without_parameters(left), without_parameters(right)
    if left.equals(right, ignore_axis_order=True):
        return True
    bases = left.geodetic_crs, right.geodetic_crs
    if left.is_projected != right.is_projected or bases[0] is None or bases[1] is None:
        return False
    return (
        bases[0].equals(bases[1], ignore_axis_order=True)
        and _projection(left) == _projection(right)
        and _axes(left) == _axes(right)
    )


def without_parameters(crs: CRS) -> CRS:
    """Return the two-dimensional system inside of one that carries TOWGS84 parameters."""
    while crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    return crs.to_2d()


def _projection(crs: CRS) -> tuple[Any, ...] | None:
    conversion = crs.coordinate_operation
    if conversion is None:
        return None
    parameters = sorted((one.name, _in_si(one)) for one in conversion.params)
    return (conversion.method_code or conversion.method_name, *parameters)


def _in_si(parameter: Any) -> str:
    if isinstance(parameter.value, str):
        return parameter.value
    return f"{parameter.value * parameter.unit_conversion_factor:.9f}"


def _axes(crs: CRS) -> set[tuple[str, float]]:
    return {(axis.direction, axis.unit_conversion_factor) for axis in crs.axis_info}


def describe(system: CoordinateSystem) -> str:
    """Return the code and name of a system for a message: ``EPSG:4326 (WGS 84)``."""
    if system.grid is not None:
        return system.name
    short = system.crs.to_string() if len(system.name) > 40 else system.name
    return f"{short} ({system.crs.name})" if len(short) <= 40 else system.crs.name


def is_same_datum(left: CRS, right: CRS) -> bool:
    """Return whether two systems measure from the same datum."""
    bases = left.geodetic_crs, right.geodetic_crs
    return bases[0] is not None and bases[1] is not None and is_same_crs(bases[0], bases[1])


def meridian_and_unit(base: CRS) -> tuple[float, float]:
    """Return a base system's prime meridian and its unit of angle, both in radians."""
    meridian = base.prime_meridian
    longitude = meridian.longitude * float(meridian.unit_conversion_factor) if meridian else 0.0
    return round(longitude, 12), round(base.axis_info[0].unit_conversion_factor, 12)
