"""Parcels, buildings, addresses and points of interest of a stretch."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.demo.layout import names
from cityframe.demo.layout.blocks import BlockKind
from cityframe.demo.layout.book import NO_LOT
from cityframe.demo.layout.plan import ARTERIAL, LOCAL, CityPlan, Floats, Ints
from cityframe.demo.things.stretch import Stretch, Things, fresh, repeated

Geometries = npt.NDArray[np.object_]

HOUSE_NUMBER_STEP_M = 6.0
RESERVED_POIS = 0.1
REGISTERED = 0.3
"""Share of the buildings in the housing department's register when the city begins."""

_POI_SHARE = {"31": 0.9, "34": 0.7, "61": 0.5, "41": 0.5, "42": 0.8, "11": 0.15, "12": 0.12}
_POI_CATEGORIES = {
    "31": ("catering", "retail", "services", "hotel", "recreation"),
    "34": ("finance",),
    "61": ("government", "services"),
    "41": ("education",),
    "42": ("medical",),
    "11": ("retail", "services", "education"),
    "12": ("catering", "retail", "medical"),
}
_STATE_OWNED, _COLLECTIVE = "state", "collective"


def land(plan: CityPlan, stretch: Stretch) -> Things:
    """Return parcels, buildings, addresses and pois of the blocks of a stretch."""
    blocks = _blocks(plan, stretch)
    parcels = _parcels(plan, stretch, blocks)
    buildings = _buildings(plan, stretch, blocks, parcels)
    addresses = _addresses(plan, blocks, parcels, buildings)
    pois = _pois(plan, stretch, buildings, addresses)
    return {"parcels": parcels, "buildings": buildings, "addresses": addresses, "pois": pois}


def placed(plan: CityPlan, geometry: Geometries, offset: Floats) -> Geometries:
    """Return geometries of templates at their places; ``offset`` has a row for each."""
    per_vertex = np.repeat(offset, shapely.get_num_coordinates(geometry), axis=0)
    moved: Geometries = shapely.transform(geometry, lambda xy: plan.place(xy + per_vertex))
    return moved


def _blocks(plan: CityPlan, stretch: Stretch) -> pd.DataFrame:
    row, column = stretch.row, stretch.column
    corner = plan.block_corner(row, column)
    street = plan.districts.street[row, column]
    codes = np.array(plan.districts.street_codes, dtype=object)
    return pd.DataFrame(
        {
            "row": row,
            "column": column,
            "template": plan.template[row, column],
            "x": corner[:, 0],
            "y": corner[:, 1],
            "district": plan.districts.street_district[street],
            "code": [
                f"{code}{zone:03d}"
                for code, zone in zip(codes[street], plan.districts.zone[row, column], strict=True)
            ],
            "standing": plan.standing[row, column],
        }
    )


def _parcels(plan: CityPlan, stretch: Stretch, blocks: pd.DataFrame) -> pd.DataFrame:
    book = plan.book
    template = blocks["template"].to_numpy()
    rows, block = repeated(book.lot_start[template], book.lot_start[template + 1])
    lots = book.lots.take(rows).reset_index(drop=True)
    serial = rows - book.lot_start[template[block]]
    geometry = placed(plan, lots["geometry"].to_numpy(), blocks[["x", "y"]].to_numpy()[block])
    random = stretch.random(plan, 1)
    is_state = ~lots["land_use"].isin(["0702", "1004"]).to_numpy()
    registered = _dates(random, np.full(len(lots), 1990), np.full(len(lots), 2023))
    expires = registered + np.timedelta64(70 * 365, "D")
    has_end = is_state & random.choice([True, False], len(lots), p=[0.7, 0.3])
    first = np.arange(len(lots)) - serial
    partner = lots["partner"].to_numpy()
    return fresh(
        pd.DataFrame(
            {
                "parcel_id": [
                    f"{code}GB{number:05d}"
                    for code, number in zip(
                        blocks["code"].to_numpy()[block], serial + 1, strict=True
                    )
                ],
                "land_use": lots["land_use"],
                "tenure": np.where(is_state, _STATE_OWNED, _COLLECTIVE),
                "registered_area_m2": np.round(shapely.area(geometry), 2),
                "registered_on": registered,
                "expires_on": np.where(has_end, expires, np.datetime64("NaT")),
                "geometry": geometry,
                "block": block,
                "serial": serial,
                "cut_from": lots["cut_from"],
                "cut_to": lots["cut_to"],
                "partner": np.where(partner == NO_LOT, NO_LOT, partner + first),
                "kind": lots["kind"],
                **_house_numbers(plan, blocks, lots, block, serial),
            }
        )
    )


