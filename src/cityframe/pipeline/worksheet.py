"""The worksheet of an inspection: a CSV that an inspector fills in."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from cityframe.config.scoring import Scoring
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass
from cityframe.rules.acceptance.scoring import UnitScore

HEADER = (
    "lot 检验批", "layer 图层", "unit 单元", "element 质量元素", "title 名称",
    "known A..D 已知问题", "A", "B", "C", "D", "remark 备注",
)  # fmt: skip
_CLASSES = tuple(one.value for one in DefectClass)
_KEY = slice(0, 4)
_COUNTS = slice(6, 10)
_MOST_DIGITS = 6

Row = tuple[str, str, str, str]
"""Lot, layer, unit, element."""


def worksheet_rows(
    lots: Mapping[str, Sequence[str]],
    units: Mapping[str, Sequence[str]],
    schemes: Mapping[str, Scoring],
) -> list[Row]:
    """Return the rows of a worksheet: one a unit, layer and element, in order.

    Parameters
    ----------
    lots : mapping of str to sequence of str
        The units to inspect; a lot is called by its scheme and a number.
    units : mapping of str to sequence of str
        The units of the batch by layer.
    """
    return [
        (lot, layer, unit, element)
        for lot, drawn in lots.items()
        for unit in drawn
        for layer in units
        if lot.startswith(f"{schemes[layer].name}-") and unit in units[layer]
        for element in schemes[layer].elements
    ]  # fmt: skip


def write_worksheet(
    path: Path,
    rows: Sequence[Row],
    schemes: Mapping[str, Scoring],
    known: Mapping[tuple[str, str], UnitScore],
) -> None:
    """Write an empty worksheet: UTF-8 with a byte order mark, as spreadsheets want it.

    Parameters
    ----------
    known : mapping of (layer, unit) to UnitScore
        What the rules already found of each element; it is shown, and is not to be counted again.
    """
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for lot, layer, unit, element in rows:
            title = schemes[layer].elements[element].title
            found = known[(layer, unit)].element_defects.get(element, {})
            shown = " ".join(f"{name}{found[name]}" for name in _CLASSES if found.get(name))
            writer.writerow(
                [lot, layer, unit, element, f"{title.zh} {title.en}", shown, "", "", "", "", ""]
            )


def read_worksheet(content: bytes, rows: Sequence[Row], *, where: str) -> "pd.Series[int]":
    """Return the defects that an inspector wrote into a worksheet.

    Parameters
    ----------
    content : bytes
        The file.
    rows : sequence of Row
        What it must hold, each once; the order does not matter.

    Returns
    -------
    Series of int
        By ``layer``, ``unit``, ``element``, ``class``; without zeros.

    Raises
    ------
    DeclarationError
        If the file is no such worksheet, lacks or adds a row, or a count is none; with the line.
    """
    counts: dict[tuple[str, str, str, str], int] = {}
    seen: set[Row] = set()
    if not content.strip():
        _require_header([], where)
    wanted = set(rows)
    for line, cells in _lines(content, where):
        lot, layer, unit, element = (cell.strip() for cell in cells[_KEY])
        row = (lot, layer, unit, element)
        if row not in wanted or row in seen:
            raise DeclarationError(
                where=f"{where}:{line}",
                found=f"{' '.join(row)}, {'twice' if row in seen else 'which was not drawn'}",
                expected="the rows of the worksheet as it was given out, each once",
                remedy="take out the row; only counts and remarks are to be filled in",
            )
        seen.add(row)
        for name, text in zip(_CLASSES, cells[_COUNTS], strict=True):
            number = _count(text.strip(), f"{where}:{line}", name)
            if number:
                counts[(layer, unit, element, name)] = number
    if missing := sorted(wanted - seen):
        raise DeclarationError(
            where=where,
            found=f"no row for {' '.join(missing[0])}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            expected="every row of the worksheet; a unit without defects has empty counts",
            remedy="fill in the worksheet as it was given out",
        )
    index = pd.MultiIndex.from_tuples(list(counts), names=["layer", "unit", "element", "class"])
    return pd.Series(list(counts.values()), index=index if counts else None, dtype="int64")


def _lines(content: bytes, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the filled lines with their numbers.

    Spreadsheets add empty columns, and leave out the last ones of a row that are empty.
    """
    reader = csv.reader(io.StringIO(_text(content, where), newline=""))
    line = 1
    try:
        for cells in reader:
            while cells and not cells[-1].strip():
                cells.pop()
            if line == 1:
                _require_header(cells, where)
            elif len(cells) > len(HEADER):
                raise DeclarationError(
                    where=f"{where}:{line}",
                    found=f"{len(cells)} cells",
                    expected=f"{len(HEADER)}, one a column",
                    remedy="put a remark that holds commas into double quotes",
                )
            elif cells:
                yield line, cells + [""] * (len(HEADER) - len(cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DeclarationError(
            where=f"{where}:{line}",
            found=f"a line that can't be read: {error}",
            expected="CSV with commas; double quotes in pairs",
            remedy="fill in the worksheet as it was given out",
        ) from error


def _text(content: bytes, where: str) -> str:
    # a Chinese Windows saves "CSV" in GBK; the header proves that the guess is right
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DeclarationError(
        where=where,
        found="neither UTF-8 nor GBK",
        expected="CSV in UTF-8 or GBK",
        remedy='save it as "CSV UTF-8 (comma delimited)"',
    )


def _require_header(cells: list[str], where: str) -> None:
    if tuple(cells) != HEADER:
        raise DeclarationError(
            where=f"{where}:1",
            found=f"columns {', '.join(cells) or 'none'}",
            expected=", ".join(HEADER),
            remedy="fill in the worksheet as it was given out, and save it as CSV with commas",
        )


def _count(text: str, where: str, name: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise DeclarationError(
            where=where,
            found=f"{text[:20]!r} defects of class {name}",
            expected="a whole number, or nothing for none",
            remedy="mend the cell",
        )
    return int(text or 0)
