"""What the two sides of a match say beside their geometry."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Evidence:
    """What helps to tell features apart; each pair is (before, after), in the order of the sides.

    Attributes
    ----------
    names : tuple of Series, or None
        Names in words; null says nothing.
    exact : tuple of DataFrame, or None
        The same columns on both sides (number, unit, floor): where both have a value and the
        values differ, the two are never one.
    """

    names: tuple[pd.Series, pd.Series] | None = None
    exact: tuple[pd.DataFrame, pd.DataFrame] | None = None


NO_EVIDENCE = Evidence()
