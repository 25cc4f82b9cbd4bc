"""How findings quote attribute values."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.rules.words import Words


def quoted(
    frame: pd.DataFrame, columns: Sequence[str], row: npt.NDArray[np.int64]
) -> npt.NDArray[np.object_]:
    """Return ``column = value`` of the columns, comma-separated, one text a position in ``row``."""
    texts = np.full(len(row), "", dtype=object)
    for place, name in enumerate(columns):
        column = frame[name].iloc[row]
        shown = column.astype("str").where(column.notna(), "null").to_numpy(dtype=object)
        texts = texts + ((", " if place else "") + f"{name} = ") + shown
    return texts


def limits(low: float | None, high: float | None, unit: str = "") -> Words:
    """Return limits in words: ``at least 2 m``, ``at most 9 m`` or ``2 to 9 m``."""
    after = f" {unit}" if unit else ""
    if low is None:
        return Words(f"at most {high:g}{after}", f"不大于 {high:g}{after}")
    if high is None:
        return Words(f"at least {low:g}{after}", f"不小于 {low:g}{after}")
    return Words(f"{low:g} to {high:g}{after}", f"{low:g} 至 {high:g}{after}")
