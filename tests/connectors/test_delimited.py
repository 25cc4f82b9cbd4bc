"""Delimited text: encodings, delimiters, line ends, ragged rows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cityframe.config.source import Feed
from cityframe.connectors.contents import ContentFile, contents
from cityframe.connectors.delimited import read_delimited
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

MakeFeed = Callable[..., Feed]


def written(tmp_path: Path, body: bytes, name: str = "a.csv") -> ContentFile:
    (tmp_path / name).write_bytes(body)
    return next(one for one in contents(tmp_path) if one.name == name)


def rows(table: SourceTable) -> list[tuple[object, ...]]:
    return [tuple(table.frame.columns), *table.frame.itertuples(index=False, name=None)]


def test_all_values_stay_text(tmp_path: Path, feed: MakeFeed) -> None:
    table = read_delimited(written(tmp_path, b"no,name,empty\n007,NA,\n1.50,null,nan\n"), feed())
    assert rows(table) == [
        ("no", "name", "empty"), ("007", "NA", ""), ("1.50", "null", "nan"),
    ]  # fmt: skip
    assert set(map(str, table.frame.dtypes)) == {"str"}
    assert (table.file, table.table, table.crs, table.geometry) == ("a.csv", "", None, None)


@pytest.mark.parametrize(
    ("codec", "used"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gbk", "gb18030"), ("utf-16", "utf-16"),
    ],
)  # fmt: skip
def test_encoding_is_found_and_told(tmp_path: Path, feed: MakeFeed, codec: str, used: str) -> None:
    text = "编号,名称\n1,黄浦区南京东路\n"
    table = read_delimited(written(tmp_path, text.encode(codec)), feed())
    assert rows(table) == [("编号", "名称"), ("1", "黄浦区南京东路")]
    assert table.encoding == used


def test_declared_encoding_stands_before_the_guess(tmp_path: Path, feed: MakeFeed) -> None:
    file = written(tmp_path, "name\nCafé\n".encode("cp1252"))
    with pytest.raises(QuarantinedError, match="set encoding in the feed"):
        read_delimited(file, feed())
    table = read_delimited(file, feed(encoding="cp1252"))
    assert rows(table) == [("name",), ("Café",)]
    assert table.encoding == "cp1252"
    marked = written(tmp_path, "name\nCafé\n".encode("utf-8-sig"), "b.csv")
    assert rows(read_delimited(marked, feed(encoding="UTF-8"))) == [("name",), ("Café",)]


def test_bytes_that_the_declared_encoding_lacks_are_named(tmp_path: Path, feed: MakeFeed) -> None:
    file = written(tmp_path, "name\nCafé\n".encode("cp1252"))
    with pytest.raises(QuarantinedError, match=r"a\.csv: bytes e9 at 8 that utf-8 does not have"):
        read_delimited(file, feed(encoding="utf-8"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path: Path, feed: MakeFeed, delimiter: str) -> None:
    lines = [["a", "b, c; d", "e"], ["1", "2,5; 3|4", "x"], ["2", "2,6; 3|4", "y"]]
    text = "".join(delimiter.join(f'"{one}"' for one in line) + "\n" for line in lines)
    table = read_delimited(written(tmp_path, text.encode()), feed())
    assert rows(table) == [tuple(line) for line in lines]


def test_declared_delimiter_stands_before_the_guess(tmp_path: Path, feed: MakeFeed) -> None:
    file = written(tmp_path, b"a,b#c\n1,2#3\n")
    assert rows(read_delimited(file, feed(delimiter="#"))) == [("a,b", "c"), ("1,2", "3")]


def test_single_column_is_a_table(tmp_path: Path, feed: MakeFeed) -> None:
    assert rows(read_delimited(written(tmp_path, b"a\n1\n"), feed())) == [("a",), ("1",)]


def test_mixed_line_ends_and_empty_lines_are_no_matter(tmp_path: Path, feed: MakeFeed) -> None:
    file = written(tmp_path, b'a,b\r\n1,"x\r\ny"\r2,z\n\n3,w')
    assert rows(read_delimited(file, feed())) == [
        ("a", "b"), ("1", "x\r\ny"), ("2", "z"), ("3", "w"),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b'a,b\n"1\n2",3\n4\n', b"a,b\n\n1,2\n4,5,6\n"])
def test_ragged_row_is_named_by_its_line(tmp_path: Path, feed: MakeFeed, body: bytes) -> None:
    with pytest.raises(QuarantinedError, match=r"a\.csv:4: \d values") as caught:
        read_delimited(written(tmp_path, body), feed())
    assert caught.value.expected == "2, as many as the header has"
    assert caught.value.remedy


def test_quote_that_never_closes_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    with pytest.raises(QuarantinedError, match=r"a\.csv:3: .*unexpected end of data"):
        read_delimited(written(tmp_path, b'a,b\n1,"2\n3,4\n'), feed())


def test_nul_is_refused_with_its_line(tmp_path: Path, feed: MakeFeed) -> None:
    with pytest.raises(QuarantinedError, match=r"a\.csv:3: a NUL character"):
        read_delimited(written(tmp_path, b"a,b\n1,2\n3,\0\n"), feed())


def test_too_many_columns_are_refused(tmp_path: Path, feed: MakeFeed) -> None:
    header = ",".join(f"c{number}" for number in range(10_001))
    with pytest.raises(QuarantinedError, match="10001 columns, expected at most 10000"):
        read_delimited(written(tmp_path, header.encode()), feed())


def test_columns_of_one_name_are_refused(tmp_path: Path, feed: MakeFeed) -> None:
    with pytest.raises(QuarantinedError, match=r"a\.csv: 2 columns 'a'"):
        read_delimited(written(tmp_path, b"a,b,a\n1,2,3\n"), feed())


def test_column_without_a_name_is_called_by_its_place(tmp_path: Path, feed: MakeFeed) -> None:
    file = written(tmp_path, b",b,\n0,1,\n1,2,\n")
    assert rows(read_delimited(file, feed())) == [("#1", "b"), ("0", "1"), ("1", "2")]


def test_empty_file_is_refused_and_a_header_alone_is_a_table(
    tmp_path: Path, feed: MakeFeed
) -> None:
    with pytest.raises(QuarantinedError, match="no header line"):
        read_delimited(written(tmp_path, b"\n"), feed())
    table = read_delimited(written(tmp_path, b"a,b\n", "b.csv"), feed())
    assert rows(table) == [("a", "b")]
    assert set(map(str, table.frame.dtypes)) == {"str"}


def test_value_longer_than_the_usual_limit_is_read(tmp_path: Path, feed: MakeFeed) -> None:
    value = "POLYGON" + "1 2," * 100_000
    table = read_delimited(written(tmp_path, f'wkt;n\n"{value}";1\n'.encode()), feed())
    assert table.frame["wkt"][0] == value


def test_table_of_a_text_file_is_an_error_of_the_declaration(
    tmp_path: Path, feed: MakeFeed
) -> None:
    with pytest.raises(DeclarationError, match="a text file has one table"):
        read_delimited(written(tmp_path, b"a\n"), feed(table="x"))
