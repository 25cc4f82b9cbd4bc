"""Lines as samples: points at regular steps along them, each with a direction."""

from dataclasses import dataclass

import numpy as np
import shapely

from cityframe.core.displacement import Geometries, Numbers, Positions

MIN_PIECES = 4
"""Pieces that the shortest line is cut into, so that a share of it can be told."""


@dataclass(frozen=True)
class LineSamples:
    """The pieces that lines are cut into, in the order of the lines and along them.

    Attributes
    ----------
    xy : ndarray, s × 2
        Middle of each piece, on the line.
    double_angle : ndarray, s × 2
        Cosine and sine of twice the direction of its chord: the same whichever way the line was
        drawn.
    length_m : ndarray, s
        What each piece stands for.
    owner : ndarray of int, s
        Position of its line.
    """

    xy: Numbers
    double_angle: Numbers
    length_m: Numbers
    owner: Positions

    def placed(self, radius_m: float) -> Numbers:
        """Return the samples in four dimensions: direction as a place on a circle of a radius."""
        placed: Numbers = np.hstack([self.xy, self.double_angle * radius_m])
        return placed


def sample_lines(lines: Geometries, spacing_m: float) -> LineSamples:
    """Cut lines into equal pieces of at most ``spacing_m``, each part of a line on its own.

    Parameters
    ----------
    lines : ndarray of geometries
        Lines or multilines in a projected CRS in metres; null, empty and lines without length have
        no samples. The number of samples is about the length of all lines over the spacing.
    spacing_m : float
        Longest piece, in metres.
    """
    parts, feature = shapely.get_parts(lines, return_index=True)
    length = shapely.length(parts)
    is_long = length > 0
    parts, feature, length = parts[is_long], feature[is_long], length[is_long]
    pieces = np.maximum(np.ceil(length / spacing_m), MIN_PIECES).astype(np.intp)
    part = np.repeat(np.arange(len(parts)), pieces)
    nth = np.arange(len(part)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    step = (length / pieces)[part]
    start, middle, end = (_points_along(parts, part, step * (nth + at)) for at in (0.0, 0.5, 1.0))
    chord = end - start
    angle = 2 * np.arctan2(chord[:, 1], chord[:, 0])
    double_angle = np.column_stack([np.cos(angle), np.sin(angle)])
    return LineSamples(middle, double_angle, step, feature[part])


def _points_along(parts: Geometries, part: Positions, distance_m: Numbers) -> Numbers:
    """Return the points at distances from the start of their parts, n × 2."""
    xy, owner = shapely.get_coordinates(parts, return_index=True)
    first = np.searchsorted(owner, np.arange(len(parts)))
    step = np.zeros((len(xy), 2))
    step[:-1] = np.where((owner[1:] == owner[:-1])[:, None], np.diff(xy, axis=0), 0.0)
    length = np.hypot(*step.T)
    # one running length over all lines, so that one search finds the segment of every point
    along = np.append(0.0, np.cumsum(length))[:-1]
    target = along[first[part]] + distance_m
    last = np.append(first[1:], len(xy)) - 2
    segment = np.clip(np.searchsorted(along, target, side="right") - 1, first[part], last[part])
    share = (target - along[segment]) / np.maximum(length[segment], np.finfo(float).tiny)
    points: Numbers = xy[segment] + step[segment] * np.clip(share, 0.0, 1.0)[:, None]
    return points
