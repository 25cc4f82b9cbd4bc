"""Districts and streets (街道): which blocks belong to which, their codes and names."""

from dataclasses import dataclass

import numpy as np

from cityframe.demo.arrays import Ints
from cityframe.demo.layout.names import CITY_CODE, DISTRICT_NAMES, STREET_NAMES, chinese_number

BLOCKS_A_STREET = 48
MAX_BLOCKS_A_STREET = 900


@dataclass(frozen=True)
class Districts:
    """The division of a city.

    Attributes
    ----------
    codes, names : tuple of str
        District codes (six digits) and names.
    street_codes, street_names : tuple of str
        Street codes (nine digits, the first six the district's) and names.
    street_district : ndarray
        District of each street.
    street : ndarray, rows × columns
        Street of each block.
    zone : ndarray, rows × columns
        Number of each block in its street, from 1.
    part_x, part_y : ndarray
        Part of the city, from 0, of each column and row; streets change their name there.
    parts : tuple of int
        How many parts there are from west to east and from south to north.
    """

    codes: tuple[str, ...]
    names: tuple[str, ...]
    street_codes: tuple[str, ...]
    street_names: tuple[str, ...]
    street_district: Ints
    street: Ints
    zone: Ints
    part_x: Ints
    part_y: Ints
    parts: tuple[int, int]


def divide(rows: int, columns: int, buildings: int, random: np.random.Generator) -> Districts:
    """Divide a grid of blocks into districts and streets, each in one piece."""
    across, up = (2, 2) if buildings < 5_000 else (3, 2) if buildings < 50_000 else (3, 3)
    part_x = np.arange(columns) * across // columns
    part_y = np.arange(rows) * up // rows
    shift = _jogs(rows, random)
    shifted = np.clip(np.arange(columns)[None, :] + shift[:, None], 0, columns - 1)
    district = part_y[:, None] * across + part_x[shifted]
    street = np.zeros((rows, columns), dtype=np.int64)
    codes: list[str] = []
    names: list[str] = []
    owners: list[int] = []
    for number in range(across * up):
        code = f"{CITY_CODE[:4]}{number + 2:02d}"
        # by the shifted columns, so that the inner borders jog like the outer ones
        wide = np.flatnonzero(part_x == number % across)
        high = np.flatnonzero(part_y == number // across)
        blocks = len(wide) * len(high)
        wanted = max(2, round(blocks / BLOCKS_A_STREET))
        wanted = max(min(wanted, 16), -(-blocks // MAX_BLOCKS_A_STREET))
        bands = max(1, round(np.sqrt(wanted * len(high) / len(wide))))
        strips = -(-wanted // bands)
        first = len(codes)
        band = np.clip((np.arange(rows) - high[0]) * bands // len(high), 0, bands - 1)
        strip = np.clip((shifted - wide[0]) * strips // len(wide), 0, strips - 1)
        local = first + band[:, None] * strips + strip
        street = np.where(district == number, local, street)
        for place in range(bands * strips):
            codes.append(f"{code}{place + 1:03d}")
            names.append(_street_name(first + place))
            owners.append(number)
    return Districts(
        codes=tuple(f"{CITY_CODE[:4]}{number + 2:02d}" for number in range(across * up)),
        names=DISTRICT_NAMES[: across * up],
        street_codes=tuple(codes),
        street_names=tuple(names),
        street_district=np.array(owners, dtype=np.int64),
        street=street,
        zone=_zones(street),
        part_x=part_x,
        part_y=part_y,
        parts=(across, up),
    )


def _jogs(rows: int, random: np.random.Generator) -> Ints:
    """Return by how many columns the borders are shifted in each row: 0 or 1, in bands."""
    bands = -(-rows // 3)
    shifts = np.repeat(random.integers(0, 2, bands), 3)[:rows]
    return shifts.astype(np.int64)


def _zones(street: Ints) -> Ints:
    flat = street.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    first = np.searchsorted(ordered, ordered)
    zone = np.empty_like(flat)
    zone[order] = np.arange(len(flat)) - first + 1
    return zone.reshape(street.shape)


def _street_name(place: int) -> str:
    turn, rest = divmod(place, len(STREET_NAMES))
    return STREET_NAMES[rest] + ("" if turn == 0 else chinese_number(turn + 1)) + "街道"
