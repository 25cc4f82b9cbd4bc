"""Header rows of text tables and spreadsheets."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.connectors.columns import ArrowColumn, frame
from cityframe.connectors.limits import check_column_count
from cityframe.errors import QuarantinedError

_TEXT = (pa.string(), pa.large_string())


def named_frame(
    where: str, header: Sequence[str], columns: Sequence[ArrowColumn], count: int
) -> pd.DataFrame:
    """Return a frame of columns of ``count`` values under their names.

    A column without a name is called ``#PLACE``, counted from 1, so that a declaration can name
    it; one that has no value either is left out, for spreadsheets leave such behind.

    Raises
    ------
    QuarantinedError
        If two columns have the same name, or there are too many.
    """
    named = [
        (name if name.strip() else f"#{place}", column)
        for place, (name, column) in enumerate(zip(header, columns, strict=True), start=1)
        if name.strip() or not _is_empty(column)
    ]
    check_names(where, [name for name, _ in named])
    return frame(dict(named), count)


def check_names(where: str, names: Sequence[str]) -> None:
    """Refuse a name that stands twice, and too many names.

    Raises
    ------
    QuarantinedError
        If two columns have the same name, or there are too many.
    """
    check_column_count(len(names), where)
    for name, count in Counter(names).items():
        if count > 1:
            raise QuarantinedError(
                found=f"{count} columns {name!r}",
                where=where,
                expected="each name once",
                remedy="have the source rename all but one",
            )


def _is_empty(column: ArrowColumn) -> bool:
    if column.null_count == len(column):
        return True
    return column.type in _TEXT and pc.max(pc.utf8_length(column)).as_py() == 0
