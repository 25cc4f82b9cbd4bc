"""A stretch of the city: some crossings with the blocks and streets north-east of them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cityframe.demo.arrays import Flags, Ints
from cityframe.demo.layout.plan import NO_BLOCK, CityPlan

BUILDINGS_A_STRETCH = 16_000
"""A stretch is what is held in memory at once."""

NEVER = -9
"""Value of ``touched`` for a row that no delivery has changed."""

Things = dict[str, pd.DataFrame]
"""Tables by layer."""


@dataclass(frozen=True)
class Stretch:
    """Crossings ``first`` to ``stop - 1`` of a plan, and the blocks that they own."""

    number: int
    first: int
    stop: int
    row: Ints
    column: Ints

    def random(self, plan: CityPlan, *purpose: int) -> np.random.Generator:
        """Return the random numbers of this stretch for one purpose."""
        return np.random.default_rng([plan.seed, 100 + self.number, *purpose])


def stretches(plan: CityPlan) -> Iterator[Stretch]:
    """Cut the city into stretches of about `BUILDINGS_A_STRETCH` buildings, south to north."""
    number = max(1, round(plan.buildings / BUILDINGS_A_STRETCH))
    bounds = np.linspace(0, plan.nodes, number + 1).round().astype(int)
    for place, (first, stop) in enumerate(itertools.pairwise(bounds)):
        row, column = np.divmod(np.arange(first, stop), plan.columns + 1)
        has_block = (row < plan.rows) & (column < plan.columns)
        row, column = row[has_block], column[has_block]
        is_land = plan.template[row, column] != NO_BLOCK
        yield Stretch(place, int(first), int(stop), row[is_land], column[is_land])


def repeated(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Return the numbers of all ranges one after the other, and the range of each."""
    counts = stop - start
    owner = np.repeat(np.arange(len(start)), counts)
    first = np.cumsum(counts) - counts
    return start[owner] + np.arange(len(owner)) - first[owner], owner


def fresh(table: pd.DataFrame, is_alive: Flags | bool = True) -> pd.DataFrame:
    """Return the table with the generator's columns for rows that nothing has changed yet."""
    return table.assign(is_alive=is_alive, touched=NEVER).astype({"is_alive": bool})
