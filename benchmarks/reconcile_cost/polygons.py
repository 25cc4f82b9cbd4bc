"""Generated polygons of 17 vertices, and a later survey of them."""

import numpy as np
import numpy.typing as npt
import shapely

from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title

Geometries = npt.NDArray[np.object_]
Numbers = npt.NDArray[np.float64]

LAYER = Layer(
    name="buildings",
    title=Title(zh="房屋", en="buildings"),
    geometry=GeometryType.POLYGON,
    crs="EPSG:4547",
    precision_m=0.001,
    accuracy_m=0.25,
    key=(),
    attributes=(),
)
JITTER_M = 0.15
"""Standard deviation of a jittered coordinate, cut off at three times: all lie within tolerance."""

_SPACING_M = 20.0
_CORNERS = 16


def rings(first: int, count: int) -> Numbers:
    """Return the closed rings of some buildings on a grid of 20 m, count × 17 × 2.

    They depend on their numbers alone, so that a layer can be made piece by piece; a thousand
    stand in a row from west to east.
    """
    random = np.random.default_rng([7, first])
    number = first + np.arange(count)
    angle = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    radius = (4 + 4 * random.random((count, 1))) * (0.8 + 0.2 * random.random((count, _CORNERS)))
    x = 500_000 + (number % 1000)[:, None] * _SPACING_M + radius * np.cos(angle)
    y = 3_400_000 + (number // 1000)[:, None] * _SPACING_M + radius * np.sin(angle)
    return _closed(np.round(np.stack([x, y], axis=2), 3))


def layer_rings(rows: int) -> Numbers:
    """Return the rings of so many buildings."""
    step = 100_000
    return np.concatenate([rings(at, min(step, rows - at)) for at in range(0, rows, step)])


def polygons(ring: Numbers) -> Geometries:
    """Return the polygons of closed rings."""
    made: Geometries = np.asarray(shapely.polygons(shapely.linearrings(ring)), dtype=object)
    return made


def jittered(ring: Numbers, seed: int) -> Numbers:
    """Return rings with noise on each coordinate, within tolerance."""
    noise = np.random.default_rng(seed).normal(0, JITTER_M, ring[:, :-1].shape)
    return _closed(np.round(ring[:, :-1] + noise.clip(-3 * JITTER_M, 3 * JITTER_M), 3))


def redrawn(ring: Numbers, seed: int) -> Numbers:
    """Return rings drawn anew from imagery: 1.2 m further east, other corners, other noise."""
    random = np.random.default_rng(seed)
    middle = (ring[:, :-1] + ring[:, 1:]) / 2
    return _closed(np.round(middle + np.array([1.2, 0.0]) + random.normal(0, 0.1, middle.shape), 3))


def changed(ring: Numbers, share: float, seed: int) -> Numbers:
    """Return rings of which a share are others: a third each displaced, redrawn, and elsewhere."""
    random = np.random.default_rng(seed)
    result = ring.copy()
    moved, drawn, gone = np.array_split(
        random.choice(len(ring), max(3, int(share * len(ring))), replace=False), 3
    )
    result[moved] += [2.0, 0.0]
    result[drawn] = redrawn(ring[drawn], seed)
    result[gone] += [0.0, 1_000_000.0]
    return result


def _closed(corners: Numbers) -> Numbers:
    return np.concatenate([corners, corners[:, :1]], axis=1)
