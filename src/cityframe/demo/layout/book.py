"""The book of block templates: lots, houses and doors of all templates as arrays.

A city of a million buildings is made of a few hundred templates, each placed many times; so a
stretch of the city is cut out of these arrays without a look at single buildings.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import Polygon

from cityframe.demo.arrays import Ints
from cityframe.demo.layout.blocks import BlockKind, Lot, build_block

SHIFT_M = 4.0
"""How far the border between two lots moves when they are measured out anew."""

NO_LOT = -1

_LOT_TYPES: dict[str, type | str] = {
    "geometry": object, "land_use": "str", "side": "int64", "middle_x": "float64",
    "middle_y": "float64", "cut_from": "int64", "cut_to": "int64", "partner": "int64",
    "kind": "str",
}  # fmt: skip
_HOUSE_TYPES: dict[str, type | str] = {
    "geometry": object, "lot": "int64", "number": "int64", "use": "str", "floors_low": "int64",
    "floors_high": "int64", "storey_m": "float64", "era_low": "int64", "era_high": "int64",
    "is_reserve": "bool", "room_m": "float64",
}  # fmt: skip
_DOOR_TYPES: dict[str, type | str] = {"geometry": object, "house": "int64", "unit": "int64"}

Row = tuple[object, ...]


@dataclass(frozen=True)
class TemplateBook:
    """All templates of a city, one after the other.

    Attributes
    ----------
    lots : DataFrame
        ``geometry`` (with a vertex wherever another lot's corner or a future corner lies on its
        border), ``land_use``, ``side`` (street side: 0 south, 1 east, 2 north, 3 west, -1 none),
        ``middle_x``, ``middle_y``, ``cut_from``, ``cut_to`` (vertices between which the lot can
        be parted; -1 none), ``partner`` (lot to the east towards which the common border can be
        shifted; -1 none), ``kind``.
    houses : DataFrame
        ``geometry``, ``lot``, ``number`` (栋, 0 where it stands alone), ``use``, ``floors_low``,
        ``floors_high``, ``storey_m``, ``era_low``, ``era_high``, ``is_reserve``, ``room_m``
        (free distance around it inside its lot).
    doors : DataFrame
        ``geometry`` (a point in the house), ``house``, ``unit`` (0 for the only one).
    lot_start, house_start, door_start : ndarray
        First row of each template, and the total at the end.
    """

    lots: pd.DataFrame
    houses: pd.DataFrame
    doors: pd.DataFrame
    lot_start: Ints
    house_start: Ints
    door_start: Ints


Template = tuple[BlockKind, float, float, int]
"""Kind, width, height (metres) and variant of a block."""


@functools.lru_cache(maxsize=1024)
def lots_of(template: Template, seed: int) -> tuple[Lot, ...]:
    """Return the lots of a template."""
    kind, width, height, variant = template
    number = list(BlockKind).index(kind)
    random = np.random.default_rng([seed, 1, number, int(width), int(height), variant])
    return tuple(build_block(kind, width, height, random))


def standing_houses(template: Template, seed: int) -> int:
    """Return how many houses of a template are no reserve."""
    lots = lots_of(template, seed)
    return sum(not house.is_reserve for lot in lots for house in lot.houses)


def make_book(templates: Sequence[Template], seed: int) -> TemplateBook:
    """Return the book of templates, in their order."""
    drawn = [lots_of(template, seed) for template in templates]
    lots = [_lot_rows(part, template) for part, template in zip(drawn, templates, strict=True)]
    houses, doors = [_house_rows(part) for part in drawn], [_door_rows(part) for part in drawn]
    return TemplateBook(
        lots=_table(lots, _LOT_TYPES),
        houses=_table(houses, _HOUSE_TYPES),
        doors=_table(doors, _DOOR_TYPES),
        lot_start=_starts(lots),
        house_start=_starts(houses),
        door_start=_starts(doors),
    )


def _table(parts: list[list[Row]], types: dict[str, type | str]) -> pd.DataFrame:
    rows = [row for part in parts for row in part]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _starts(parts: list[list[Row]]) -> Ints:
    return np.cumsum([0, *(len(part) for part in parts)])


def _lot_rows(lots: Sequence[Lot], template: Template) -> list[Row]:
    kind, width, height, _ = template
    corners = {
        corner
        for lot in lots
        for corner in (
            (lot.west, lot.south), (lot.east, lot.south),
            (lot.east, lot.north), (lot.west, lot.north),
        )
    }  # fmt: skip
    partners = _shift_partners(lots)
    for first, second in partners.items():
        x = lots[first].east + SHIFT_M
        corners |= {(x, lots[second].south), (x, lots[second].north)}
    in_pairs = set(partners) | set(partners.values())
    cuts = {
        place: _cut_line(lot)
        for place, lot in enumerate(lots)
        if not lot.houses and place not in in_pairs
    }
    corners |= {end for line in cuts.values() for end in line}
    rings = [_ring(lot, corners) for lot in lots]
    ends = [
        [rings[place].index(end) for end in cuts[place]] if place in cuts else [-1, -1]
        for place in range(len(lots))
    ]
    return [
        (
            Polygon(rings[place]), lot.land_use, _street_side(lot, width, height),
            (lot.west + lot.east) / 2, (lot.south + lot.north) / 2,
            min(ends[place]), max(ends[place]), partners.get(place, NO_LOT), kind.value,
        )
        for place, lot in enumerate(lots)
    ]  # fmt: skip


def _shift_partners(lots: Sequence[Lot]) -> dict[int, int]:
    """Return the pairs of lots with a whole common border and room behind it."""
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for first, lot in enumerate(lots):
        for second, other in enumerate(lots):
            if {first, second} & taken or lot.east != other.west or other.width < 4 * SHIFT_M:
                continue
            if (lot.south, lot.north) != (other.south, other.north):
                continue
            nearest = min((house.footprint.bounds[0] for house in other.houses), default=np.inf)
            if nearest - other.west > SHIFT_M + 2:
                partners[first] = second
                taken |= {first, second}
    return partners


def _cut_line(lot: Lot) -> tuple[tuple[float, float], tuple[float, float]]:
    if lot.width >= lot.depth:
        middle = round((lot.west + lot.east) / 2)
        return (middle, lot.south), (middle, lot.north)
    middle = round((lot.south + lot.north) / 2)
    return (lot.west, middle), (lot.east, middle)


def _ring(lot: Lot, corners: set[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the border of a lot, counter-clockwise, through all corners that lie on it."""
    west, south, east, north = lot.west, lot.south, lot.east, lot.north
    inside = [c for c in corners if west <= c[0] <= east and south <= c[1] <= north]
    bottom = sorted(c for c in inside if c[1] == south and c[0] < east)
    right = sorted(c for c in inside if c[0] == east and c[1] < north)
    top = sorted((c for c in inside if c[1] == north and c[0] > west), reverse=True)
    left = sorted((c for c in inside if c[0] == west and c[1] > south), reverse=True)
    return [*bottom, *right, *top, *left]


