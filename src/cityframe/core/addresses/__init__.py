"""Addresses in words: parsed into parts, resolved to entities, compared."""

from cityframe.core.addresses.admin_codes import AdminCodes, read_admin_codes
from cityframe.core.addresses.chinese import ChineseParser
from cityframe.core.addresses.gazetteer import Gazetteer, parts_of
from cityframe.core.addresses.parts import (
    INSIDE,
    PARTS,
    Address,
    AddressParser,
    Style,
    address_table,
)
from cityframe.core.addresses.resolution import Acceptance, Reason, resolve
from cityframe.core.addresses.text import folded
from cityframe.core.addresses.western import WesternParser

__all__ = [
    "INSIDE",
    "PARTS",
    "Acceptance",
    "Address",
    "AddressParser",
    "AdminCodes",
    "ChineseParser",
    "Gazetteer",
    "Reason",
    "Style",
    "WesternParser",
    "address_table",
    "folded",
    "parts_of",
    "read_admin_codes",
    "resolve",
]
