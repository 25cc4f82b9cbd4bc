"""Text encodings: what a file says, what it must be, and what its bytes allow."""

import codecs
import io
import re
from collections.abc import Iterable

from cityframe.errors import DeclarationError, QuarantinedError

GUESS = "gb18030"
_PLAUSIBLE_SHARE = 0.9
# GB 18030 holds GBK and GB 2312; files that name the smaller sets use the larger ones
_ALIASES = {
    "936": GUESS, "gbk": GUESS, "gb2312": GUESS, "euccn": GUESS, "950": "big5", "65001": "utf-8",
}  # fmt: skip
_LANGUAGE_IDS = {
    0x03: "cp1252", 0x08: "cp865", 0x09: "cp437", 0x0A: "cp850", 0x13: "cp932", 0x4D: GUESS,
    0x4E: "cp949", 0x4F: "cp950", 0x50: "cp874", 0x58: "cp1252", 0x59: "cp1252", 0x78: "cp950",
    0x79: "cp949", 0x7A: GUESS, 0x7B: "cp932", 0x7C: "cp874", 0xC8: "cp1250", 0xC9: "cp1251",
    0xCA: "cp1254", 0xCB: "cp1253", 0xCC: "cp1257",
}  # fmt: skip
"""Language driver ids of dBASE files; 0 and 0x57 (the writer's own code page) name none."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def codec_name(name: str, *, where: str) -> str:
    """Return the codec of a declared encoding (``GBK``, ``ANSI 936``, ``UTF-8``, ``8859_1``).

    Raises
    ------
    DeclarationError
        If there is no such encoding.
    """
    plain = "".join(letter for letter in name.casefold() if letter.isalnum())
    page = re.sub(r"^(ansi|oem|windows|cp|ms)", "", plain)
    iso = re.fullmatch(r"(?:iso)?8859(\d+)", plain)
    part = f"iso8859-{iso.group(1)}" if iso else ""
    for candidate in (_ALIASES.get(page), part, name.strip(), plain, f"cp{page}"):
        if candidate:
            try:
                # unlike the look-up, this refuses codecs that are no text encodings
                io.TextIOWrapper(io.BytesIO(), encoding=candidate)
                return codecs.lookup(candidate).name
            except LookupError:
                continue
    raise DeclarationError(
        found=f"encoding {name!r}",
        where=where,
        expected="an encoding such as UTF-8, GBK or GB18030",
        remedy="set encoding in the feed",
    )


def language_encoding(language_id: int) -> str:
    """Return the encoding that a dBASE language driver id stands for, or an empty string."""
    return _LANGUAGE_IDS.get(language_id, "")


def marked_encoding(head: bytes) -> str:
    """Return the encoding that a byte order mark names, or an empty string."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    return ""


def guessed_encoding(parts: Iterable[bytes], *, where: str) -> str:
    """Return ``utf-8`` or ``gb18030``, whichever the bytes strictly are.

    Nearly any Western text decodes as GB 18030 too, to nonsense. The guess therefore stands only
    if the letters lie nearly all in the everyday set (GB 2312).

    Parameters
    ----------
    parts : iterable of bytes
        The whole text in order; parts may end inside a letter.

    Raises
    ------
    QuarantinedError
        If the bytes are neither.
    """
    body = b"".join(parts)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        if not _is_plausibly_chinese(body):
            raise QuarantinedError(
                found=f"text that is neither UTF-8 (byte {error.start}) nor plausible GB18030",
                where=where,
                expected="UTF-8 or GB18030, or an encoding declared",
                remedy="set encoding in the feed, for example cp1252",
            ) from error
        return GUESS
    return "utf-8"


def undecodable(where: str, encoding: str, error: UnicodeDecodeError) -> QuarantinedError:
    """Return the error for bytes that the encoding used does not have."""
    found = error.object[error.start : error.end].hex(" ")
    return QuarantinedError(
        found=f"bytes {found} at {error.start} that {encoding} does not have",
        where=where,
        expected=f"text in {encoding}",
        remedy="set the true encoding in the feed",
    )


def _is_plausibly_chinese(body: bytes) -> bool:
    try:
        text = body.decode(GUESS)
    except UnicodeDecodeError:
        return False
    letters = re.sub(r"[\x00-\x7f]+", "", text)
    everyday = letters.encode("gb2312", errors="ignore")
    return len(everyday) / 2 >= _PLAUSIBLE_SHARE * len(letters)
