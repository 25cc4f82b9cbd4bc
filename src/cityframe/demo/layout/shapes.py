"""Footprints of buildings, in metres, with the south-west corner of their box at the origin."""

import numpy as np
import shapely
from shapely.geometry import Polygon


def rectangle(width: float, depth: float) -> Polygon:
    """Return a plain rectangle."""
    return Polygon([(0, 0), (width, 0), (width, depth), (0, depth)])


def l_shape(width: float, depth: float, wing: float) -> Polygon:
    """Return two wings at a right angle, open to the north-east."""
    return Polygon([(0, 0), (width, 0), (width, wing), (wing, wing), (wing, depth), (0, depth)])


def u_shape(width: float, depth: float, wing: float) -> Polygon:
    """Return three wings, open to the north."""
    inner = width - wing
    return Polygon(
        [
            (0, 0), (width, 0), (width, depth), (inner, depth),
            (inner, wing), (wing, wing), (wing, depth), (0, depth),
        ]
    )  # fmt: skip


def courtyard(width: float, depth: float, wing: float) -> Polygon:
    """Return four wings around a yard: a polygon with a hole."""
    hole = [(wing, wing), (wing, depth - wing), (width - wing, depth - wing), (width - wing, wing)]
    return Polygon([(0, 0), (width, 0), (width, depth), (0, depth)], [hole])


def slab(width: float, depth: float, stairs: int, bay: float = 1.2) -> Polygon:
    """Return a residential slab whose staircases stand out to the north by ``bay``."""
    body = depth - bay
    step = width / stairs
    north = []
    for stair in range(stairs - 1, -1, -1):
        west, east = step * (stair + 0.5) - 1.5, step * (stair + 0.5) + 1.5
        north += [(east, body), (east, depth), (west, depth), (west, body)]
    return Polygon([(0, 0), (width, 0), (width, body), *north, (0, body)])


def cross(width: float, depth: float, notch: float) -> Polygon:
    """Return a point block with its four corners cut out."""
    east, north = width - notch, depth - notch
    return Polygon(
        [
            (notch, 0), (east, 0), (east, notch), (width, notch), (width, north), (east, north),
            (east, depth), (notch, depth), (notch, north), (0, north), (0, notch), (notch, notch),
        ]
    )  # fmt: skip


def octagon(size: float) -> Polygon:
    """Return a pavilion."""
    cut = size * 0.3
    rest = size - cut
    return Polygon(
        [
            (cut, 0), (rest, 0), (size, cut), (size, rest),
            (rest, size), (cut, size), (0, rest), (0, cut),
        ]
    )  # fmt: skip


def placed(
    shape: Polygon, west: float, south: float, *, is_mirrored_x: bool = False,
    is_mirrored_y: bool = False,
) -> Polygon:  # fmt: skip
    """Return a footprint at its place, on whole centimetres, perhaps mirrored in its box."""
    _, _, width, depth = shape.bounds

    def to_place(xy: np.ndarray) -> np.ndarray:
        x = width - xy[:, 0] if is_mirrored_x else xy[:, 0]
        y = depth - xy[:, 1] if is_mirrored_y else xy[:, 1]
        return np.round(np.column_stack([x + west, y + south]), 2)

    moved: Polygon = shapely.transform(shape, to_place)
    return moved
