"""Administrative codes in several editions, and what took the place of what disappeared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pandas as pd

from cityframe.core.addresses.division_names import (
    CITY,
    COUNTY,
    GENERIC,
    PROVINCE,
    TOWN,
    full_names,
    short_names,
    stem,
    upgraded_names,
)
from cityframe.core.addresses.name_index import NameIndex
from cityframe.errors import DeclarationError

_CODE_COLUMNS = ("code", "adcode")
_LEVELS = (PROVINCE, CITY, COUNTY, TOWN)
FULL, UPGRADED, SHORT = 0, 1, 2
"""How a name says a division: by an official name, with another rank, or without the rank."""


@dataclass(frozen=True)
class AdminCodes:
    """Divisions of all editions by code.

    Attributes
    ----------
    names : mapping of str to tuple of str
        All names of each code, the newest first. A code has 2 digits (province), 4 (city), 6
        (district, county) or 9 (town); 441900, a city without districts, is 4419.
    current : frozenset of str
        Codes of the newest edition of their level.
    successors : mapping of str to str
        The current code that took the place of one that is not current; without an entry nobody
        can tell, or it is several.
    """

    names: Mapping[str, tuple[str, ...]]
    current: frozenset[str]
    successors: Mapping[str, str]

    @classmethod
    def of_editions(cls, editions: Sequence[pd.DataFrame]) -> "AdminCodes":
        """Join tables of codes, the oldest first.

        Parameters
        ----------
        editions : sequence of DataFrame
            Columns ``code`` (or ``adcode``) and ``name``, of any levels. A table is an edition of a
            level if it has at least half as many of its codes as the fullest one: a table of
            counties that lists a few cities says nothing of the other cities.
        """
        tables = [_codes(table) for table in editions]
        names: dict[str, list[str]] = {}
        for table in reversed(tables):
            for code, name in table.items():
                known = names.setdefault(code, [])
                if name not in known:
                    known.append(name)
        current: set[str] = set()
        successors: dict[str, str] = {}
        for level in _LEVELS:
            of_level = [{c: n for c, n in one.items() if len(c) == level} for one in tables]
            fullest = max(map(len, of_level), default=0)
            full = [one for one in of_level if one and 2 * len(one) >= fullest]
            current |= set(full[-1]) if full else set()
            for before, after in pairwise(full):
                successors |= _successors(before, after, level)
        extra = {code for code in names if len(code) == CITY and code not in current}
        # cities that only a table of counties has (no districts below them)
        current |= {code for code in extra if not any(_under(code, names, current))}
        settled = {code: _last(code, successors) for code in successors}
        return cls(
            names={code: tuple(given) for code, given in names.items()},
            current=frozenset(current),
            successors={c: s for c, s in settled.items() if c not in current and s in current},
        )

    def name(self, code: str) -> str:
        """Return the newest name of a code; empty for one that is unknown or names no place."""
        given = self.names.get(code, ("",))[0]
        return "" if given in GENERIC and len(code) < COUNTY else given

    def now(self, code: str) -> str:
        """Return the current code for any code; the code itself where nothing took its place.

        For a town of a county that is gone it is what took the place of the county.
        """
        county = self.successors.get(code[:COUNTY]) if len(code) == TOWN else None
        return county or self.successors.get(code, code)

    @cached_property
    def index(self) -> NameIndex[tuple[str, int]]:
        """All names with the codes that they may mean, and how they say it (`FULL` …)."""
        meanings: dict[str, dict[str, int]] = {}

        def add(name: str, code: str, manner: int) -> None:
            known = meanings.setdefault(name, {})
            known[code] = min(manner, known.get(code, manner))

        for code, names in self.names.items():
            level = len(code)
            for name in names:
                if name in GENERIC and level < COUNTY:
                    continue
                for one in full_names(name, level, stem(self.name(code[:CITY]), CITY)):
                    add(one, code, FULL)
                for one in short_names(name, level):
                    add(one, code, SHORT)
                if level == COUNTY:
                    for one in upgraded_names(name):
                        add(one, code, UPGRADED)
        return NameIndex({name: sorted(given.items()) for name, given in meanings.items()})


def read_admin_codes(paths: Sequence[Path]) -> AdminCodes:
    """Read tables of administrative codes from CSV files (also in a zip), the oldest first.

    Raises
    ------
    DeclarationError
        If a file is absent or has no columns ``code`` (or ``adcode``) and ``name``.
    """
    editions = []
    for path in paths:
        try:
            editions.append(pd.read_csv(path, dtype="str", encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise DeclarationError(
                where=str(path), found=str(error), expected="a CSV table with code and name"
            ) from error
        columns = editions[-1].columns
        if "name" not in columns or not set(_CODE_COLUMNS) & set(columns):
            raise DeclarationError(
                where=str(path),
                found=f"columns {', '.join(map(str, columns))}",
                expected="code (or adcode) and name",
            )
    return AdminCodes.of_editions(editions)


def parent(code: str) -> str:
    """Return the code of the division above; empty for a province."""
    shorter = {TOWN: COUNTY, COUNTY: CITY, CITY: PROVINCE}.get(len(code), 0)
    return _bare(code[:shorter])


def _bare(code: str) -> str:
    # 441900 is the city itself: below it there are towns only
    return code[:CITY] if len(code) == COUNTY and code.endswith("00") else code


def _codes(table: pd.DataFrame) -> dict[str, str]:
    column = next(name for name in _CODE_COLUMNS if name in table.columns)
    rows = table[[column, "name"]].dropna().astype("str")
    codes = rows[column].str.strip()
    significant = codes.str.replace(r"0+$", "", regex=True).str.len()
    for level in reversed(_LEVELS):
        codes = codes.where((significant > level) | (codes.str.len() < level), codes.str[:level])
    return dict(zip(codes, rows["name"].str.strip(), strict=True))


def _successors(before: dict[str, str], after: dict[str, str], level: int) -> dict[str, str]:
    """Return what took the place of the codes that are gone, where it is but one.

    The same stem under the same city, else under the same province; among codes that are new, so
    that what was there before is never taken for it.
    """
    new = {code: stem(name, level) for code, name in after.items() if code not in before}
    found = {}
    for code, name in before.items():
        if code in after:
            continue
        alike = [other for other, given in new.items() if given == stem(name, level)]
        for above in (CITY, PROVINCE):
            near = [other for other in alike if other[:above] == code[:above]]
            if near:
                if len(near) == 1:
                    found[code] = near[0]
                break
    return found


def _last(code: str, successors: Mapping[str, str]) -> str:
    seen = {code}
    while code in successors and successors[code] not in seen:
        code = successors[code]
        seen.add(code)
    return code


def _under(code: str, names: Mapping[str, object], current: set[str]) -> list[str]:
    return [one for one in current if len(one) == COUNTY and one.startswith(code) and one in names]
