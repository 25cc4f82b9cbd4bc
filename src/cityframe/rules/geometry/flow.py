"""Which way arcs run, and the levels at their ends."""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.document import Declaration
from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.geometry.network import Floats, Network
from cityframe.rules.kind import ANY_TYPE, NUMBERS, ColumnNeeds

Signs = npt.NDArray[np.int8]
Code = bool | int | str


class Direction(Declaration):
    """An attribute that says which way a line runs, against the order of its vertices or along."""

    column: Name = Field(description="attribute")
    along: tuple[Code, ...] = Field(default=(), description="values for the order of the vertices")
    against: tuple[Code, ...] = Field(default=(), description="values for the other way")

    @model_validator(mode="after")
    def _tells_two_ways_apart(self) -> Self:
        if not (self.along or self.against) or set(self.along) & set(self.against):
            message = "values along or against, and none that is both"
            raise ValueError(message)
        return self

    def needed(self) -> ColumnNeeds:
        """Return the attribute."""
        return {self.column: ANY_TYPE}

    def signs(self, frame: pd.DataFrame) -> Signs:
        """Return 1 for features along, -1 for those against, 0 for any other value or null."""
        column = frame[self.column]
        along = column.isin(self.along).to_numpy(dtype=bool)
        against = column.isin(self.against).to_numpy(dtype=bool)
        return along.astype(np.int8) - against.astype(np.int8)


class Levels(Declaration):
    """Where the level at each end of a line stands: in two attributes, or in its coordinates."""

    start: Name | None = Field(default=None, description="attribute at the first vertex, in m")
    end: Name | None = Field(default=None, description="attribute at the last vertex, in m")
    z: bool = Field(default=False, description="the heights of the first and the last vertex")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        has_names = self.start is not None and self.end is not None
        if self.z is has_names or (self.start is None) is not (self.end is None):
            message = "either start with end, or z"
            raise ValueError(message)
        return self

    def needed(self) -> ColumnNeeds:
        """Return the attributes."""
        return {name: NUMBERS for name in (self.start, self.end) if name is not None}

    def misfit(self, layer: Layer) -> str:
        """Say that the layer has no heights where they are asked for."""
        return f"z of layer {layer.name}, which has none" if self.z and not layer.has_z else ""

    def at_ends(self, context: Context, of: Network) -> tuple[Floats, Floats]:
        """Return the level at the start and at the end of each arc, in metres; NaN for unknown.

        Attributes say nothing of the single pieces of a feature that is in several.
        """
        if self.start is None or self.end is None:
            return _heights(of, 0), _heights(of, -1)
        is_whole = np.bincount(of.row, minlength=len(context.frame))[of.row] == 1
        start, end = (
            np.where(is_whole, numbers(context.frame, name)[of.row], np.nan)
            for name in (self.start, self.end)
        )
        return start, end


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column of numbers as floats, NaN for null."""
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def flow_signs(context: Context, of: Network, direction: Direction | None) -> Signs:
    """Return which way each arc runs; without a direction along all."""
    if direction is None:
        return np.ones(len(of.row), dtype=np.int8)
    return direction.signs(context.frame)[of.row]


def _heights(of: Network, vertex: int) -> Floats:
    line = shapely.get_geometry(of.lines, 0)  # a multi-part line of one part has no vertices
    heights: Floats = shapely.get_z(shapely.get_point(line, vertex))
    return heights
