"""Spreadsheets (XLSX): one sheet is one table, its first filled row the header."""

import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from cityframe.config.source import Feed
from cityframe.connectors.columns import typed_column, unified
from cityframe.connectors.contents import ContentFile, archive_members, staged
from cityframe.connectors.headers import named_frame
from cityframe.connectors.limits import check_column_count
from cityframe.connectors.markup import xml_root
from cityframe.connectors.tables import chosen_table
from cityframe.core.source_table import SourceTable
from cityframe.errors import QuarantinedError

Row = tuple[Any, ...]
_FORMULA = re.compile(rb"<f[ >/]")
_DAMAGED = (
    AttributeError, IndexError, KeyError, TypeError, ValueError,
    InvalidFileException, ParseError, zipfile.BadZipFile,
)  # fmt: skip
"""What openpyxl lets through when a workbook is damaged: it has no error of its own."""


def read_spreadsheet(file: ContentFile, feed: Feed) -> SourceTable | None:
    """Read the sheet that the feed's ``table`` names, or the only one.

    Cells keep their type; a column of mixed types becomes text. Formulas count with the value
    that was stored with them. Rows without any value are no records.

    Returns
    -------
    SourceTable or None
        None if the workbook has no sheet of that name.

    Raises
    ------
    QuarantinedError
        If the workbook is damaged or hostile, or a formula has no stored value.
    """
    with tempfile.TemporaryDirectory() as folder:
        staged({file.name: file}, Path(folder))
        path = Path(folder, file.name)
        has_formulas = _checked_parts(path, file.path)
        try:
            sheet, rows = _rows(path, file.path, feed.table)
            if sheet is None:
                return None
            if has_formulas:
                _check_formulas(path, file.path, sheet, rows)
        except _DAMAGED as error:
            raise _damaged(error, file.path) from error
    where = f"{file.path}, sheet {sheet}"
    filled = [row for row in rows if any(value is not None for value in row)]
    if not filled:
        raise QuarantinedError(found="no header", where=where, expected="names in the first row")
    width = max(map(len, filled))
    check_column_count(width, where)
    header, *records = [(*row, *[None] * (width - len(row))) for row in filled]
    columns = [unified([typed_column([one[place] for one in records])]) for place in range(width)]
    names = ["" if value is None else str(value) for value in header]
    return SourceTable(
        file=file.path,
        table=sheet,
        frame=named_frame(where, names, columns, len(records)),
        geometry=None,
        crs=None,
    )


def sheet_names(file: ContentFile) -> list[str]:
    """Return the names of the sheets of a workbook.

    Raises
    ------
    QuarantinedError
        If the workbook is damaged or hostile.
    """
    with tempfile.TemporaryDirectory() as folder:
        staged({file.name: file}, Path(folder))
        path = Path(folder, file.name)
        _checked_parts(path, file.path)
        try:
            with closing(openpyxl.load_workbook(path, read_only=True)) as book:
                return [str(name) for name in book.sheetnames]
        except _DAMAGED as error:
            raise _damaged(error, file.path) from error


def _checked_parts(path: Path, where: str) -> bool:
    """Check the parts of a workbook and return whether a sheet has formulas."""
    has_formulas = False
    for part in archive_members(path, where):
        if part.suffix in (".xml", ".rels", ".vml"):
            with part.opened() as chunks:
                xml_root(chunks, where=part.path)
        if part.inner.startswith("xl/worksheets/") and part.suffix == ".xml":
            has_formulas = has_formulas or _FORMULA.search(part.read()) is not None
    return has_formulas


def _rows(path: Path, where: str, table: str) -> tuple[str | None, list[Row]]:
    with closing(openpyxl.load_workbook(path, read_only=True, data_only=True)) as book:
        name = chosen_table(book.sheetnames, table, where=where, what="sheet")
        if name is None:
            return None, []
        sheet = book[name]
        # the size that a file states is often wrong
        sheet.reset_dimensions()
        return name, list(sheet.iter_rows(values_only=True))


def _check_formulas(path: Path, where: str, sheet: str, rows: list[Row]) -> None:
    with closing(openpyxl.load_workbook(path, read_only=True, data_only=False)) as book:
        book[sheet].reset_dimensions()
        formulas: Iterator[Row] = book[sheet].iter_rows(values_only=True)
        for line, (values, texts) in enumerate(zip(rows, formulas, strict=True), start=1):
            for value, text in zip(values, texts, strict=True):
                if value is None and text is not None:
                    raise QuarantinedError(
                        found=f"a formula without its value: {text}",
                        where=f"{where}, sheet {sheet}, row {line}",
                        expected="values stored with the formulas",
                        remedy="open the workbook in a spreadsheet program and save it",
                    )


def _damaged(error: Exception, where: str) -> QuarantinedError:
    return QuarantinedError(
        found=f"a damaged workbook ({type(error).__name__}: {error})",
        where=where,
        expected="XLSX as spreadsheet programs write it",
        remedy="have the source open it and save it again",
    )