def _house_numbers(
    plan: CityPlan, blocks: pd.DataFrame, lots: pd.DataFrame, block: Ints, serial: Ints
) -> dict[str, object]:
    """Return the road name and the house number of each lot: by distance, odd and even sides."""
    side = lots["side"].to_numpy()
    row, column = (blocks[name].to_numpy()[block] for name in ("row", "column"))
    is_east_west = np.isin(side, (0, 2, -1))
    line = np.where(is_east_west, row + (side == 2), column + (side == 1))
    x = blocks["x"].to_numpy()[block] + lots["middle_x"].to_numpy()
    y = blocks["y"].to_numpy()[block] + lots["middle_y"].to_numpy()
    parts = plan.districts.part_x[column], plan.districts.part_y[row]
    starts = [
        positions[np.searchsorted(part_of_line, part)]
        for positions, part_of_line, part in (
            (plan.x, plan.districts.part_x, parts[0]),
            (plan.y, plan.districts.part_y, parts[1]),
        )
    ]
    distance = np.where(is_east_west, x - starts[0], y - starts[1])
    number = 2 * (distance // HOUSE_NUMBER_STEP_M).astype(int) + np.where(
        np.isin(side, (1, 2)), 2, 1
    )
    part = np.where(is_east_west, parts[0], parts[1])
    suffix = [
        f"附{place + 1}号" if at == -1 else "" for at, place in zip(side, serial, strict=True)
    ]
    return {
        "road_name": road_names(plan, is_east_west, line, part),
        "house_number": [f"{one}号{more}" for one, more in zip(number, suffix, strict=True)],
        "district": blocks["district"].to_numpy()[block],
    }


def road_names(
    plan: CityPlan, is_east_west: npt.NDArray[np.bool_], line: Ints, part: Ints
) -> list[str]:
    """Return the names of streets by line and part of the city."""
    order = np.random.default_rng([plan.seed, 5]).permutation(len(plan.x) + len(plan.y))
    ends = {2: "西东", 3: "西中东"}[plan.districts.parts[0]]
    sides = {2: "南北", 3: "南中北"}[plan.districts.parts[1]]
    kinds = {ARTERIAL: "大道", LOCAL: "街"}
    east_west = [
        [
            names.road_stem(int(order[place])) + end + kinds.get(int(plan.y_class[place]), "路")
            for end in ends
        ]
        for place in range(len(plan.y))
    ]
    north_south = [
        [
            names.road_stem(int(order[len(plan.y) + place]))
            + end
            + kinds.get(int(plan.x_class[place]), "路")
            for end in sides
        ]
        for place in range(len(plan.x))
    ]
    return [
        (east_west if across else north_south)[at][which]
        for across, at, which in zip(is_east_west, line, part, strict=True)
    ]


