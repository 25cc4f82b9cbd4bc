"""Compare the columns of a delivery with the declared ones, and put its tables together."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.config.source import Feed, JoinGeometry, WktGeometry, XyGeometry
from cityframe.conform.problems import LayerProblem, Problem, RecordProblem
from cityframe.core.source_table import SourceTable
from cityframe.model.text import Title

_LISTED = 20


@dataclass(frozen=True)
class Columns:
    """The declared columns of a delivery's tables, one below the other.

    Attributes
    ----------
    frame : DataFrame, n records
        RangeIndex: the record numbers. The mapped columns that were delivered, nothing else.
    geometry : ndarray or None
        The geometries as delivered; None if no table has any.
    problems : tuple of Problem
        Columns that are unknown or missing, and records that could not be read.
    """

    frame: pd.DataFrame
    geometry: npt.NDArray[np.object_] | None
    problems: tuple[Problem, ...]

    def has(self, column: str) -> bool:
        """Return whether a column was delivered."""
        return column in self.frame.columns


def read_columns(tables: Sequence[SourceTable], feed: Feed) -> Columns:
    """Return the declared columns of all tables that a feed matches.

    A column that is neither mapped nor in ``ignore`` or ``optional`` is a problem, as is a mapped
    one that is absent and not ``optional``, or present in some of the tables only.
    """
    mapped = _mapped_columns(feed)
    known = {*mapped, *feed.ignore, *feed.optional}
    problems: list[Problem] = []
    for table in tables:
        problems += _unknown_columns(table, known)
        problems += _missing_columns(table, mapped, feed, tables)
    problems += _unreadable(tables)
    frames = [_take(table, mapped) for table in tables]
    return Columns(
        frame=pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=mapped),
        geometry=_geometry(tables),
        problems=tuple(problems),
    )


def _mapped_columns(feed: Feed) -> list[str]:
    names = [feed.id, *(mapping.column for mapping in feed.columns.values())]
    if feed.valid_from is not None:
        names.append(feed.valid_from.column)
    if feed.operation is not None:
        names.append(feed.operation.column)
    if isinstance(feed.geometry, XyGeometry):
        names += [feed.geometry.x, feed.geometry.y, feed.geometry.z]
    elif isinstance(feed.geometry, WktGeometry):
        names.append(feed.geometry.wkt)
    elif isinstance(feed.geometry, JoinGeometry):
        names += feed.geometry.on.values()
    return list(dict.fromkeys(name for name in names if name))


def _take(table: SourceTable, mapped: Sequence[str]) -> pd.DataFrame:
    present = [name for name in mapped if name in table.frame.columns]
    frame = table.frame.loc[:, ~table.frame.columns.duplicated()]
    return frame[present]


def _geometry(tables: Sequence[SourceTable]) -> npt.NDArray[np.object_] | None:
    if all(table.geometry is None for table in tables):
        return None
    return np.concatenate(
        [
            np.full(len(table.frame), None, dtype=object)
            if table.geometry is None
            else np.asarray(table.geometry, dtype=object)
            for table in tables
        ]
    )


def _unknown_columns(table: SourceTable, known: set[str]) -> list[Problem]:
    names = [str(name) for name in table.frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    found = [_with_likeness(name, known - set(names)) for name in unknown]
    problems: list[Problem] = []
    if found:
        problems.append(
            LayerProblem(
                "intake.unknown-column",
                f"{place(table)}: columns that are not declared: {_listed(found).en}",
                "only columns that are mapped, in ignore or in optional",
                found_zh=f"{place(table)}：未声明的列：{_listed(found).zh}",
                expected_zh="仅有已映射或列于 ignore、optional 的列",
            )
        )
    if twice:
        repeated = _listed([Title(repr(name), repr(name)) for name in twice])
        problems.append(
            LayerProblem(
                "intake.unknown-column",
                f"{place(table)}: columns that stand twice: {repeated.en}",
                "each column once",
                found_zh=f"{place(table)}：重复的列：{repeated.zh}",
                expected_zh="每列一次",
            )
        )
    return problems


def _missing_columns(
    table: SourceTable, mapped: Sequence[str], feed: Feed, tables: Sequence[SourceTable]
) -> list[Problem]:
    present = set(table.frame.columns)
    elsewhere = {name for other in tables for name in other.frame.columns}
    required = [name for name in mapped if name not in feed.optional or name in elsewhere]
    known = {*mapped, *feed.ignore, *feed.optional}
    missing = [
        _with_likeness(name, {str(one) for one in present} - known)
        for name in required
        if name not in present
    ]
    if not missing:
        return []
    return [
        LayerProblem(
            "intake.missing-column",
            f"{place(table)}: columns that are missing: {_listed(missing).en}",
            "every mapped column that is not in optional, in each table of the feed",
            found_zh=f"{place(table)}：缺少的列：{_listed(missing).zh}",
            expected_zh="供数的每个表均有全部已映射且不在 optional 中的列",
        )
    ]


def _unreadable(tables: Sequence[SourceTable]) -> list[Problem]:
    starts = np.cumsum([0, *(len(table.frame) for table in tables)])
    defects = {
        int(start) + record: reason
        for start, table in zip(starts, tables, strict=False)
        for record, reason in table.defects.items()
    }
    if not defects:
        return []
    records = np.array(list(defects), dtype=np.int64)
    reasons = list(defects.values())
    # why stays as the reader of the format says it
    found_zh = [f"无法读取：{reason}" for reason in reasons]
    return [
        RecordProblem(
            "intake.unreadable",
            records,
            reasons,
            "a whole record",
            found_zh=found_zh,
            expected_zh="完整的记录",
        )
    ]


def place(table: SourceTable) -> str:
    """Return the file and table for a message."""
    return f"{table.file}, table {table.table}" if table.table else table.file


def _with_likeness(name: str, candidates: Iterable[str]) -> Title:
    alike = [one for one in sorted(candidates) if _folded(one) == _folded(name)]
    if not alike:
        return Title(repr(name), repr(name))
    return Title(
        f"{name!r}（与 {alike[0]!r} 仅大小写、空白或字节序标记不同）",
        f"{name!r} (differs from {alike[0]!r} in case, white space or byte order mark only)",
    )


def _folded(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).replace("\ufeff", "").split()).casefold()


def _listed(names: Sequence[Title]) -> Title:
    shown, more = names[:_LISTED], len(names) - _LISTED
    return Title(
        "、".join(one.zh for one in shown) + (f" 等，另有 {more} 个" if more > 0 else ""),
        ", ".join(one.en for one in shown) + (f" and {more} more" if more > 0 else ""),
    )
