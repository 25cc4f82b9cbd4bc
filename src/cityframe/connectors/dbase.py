"""Text of dBASE tables, those of shapefiles: its encoding is told by one of four places, or none.

GDAL reads the bytes as letters of ISO 8859-1, which loses nothing; here they become text.
"""

from collections.abc import Mapping

import pyarrow as pa

from cityframe.config.source import Feed
from cityframe.connectors.columns import ArrowColumn
from cityframe.connectors.datasets import Dataset
from cityframe.connectors.encodings import (
    codec_name,
    guessed_encoding,
    language_encoding,
    undecodable,
)

BYTES_AS_LETTERS = "ISO-8859-1"
_LANGUAGE_ID_AT = 29


def dbase_encoding(dataset: Dataset, feed: Feed, columns: Mapping[str, ArrowColumn]) -> str:
    """Return the encoding: the feed's, the ``.cpg`` file's, the table's own, or what bytes allow.

    Raises
    ------
    DeclarationError
        If the feed or the ``.cpg`` file names an encoding that does not exist.
    QuarantinedError
        If nothing names one and the bytes are neither UTF-8 nor plausible GB18030.
    """
    if feed.encoding:
        return codec_name(feed.encoding, where=f"the feed for {dataset.path}")
    for name, member in dataset.members.items():
        if name.endswith(".cpg"):
            stated = member.read().decode("latin-1").strip("\0 \t\r\n")
            if stated:
                return codec_name(stated, where=member.path)
    for name, member in dataset.members.items():
        if name.endswith(".dbf"):
            with member.opened() as chunks:
                head = next(iter(chunks), b"")
            stated = language_encoding(head[_LANGUAGE_ID_AT]) if len(head) >= 32 else ""
            if stated:
                return codec_name(stated, where=member.path)
    texts = [*columns, *(one for name in columns for one in _texts(columns[name]))]
    return guessed_encoding((text.encode("latin-1") + b"\n" for text in texts), where=dataset.path)


def decoded_columns(
    columns: Mapping[str, ArrowColumn], encoding: str, *, where: str
) -> dict[str, ArrowColumn]:
    """Return the columns with their names and texts in an encoding.

    Raises
    ------
    QuarantinedError
        If bytes are not in the encoding; with the column and the first record.
    """
    decoded: dict[str, ArrowColumn] = {}
    for letters, column in columns.items():
        name = _decoded(letters, encoding, f"{where}, column names")
        texts = _texts(column)
        if texts:
            place = f"{where}, column {name}"
            words = {text: _decoded(text, encoding, place) for text in texts}
            column = _replaced(column, words)
        decoded[name] = column
    return decoded


def _texts(column: ArrowColumn) -> list[str]:
    """Return the different texts of a column; none if it holds no text."""
    if column.type not in (pa.string(), pa.large_string()):
        return []
    return [text for text in column.unique().to_pylist() if text is not None]


def _replaced(column: ArrowColumn, words: Mapping[str, str]) -> ArrowColumn:
    texts = [None if text is None else words[text] for text in column.to_pylist()]
    replaced: ArrowColumn = pa.chunked_array([pa.array(texts, pa.string())])
    return replaced


def _decoded(text: str, encoding: str, where: str) -> str:
    try:
        return text.encode("latin-1").decode(encoding)
    except UnicodeDecodeError as error:
        raise undecodable(where, encoding, error) from error
