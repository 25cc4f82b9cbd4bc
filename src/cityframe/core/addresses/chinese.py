"""Parse Chinese addresses."""

import re

from cityframe.core.addresses.admin_codes import AdminCodes
from cityframe.core.addresses.division_names import CITY, COUNTY, PROVINCE, TOWN
from cityframe.core.addresses.divisions import LEAD, DivisionFinder
from cityframe.core.addresses.name_index import NameIndex
from cityframe.core.addresses.parts import Address, Style
from cityframe.core.addresses.text import folded_chinese

_LIST = r"(?:[-/、,]\d+[A-Z]?)*"
_NUMBER = rf"[甲乙丙丁]?\d+(?:[A-Z](?![A-Z])|[甲乙丙丁])?(?:[-之]\d+)?{_LIST}(?:[甲乙丙丁])?"
# without a table of divisions their ranks alone tell them
_RANKS = re.compile(
    r"(?P<province>[^\d]{2,6}?(?:省|自治区)|(?:北京|天津|上海|重庆)市)?"
    r"(?P<city>[^\d省]{2,8}?(?:自治州|地区|盟|市(?!场)))?"
    r"(?P<district>[^\d市]{1,6}?(?:自治[县旗]|[区县旗](?![间前])|(?<=..)市(?!场)))?"
)
_TOWN = re.compile(r"(?P<town>[^\d路号弄]{1,6}?(?:街道(?:办事处|办)?|[镇乡](?!政府)))")
_NOTE = re.compile(r"\(([^()]*)\)")
_ROAD = re.compile(
    r"(?P<street>[^\d,()/;:。·-][^,()/;:。]{0,14}?"
    r"(?:公路|胡同|高速|[路街巷道](?![路街巷道])|[里条](?=\d))"
    r"(?:[东南西北中内外](?![大京海]))?(?:[一二三四五六七八九十]+[段期]|[东南西北中]段)?)"
)
_LANE = re.compile(r"(?P<lane>\d+(?:[-之]\d+)?)弄")
_HOUSE = re.compile(rf"(?:门牌)?(?P<number>{_NUMBER})号(?!楼|厂房|库|馆|门[^牌]|线|塔|地块)院?")
_BARE_HOUSE = re.compile(rf"(?P<number>{_NUMBER})(?=$|,|\()")
_INSIDE = re.compile(
    r"(?:(?P<building>(?:[A-Z]?\d+[A-Z]?|[A-Z]+\d*|[甲乙丙丁东南西北主])(?:-\d+)?)"
    r"(?:号楼|号厂房|号馆|号塔|号(?=\d+(?:单元|层|楼|室))|[幢栋座]楼?|#楼?)"
    r"|(?P<unit>[A-Z]?\d+|[A-Z]|[甲乙丙丁东南西北中])单元"
    r"|(?P<floor>B?\d+(?:[-、,]\d+)*)(?:楼(?!盘)|层|F(?![A-Z]))"
    r"|(?P<room>[A-Z]?\d+[A-Z]?(?:[-、,/]?[A-Z]?\d+[A-Z]?)*)(?:室|房(?!产))"
    r"|(?<=[幢栋座楼层元厦场心园])(?P<bare>[A-Z]?\d{3,5}[A-Z]?(?:-[A-Z\d]+)?)(?=$|[,(])"
    r")"
)


class ChineseParser:
    """Reads the parts of a Chinese address.

    Parameters
    ----------
    codes : AdminCodes, optional
        Administrative codes; without them divisions are told by their ranks alone (省, 市, 区).
    streets : iterable of str
        Known names of streets, in the form of `folded_chinese`: what begins with one has it.
    within : str
        Code of the division that the addresses are in where they do not say so.
    """

    style = Style.CHINESE

    def __init__(
        self,
        codes: AdminCodes | None = None,
        streets: frozenset[str] = frozenset(),
        within: str = "",
    ) -> None:
        self._codes = codes
        self._finder = DivisionFinder(codes) if codes is not None else None
        self._streets = NameIndex({name: (name,) for name in streets})
        self._within = within

    def parse(self, text: str) -> Address:
        """Return the parts of an address; what is no part stays as the remainder."""
        whole = folded_chinese(text)
        notes = _NOTE.findall(whole)
        parts, before, rest = self._divisions(_NOTE.sub("", whole))
        street, rest = self._street(rest)
        inside, left = _inside(rest)
        said = (before, left.strip(",;。.-"), *notes)
        return Address(**parts, **street, **inside, remainder=",".join(one for one in said if one))

    def _divisions(self, text: str) -> tuple[dict[str, str], str, str]:
        """Return the divisions, and the text before and after them."""
        if self._finder is None or self._codes is None:
            parts, rest = _by_ranks(text)
            return parts, "", rest
        found = self._finder.find(text, self._within)
        levels = {"province": PROVINCE, "city": CITY, "district": COUNTY, "town": TOWN}
        parts = {
            part: self._codes.name(found.division[:level])
            for part, level in levels.items()
            if len(found.division) >= level
        } | {"division": found.division}
        rest = text[found.end :]
        town = _TOWN.match(rest) if found.end > found.start else None
        return parts, LEAD.sub("", text[: found.start]), rest[town.end() :] if town else rest

    def _street(self, rest: str) -> tuple[dict[str, str], str]:
        """Return street, lane and number, and the rest after them."""
        known = next(self._streets.at(rest, 0), None)
        if known is not None:
            parts, rest = {"street": rest[: known[0]]}, rest[known[0] :]
        else:
            road = _ROAD.match(rest)
            parts = {"street": road["street"]} if road else {}
            rest = rest[road.end() :] if road else rest
        for pattern in (_LANE, _HOUSE):
            match = pattern.match(rest)
            if match:
                parts |= match.groupdict()
                rest = rest[match.end() :]
        if parts.get("street") and "number" not in parts and "lane" not in parts:
            bare = _BARE_HOUSE.match(rest)
            if bare:
                parts |= bare.groupdict()
                rest = rest[bare.end() :]
        if "number" in parts:
            parts["number"] = parts["number"].replace("之", "-")
        return parts, rest


def _by_ranks(text: str) -> tuple[dict[str, str], str]:
    match = _RANKS.match(text)
    parts = {name: value for name, value in match.groupdict().items() if value} if match else {}
    rest = text[match.end() :] if match else text
    town = _TOWN.match(rest)
    if town:
        parts["town"] = town["town"]
        rest = rest[town.end() :]
    return parts | {"division": parts.get("district", "")}, rest


def _inside(rest: str) -> tuple[dict[str, str], str]:
    """Return building, unit, floor and room, the first of each, and what is left."""
    parts: dict[str, str] = {}
    left, at = [], 0
    for match in _INSIDE.finditer(rest):
        name = "room" if match.lastgroup == "bare" else str(match.lastgroup)
        if name in parts:
            continue
        parts[name] = match[match.lastgroup or 0]
        left.append(rest[at : match.start()])
        at = match.end()
    left.append(rest[at:])
    return parts, "".join(left)
