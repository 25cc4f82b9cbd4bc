"""Defects: what a rule kind gives back, before it becomes findings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pandas.api.types import infer_dtype

from cityframe.rules.words import Words

DEFECT_COLUMNS = (
    "row", "other_row", "other", "uid", "found", "expected", "found_zh", "expected_zh", "geometry",
)  # fmt: skip

_TEXTS = ("other", "uid", "found", "expected", "found_zh", "expected_zh")

Column = Sequence[Any] | npt.NDArray[Any] | pd.Series


def defects(
    *,
    row: Column | None = None,
    found: Column | Words | str,
    expected: Column | Words | str = "",
    geometry: Column | None = None,
    other_row: Column | None = None,
    other: Column | None = None,
    uid: Column | None = None,
) -> pd.DataFrame:
    """Return the defects that a check found, one row each.

    Parameters
    ----------
    row : n integers or None
        Position of the failing feature in the layer frame; None or -1 for a defect of the whole
        layer or of a feature that the frame does not have.
    found, expected : n texts or one text, in one language or (`Words`) in two
        What stands in the data, and what should.
    geometry : n geometries or None
        The place of the defect in the layer's CRS; where it is None, the feature is the place.
    other_row : n integers or None
        Position of a second feature of the same layer that fails as well (the other one of an
        overlap); -1 for none.
    other : n texts or None
        Identities of other features concerned that do not fail themselves, comma-separated.
    uid : n texts or None
        Uid of a feature that the frame does not have.

    Returns
    -------
    DataFrame, n rows
        Columns `DEFECT_COLUMNS`. Many defects of the same features are gathered to one finding
        later, so a check may give each place on its own row.
    """
    found, expected = _in_both(found), _in_both(expected)
    size = next(
        len(column)
        for column in (row, geometry, uid, other, [0] if isinstance(found.en, str) else found.en)
        if column is not None
    )
    return pd.DataFrame(
        {
            "row": _positions(row, size),
            "other_row": _positions(other_row, size),
            "other": _texts(other, size),
            "uid": _texts(uid, size),
            "found": _texts(found.en, size),
            "expected": _texts(expected.en, size),
            "found_zh": _texts(found.zh, size),
            "expected_zh": _texts(expected.zh, size),
            "geometry": _objects(geometry, size),
        }
    )


def no_defects() -> pd.DataFrame:
    """Return a table without defects."""
    return defects(row=[], found=[])


def verified(table: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return what a check gave back, if it is a table of defects of a layer with ``size`` rows.

    Raises
    ------
    TypeError
        If columns are missing or hold what they should not, or a position is none of the layer's.
    """
    missing = [name for name in DEFECT_COLUMNS if name not in table]
    if missing:
        message = f"the check gave defects without {', '.join(missing)}"
        raise TypeError(message)
    positions = table[["row", "other_row"]]
    wrong = [name for name in ("row", "other_row") if table[name].dtype.kind != "i"]
    wrong += [name for name in _TEXTS if not _holds_texts(table[name])]
    place = table["geometry"].to_numpy(dtype=object)
    wrong += [] if (shapely.is_geometry(place) | shapely.is_missing(place)).all() else ["geometry"]
    if wrong:
        message = f"the check gave defects with anything in {', '.join(wrong)}; use defects()"
        raise TypeError(message)
    if not positions.ge(-1).all(axis=None) or not positions.lt(size).all(axis=None):
        message = f"the check gave positions outside the {size} rows of the layer"
        raise TypeError(message)
    return table


def _holds_texts(column: pd.Series) -> bool:
    return infer_dtype(column, skipna=False) in {"string", "empty"}


def _in_both(texts: Column | Words | str) -> Words:
    return texts if isinstance(texts, Words) else Words(texts, texts)


def _positions(column: Column | None, size: int) -> npt.NDArray[np.int64]:
    if column is None:
        return np.full(size, -1, dtype=np.int64)
    return np.asarray(column, dtype=np.int64)


def _texts(column: Column | str | None, size: int) -> pd.Series:
    if column is None or isinstance(column, str):
        return pd.Series([column or ""] * size, dtype="str")
    return pd.Series(np.asarray(column, dtype=object), dtype="str").fillna("")


def _objects(column: Column | None, size: int) -> npt.NDArray[np.object_]:
    objects = np.full(size, None, dtype=object)
    if column is not None:
        objects[:] = np.asarray(column, dtype=object)
    return objects
