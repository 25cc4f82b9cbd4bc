"""GCJ-02 and BD-09: the shifted coordinates of Chinese web maps.

Both are published as longitude and latitude although they are no datum: GCJ-02 adds a smooth
displacement of 100 to 700 m to WGS 84 inside China, BD-09 adds another to GCJ-02. The displacement
of GCJ-02 is the publicly known approximation on the Krassovsky 1940 ellipsoid; against coordinates
that map services gave out it holds to about 0.8 m. The inverses here invert these formulae exactly.
"""

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Coordinates = npt.NDArray[np.float64]
Displacement = Callable[[Coordinates], Coordinates]

CHINA = (72.004, 0.8293, 137.8347, 55.8271)
"""West, south, east and north bound in degrees inside which GCJ-02 is displaced."""

_SEMI_MAJOR_M = 6378245.0
_FLATTENING = 1 / 298.3
_ECCENTRICITY_SQUARED = _FLATTENING * (2 - _FLATTENING)
_BAIDU_WAVES = math.pi * 3000 / 180
_BAIDU_SHIFT = (0.0065, 0.006)
_INVERSE_STEPS = 30


class ChineseGrid(StrEnum):
    """A displaced coordinate system of Chinese web maps."""

    GCJ_02 = "GCJ-02"
    BD_09 = "BD-09"


def to_wgs84(coordinates: Coordinates, grid: ChineseGrid) -> Coordinates:
    """Return WGS 84 longitudes and latitudes for displaced ones.

    Parameters
    ----------
    coordinates : ndarray, n × 2
        Longitude and latitude in degrees in ``grid``.

    Returns
    -------
    ndarray, n × 2
        Coordinates whose displacement gives ``coordinates`` again, to 1e-11 degrees. Non-finite
        coordinates stay non-finite.
    """
    shifted = _invert(_gcj_to_bd, coordinates) if grid is ChineseGrid.BD_09 else coordinates
    return _invert(_wgs_to_gcj, shifted)


def from_wgs84(coordinates: Coordinates, grid: ChineseGrid) -> Coordinates:
    """Return displaced longitudes and latitudes for WGS 84 ones (n × 2, degrees)."""
    shifted = _wgs_to_gcj(coordinates)
    return _gcj_to_bd(shifted) if grid is ChineseGrid.BD_09 else shifted


def _invert(displace: Displacement, coordinates: Coordinates) -> Coordinates:
    # both displacements vary by far less than their argument, so that the fixed point is reached
    # in a few steps
    result = coordinates.copy()
    for _ in range(_INVERSE_STEPS):
        with np.errstate(invalid="ignore"):  # infinite coordinates become NaN
            step = coordinates - displace(result)
        result += step
        if not np.any(np.abs(step) > 1e-13):
            break
    return result


def _wgs_to_gcj(coordinates: Coordinates) -> Coordinates:
    west, south, east, north = CHINA
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    result = coordinates.copy()
    result[inside] += _gcj_displacement(lon[inside], lat[inside])
    return result


def _gcj_displacement(lon: Coordinates, lat: Coordinates) -> Coordinates:
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    ripple = 20 * _sine(6, x) + 20 * _sine(2, x)
    east_m = (
        300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
        + (ripple + 20 * _sine(1, x) + 40 * _sine(1 / 3, x)
           + 150 * _sine(1 / 12, x) + 300 * _sine(1 / 30, x)) * 2 / 3
    )  # fmt: skip
    north_m = (
        -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
        + (ripple + 20 * _sine(1, y) + 40 * _sine(1 / 3, y)
           + 160 * _sine(1 / 12, y) + 320 * _sine(1 / 30, y)) * 2 / 3
    )  # fmt: skip
    latitude = np.radians(lat)
    w2 = 1 - _ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    prime_vertical_m = _SEMI_MAJOR_M / np.sqrt(w2)
    meridian_m = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_SQUARED) / w2**1.5
    return np.column_stack(
        (
            np.degrees(east_m / (prime_vertical_m * np.cos(latitude))),
            np.degrees(north_m / meridian_m),
        )
    )


def _sine(frequency: float, degrees: Coordinates) -> Coordinates:
    return np.asarray(np.sin(frequency * math.pi * degrees), dtype=np.float64)


def _gcj_to_bd(coordinates: Coordinates) -> Coordinates:
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    radius = np.hypot(lon, lat) + 2e-5 * np.sin(lat * _BAIDU_WAVES)
    angle = np.arctan2(lat, lon) + 3e-6 * np.cos(lon * _BAIDU_WAVES)
    return np.column_stack(
        (radius * np.cos(angle) + _BAIDU_SHIFT[0], radius * np.sin(angle) + _BAIDU_SHIFT[1])
    )
