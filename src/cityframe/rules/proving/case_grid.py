"""Geometry of rule cases, drawn as character grids.

A grid is a picture: each character is a square of one metre (or ``cell_m``), the lowest line is at
y = 0. A feature takes its geometry from it by one of

``cells: ab``
    the union of all squares marked ``a`` or ``b``; ``legend: {X: ab}`` says that ``X`` is both
``line: abc``, ``ring: abcd``, ``point: a``, ``points: abc``
    the middles of the squares, in that order; a list gives many parts
``wkt: POINT (1 2)``
    well-known text; ``wkt: null`` for no geometry
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from cityframe.errors import DeclarationError

GEOMETRY_KEYS = ("cells", "line", "ring", "point", "points", "wkt")


@dataclass(frozen=True)
class Grid:
    """A picture whose characters are places."""

    text: str = ""
    cell_m: float = 1.0
    legend: Mapping[str, str] = field(default_factory=dict)

    def geometry(self, feature: Mapping[str, Any]) -> shapely.Geometry | None:
        """Return the geometry that a feature of a case asks for; None for none.

        Raises
        ------
        DeclarationError
            If it names a mark that the grid does not have.
        """
        for key, value in feature.items():
            if key in GEOMETRY_KEYS:
                return self._draw(key, value)
        return None

    def squares(self, names: str) -> shapely.Geometry:
        """Return the union of the squares that carry one of the names."""
        size = self.cell_m
        found = [
            shapely.box(x * size, y * size, (x + 1) * size, (y + 1) * size)
            for mark, x, y in self._marks()
            if set(names) & {mark, *self.legend.get(mark, "")}
        ]
        if not found:
            raise self._not_there(names)
        return shapely.union_all(found)

    def middles(self, names: str) -> list[tuple[float, float]]:
        """Return the middle of the square of each name, in the order of the names."""
        size = self.cell_m
        places = {mark: ((x + 0.5) * size, (y + 0.5) * size) for mark, x, y in self._marks()}
        if not set(names) <= set(places):
            raise self._not_there(names)
        return [places[name] for name in names]

    def _marks(self) -> list[tuple[str, int, int]]:
        lines = self.text.rstrip().splitlines()
        return [
            (mark, x, len(lines) - 1 - line)
            for line, marks in enumerate(lines)
            for x, mark in enumerate(marks)
            if mark not in ". "
        ]

    def _draw(self, key: str, value: Any) -> shapely.Geometry | None:
        if key == "wkt":
            with np.errstate(invalid="ignore"):  # WKT of a coordinate that is no number
                return None if value is None else shapely.from_wkt(value)
        if key == "cells":
            return self.squares(value)
        if key == "points":
            return shapely.MultiPoint(self.middles(value))
        shapes: dict[str, tuple[Any, Any]] = {
            "line": (shapely.LineString, shapely.MultiLineString),
            "ring": (shapely.Polygon, shapely.MultiPolygon),
            "point": (shapely.Point, shapely.MultiPoint),
        }
        one, many = shapes[key]
        drawn: shapely.Geometry = (
            many([one(self._places(key, names)) for names in value])
            if isinstance(value, list)
            else one(self._places(key, value))
        )
        return drawn

    def _places(self, key: str, names: str) -> Any:
        return self.middles(names)[0] if key == "point" else self.middles(names)

    def _not_there(self, names: str) -> DeclarationError:
        return DeclarationError(
            found=f"no {names!r} in the grid", expected="marks of the picture", where=self.text
        )
