"""A stretch of the city on its way from one delivery to the next."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cityframe.demo.arrays import Flags, Ints, Values
from cityframe.demo.layers import KEYS
from cityframe.demo.things.stretch import NEVER, Things
from cityframe.demo.truth import TrueChange, TrueDefect, TrueLine, TrueSame
from cityframe.model.change import ChangeKind

DEFECTS_EACH = 2
"""So many defects of each sort are in a delivery, however large the city."""

MIN_EACH = 2
"""So many features of each kind change at least in a delivery, however small the city."""


@dataclass
class Quotas:
    """Shares out rates over the stretches, so that small counts add up to what they should."""

    carried: dict[tuple[int, str, str], float] = field(default_factory=dict)
    _begun: set[tuple[int, str, str]] = field(default_factory=set)

    def take(self, delivery: int, layer: str, what: str, eligible: int, rate: float) -> int:
        """Return how many of the eligible features are due in this stretch."""
        key = (delivery, layer, what)
        wanted = rate * eligible + self.carried.get(key, 0.0)
        number = int(wanted)
        self.carried[key] = wanted - number
        if rate and number < MIN_EACH and key not in self._begun:
            number = MIN_EACH
            self.carried[key] = 0.0
        self._begun.add(key)
        return min(number, eligible)


@dataclass
class Draft:
    """The tables of one stretch while one delivery is made from the one before.

    Attributes
    ----------
    things : mapping
        The city's state after this delivery; tables are replaced and written into.
    delivered : mapping
        What the sources say: the rows of the state that are there, with noise and defects, under
        their positions in the state; records that stand for nothing real come after them. Begun
        by `begin_delivery`.
    share : tuple of int
        Number of the stretch, and how many stretches there are.
    city_bounds : tuple of float
        West, south, east and north of the city.
    day : numpy.datetime64
        The day of the delivery.
    lines : list
        The truth of this delivery.
    mended : list
        Changes that the next delivery will bring because defects that got in are mended.
    """

    things: Things
    delivery: int
    day: np.datetime64
    random: np.random.Generator
    quotas: Quotas
    share: tuple[int, int]
    city_bounds: tuple[float, float, float, float]
    delivered: Things = field(default_factory=dict)
    lines: list[TrueLine] = field(default_factory=list)
    mended: list[TrueChange] = field(default_factory=list)

    def settled(self, layer: str) -> Flags:
        """Return which rows are there and neither this delivery nor the last touched."""
        table = self.things[layer]
        return (table["is_alive"] & (table["touched"] < self.delivery - 1)).to_numpy(copy=True)

    def unbuilt(self, layer: str) -> Flags:
        """Return which rows have never been there."""
        table = self.things[layer]
        return (~table["is_alive"] & (table["touched"] == NEVER)).to_numpy(copy=True)

    def pick(self, layer: str, what: str, eligible: Flags, rate: float) -> Ints:
        """Choose the rows to which something happens, and mark them as touched."""
        among = np.flatnonzero(eligible)
        number = self.quotas.take(self.delivery, layer, what, len(among), rate)
        chosen = np.sort(self.random.choice(among, number, replace=False))
        self.touch(layer, chosen)
        return chosen

    def touch(self, layer: str, rows: Ints) -> None:
        """Mark rows, so that nothing else happens to them for a while."""
        self.set(layer, rows, "touched", self.delivery)

    def set(self, layer: str, rows: Ints, column: str, values: Any) -> None:
        """Write values into rows of the state."""
        table = self.things[layer]
        table.loc[table.index[rows], column] = _typed(values, table[column])

    def get(self, layer: str, rows: Ints, column: str) -> Values:
        """Return values of rows of the state."""
        values: Values = self.things[layer][column].to_numpy()[rows]
        return values

    def keys(self, layer: str, rows: Ints) -> list[str]:
        """Return the keys of rows of the state."""
        return [str(key) for key in self.get(layer, rows, KEYS[layer])]

    def begin_delivery(self) -> None:
        """Take the state as it is now for what the sources deliver."""
        self.delivered = {
            layer: table[table["is_alive"]].copy() for layer, table in self.things.items()
        }

    def deliver(self, layer: str, rows: Ints, column: str, values: Any) -> None:
        """Let the sources say something else of rows than the state."""
        table = self.delivered[layer]
        table.loc[rows, column] = _typed(values, table[column])

    def deliver_more(self, layer: str, rows: pd.DataFrame) -> None:
        """Let the sources deliver records beside the state's."""
        table = self.delivered[layer]
        types = {name: kind for name, kind in table.dtypes.items() if name in rows.columns}
        first = max(len(self.things[layer]), int(table.index.max()) + 1)
        added = rows.astype(types).set_index(pd.RangeIndex(first, first + len(rows)))
        self.delivered[layer] = pd.concat([table, added]).astype({"is_alive": bool})

    def due(self, what: str) -> int:
        """Return how many defects of a sort fall to this stretch."""
        number, stretches = self.share
        first = zlib.crc32(f"{what} {self.delivery}".encode())
        step = max(1, stretches // DEFECTS_EACH)
        places = [(first + step * place) % stretches for place in range(DEFECTS_EACH)]
        return places.count(number)

    def pick_some(self, layer: str, number: int, eligible: Flags) -> Ints:
        """Choose so many rows and mark them as touched."""
        among = np.flatnonzero(eligible)
        chosen = np.sort(self.random.choice(among, min(number, len(among)), replace=False))
        self.touch(layer, chosen)
        return chosen

    def note(
        self,
        layer: str,
        rows: Ints,
        change: ChangeKind,
        attributes: Sequence[str] = (),
        note: str = "",
    ) -> None:
        """Write down that rows have changed."""
        self.lines += [
            TrueChange(layer, key, change, tuple(attributes), note)
            for key in self.keys(layer, rows)
        ]

    def note_same(self, layer: str, rows: Ints, why: str) -> None:
        """Write down that rows are delivered anew but have not changed."""
        self.lines += [TrueSame(layer, key, why) for key in self.keys(layer, rows)]

    def note_defects(self, defects: Iterable[TrueDefect]) -> None:
        """Write down defects."""
        self.lines += list(defects)

    def append(self, layer: str, rows: pd.DataFrame) -> Ints:
        """Add rows to the state, and to a delivery that has begun; return their positions."""
        table = self.things[layer]
        types = {name: kind for name, kind in table.dtypes.items() if name in rows.columns}
        joined = pd.concat([table, rows.astype(types)], ignore_index=True)
        self.things[layer] = joined.astype({"is_alive": bool})
        added = np.arange(len(table), len(joined))
        if layer in self.delivered:
            parts = [self.delivered[layer], self.things[layer].iloc[added]]
            self.delivered[layer] = pd.concat(parts)
        return added


def _typed(values: Any, column: pd.Series) -> Any:
    """Return many values in the type of their column; one value as it is."""
    if not isinstance(values, list | np.ndarray) or column.dtype == object:
        return values
    return pd.Series(values).astype(column.dtype).to_numpy()
