"""Coordinate systems: reading, comparing, and transformations that have a real path.

Axis order here is that of files and of the web: x is longitude or easting, y is latitude or
northing. Only x and y are transformed; a height is carried over as it is, so that it stays in its
vertical datum.

Where the bureau has declared two datums equal, longitude and latitude are carried over as they are.
Else a transformation is refused when PROJ knows no path between the datums ("ballpark"), or none
of known accuracy for the place of the data with the grids that are installed. Note that PROJ 9 has
no path from WGS 84 to CGCS2000: that pair has to be declared.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from pyproj.transformer import AreaOfInterest, TransformerGroup

from cityframe.core.chinese_grid import CHINA, ChineseGrid, to_wgs84
from cityframe.errors import DeclarationError

AREA_MARGIN_DEG = 1.0
"""How far outside its area of use a coordinate system is still taken as meant, in degrees."""

_WGS84 = "EPSG:4326"
_CHUNK = 100_000
_ALIASES = {
    spelling: grid for grid in ChineseGrid for spelling in (grid.value, grid.value.replace("-", ""))
}

Coordinates = npt.NDArray[np.float64]
GeometryArray = npt.NDArray[np.object_]


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
        """Return rough WGS 84 longitudes and latitudes, good to a kilometre, to judge a place by.

        Parameters
        ----------
        coordinates : ndarray, n × 2

        Returns
        -------
        ndarray, n × 2
            Not finite where the coordinates have no meaning in this system.
        """
        if self.grid is not None or is_same_crs(self.crs, CRS(_WGS84)):
            return coordinates
        to_wgs = Transformer.from_crs(self.crs, _WGS84, always_xy=True)
        return np.column_stack(to_wgs.transform(coordinates[:, 0], coordinates[:, 1]))


@dataclass(frozen=True)
class CoordinateOperation:
    """A way from one coordinate system to another.

    Attributes
    ----------
    description : str
        Name of the operation.
    accuracy_m : float
        Accuracy of the change of datum in metres; 0 for the same datum or an assumed equality.
    is_assumed : bool
        Whether the datums are equal by declaration only.
    better : str
        A better operation whose grid is not installed; empty for none.
    """

    description: str
    accuracy_m: float
    is_assumed: bool = False
    better: str = ""
    grid: ChineseGrid | None = None
    transformers: tuple[Transformer, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether coordinates stay as they are."""
        return self.grid is None and not self.transformers

    def __call__(self, coordinates: Coordinates) -> Coordinates:
        """Return transformed coordinates (n × 2); not finite where there is no image."""
        result = coordinates if self.grid is None else to_wgs84(coordinates, self.grid)
        for transformer in self.transformers:
            result = np.column_stack(transformer.transform(result[:, 0], result[:, 1]))
        return result


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
    left, right = _plain(left), _plain(right)
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


def _plain(crs: CRS) -> CRS:
    # the system inside of one that carries TOWGS84 parameters
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


def coordinate_operation(
    source: CoordinateSystem,
    target: CoordinateSystem,
    *,
    area: Area | None,
    equivalent: Sequence[str] = (),
    where: str,
) -> CoordinateOperation:
    """Find the way from one system to another, or refuse.

    Parameters
    ----------
    area : Area or None
        Where the data lies; None if that is not known.
    equivalent : sequence of str
        Systems whose datum is declared equal to that of ``source``.
    where : str
        File and field, for the message.

    Raises
    ------
    DeclarationError
        If the datum of ``target`` is not declared equal and there is no path of known accuracy.
    """
    if is_same_crs(source.crs, target.crs):
        return CoordinateOperation(source.name, 0.0, grid=source.grid)
    if _is_declared_equal(source, target, equivalent, where):
        return CoordinateOperation(
            description=f"{source.name} and {target.name} taken as one datum",
            accuracy_m=0.0,
            is_assumed=True,
            grid=source.grid,
            transformers=_carried_over(source.crs, target.crs, where),
        )
    group = _operations(source.crs, target.crs, area)
    for transformer in group.transformers:
        if transformer.accuracy >= 0 and _covers(transformer, area):
            return CoordinateOperation(
                description=_steps(transformer.description),
                accuracy_m=transformer.accuracy,
                better="" if group.best_available else _better(group),
                grid=source.grid,
                transformers=(transformer,),
            )
    raise _no_path(source, target, group, where)


def _is_declared_equal(
    source: CoordinateSystem, target: CoordinateSystem, equivalent: Sequence[str], where: str
) -> bool:
    if _is_same_datum(source.crs, target.crs):
        return False
    return any(_is_same_datum(read_crs(one, where=where).crs, target.crs) for one in equivalent)


