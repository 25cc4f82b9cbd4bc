"""Addresses of a stretch, and the points of interest at them."""

import numpy as np
import pandas as pd

from cityframe.demo.arrays import Ints
from cityframe.demo.layout import names
from cityframe.demo.layout.plan import CityPlan
from cityframe.demo.layout.street_names import road_names
from cityframe.demo.things.placing import placed, random_days
from cityframe.demo.things.stretch import Stretch, fresh, repeated

HOUSE_NUMBER_STEP_M = 6.0
RESERVED_POIS = 0.1

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


def house_numbers(
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


def addresses_of(
    plan: CityPlan, blocks: pd.DataFrame, parcels: pd.DataFrame, buildings: pd.DataFrame
) -> pd.DataFrame:
    """Return the addresses: one a door, standing in its building."""
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


def pois_at(
    plan: CityPlan, stretch: Stretch, buildings: pd.DataFrame, addresses: pd.DataFrame
) -> pd.DataFrame:
    """Return the points of interest: at most one a building, at its first door."""
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
                "opened_on": random_days(random, np.full(len(use), 1998), np.full(len(use), 2024)),
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
