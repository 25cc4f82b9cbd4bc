"""Units of scoring: which unit a feature or a finding belongs to."""

from collections.abc import Callable

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from cityframe.config.scoring import AreaUnit, GridUnit, Scoring

UNPLACED = "-"
"""The unit of what has no place, or lies in none of the areas."""

Names = npt.NDArray[np.object_]


def unit_names(
    geometry: npt.NDArray[np.object_],
    scheme: Scoring,
    layer: str,
    areas: Callable[[str], gpd.GeoDataFrame],
) -> Names:
    """Return the unit of each geometry.

    Parameters
    ----------
    geometry : n geometries
        In the layer's CRS, projected, in metres; None for no place.
    scheme : Scoring
        Its ``unit`` says how the layer is divided.
    layer : str
        Name of the layer, which is the unit where the layer is not divided.
    areas : callable
        Gives the frame of the layer that divides, in the same CRS.

    Returns
    -------
    ndarray of str, n
        By the middle of the bounding box. A cell of a grid is called ``eEAST-nNORTH`` by its
        lower left corner in metres; of areas that lie over one another the first counts.
    """
    unit = scheme.unit
    if not isinstance(unit, GridUnit | AreaUnit):
        return np.full(len(geometry), layer, dtype=object)
    middle = _middles(geometry)
    names = np.full(len(geometry), UNPLACED, dtype=object)
    placed = np.flatnonzero(np.isfinite(middle).all(axis=1))
    if isinstance(unit, GridUnit):
        corner = np.floor(middle[placed] / unit.cell_m) * unit.cell_m
        names[placed] = [f"e{east:.0f}-n{north:.0f}" for east, north in corner.tolist()]
        return names
    frame = areas(unit.layer)
    tree = shapely.STRtree(np.asarray(shapely.points(middle[placed]), dtype=object))
    area, point = tree.query(np.asarray(frame.geometry, dtype=object), predicate="intersects")
    # the first area wins: write the others before it
    names[placed[point[::-1]]] = frame[unit.column].astype("str").to_numpy(dtype=object)[area[::-1]]
    return names


def _middles(geometry: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    bounds = shapely.bounds(geometry)
    middle: npt.NDArray[np.float64] = (bounds[:, :2] + bounds[:, 2:]) / 2
    return middle
