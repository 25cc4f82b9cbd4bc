"""Spreadsheets: sheets, types, formulas, hostile parts."""

import datetime as dt
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from cityframe.config.source import Feed
from cityframe.connectors.contents import ContentFile, contents
from cityframe.connectors.spreadsheet import read_spreadsheet
from cityframe.errors import DeclarationError, QuarantinedError

MakeFeed = Callable[..., Feed]


def workbook(tmp_path: Path, sheets: dict[str, Sequence[Sequence[Any]]]) -> ContentFile:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "book.xlsx")
    return contents(tmp_path)[0]


def test_cells_keep_their_types(tmp_path: Path, feed: MakeFeed) -> None:
    file = workbook(
        tmp_path,
        {
            "建筑": [
                ["编号", "height_m", "floors", "built", "listed", "no"],
                ["A-1", 12.5, 4, dt.datetime(2020, 1, 2), True, 5],  # noqa: DTZ001
                ["A-2", 3, None, None, False, "5a"],
            ]
        },
    )
    table = read_spreadsheet(file, feed())
    assert table is not None
    assert table.table == "建筑"
    assert {name: str(kind) for name, kind in table.frame.dtypes.items()} == {
        "编号": "str",
        "height_m": "float64",
        "floors": "Int64",
        "built": "datetime64[us]",
        "listed": "boolean",
        "no": "str",
    }
    assert table.frame["built"][0] == pd.Timestamp("2020-01-02")
    assert table.frame["no"].to_list() == ["5", "5a"]
    assert table.geometry is None


def test_empty_rows_and_trailing_columns_are_no_records(tmp_path: Path, feed: MakeFeed) -> None:
    rows = [[None, None, None], ["a", "b", None], [1, None, None], [None] * 3, [2, "x", None]]
    table = read_spreadsheet(workbook(tmp_path, {"S": rows}), feed())
    assert table is not None
    assert table.frame.to_dict("list") == {
        "a": [1, 2],
        "b": [pytest.approx(float("nan"), nan_ok=True), "x"],
    }


def test_sheet_is_chosen_by_table(tmp_path: Path, feed: MakeFeed) -> None:
    file = workbook(tmp_path, {"one": [["a"], [1]], "two": [["b"], [2]]})
    table = read_spreadsheet(file, feed(table="two"))
    assert table is not None
    assert table.frame.to_dict("list") == {"b": [2]}
    assert read_spreadsheet(file, feed(table="three")) is None
    with pytest.raises(DeclarationError, match=r"2 sheets and no table declared.*one, two"):
        read_spreadsheet(file, feed())


def test_formula_without_its_value_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    file = workbook(tmp_path, {"S": [["a", "b"], [1, "=A2*2"]]})
    with pytest.raises(QuarantinedError, match=r"sheet S, row 2: a formula without its value: =A2"):
        read_spreadsheet(file, feed())


def test_formula_with_its_value_counts(tmp_path: Path, feed: MakeFeed) -> None:
    file = workbook(tmp_path, {"S": [["a", "b"], [1, "=A2*2"]]})
    _rewrite(tmp_path / "book.xlsx", "sheet1.xml", b"<v />", b"<v>2</v>")
    table = read_spreadsheet(file, feed())
    assert table is not None
    assert table.frame.to_dict("list") == {"a": [1], "b": [2]}


def test_header_alone_is_a_table_and_nothing_is_none(tmp_path: Path, feed: MakeFeed) -> None:
    table = read_spreadsheet(workbook(tmp_path, {"S": [["a", "b"]]}), feed())
    assert table is not None
    assert list(table.frame.columns) == ["a", "b"]
    assert len(table.frame) == 0
    with pytest.raises(QuarantinedError, match="sheet S: no header"):
        read_spreadsheet(workbook(tmp_path, {"S": []}), feed())


def test_entity_bomb_in_a_part_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    file = workbook(tmp_path, {"S": [["a"], [1]]})
    bomb = b'<!DOCTYPE w [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet'
    _rewrite(tmp_path / "book.xlsx", "sheet1.xml", b"<worksheet", bomb)
    with pytest.raises(QuarantinedError, match=r"sheet1\.xml: a document type \('w'\)"):
        read_spreadsheet(file, feed())


def test_damaged_workbook_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    file = workbook(tmp_path, {"S": [["a"], [1]]})
    _rewrite(tmp_path / "book.xlsx", "workbook.xml", b"<sheets>", b"<sheats>")
    with pytest.raises(QuarantinedError, match=r"book\.xlsx: a damaged workbook"):
        read_spreadsheet(file, feed())
    (tmp_path / "book.xlsx").write_bytes(b"PK no zip")
    with pytest.raises(QuarantinedError, match=r"book\.xlsx: a damaged or unreadable archive"):
        read_spreadsheet(file, feed())


def _rewrite(path: Path, part: str, before: bytes, after: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in parts.items():
            if name.endswith(part):
                assert before in body
                body = body.replace(before, after, 1)
            archive.writestr(name, body)
