"""Find the administrative divisions that a Chinese address names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cityframe.core.addresses.admin_codes import FULL, SHORT, AdminCodes
from cityframe.core.addresses.division_names import CITY, COUNTY, PROVINCE, TOWN

_DISTINCT = 3
_RARE = 3
# 南京西路 is not in Nanjing and 朝阳门 not in Chaoyang: a short name before these is another name
_ELSEWHERE = re.compile(
    r"(?!中山)[东南西北中内外上下前后大小新老]{0,2}(?:[一二三四五六七八九十\d]{1,2}|支|环|横)?"
    r"(?:路|街|大道|道|大街|巷|胡同|弄|里\d|桥|门|山|湖|河(?!南|北[^岸])|江(?!苏|西|北)|港|公路|高速|"
    r"湾|大厦|大楼|广场|公园|花园|大酒店|酒店|宾馆|饭店|银行|大学|学院|站|村|庄|镇|乡|苑|城|坊|岛|寺)"
)
# 东陵区 is no 东陵街道: a district that no edition has is not the town of its name
_OTHER_RANK = re.compile(r"新?区|县|市|旗")
_IS_ROAD = re.compile(r"[路街道里]$")
# a rank that goes on is none: 市场, 区间, 县前街
_GOES_ON = {"市": ("场",), "区": ("间", "块"), "县": ("前",), "旗": ("舰",)}
LEAD = re.compile(r"^(?:中国|中华人民共和国|地址[::]?|[\s,.;:、。()\[\]【】\-*#\"'])+")


@dataclass(frozen=True, slots=True)
class Found:
    """Where an address is, as far as it says so.

    Attributes
    ----------
    division : str
        Current code of the deepest division that is certain; empty for none.
    start, end : int
        Where the names stand in the text.
    candidates : tuple of str
        Current codes of the divisions that the names may mean, if several; sorted.
    """

    division: str
    start: int
    end: int
    candidates: tuple[str, ...] = ()


_NOWHERE = Found("", 0, 0)
_Meanings = dict[str, int]


class DivisionFinder:
    """Reads divisions from the beginning of an address, each within the ones before it.

    A name may be short (北京, 内蒙古), of another edition, or leave levels out. Each name narrows
    what the ones before may mean; several that are left are none, with their common division.
    """

    def __init__(self, codes: AdminCodes) -> None:
        self._codes = codes
        self._index = codes.index

    def find(self, text: str, within: str = "") -> Found:
        """Return the divisions of a text in the form of `folded_chinese`.

        ``within`` is the code of a division that all texts are in, unless they say another one.
        """
        lead = LEAD.match(text)
        start = lead.end() if lead else 0
        end, means = self._chain_in(text, start, within)
        if end == start:
            later = self._first_full_name(text, start)
            if later >= 0:
                start = later
                end, means = self._chain_in(text, start, within)
        if not means:
            return _NOWHERE
        if not any(len(code) >= COUNTY for code in means):
            means = self._later(text, end, means)
        if len(means) > 1 and all(len(code) == COUNTY for code in means):
            means = self._told_by_towns(text, end, means)
        return self._settled(start, end, means)

    def _chain_in(self, text: str, at: int, within: str) -> tuple[int, _Meanings]:
        """Return `_chain`, read within a division wherever that reads as much."""
        free = self._chain(text, at, {})
        if not within:
            return free
        inside = self._chain(text, at, {within: FULL})
        return inside if inside[0] >= free[0] else free

    def _chain(self, text: str, at: int, means: _Meanings) -> tuple[int, _Meanings]:
        """Return where the names end that follow one another, and what they mean together."""
        while True:
            step = self._next(text, at, means)
            if step is None:
                return at, means
            at, means = step

    def _next(self, text: str, at: int, means: _Meanings) -> tuple[int, _Meanings] | None:
        while text[at : at + 1] in (",", "-", "·", "/") and means:
            at += 1
        step = None
        for end, given in self._index.at(text, at):
            narrowed = self._narrowed(given, means)
            if not narrowed or self._is_another(text, at, end, narrowed):
                continue
            if self._goes_on(text, end, narrowed):
                return end, narrowed
            step = step or (end, narrowed)
        # the longest name, unless what follows it belongs to a shorter one: 青岛市南区
        return step

    def _is_another(self, text: str, start: int, end: int, means: _Meanings) -> bool:
        """Tell whether a name is part of another name: of a road, a lake, another division."""
        if all(manner != SHORT for manner in means.values()):
            return text[end : end + 1] in _GOES_ON.get(text[end - 1], ())
        if _IS_ROAD.search(text, start, end):
            return True
        is_another = _OTHER_RANK.match(text, end) or _ELSEWHERE.match(text, end)
        return is_another is not None and not self._goes_on(text, end, means)

    def _goes_on(self, text: str, at: int, means: _Meanings) -> bool:
        """Tell whether a division within those meant follows by its full name (杭州西湖区)."""
        return any(
            manner == FULL and any(code.startswith(above) for above in means)
            for _, given in self._index.at(text, at)
            for code, manner in given
        )

    def _narrowed(self, given: Iterable[tuple[str, int]], means: _Meanings) -> _Meanings:
        if not means:
            # a town alone names no place, and a short name that also is a town's elsewhere none
            kept = {code: manner for code, manner in given if len(code) < TOWN}
            is_county = all(len(c) == COUNTY and m != FULL for c, m in kept.items())
            if is_county and any(c[:COUNTY] not in kept for c, _ in given if len(c) == TOWN):
                kept = {}
        else:
            kept = {
                code: manner
                for code, manner in given
                if any(code.startswith(above) for above in means)
            }
        official = {code: manner for code, manner in kept.items() if manner == FULL}
        return official or kept

    def _first_full_name(self, text: str, at: int) -> int:
        for start in range(at + 1, len(text) - _DISTINCT + 1):
            for end, given in self._index.at(text, start):
                if end - start >= _DISTINCT and any(
                    manner == FULL and len(code) < TOWN for code, manner in given
                ):
                    return start
        return -1

    def _later(self, text: str, at: int, means: _Meanings) -> _Meanings:
        """Look for a district, else a town, further on, by its full name alone."""
        found: dict[int, _Meanings] = {COUNTY: {}, TOWN: {}}
        for start in range(at, len(text) - _DISTINCT + 1):
            for end, given in self._index.at(text, start):
                if end - start < _DISTINCT:
                    continue
                may = [(c, m) for c, m in given if m == FULL and len(c) in found]
                for code, manner in self._narrowed(may, means).items():
                    if not _ELSEWHERE.match(text, end):
                        found[len(code)][code] = manner
        for level in (COUNTY, TOWN):
            if found[level]:
                return found[level] if len(self._common(found[level])) >= COUNTY else means
        return means

    def _told_by_towns(self, text: str, at: int, means: _Meanings) -> _Meanings:
        """Keep the one of several districts that has a town that the text names (朝阳区望京路).

        The name may be part of another, but must be rare: of a road called 人民 says nothing.
        """
        told: set[str] = set()
        for start in range(at, len(text) - 1):
            for _, given in self._index.at(text, start):
                counties = {code[:COUNTY] for code, _ in given if len(code) == TOWN}
                if len(counties) <= _RARE:
                    told |= counties & means.keys()
        return {code: means[code] for code in told} if len(told) == 1 else means

    def _settled(self, start: int, end: int, means: _Meanings) -> Found:
        now = sorted({self._codes.now(code) for code in means})
        if len(now) == 1:
            return Found(now[0], start, end)
        return Found(self._common(now), start, end, tuple(now))

    def _common(self, codes: Iterable[str]) -> str:
        """Return the deepest division that holds all the codes; empty for none."""
        now = [self._codes.now(code) for code in codes]
        for level in (TOWN, COUNTY, CITY, PROVINCE):
            heads = {code[:level] for code in now}
            if len(heads) == 1 and len(next(iter(heads))) == level:
                return next(iter(heads))
        return ""
