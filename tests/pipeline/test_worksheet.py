"""What people and their spreadsheets make of a worksheet."""

import csv
import io

import pytest

from cityframe.errors import DeclarationError
from cityframe.pipeline.worksheet import HEADER, read_worksheet

ROWS = [("v-all", "parcels", "e0-n0", "position"), ("v-all", "parcels", "e0-n0", "attributes")]
EXPECTED = {("parcels", "e0-n0", "position", "B"): 2}


@pytest.fixture
def field_limit():
    """Set Python's own limit of a cell: it holds for the process, and readers of feeds raise it."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


def sheet(remark="墙角, 见图", count="2"):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerow([*ROWS[0], "位置精度 Position", "", "", count, "", "", remark])
    writer.writerow([*ROWS[1], "属性精度 Attributes", "", "", "", "", "", ""])
    return text.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(sheet().encode("utf-8-sig"), id="as given out"),
        pytest.param(sheet().encode(), id="without a byte order mark"),
        pytest.param(sheet().encode("gbk"), id="GBK"),
        pytest.param(sheet().replace("\r\n", "\r").encode(), id="line ends of old Macs"),
        pytest.param(sheet().replace(",,,,,\r", "\r").encode(), id="empty last cells left out"),
        pytest.param(sheet().replace("\r\n", ",,\r\n").encode(), id="empty columns added"),
        pytest.param((sheet() + ",,,,,,,,,,\r\n\r\n").encode(), id="empty rows added"),
        pytest.param(sheet(remark="两行\n字").encode(), id="a remark of two lines"),
    ],
)
def test_reads_what_spreadsheets_write(content):
    assert dict(read_worksheet(content, ROWS, where="w.csv")) == EXPECTED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"w\.csv:1: columns none"),
        (sheet().replace(",", ";").encode(), r"w\.csv:1: columns"),
        (sheet().encode("utf-16"), "neither UTF-8 nor GBK|columns"),
        (sheet(remark='x"' + "y" * 200_000).encode(), r"w\.csv:2: a line that can't be read"),
        (sheet(count="9" * 5000).encode(), r"w\.csv:2: '9+' defects of class B"),
        (sheet(count="２").encode(), r"w\.csv:2: '２' defects of class B"),
    ],
)
def test_says_what_it_can_not_read(content, said, field_limit):
    with pytest.raises(DeclarationError, match=said):
        read_worksheet(content, ROWS, where="w.csv")
