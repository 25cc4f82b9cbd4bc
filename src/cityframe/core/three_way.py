"""Three-way merge of one attribute: what a source says, what stands, and what both came from.

Rows on whose value the two sides agree are left alone. Of the others, in this order:

=====================  ===========================================================================
rule                   when, and what counts
=====================  ===========================================================================
only-current-changed   the source says what its base said: the current value counts
only-incoming-changed  the current value is that of the base: the incoming one counts
own-value              the source said the current value itself, not later: the incoming one counts
first-value            (no base) there is no value yet: the incoming one counts
authority              one of the two sources ranks higher: its value counts
no-authority           (no base) neither of the two is an authority, though there are some: the
                       current value counts
observed-later         none of these, and one value was observed later: it counts
undecided              observed at the same time, or nobody knows when: a question; meanwhile the
                       current value stands
=====================  ===========================================================================

Without a base, a value of unknown age gives way to one whose age is known.

References
----------
The rule of the two sides against a base is that of diff3 (Khanna, Kunal and Pierce 2007).
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Flags = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.int64]
Moments = npt.NDArray[np.datetime64]

UNLISTED = 1 << 31
"""Rank of a source that is no authority: below all others. The first authority has rank 0."""
_UNKNOWN = np.datetime64("NaT", "us")


class Choice(IntEnum):
    """Which side counts."""

    TAKE_CURRENT = 0
    TAKE_INCOMING = 1
    CONFLICT = 2


class MergeRule(StrEnum):
    """By which rule one side counts; the module's table defines them.

    ``same``: the sides agree. ``answer``: a person decided a conflict (given elsewhere).
    """

    SAME = "same"
    ONLY_CURRENT_CHANGED = "only-current-changed"
    ONLY_INCOMING_CHANGED = "only-incoming-changed"
    OWN_VALUE = "own-value"
    FIRST_VALUE = "first-value"
    AUTHORITY = "authority"
    NO_AUTHORITY = "no-authority"
    OBSERVED_LATER = "observed-later"
    UNDECIDED = "undecided"
    ANSWER = "answer"


_RULES = tuple(MergeRule)


@dataclass(frozen=True)
class MergedColumn:
    """What counts in each of n rows.

    Attributes
    ----------
    choice : ndarray of int8, n
        Values of `Choice`; `Choice.TAKE_CURRENT` where the sides agree.
    rule : ndarray of int8, n
        Position of the rule in `MergeRule`.
    """

    choice: npt.NDArray[np.int8]
    rule: npt.NDArray[np.int8]

    def is_taken(self) -> Flags:
        """Tell where the incoming value counts."""
        return np.asarray(self.choice == Choice.TAKE_INCOMING, dtype=bool)

    def is_by(self, *rules: MergeRule) -> Flags:
        """Tell where one of some rules decided."""
        return np.isin(self.rule, [_RULES.index(rule) for rule in rules])

    def rule_names(self) -> npt.NDArray[np.object_]:
        """Return the name of each row's rule."""
        return np.array([rule.value for rule in _RULES], dtype=object)[self.rule]


@dataclass(frozen=True)
class Sides:
    """How current and incoming stand to each other and to the base, n rows.

    Attributes
    ----------
    differs : ndarray of bool, n
        The two sides disagree.
    current_changed, incoming_changed : ndarray of bool, n
        The side disagrees with the base; read where ``has_base``.
    has_base : ndarray of bool, n
        The row has a base.
    is_blank : ndarray of bool, n
        The current value is null.
    """

    differs: Flags
    current_changed: Flags
    incoming_changed: Flags
    has_base: Flags
    is_blank: Flags

    def is_open(self) -> Flags:
        """Tell where the base does not decide, so that it matters who said what, and when."""
        return self.differs & ~(self.has_base & ~(self.current_changed & self.incoming_changed))


@dataclass(frozen=True)
class Claims:
    """Who said the two values, and when they were so; arrays of n rows, or one value for all.

    Attributes
    ----------
    rank_current, rank_incoming : int or ndarray of int64, or None
        Place of the source among the authorities, 0 the first, `UNLISTED`; None where the
        attribute has no authorities.
    time_current, time_incoming : datetime64 or ndarray of datetime64
        When each value was observed, in UTC; NaT where nobody knows.
    is_own : bool or ndarray of bool
        The source that speaks said the current value too.
    """

    rank_current: int | Ranks | None = None
    rank_incoming: int | Ranks | None = None
    time_current: np.datetime64 | Moments = _UNKNOWN
    time_incoming: np.datetime64 | Moments = _UNKNOWN
    is_own: bool | Flags = False