def _buildings(
    plan: CityPlan, stretch: Stretch, blocks: pd.DataFrame, parcels: pd.DataFrame
) -> pd.DataFrame:
    book = plan.book
    template = blocks["template"].to_numpy()
    rows, block = repeated(book.house_start[template], book.house_start[template + 1])
    houses = book.houses.take(rows).reset_index(drop=True)
    first_parcel = np.searchsorted(parcels["block"].to_numpy(), block)
    parcel = first_parcel + houses["lot"].to_numpy()
    random = stretch.random(plan, 2)
    floors = random.integers(houses["floors_low"], houses["floors_high"] + 1)
    height = np.round(
        floors * houses["storey_m"].to_numpy() + random.uniform(0.4, 1.6, len(rows)), 1
    )
    reserve = houses["is_reserve"].to_numpy()
    rank = _rank_in_block(~reserve, block)
    is_standing = ~reserve & (rank < blocks["standing"].to_numpy()[block])
    number = houses["number"].to_numpy()
    use = houses["use"].to_numpy()
    return fresh(
        pd.DataFrame(
            {
                "building_id": [
                    f"{code}F{max(one, 1):04d}"
                    for code, one in zip(
                        parcels["parcel_id"].to_numpy()[parcel], number, strict=True
                    )
                ],
                "parcel_id": parcels["parcel_id"].to_numpy()[parcel],
                "name": _building_names(random, parcels, parcel, number),
                "use": use,
                "floors": floors,
                "height_m": height,
                "built_on": _dates(
                    random, houses["era_low"].to_numpy(), houses["era_high"].to_numpy()
                ),
                "structure": _structures(use, floors),
                "households": np.where(
                    np.isin(use, ("11", "12")), floors * random.integers(1, 7, len(rows)), 0
                ),
                "safety_grade": random.choice(list("ABCD"), len(rows), p=[0.8, 0.15, 0.04, 0.01]),
                "geometry": placed(
                    plan, houses["geometry"].to_numpy(), blocks[["x", "y"]].to_numpy()[block]
                ),
                "block": block,
                "parcel": parcel,
                "number": number,
                "room_m": houses["room_m"],
                "is_registered": is_standing & (random.random(len(rows)) < REGISTERED),
                "registered_in": 1,
            }
        ),
        is_standing,
    )


def _rank_in_block(counted: npt.NDArray[np.bool_], block: Ints) -> Ints:
    """Return how many counted rows stand before each one in its block."""
    before = np.cumsum(counted) - counted
    rank: Ints = before - before[np.searchsorted(block, block)]
    return rank


def _building_names(
    random: np.random.Generator, parcels: pd.DataFrame, parcel: Ints, number: Ints
) -> list[str | None]:
    estates = [
        random.choice(names.ESTATE_NAMES, len(parcels)),
        random.choice(names.ESTATE_KINDS, len(parcels)),
    ]
    kind = parcels["kind"].to_numpy()
    endings = {
        BlockKind.SCHOOL.value: "学校", BlockKind.HOSPITAL.value: "医院",
        BlockKind.FACTORY.value: "机械厂", BlockKind.COMMERCE.value: "大厦",
        BlockKind.PARK.value: "公园",
    }  # fmt: skip
    found: list[str | None] = []
    for lot, one in zip(parcel, number, strict=True):
        stem, block_kind = estates[0][lot], kind[lot]
        if block_kind in (BlockKind.VILLAGE.value, BlockKind.OLD_TOWN.value):
            found.append(None)
        elif block_kind in endings:
            found.append(stem + endings[block_kind] + (f"{one}号楼" if one else ""))
        else:
            found.append(f"{stem}{estates[1][lot]}{max(one, 1)}栋")
    return found


def _structures(use: Geometries, floors: Ints) -> npt.NDArray[np.str_]:
    """Return the structure by GB/T 17986.1 that fits use and height."""
    return np.select(
        [np.isin(use, ("21", "27", "55")), floors > 20, floors > 7, floors > 3],
        ["1", "2", "3", "4"],
        "5",
    )


