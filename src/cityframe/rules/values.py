"""How findings quote attribute values."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd


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


def limits(low: float | None, high: float | None, unit: str = "") -> str:
    """Return limits in words: ``at least 2 m``, ``at most 9 m`` or ``2 to 9 m``."""
    after = f" {unit}" if unit else ""
    if low is None:
        return f"at most {high:g}{after}"
    return f"at least {low:g}{after}" if high is None else f"{low:g} to {high:g}{after}"
