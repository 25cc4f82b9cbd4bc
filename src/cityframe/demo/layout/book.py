"""The book of block templates: lots, houses and doors of all templates as arrays.

A city of a million buildings is made of a few hundred templates, each placed many times; so a
stretch of the city is cut out of these arrays without a look at single buildings.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry import Polygon

from cityframe.demo.layout.blocks import BlockKind, Lot, build_block

SHIFT_M = 4.0
"""How far the border between two lots moves when they are measured out anew."""

NO_LOT = -1

_HOUSE_TYPES = {
    "geometry": object, "lot": "int64", "number": "int64", "use": "str", "floors_low": "int64",
    "floors_high": "int64", "storey_m": "float64", "era_low": "int64", "era_high": "int64",
    "is_reserve": "bool",
}  # fmt: skip

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    standing : ndarray
        Number of houses of each template that are no reserve.
    """

    lots: pd.DataFrame
    houses: pd.DataFrame
    doors: pd.DataFrame
    lot_start: Ints
    house_start: Ints
    door_start: Ints
    standing: Ints


def make_book(templates: Sequence[tuple[BlockKind, float, float, int]], seed: int) -> TemplateBook:
    """Return the book of the templates (kind, width, height, variant), in their order."""
    drawn = [_template(*template, seed) for template in templates]
    lots, houses, doors = zip(*drawn, strict=True)
    sizes = np.array([[0, 0, 0], *([len(part) for part in parts] for parts in drawn)])
    lot_start, house_start, door_start = np.cumsum(sizes, axis=0).T
    return TemplateBook(
        lots=pd.concat(lots, ignore_index=True),
        houses=pd.concat(houses, ignore_index=True),
        doors=pd.concat(doors, ignore_index=True),
        lot_start=lot_start,
        house_start=house_start,
        door_start=door_start,
        standing=np.array([int((~table["is_reserve"]).sum()) for table in houses]),
    )


@functools.lru_cache(maxsize=1024)
def _template(
    kind: BlockKind, width: float, height: float, variant: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the tables of lots, houses and doors of one template."""
    number = list(BlockKind).index(kind)
    random = np.random.default_rng([seed, 1, number, int(width), int(height), variant])
    lots = build_block(kind, width, height, random)
    return _lot_table(lots, kind, width, height), _house_table(lots), _door_table(lots)


def _lot_table(lots: list[Lot], kind: BlockKind, width: float, height: float) -> pd.DataFrame:
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
    return pd.DataFrame(
        {
            "geometry": [Polygon(ring) for ring in rings],
            "land_use": [lot.land_use for lot in lots],
            "side": [_street_side(lot, width, height) for lot in lots],
            "middle_x": [(lot.west + lot.east) / 2 for lot in lots],
            "middle_y": [(lot.south + lot.north) / 2 for lot in lots],
            "cut_from": [min(pair) for pair in ends],
            "cut_to": [max(pair) for pair in ends],
            "partner": [partners.get(place, NO_LOT) for place in range(len(lots))],
            "kind": kind.value,
        }
    )


def _shift_partners(lots: list[Lot]) -> dict[int, int]:
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


def _house_table(lots: list[Lot]) -> pd.DataFrame:
    rows = [
        (
            house.footprint, place, number if len(lot.houses) > 1 else 0, house.use,
            *house.floors, house.storey_m, *house.era, house.is_reserve,
        )
        for place, lot in enumerate(lots)
        for number, house in enumerate(lot.houses, start=1)
    ]  # fmt: skip
    # types said, or a block without houses would turn the columns of the whole book to objects
    table = pd.DataFrame(rows, columns=list(_HOUSE_TYPES)).astype(_HOUSE_TYPES)
    table["room_m"] = _room(lots)
    return table


def _room(lots: list[Lot]) -> list[float]:
    room: list[float] = []
    for lot in lots:
        border = shapely.box(lot.west, lot.south, lot.east, lot.north).exterior
        shapes = np.array([house.footprint for house in lot.houses], dtype=object)
        for place, shape in enumerate(shapes):
            others = np.append(np.delete(shapes, place), border)
            room.append(float(shapely.distance(shape, others).min()))
    return room


def _door_table(lots: list[Lot]) -> pd.DataFrame:
    rows = []
    houses = [house for lot in lots for house in lot.houses]
    for place, house in enumerate(houses):
        if house.units == 1:
            rows.append((house.footprint.representative_point(), place, 0))
            continue
        west, south, east, north = house.footprint.bounds
        for unit in range(1, house.units + 1):
            x = west + (east - west) * (unit - 0.5) / house.units
            rows.append((shapely.Point(x, (south + north) / 2), place, unit))
    return pd.DataFrame(rows, columns=["geometry", "house", "unit"]).astype(
        {"geometry": object, "house": "int64", "unit": "int64"}
    )
