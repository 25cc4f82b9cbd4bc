"""One form for the characters of an address: width, case, dashes and numerals."""

import re
import unicodedata

_DASHES = re.compile(r"\s*[-‐‑‒–—―−－~～〜﹣]+\s*")
_SPACES = re.compile(r"\s+")
_DIGITS = {mark: value for value, mark in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_NUMERAL = "零〇一二两三四五六七八九十百千"
# only where the numeral counts something of the address: 三层, 一号楼; not 三里屯 or 十号线
_COUNTED = re.compile(rf"第?([{_NUMERAL}]+)(?=号(?!线)|弄|幢|栋|座|楼|层|单元|室|#)")


def folded(text: str) -> str:
    """Return a text in NFKC (half width), upper case, with plain dashes and single spaces."""
    wide = unicodedata.normalize("NFKC", text).upper()
    return _SPACES.sub(" ", _DASHES.sub("-", wide)).strip()


def folded_chinese(text: str) -> str:
    """Return `folded` without spaces, and with counting numerals as digits: 三层 becomes 3层."""
    return _COUNTED.sub(lambda match: str(numeral_value(match[1])), folded(text).replace(" ", ""))


def numeral_value(numeral: str) -> int:
    """Return the value of a Chinese numeral below ten thousand.

    With 十, 百 or 千 it is counted (二十三 is 23), without them it is spelled (二〇三 is 203).

    Raises
    ------
    KeyError
        If a character is no numeral.
    """
    if not any(mark in _TENS for mark in numeral):
        return int("".join(str(_DIGITS[mark]) for mark in numeral))
    total, digit = 0, 0
    for mark in numeral:
        if mark in _TENS:
            total += max(digit, 1) * _TENS[mark]
            digit = 0
        else:
            digit = _DIGITS[mark]
    return total + digit