def _street_side(lot: Lot, width: float, height: float) -> int:
    if lot.land_use == "1004":
        return -1
    borders = (lot.south == 0, lot.east == width, lot.north == height, lot.west == 0)
    return borders.index(True) if any(borders) else -1


def _house_rows(lots: Sequence[Lot]) -> list[Row]:
    room = iter(_room(lots))
    return [
        (
            house.footprint, place, number if len(lot.houses) > 1 else 0, house.use,
            *house.floors, house.storey_m, *house.era, house.is_reserve, next(room),
        )
        for place, lot in enumerate(lots)
        for number, house in enumerate(lot.houses, start=1)
    ]  # fmt: skip


def _room(lots: Sequence[Lot]) -> list[float]:
    room: list[float] = []
    for lot in lots:
        border = shapely.box(lot.west, lot.south, lot.east, lot.north).exterior
        shapes = np.array([house.footprint for house in lot.houses], dtype=object)
        for place, shape in enumerate(shapes):
            others = [border, *np.delete(shapes, place)]
            room.append(float(shapely.distance(shape, others).min()))
    return room


def _door_rows(lots: Sequence[Lot]) -> list[Row]:
    rows: list[Row] = []
    houses = [house for lot in lots for house in lot.houses]
    for place, house in enumerate(houses):
        if house.units == 1:
            rows.append((house.footprint.representative_point(), place, 0))
            continue
        west, south, east, north = house.footprint.bounds
        for unit in range(1, house.units + 1):
            x = west + (east - west) * (unit - 0.5) / house.units
            rows.append((shapely.Point(x, (south + north) / 2), place, unit))
    return rows
