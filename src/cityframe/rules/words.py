"""What a finding says, in Chinese and in English."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Texts = Sequence[Any] | npt.NDArray[Any] | pd.Series


@dataclass(frozen=True)
class Words:
    """One text, or one text a defect, in both languages."""

    en: Texts | str
    zh: Texts | str


def words(en: str, zh: str, **values: Texts) -> Words:
    """Return texts from a template a language.

    Parameters
    ----------
    en, zh : str
        Templates of `str.format` over the names of ``values``.
    **values : n values each
        Columns of equal length; without any, the templates are plain text.

    Examples
    --------
    >>> words("a gap of {area:.2f} m²", "缝隙 {area:.2f} m²", area=[1.0]).zh
    ['缝隙 1.00 m²']
    """
    if not values:
        return Words(en, zh)
    names = list(values)
    rows = list(zip(*(np.asarray(column).tolist() for column in values.values()), strict=True))
    return Words(
        *([text.format(**dict(zip(names, row, strict=True))) for row in rows] for text in (en, zh))
    )
