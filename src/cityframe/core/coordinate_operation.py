"""Transformations between coordinate systems that have a real path.

Only x and y are transformed; a height is carried over as it is, so that it stays in its vertical
datum.

Where the bureau has declared two datums equal, longitude and latitude are carried over as they are.
Else a transformation is refused when PROJ knows no path between the datums ("ballpark"), or none
of known accuracy for the place of the data with the grids that are installed. Note that PROJ 9 has
no path from WGS 84 to CGCS2000: that pair has to be declared.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from pyproj.transformer import AreaOfInterest, TransformerGroup

from cityframe.core.chinese_grid import ChineseGrid, to_wgs84
from cityframe.core.crs import (
    Area,
    Coordinates,
    CoordinateSystem,
    describe,
    is_same_crs,
    is_same_datum,
    meridian_and_unit,
    read_crs,
    without_parameters,
)
from cityframe.errors import DeclarationError

_CHUNK = 100_000

GeometryArray = npt.NDArray[np.object_]


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
    if is_same_datum(source.crs, target.crs):
        return False
    return any(is_same_datum(read_crs(one, where=where).crs, target.crs) for one in equivalent)


def _carried_over(source: CRS, target: CRS, where: str) -> tuple[Transformer, ...]:
    # source to its longitude and latitude, these taken as the target's, and on to the target
    source, target = without_parameters(source), without_parameters(target)
    theirs, ours = source.geodetic_crs, target.geodetic_crs
    if theirs is None or ours is None or meridian_and_unit(theirs) != meridian_and_unit(ours):
        raise DeclarationError(
            where=where,
            found=f"{source.name} and {target.name} count degrees differently",
            expected="datums with one prime meridian and unit in equivalent_crs",
        )
    steps = ((source, theirs.to_2d()), (ours.to_2d(), target))
    return tuple(
        Transformer.from_crs(before, after, always_xy=True)
        for before, after in steps
        if not is_same_crs(before, after)
    )


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
