"""What two records of one feature can't say differently: number, unit, floor."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.displacement import Flags, Numbers, Positions


@dataclass(frozen=True)
class Statements:
    """What the records of two sides say in the same columns, as numbers.

    Values are compared in NFKC, without case and spaces: ``１２ A`` is ``12a``. Null and blank say
    nothing.

    Attributes
    ----------
    before, after : ndarray of int, n × columns and m × columns
        Equal for equal values of a column, -1 for none.
    """

    before: npt.NDArray[np.intp]
    after: npt.NDArray[np.intp]

    @classmethod
    def of(cls, before: pd.DataFrame, after: pd.DataFrame) -> "Statements":
        """Return the statements of two sides that have the same columns."""
        table = np.empty((len(before) + len(after), len(before.columns)), dtype=np.intp)
        for at, name in enumerate(before.columns):
            table[:, at] = _codes(pd.concat([before[name], after[name]], ignore_index=True))
        return cls(table[: len(before)], table[len(before) :])

    def contradict(self, before_at: Positions, after_at: Positions) -> Flags:
        """Tell which pairs, given as positions, differ in a column where both say something."""
        one, other = self.before[before_at], self.after[after_at]
        differs: Flags = ((one != other) & (one >= 0) & (other >= 0)).any(axis=1)
        return differs

    def silence(self, before_at: Positions, after_at: Positions) -> Numbers:
        """Return for pairs the share of the columns in which one side alone says something."""
        is_said = self.before[before_at] >= 0, self.after[after_at] >= 0
        share: Numbers = (is_said[0] != is_said[1]).sum(axis=1) / max(self.before.shape[1], 1)
        return share


def _codes(values: pd.Series) -> npt.NDArray[np.intp]:
    code, distinct = pd.factorize(values.astype("str"))
    plain = pd.Series(distinct, dtype="str").str.normalize("NFKC").str.casefold()
    plain = plain.str.replace(r"\s+", "", regex=True)
    again, _ = pd.factorize(plain.mask(plain == ""))
    # the last place is for null, whose code is -1
    return np.append(again, -1)[code]
