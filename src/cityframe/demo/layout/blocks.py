"""City blocks: how each kind of block is cut into lots and built on.

Coordinates are metres from the block's south-west corner, on whole centimetres.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from shapely.geometry import Polygon

from cityframe.demo.layout import shapes

WIDTHS_M = (96.0, 120.0, 144.0, 168.0)
HEIGHTS_M = (80.0, 104.0, 128.0)


class BlockKind(StrEnum):
    """What a block is used for."""

    SLABS = "slabs"
    TOWERS = "towers"
    OLD_TOWN = "old-town"
    VILLAGE = "village"
    COMMERCE = "commerce"
    SCHOOL = "school"
    HOSPITAL = "hospital"
    FACTORY = "factory"
    PARK = "park"


@dataclass
class House:
    """One building of a template.

    Attributes
    ----------
    use : str
        Use by GB/T 17986.1.
    floors : tuple of int
        Fewest and most storeys.
    era : tuple of int
        First and last year in which it may have been built.
    units : int
        Staircases with a number of their own (单元).
    is_reserve : bool
        Whether it is not built yet when the city begins.
    """

    footprint: Polygon
    use: str
    floors: tuple[int, int]
    storey_m: float
    era: tuple[int, int]
    units: int = 1
    is_reserve: bool = False


@dataclass
class Lot:
    """One parcel of a template: a rectangle and what stands on it.

    ``land_use`` by GB/T 21010.
    """

    west: float
    south: float
    east: float
    north: float
    land_use: str
    houses: list[House] = field(default_factory=list)

    @property
    def width(self) -> float:
        """West to east."""
        return self.east - self.west

    @property
    def depth(self) -> float:
        """South to north."""
        return self.north - self.south


Random = np.random.Generator


def build_block(kind: BlockKind, width: float, height: float, random: Random) -> list[Lot]:
    """Return the lots of one block; they cover it without gaps or overlaps."""
    return _BUILDERS[kind](width, height, random)


def _slabs(width: float, height: float, random: Random) -> list[Lot]:
    half = round(width / 2 + random.uniform(-8, 8))
    lots = [Lot(0, 0, half, height, "0701"), Lot(half, 0, width, height, "0701")]
    if width < 120:
        lots = [Lot(0, 0, width, height, "0701")]
    stories = (5, 7) if random.random() < 0.7 else (8, 11)
    era = (1978, 2004) if stories[1] == 7 else (1998, 2020)
    for lot in lots:
        pitch = random.uniform(25, 30)
        room = lot.width - 18 + 10
        abreast = max(1, round(room / random.uniform(38, 56)))
        length = room / abreast - 10
        stairs = max(2, round(length / 15))
        for south in np.arange(lot.south + 9, lot.north - 21, pitch):
            for west in lot.west + 9 + np.arange(abreast) * (length + 10):
                shape = shapes.slab(length, 12.6, stairs)
                lot.houses.append(
                    House(shapes.placed(shape, west, south), "11", stories, 2.9, era, stairs)
                )
    return lots


def _towers(width: float, height: float, random: Random) -> list[Lot]:
    lot = Lot(0, 0, width, height, "0701")
    size = round(random.uniform(22, 27), 1)
    for south in np.arange(26.0, height - size - 8, size + 20):
        for west in np.arange(10.0, width - size - 8, size + 16):
            shape = shapes.placed(shapes.cross(size, size, size / 4), west, south)
            lot.houses.append(House(shape, "11", (17, 33), 2.9, (2002, 2022), units=2))
    podium = shapes.placed(shapes.rectangle(width - 40, 12), 20, 5.5)
    lot.houses.append(House(podium, "31", (2, 3), 4.2, (2002, 2022)))
    return [lot]


def _old_town(width: float, height: float, random: Random) -> list[Lot]:
    lots = _cut(Lot(0, 0, width, height, "0701"), random, smallest=34)
    for lot in lots:
        wide, deep = lot.width - 9, lot.depth - 9
        wing = round(random.uniform(8.5, 10.5), 1)
        form = random.random()
        if form < 0.35 and min(wide, deep) > 3 * wing - 1:
            shape = shapes.courtyard(wide, deep, wing)
        elif form < 0.65 and wide > 3 * wing - 3:
            shape = shapes.u_shape(wide, deep, wing)
        else:
            shape = shapes.l_shape(wide, deep, wing)
        footprint = shapes.placed(
            shape, lot.west + 4.5, lot.south + 4.5, is_mirrored_x=random.random() < 0.5,
            is_mirrored_y=random.random() < 0.5,
        )  # fmt: skip
        is_shop = random.random() < 0.4
        lot.land_use = "0501" if is_shop else "0701"
        use = "31" if is_shop else "12"
        lot.houses.append(House(footprint, use, (2, 6), 3.1, (1950, 1992)))
        if form >= 0.65 and min(wide, deep) > 28:
            _add_yard_house(lot, footprint, random)
    return lots


def _add_yard_house(lot: Lot, main: Polygon, random: Random) -> None:
    side = 9.6
    for west in (lot.west + 5, lot.east - 5 - side):
        for south in (lot.south + 5, lot.north - 5 - side):
            shape = shapes.placed(shapes.rectangle(side, side), west, south)
            if shape.distance(main) > 4 and shape.disjoint(main):
                lot.houses.append(
                    House(shape, "12", (1, 3), 3.0, (1950, 1985), is_reserve=random.random() < 0.5)
                )
                return


def _village(width: float, height: float, random: Random) -> list[Lot]:
    lane = 4.0
    pairs = round((height + lane) / 30)
    depth = (height - lane * (pairs - 1)) / (2 * pairs)
    lots: list[Lot] = []
    for pair in range(pairs):
        south = pair * (2 * depth + lane)
        lots += _village_row(width, south, south + depth, random)
        lots += _village_row(width, south + depth, south + 2 * depth, random)
        if pair < pairs - 1:
            lots.append(Lot(0, south + 2 * depth, width, south + 2 * depth + lane, "1004"))
    return lots


def _village_row(width: float, south: float, north: float, random: Random) -> list[Lot]:
    lots: list[Lot] = []
    west = 0.0
    while west < width:
        east = round(west + random.uniform(10.5, 15), 1)
        if width - east < 10.5:
            east = width
        lot = Lot(west, south, east, north, "0702")
        deep = round(north - south - random.uniform(2.6, 3.6), 1)
        wide = round(lot.width - 2.4, 1)
        shape = shapes.rectangle(wide, deep)
        if random.random() < 0.25:
            shape = shapes.l_shape(wide, deep, round(min(wide, deep) * 0.62, 1))
        house = House(
            shapes.placed(shape, west + 1.2, south + 1.3), "12", (2, 5), 3.1, (1982, 2012)
        )
        house.is_reserve = random.random() < 0.05
        lot.houses.append(house)
        lots.append(lot)
        west = east
    return lots


def _commerce(width: float, height: float, random: Random) -> list[Lot]:
    lots = _cut(Lot(0, 0, width, height, "0505"), random, smallest=46)
    for lot in lots:
        wide, deep = lot.width - 18, lot.depth - 18
        form = random.random()
        if form < 0.12:
            lot.land_use = "0507"
            continue
        if form < 0.4:
            side = min(wide, deep, 34.0)
            west = lot.west + (lot.width - side) / 2
            shape = shapes.placed(shapes.rectangle(side, side * 0.8), west, lot.south + 12)
            house = House(shape, "61", (14, 42), 3.8, (1996, 2022))
        elif form < 0.7:
            wing = round(min(wide, deep) / 3, 1)
            footprint = shapes.l_shape(wide, deep, wing)
            shape = shapes.placed(
                footprint, lot.west + 9, lot.south + 9, is_mirrored_x=random.random() < 0.5
            )
            house = House(shape, "34", (6, 16), 3.8, (1988, 2018))
        else:
            wing = round(min(wide, deep) * 0.36, 1)
            yard = shapes.courtyard(wide, deep, wing)
            shape = shapes.placed(yard, lot.west + 9, lot.south + 9)
            lot.land_use = "0501"
            house = House(shape, "31", (3, 7), 4.6, (1992, 2021))
        house.is_reserve = random.random() < 0.06
        lot.houses.append(house)
    return lots


def _school(width: float, height: float, random: Random) -> list[Lot]:
    lot = Lot(0, 0, width, height, "0803")
    wide = min(58.0, width - 34)
    main = shapes.placed(shapes.u_shape(wide, 34, 11), 9, height - 44, is_mirrored_y=True)
    hall = shapes.placed(shapes.rectangle(20, 26), 9, 9)
    canteen = shapes.placed(shapes.rectangle(14, 20), width - 23, height - 31)
    era = (1975, 2015)
    lot.houses += [
        House(main, "41", (4, 5), 3.6, era),
        House(hall, "55", (1, 2), 5.4, era),
        House(canteen, "41", (2, 3), 3.9, era, is_reserve=random.random() < 0.4),
    ]
    return [lot]


def _hospital(width: float, height: float, random: Random) -> list[Lot]:
    lot = Lot(0, 0, width, height, "0805")
    wing = 14.0
    deep = height - 46
    ward = shapes.placed(shapes.l_shape(54, deep, wing), 10, 34)
    front = shapes.placed(shapes.rectangle(min(70.0, width - 24), 17), 12, 10)
    lot.houses += [
        House(ward, "42", (9, 18), 3.8, (1985, 2020)),
        House(front, "42", (4, 6), 4.0, (1985, 2020)),
    ]
    if width >= 120:
        lab = shapes.placed(shapes.rectangle(18, 22), width - 30, height - 38)
        reserve = random.random() < 0.4
        lot.houses.append(House(lab, "43", (5, 8), 3.8, (1995, 2020), is_reserve=reserve))
    return [lot]


def _factory(width: float, height: float, random: Random) -> list[Lot]:
    lots = _cut(Lot(0, 0, width, height, "0601"), random, smallest=60)
    for lot in lots:
        wide = min(round(random.uniform(26, 38)), lot.width - 18)
        for west in np.arange(lot.west + 9, lot.east - 9 - wide + 0.1, wide + 11):
            deep = lot.depth - 38
            if deep < 16:
                break
            shed = shapes.placed(shapes.rectangle(wide, deep), west, lot.south + 30)
            use, reserve = ("27" if random.random() < 0.3 else "21"), random.random() < 0.08
            lot.houses.append(House(shed, use, (1, 2), 6.8, (1965, 2019), is_reserve=reserve))
        office = shapes.placed(shapes.rectangle(24, 11), lot.west + 10, lot.south + 8)
        lot.houses.append(House(office, "61", (2, 4), 3.4, (1965, 2019)))
    return lots


def _park(width: float, height: float, random: Random) -> list[Lot]:
    half = round(width / 2)
    lots = [
        Lot(0, 0, half, height, "0810"),
        Lot(half, 0, width, height, "0810"),
    ]
    if random.random() < 0.6:
        pavilion = shapes.placed(shapes.octagon(13), half + 14, round(height / 2))
        lots[1].houses.append(House(pavilion, "54", (1, 1), 4.4, (1955, 2015)))
    return lots


def _cut(lot: Lot, random: Random, smallest: float) -> list[Lot]:
    """Cut a lot in two again and again until its parts are small."""
    if max(lot.width, lot.depth) < 2 * smallest or (
        max(lot.width, lot.depth) < 2.6 * smallest and random.random() < 0.2
    ):
        return [lot]
    share = random.uniform(0.42, 0.58)
    if lot.width >= lot.depth:
        middle = round(lot.west + lot.width * share)
        parts = [
            Lot(lot.west, lot.south, middle, lot.north, lot.land_use),
            Lot(middle, lot.south, lot.east, lot.north, lot.land_use),
        ]
    else:
        middle = round(lot.south + lot.depth * share)
        parts = [
            Lot(lot.west, lot.south, lot.east, middle, lot.land_use),
            Lot(lot.west, middle, lot.east, lot.north, lot.land_use),
        ]
    return [piece for part in parts for piece in _cut(part, random, smallest)]


_BUILDERS: dict[BlockKind, Callable[[float, float, Random], list[Lot]]] = {
    BlockKind.SLABS: _slabs,
    BlockKind.TOWERS: _towers,
    BlockKind.OLD_TOWN: _old_town,
    BlockKind.VILLAGE: _village,
    BlockKind.COMMERCE: _commerce,
    BlockKind.SCHOOL: _school,
    BlockKind.HOSPITAL: _hospital,
    BlockKind.FACTORY: _factory,
    BlockKind.PARK: _park,
}