def same_values(one: pd.Series, other: pd.Series) -> Flags:
    """Tell where two columns of one attribute hold the same value, as the row digest sees it.

    Parameters
    ----------
    one, other : Series, n rows
        In the column type of the contract (`cityframe.core.frames`), by position.

    Returns
    -------
    ndarray of bool, n
        Null is the same as null and as nothing else; texts are compared in Unicode form NFC.
    """
    left, right = one.reset_index(drop=True), other.reset_index(drop=True)
    blank = left.isna().to_numpy(dtype=bool), right.isna().to_numpy(dtype=bool)
    same = (left == right).fillna(False).to_numpy(dtype=bool) & ~blank[0] & ~blank[1]
    same |= blank[0] & blank[1]
    if isinstance(left.dtype, pd.StringDtype):
        rest = np.flatnonzero(~same & ~blank[0] & ~blank[1])
        texts = (side.iloc[rest].str.normalize("NFC") for side in (left, right))
        same[rest] = next(texts).to_numpy(dtype=object) == next(texts).to_numpy(dtype=object)
    return same


def merge_values(
    base: pd.Series | None,
    current: pd.Series,
    incoming: pd.Series,
    *,
    rank_current: int | Ranks | None = None,
    rank_incoming: int | Ranks | None = None,
    time_current: np.datetime64 | Moments = _UNKNOWN,
    time_incoming: np.datetime64 | Moments = _UNKNOWN,
    is_own: bool | Flags = False,
    has_base: bool | Flags = True,
) -> MergedColumn:
    """Decide row by row whether the current or the incoming value of an attribute counts.

    Parameters
    ----------
    base, current, incoming : Series, n rows
        The three values in the contract's column type; ``base`` is None where no row has one.
        An attribute that the source does not bring at all is not to be merged: absent is not null.
    rank_current, rank_incoming, time_current, time_incoming, is_own
        As of `Claims`.
    has_base : bool or ndarray of bool, n
        Which rows have a base; of the others ``base`` is not read.

    Returns
    -------
    MergedColumn, n rows
        By the rules of the module's table.
    """
    count = len(current)
    here = np.zeros(count, dtype=bool) if base is None else _spread(has_base, count)
    origin = current if base is None else base
    sides = Sides(
        differs=~same_values(current, incoming),
        current_changed=~same_values(origin, current),
        incoming_changed=~same_values(origin, incoming),
        has_base=here,
        is_blank=current.isna().to_numpy(dtype=bool),
    )
    claims = Claims(rank_current, rank_incoming, time_current, time_incoming, is_own)
    return merge_sides(sides, claims)


def merge_sides(sides: Sides, claims: Claims) -> MergedColumn:
    """Do what `merge_values` does, for values of any kind that were compared before."""
    count = len(sides.differs)
    older, later = _ages(claims, count)
    own = _spread(claims.is_own, count)
    has_base, is_blank = sides.has_base, sides.is_blank
    no_base = ~has_base
    incoming, current = Choice.TAKE_INCOMING, Choice.TAKE_CURRENT
    decisions: list[tuple[Flags, Choice, MergeRule]] = [
        (~sides.differs, current, MergeRule.SAME),
        (has_base & ~sides.incoming_changed, current, MergeRule.ONLY_CURRENT_CHANGED),
        (has_base & ~sides.current_changed, incoming, MergeRule.ONLY_INCOMING_CHANGED),
        (own & ~older, incoming, MergeRule.OWN_VALUE),
        (own, current, MergeRule.OBSERVED_LATER),
    ]
    if claims.rank_current is not None and claims.rank_incoming is not None:
        standing = _spread(claims.rank_current, count)
        coming = _spread(claims.rank_incoming, count)
        decisions += [
            (no_base & is_blank, incoming, MergeRule.FIRST_VALUE),
            (coming < standing, incoming, MergeRule.AUTHORITY),
            (coming > standing, current, MergeRule.AUTHORITY),
            (no_base, current, MergeRule.NO_AUTHORITY),
        ]
    unknown = np.isnat(_spread(claims.time_current, count))
    decisions += [
        (older, current, MergeRule.OBSERVED_LATER),
        (later | (no_base & unknown), incoming, MergeRule.OBSERVED_LATER),
        (no_base & is_blank, incoming, MergeRule.FIRST_VALUE),
    ]
    conditions = [condition for condition, _, _ in decisions]
    choices = [np.int8(choice) for _, choice, _ in decisions]
    rules = [np.int8(_RULES.index(rule)) for _, _, rule in decisions]
    return MergedColumn(
        choice=np.select(conditions, choices, default=np.int8(Choice.CONFLICT)),
        rule=np.select(conditions, rules, default=np.int8(_RULES.index(MergeRule.UNDECIDED))),
    )


def _ages(claims: Claims, count: int) -> tuple[Flags, Flags]:
    """Tell where the incoming value is known to be older, and to be later."""
    standing, coming = (_spread(one, count) for one in (claims.time_current, claims.time_incoming))
    # nothing is older or later than NaT
    return coming < standing, coming > standing


def _spread(value: object, count: int) -> npt.NDArray[Any]:
    return np.broadcast_to(np.asarray(value), count)
