"""Parse Western addresses: house number, street, unit; and names of streets in one form."""

import re

from cityframe.core.addresses.parts import Address, Style
from cityframe.core.addresses.text import folded

_TYPES = """
ALY ALLEY, ARC ARCADE, AVE AVENUE AV AVEN, BLVD BOULEVARD BVD BOUL, BDWY BROADWAY, CIR CIRCLE CIRC,
CL CLOSE, CT COURT CRT, CRES CRESCENT CR CRESC CRS, DR DRIVE DRV, EXT EXTENSION, GDNS GARDENS GDN,
GDN GARDEN, GRN GREEN, GR GROVE GRV, HTS HEIGHTS, HWY HIGHWAY, LN LANE LA, LOAN, MEWS, MT MOUNT,
PK PARK, PKWY PARKWAY PWY, PL PLACE PLC, PLZ PLAZA, RD ROAD, ROW, SQ SQUARE, ST STREET STR,
TER TERRACE TERR TCE, VW VIEW, WAY WY, WYND, WALK WK, YD YARD
"""
_DIRECTIONS = (
    "N NORTH, S SOUTH, E EAST, W WEST, NE NORTHEAST, NW NORTHWEST, SE SOUTHEAST, SW SOUTHWEST"
)
_ORDINALS = (
    "FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH, NINTH, TENTH, ELEVENTH, TWELFTH"
)


def _table(text: str) -> dict[str, str]:
    groups = [group.split() for group in text.replace("\n", " ").split(",")]
    return {word: group[0] for group in groups for word in group}


STREET_TYPES = _table(_TYPES)
"""Every spelling of a street's type, with the one that keys use."""
_LEAST, _CUT = 3, 2


def _cut_short() -> dict[str, str]:
    """Return the types that lost one or two letters to the width of a column: STREE, AVENU, LAN."""
    cut: dict[str, set[str]] = {}
    for word, kind in STREET_TYPES.items():
        for length in range(max(_LEAST, len(word) - _CUT), len(word)):
            cut.setdefault(word[:length], set()).add(kind)
    return {
        word: kinds.pop()
        for word, kinds in cut.items()
        if len(kinds) == 1 and word not in STREET_TYPES
    }


_CUT_SHORT = _cut_short()
_WAYS = _table(_DIRECTIONS)
_ORDINAL = {word: str(number) for number, word in enumerate(_ORDINALS.split(", "), start=1)}
_ORDINAL_DIGITS = re.compile(r"(\d+)(?:ST|ND|RD|TH)")
_MARKS = re.compile(r"['’`´.]")
_OTHERS = re.compile(r"[^\w&/]+")
_NUMBER = (
    r"\d+(?:[A-Z](?![A-Z])| [A-Z](?= \w+ \w)(?<![NSEW]))?"
    r"(?:[ -]1/2|(?:[-&+]\d*[A-Z]?(?![A-Z]))+)?"
)
_HEAD = re.compile(
    rf"(?P<number>{_NUMBER})(?:/(?P<flat>[A-Z]?\d+[A-Z]?(?:-\d+)?))?"
    r"(?: ?\((?P<floor>[^)]*)\))?[ ,]+(?=\S)"
)
# (4) HAYMARKET is number 4, and 18(GF)-20 the ground floor of 18-20
_ENCLOSED = re.compile(r"^\((\d[^)\s]*)\)(?= )")
_FLOOR_OF_FIRST = re.compile(r"^(\d+[A-Z]?)(\([^)]*\))(-\d+[A-Z]?)")
_SPACED = re.compile(r" (?=[A-Z])")
_UNIT = re.compile(
    r"[ ,]*(?:^|(?<=[ ,]))(?:#|\b(?:UNIT|APT|APARTMENT|FLAT|SUITE|STE|RM|ROOM|NO)\b[. ]*#?) ?"
    r"(?P<unit>(?:[A-Z]?\d+[A-Z]*|[A-Z](?![A-Z]))(?:[-/][A-Z0-9]+)?)(?=$|[ ,])[ ,]*"
)
_FLOOR = re.compile(r"[ ,]*\((?P<floor>[^)]*(?:F|FLOOR|FLR|BASEMENT|GROUND))\)")


class WesternParser:
    """Reads the parts of addresses like ``123A Main St, Unit 4`` and ``9(GF) ABBEY STRAND``.

    ``12/4`` is flat 4 of number 12. What follows the street after a comma is the remainder.
    """

    style = Style.WESTERN

    def parse(self, text: str) -> Address:
        """Return the parts of an address; what is no part stays as the remainder."""
        whole = _FLOOR_OF_FIRST.sub(r"\1\3\2", _ENCLOSED.sub(r"\1", folded(text)))
        unit = ""
        match = _UNIT.search(whole)
        if match:
            unit = match["unit"]
            whole = f"{whole[: match.start()]}, {whole[match.end() :]}".strip(", ")
        head = _HEAD.match(whole)
        floor = (head["floor"] or "") if head else ""
        rest = whole[head.end() :] if head else whole
        after = _FLOOR.search(rest)
        if after:
            floor, rest = floor or after["floor"], rest[: after.start()] + rest[after.end() :]
        street, _, remainder = rest.partition(",")
        return Address(
            street=street.strip(),
            number=_SPACED.sub("", head["number"]) if head else "",
            unit=unit or ((head["flat"] or "") if head else ""),
            floor=floor.strip(),
            remainder=remainder.strip(),
        )


def western_street_key(name: str) -> str:
    """Return the name of a street without what is a matter of writing.

    Apostrophes and stops are left out, words for types, directions and ordinals take one form, and
    ST before a name is Saint: ``St. Leonard's Street`` gives ``SAINT LEONARDS ST``.
    """
    words = _OTHERS.sub(" ", _MARKS.sub("", folded(name)).replace("-", " ")).split()
    keyed = []
    for place, word in enumerate(words):
        is_last = place == len(words) - 1
        before_way = place == len(words) - 2 and words[-1] in _WAYS
        if word in ("ST", "SAINT") and not (is_last or before_way):
            keyed.append("SAINT")
        elif place and (is_last or before_way) and word in STREET_TYPES:
            keyed.append(STREET_TYPES[word])
        elif place and is_last and word in _CUT_SHORT:
            keyed.append(_CUT_SHORT[word])
        elif word in _WAYS and (is_last or not place) and len(words) > 1:
            keyed.append(_WAYS[word])
        else:
            digits = _ORDINAL_DIGITS.fullmatch(word)
            keyed.append(digits[1] if digits else _ORDINAL.get(word, word))
    return " ".join(keyed)