def _carried_over(source: CRS, target: CRS, where: str) -> tuple[Transformer, ...]:
    # source to its longitude and latitude, these taken as the target's, and on to the target
    bases = _plain(source).geodetic_crs, _plain(target).geodetic_crs
    if bases[0] is None or bases[1] is None or _meridian(bases[0]) != _meridian(bases[1]):
        raise DeclarationError(
            where=where,
            found=f"{source.name} and {target.name} count degrees differently",
            expected="datums with one prime meridian and unit in equivalent_crs",
        )
    steps = ((_plain(source), bases[0].to_2d()), (bases[1].to_2d(), _plain(target)))
    return tuple(
        Transformer.from_crs(before, after, always_xy=True)
        for before, after in steps
        if not is_same_crs(before, after)
    )


def _meridian(base: CRS) -> tuple[float, float]:
    meridian = base.prime_meridian
    longitude = meridian.longitude * float(meridian.unit_conversion_factor) if meridian else 0.0
    return longitude, base.axis_info[0].unit_conversion_factor


def _operations(source: CRS, target: CRS, area: Area | None) -> TransformerGroup:
    of_interest = (
        None if area is None else AreaOfInterest(area.west, area.south, area.east, area.north)
    )
    with warnings.catch_warnings():
        # pyproj warns of missing grids; `CoordinateOperation.better` and the refusal name them
        warnings.simplefilter("ignore", UserWarning)
        return TransformerGroup(
            source,
            target,
            always_xy=True,
            area_of_interest=of_interest,
            allow_ballpark=False,
        )


def _covers(transformer: Transformer, area: Area | None) -> bool:
    # within one datum (accuracy 0) a formula holds everywhere; a change of datum has its region
    bounds = transformer.area_of_use
    if area is None or bounds is None or transformer.accuracy == 0:
        return True
    corners = np.array([[area.west, area.south], [area.east, area.north]])
    region = Area(bounds.west, bounds.south, bounds.east, bounds.north)
    return bool(region.contains(corners).all())


def _is_same_datum(left: CRS, right: CRS) -> bool:
    bases = left.geodetic_crs, right.geodetic_crs
    return bases[0] is not None and bases[1] is not None and is_same_crs(bases[0], bases[1])


def _steps(description: str) -> str:
    steps = [one for one in description.split(" + ") if not one.startswith("axis order change")]
    return " + ".join(steps)


def _better(group: TransformerGroup) -> str:
    operation = group.unavailable_operations[0]
    grids = ", ".join(grid.short_name for grid in operation.grids)
    return f"{operation.name}, accuracy {operation.accuracy:g} m, grid {grids}"


def _no_path(
    source: CoordinateSystem, target: CoordinateSystem, group: TransformerGroup, where: str
) -> DeclarationError:
    base = target.crs.geodetic_crs
    code = base.to_string() if base is not None else target.name
    remedy = f"list {code} in equivalent_crs if the bureau takes the two datums as equal"
    if group.unavailable_operations:
        remedy = f"install the grid of: {_better(group)}; or {remedy}"
    return DeclarationError(
        where=where,
        found=f"no transformation of known accuracy from {describe(source)} to {describe(target)}",
        expected="a path between the datums that PROJ knows for the place of the data",
        remedy=remedy,
    )


def describe(system: CoordinateSystem) -> str:
    """Return the code and name of a system for a message: ``EPSG:4326 (WGS 84)``."""
    if system.grid is not None:
        return system.name
    short = system.crs.to_string() if len(system.name) > 40 else system.name
    return f"{short} ({system.crs.name})" if len(short) <= 40 else system.crs.name


def transformed(geometry: GeometryArray, operation: CoordinateOperation) -> GeometryArray:
    """Return geometries with x and y transformed and heights as they were.

    Parameters
    ----------
    geometry : ndarray of shapely geometries, n
        Finite coordinates; nulls stay null.

    Returns
    -------
    ndarray of shapely geometries, n
        Coordinates are not finite where they have no image.
    """
    if operation.is_identity:
        return geometry

    def with_heights(coordinates: Coordinates) -> Coordinates:
        return np.column_stack((operation(coordinates[:, :2]), coordinates[:, 2]))

    result = np.empty(len(geometry), dtype=object)
    for start in range(0, len(geometry), _CHUNK):
        part = geometry[start : start + _CHUNK]
        has_z = shapely.has_z(part)
        chunk = np.empty(len(part), dtype=object)
        chunk[~has_z] = shapely.transform(part[~has_z], operation)
        chunk[has_z] = shapely.transform(part[has_z], with_heights, include_z=True)
        result[start : start + _CHUNK] = chunk
    return result
