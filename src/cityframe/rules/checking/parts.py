"""A part of a layer: the rows that own findings, and those that are only looked at.

By the law of reach (decision 5) what a rule says of a row depends on nothing beyond its reach. So a
rule may be given a smaller `Context`, and what it says of the rows that are owned holds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.rules.checking.boxes import Boxes, near
from cityframe.rules.checking.row_source import RowSource
from cityframe.rules.context import Context, Positions

_SLACK = 1.001


@dataclass(frozen=True)
class Cut:
    """What to cut from a layer, before any row is read.

    Attributes
    ----------
    positions : Positions
        Rows of the part, ascending, so that the first of two features is the same one in each part.
    seeds : Boxes
        Boxes that hold the rows that own findings.
    reach : float
        In the unit of the CRS.
    """

    positions: Positions
    seeds: Boxes
    reach: float


@dataclass(frozen=True)
class Part:
    """A smaller context, and where its rows stand in the layer.

    Attributes
    ----------
    context : Context
        Its frame has the rows at ``positions``; other layers are cut when they are read.
    positions : Positions
        Ascending.
    """

    context: Context
    positions: Positions

    def focused(self, owned: Positions) -> "Part":
        """Return the part with its context looking at owned rows (ascending) only."""
        focus = np.searchsorted(self.positions, owned)
        return replace(self, context=replace(self.context, focus=focus))

    def in_layer(
        self, defects: pd.DataFrame, owned: Positions, *, or_partner: bool = False
    ) -> pd.DataFrame:
        """Return the defects on owned rows (ascending), with positions in the layer.

        With ``or_partner`` those whose partner is owned are returned too.
        """
        is_owned = np.zeros(len(self.positions) + 1, dtype=bool)  # the last stands for no partner
        is_owned[np.searchsorted(self.positions, owned)] = True
        is_kept = is_owned[defects["row"].to_numpy()]
        if or_partner:
            is_kept |= is_owned[defects["other_row"].to_numpy()]
        kept: pd.DataFrame = defects[is_kept]
        other_row = kept["other_row"].to_numpy()
        return kept.assign(
            row=self.positions[kept["row"].to_numpy()],
            other_row=np.where(other_row < 0, -1, self.positions[other_row]),
        )


class Whole:
    """A layer to cut, with the layers beside it.

    Parameters
    ----------
    context : Context
        Of the whole layer; what it has beside rows is handed to each part.
    rows : RowSource
        Its rows.
    other_rows : callable
        Gives the rows of another layer by its name.
    """

    def __init__(
        self, context: Context, rows: RowSource, other_rows: Callable[[str], RowSource]
    ) -> None:
        self.context = context
        self.rows = rows
        self.other_rows = other_rows

    def cut(self, owned: Positions, seeds: Boxes, reach: float) -> Cut:
        """Say which rows belong to a part whose rows ``owned`` are to own findings."""
        beside = near(self.rows.boxes, seeds, reach * _SLACK, self.rows.shapes)
        return Cut(np.union1d(owned, beside), seeds, reach)

    def part(self, cut: Cut) -> Part:
        """Read the rows of a part; other layers are cut when a rule reads them."""

        def read_other(name: str) -> gpd.GeoDataFrame:
            rows = self.other_rows(name)
            return rows.rows(near(rows.boxes, cut.seeds, cut.reach * _SLACK, rows.shapes))

        context = replace(
            self.context,
            frame=self.rows.rows(cut.positions),
            read_other=None if self.context.read_other is None else read_other,
            # no rule with a reach reads anything else
            previous=None,
            changes=None,
            received=None,
            read_observations=None,
        )
        return Part(context, cut.positions)


def with_read_layers(part: Part, names: Iterable[str]) -> Part:
    """Return the part with other layers already read, to be sent to another process."""
    read: dict[str, gpd.GeoDataFrame | Exception] = {}
    for name in names:
        try:
            read[name] = part.context.other(name)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (raised again where the rule asks for the layer)
            read[name] = error
    return replace(part, context=replace(part.context, read_other=_ReadLayers(read)))


@dataclass(frozen=True)
class _ReadLayers:
    """Frames of layers by name, or why one could not be read."""

    read: Mapping[str, gpd.GeoDataFrame | Exception]

    def __call__(self, name: str) -> gpd.GeoDataFrame:
        answer = self.read[name]
        if isinstance(answer, Exception):
            raise answer
        return answer