def _addresses(
    plan: CityPlan, blocks: pd.DataFrame, parcels: pd.DataFrame, buildings: pd.DataFrame
) -> pd.DataFrame:
    book = plan.book
    template = blocks["template"].to_numpy()
    rows, block = repeated(book.door_start[template], book.door_start[template + 1])
    doors = book.doors.take(rows).reset_index(drop=True)
    first_building = np.searchsorted(buildings["block"].to_numpy(), block)
    building = first_building + doors["house"].to_numpy()
    parcel = buildings["parcel"].to_numpy()[building]
    number, unit = buildings["number"].to_numpy()[building], doors["unit"].to_numpy()
    serial = rows - book.door_start[template[block]]
    district = parcels["district"].to_numpy()[parcel]
    building_number = [f"{one}栋" if one else None for one in number]
    unit_number = [f"{one}单元" if one else None for one in unit]
    road = parcels["road_name"].to_numpy()[parcel]
    house = parcels["house_number"].to_numpy()[parcel]
    district_name = np.array(plan.districts.names, dtype=object)[district]
    return fresh(
        pd.DataFrame(
            {
                "address_id": [
                    f"{code}{place + 1:04d}"
                    for code, place in zip(blocks["code"].to_numpy()[block], serial, strict=True)
                ],
                "full_address": [
                    area + street + no + (block_no or "") + (unit_no or "")
                    for area, street, no, block_no, unit_no in zip(
                        district_name, road, house, building_number, unit_number, strict=True
                    )
                ],
                "district_code": np.array(plan.districts.codes, dtype=object)[district],
                "road_name": road,
                "house_number": house,
                "building_number": building_number,
                "unit_number": unit_number,
                "status": "valid",
                "saved_in": 1,
                "saved_again": 0,
                "stray_since": 0,
                "geometry": placed(
                    plan, doors["geometry"].to_numpy(), blocks[["x", "y"]].to_numpy()[block]
                ),
                "block": block,
                "building": building,
                "is_main": unit <= 1,
            }
        ),
        buildings["is_alive"].to_numpy()[building],
    )


def _pois(
    plan: CityPlan, stretch: Stretch, buildings: pd.DataFrame, addresses: pd.DataFrame
) -> pd.DataFrame:
    random = stretch.random(plan, 3)
    address = np.flatnonzero(addresses["is_main"])
    use = buildings["use"].to_numpy()[addresses["building"].to_numpy()[address]]
    share = pd.Series(use).map(_POI_SHARE).fillna(0.0).to_numpy()
    has_one = random.random(len(address)) < share
    address, use = address[has_one], use[has_one]
    is_reserve = random.random(len(address)) < RESERVED_POIS
    category = [
        _POI_CATEGORIES[one][pick % len(_POI_CATEGORIES[one])]
        for one, pick in zip(use, random.integers(60, size=len(use)), strict=True)
    ]
    return fresh(
        pd.DataFrame(
            {
                "poi_id": "P" + addresses["address_id"].to_numpy()[address],
                "name": poi_names(random, category),
                "category": category,
                "address": addresses["full_address"].to_numpy()[address],
                "phone": [
                    f"0700-{one:07d}" for one in random.integers(2_000_000, 9_000_000, len(use))
                ],
                "opened_on": _dates(random, np.full(len(use), 1998), np.full(len(use), 2024)),
                "geometry": addresses["geometry"].to_numpy()[address],
                "at": address,
            }
        ),
        ~is_reserve & addresses["is_alive"].to_numpy()[address],
    )


def poi_names(random: np.random.Generator, category: list[str]) -> list[str]:
    """Return invented names for points of interest of these categories."""
    brands = random.choice(names.POI_BRANDS, len(category))
    picks = random.integers(60, size=len(category))
    return [
        str(brand) + names.POI_KINDS[kind][pick % len(names.POI_KINDS[kind])]
        for brand, kind, pick in zip(brands, category, picks, strict=True)
    ]


def _dates(
    random: np.random.Generator, first_year: npt.NDArray[np.int64], last_year: npt.NDArray[np.int64]
) -> npt.NDArray[np.datetime64]:
    """Return a random day in each span of years."""
    start = np.array(first_year - 1970, dtype="datetime64[Y]").astype("datetime64[D]")
    days = (last_year - first_year) * 365
    return start + (random.random(len(start)) * days).astype("timedelta64[D]")
