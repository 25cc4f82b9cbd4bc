"""The parts of an address."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Protocol

import pandas as pd


class Style(StrEnum):
    """How addresses are written."""

    CHINESE = "chinese"
    WESTERN = "western"


@dataclass(frozen=True, slots=True)
class Address:
    """An address in parts, each in the form of `cityframe.core.addresses.text`; empty if unsaid.

    Attributes
    ----------
    province, city, district, town : str
        Administrative divisions, by their names: official ones where the codes know them.
    division : str
        Code of the deepest division that is certain: 2 (province), 4 (city), 6 (district, county)
        or 9 digits (town). Without a table of codes the name of the district.
    street : str
        Road, street or hutong.
    lane : str
        Number of a lane (弄) off the street, in digits.
    number : str
        House number; a range or a suffix belongs to it (12-14, 123A, 甲2).
    building, unit, floor, room : str
        Inside: 幢, 单元, 层, 室.
    remainder : str
        What was understood as none of these: names of places and companies, notes.
    """

    province: str = ""
    city: str = ""
    district: str = ""
    town: str = ""
    division: str = ""
    street: str = ""
    lane: str = ""
    number: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    room: str = ""
    remainder: str = ""


class AddressParser(Protocol):
    """Reads the parts of addresses of one style."""

    style: Style

    def parse(self, text: str) -> Address:
        """Return the parts of an address; what is no part stays as the remainder."""
        ...


PARTS = tuple(field.name for field in fields(Address))
"""Names of the parts, in the order of `Address`."""

INSIDE = ("building", "unit", "floor", "room")
"""Parts that tell places at one house number apart."""


def address_table(addresses: list[Address]) -> pd.DataFrame:
    """Return addresses as a table: a column of text for each of `PARTS`, RangeIndex."""
    columns = {name: [getattr(one, name) for one in addresses] for name in PARTS}
    return pd.DataFrame(columns, index=range(len(addresses)), dtype="str")
