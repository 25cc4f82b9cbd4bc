"""Parcels, buildings, addresses and points of interest of a stretch."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.demo.arrays import Flags, Geometries, Ints
from cityframe.demo.layout import names
from cityframe.demo.layout.blocks import BlockKind
from cityframe.demo.layout.book import NO_LOT
from cityframe.demo.layout.plan import CityPlan
from cityframe.demo.things.addresses import addresses_of, house_numbers, pois_at
from cityframe.demo.things.placing import placed, random_days
from cityframe.demo.things.stretch import Stretch, Things, fresh, repeated

REGISTERED = 0.3
"""Share of the buildings in the housing department's register when the city begins."""

_STATE_OWNED, _COLLECTIVE = "state", "collective"


def land(plan: CityPlan, stretch: Stretch) -> Things:
    """Return parcels, buildings, addresses and pois of the blocks of a stretch."""
    blocks = _blocks(plan, stretch)
    parcels = _parcels(plan, stretch, blocks)
    buildings = _buildings(plan, stretch, blocks, parcels)
    addresses = addresses_of(plan, blocks, parcels, buildings)
    pois = pois_at(plan, stretch, buildings, addresses)
    return {"parcels": parcels, "buildings": buildings, "addresses": addresses, "pois": pois}


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
    registered = random_days(random, np.full(len(lots), 1990), np.full(len(lots), 2023))
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
                **house_numbers(plan, blocks, lots, block, serial),
            }
        )
    )


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
                "built_on": random_days(
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


def _rank_in_block(counted: Flags, block: Ints) -> Ints:
    """Return how many counted rows stand before each one in its block."""
    before: Ints = np.cumsum(counted) - counted
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
