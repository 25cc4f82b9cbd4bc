"""Delimited text (CSV and its kin): all values stay text, all rows have one length."""

import csv
import io
from collections.abc import Iterator
from itertools import islice

import pandas as pd
import pyarrow as pa

from cityframe.config.source import Feed
from cityframe.connectors.columns import ArrowArray, ArrowColumn
from cityframe.connectors.contents import ContentFile
from cityframe.connectors.encodings import (
    codec_name,
    guessed_encoding,
    marked_encoding,
    undecodable,
)
from cityframe.connectors.headers import named_frame
from cityframe.connectors.limits import MAX_FIELD_CHARACTERS, check_column_count
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 50
_CHUNK_ROWS = 50_000


def read_delimited(file: ContentFile, feed: Feed) -> SourceTable:
    """Read a delimited text file.

    The encoding is the feed's, else that of a byte order mark, else UTF-8 or GB18030, whichever
    the bytes are. The delimiter is the feed's, else the one of ``, ; tab |`` that cuts the first
    rows alike. Line ends may be mixed; empty lines are no records; the first line is the header.

    Raises
    ------
    QuarantinedError
        If the text can't be decoded, holds NUL, or a row has another length than the header.
    """
    if feed.table:
        raise DeclarationError(
            found=f"table {feed.table!r} for {file.path}", remedy="a text file has one table"
        )
    text, encoding = decoded(file, feed)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise QuarantinedError(
            found="a NUL character",
            where=f"{file.path}:{line}",
            expected="text",
            remedy="have the source write plain text; the file may be cut off or binary",
        )
    delimiter = feed.delimiter or _delimiter(text)
    return SourceTable(
        file=file.path,
        table="",
        frame=_frame(file.path, text, delimiter),
        geometry=None,
        crs=None,
        encoding=encoding,
    )


def decoded(file: ContentFile, feed: Feed) -> tuple[str, str]:
    """Return a text file's text without byte order mark, and its encoding.

    Raises
    ------
    QuarantinedError
        If the bytes are not in the encoding, or in none that can be told.
    """
    body = file.read()
    marked = marked_encoding(body)
    if feed.encoding:
        encoding = codec_name(feed.encoding, where=f"the feed for {file.path}")
        if marked == "utf-8-sig" and encoding == "utf-8":
            encoding = marked
    else:
        encoding = marked or guessed_encoding([body], where=file.path)
    try:
        return body.decode(encoding), encoding.removesuffix("-sig")
    except UnicodeDecodeError as error:
        raise undecodable(file.path, encoding, error) from error


def _frame(where: str, text: str, delimiter: str) -> pd.DataFrame:
    rows = _rows(where, text, delimiter)
    header = next(rows, None)
    if header is None:
        raise QuarantinedError(
            found="no header line", where=where, expected="column names in the first line"
        )
    check_column_count(len(header), where)
    parts: list[list[ArrowArray]] = [[] for _ in header]
    count = 0
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        count += len(chunk)
        for part, column in zip(parts, zip(*chunk, strict=True), strict=True):
            part.append(pa.array(column, pa.large_string()))
    columns: list[ArrowColumn] = [pa.chunked_array(part, pa.large_string()) for part in parts]
    return named_frame(where, header, columns, count)


def _rows(where: str, text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the header and the rows, each as long as the header."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    width = 0
    try:
        for row in reader:
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                raise QuarantinedError(
                    found=f"{len(row)} values: {delimiter.join(row)[:80]!r}",
                    where=f"{where}:{reader.line_num}",
                    expected=f"{width}, as many as the header has",
                    remedy="have the source quote values that hold the delimiter, or set delimiter",
                )
            yield row
    except csv.Error as error:
        raise QuarantinedError(
            found=f"text that can't be cut into values ({error})",
            where=f"{where}:{reader.line_num}",
            expected="quotes that open and close around a whole value",
            remedy="have the source double the quotes inside of values",
        ) from error


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first rows into the most columns of one number."""
    best, best_score = DELIMITERS[0], (False, 1)
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(row) for row in islice((row for row in reader if row), _SAMPLE_ROWS)]
        if not widths or widths[0] == 1:
            continue
        score = (len(set(widths)) == 1, widths[0])
        if score > best_score:
            best, best_score = delimiter, score
    return best
