"""Runs of flags, and what a finding says of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cityframe.rules.context import Positions
from cityframe.rules.defects import defects
from cityframe.rules.moments import Moments
from cityframe.rules.observed.qartod import FAIL, SUSPECT, Flags
from cityframe.rules.observed.series import Series, Values
from cityframe.rules.words import Words, words

_ENGLISH = {SUSPECT: "suspect", FAIL: "fail"}
_CHINESE = {SUSPECT: "可疑", FAIL: "不合格"}


@dataclass(frozen=True)
class Runs:
    """Runs of observations of one stream, one after the other, whose flags are findings.

    Attributes
    ----------
    first, last : k integers
        Positions of the first and the last observation in the series.
    count : k integers
    flag : k integers
        The worst of the run.
    extreme : k integers
        Position of the value farthest from the median of its stream.
    """

    first: Positions
    last: Positions
    count: Positions
    flag: Flags
    extreme: Positions


def runs(series: Series, flags: Flags, from_flag: str = "suspect") -> Runs:
    """Return the runs of flags that are findings, in the order of the series."""
    least = FAIL if from_flag == "fail" else SUSPECT
    bad = np.flatnonzero((flags >= least) & (flags <= FAIL))
    is_new = np.ones(len(bad), dtype=bool)
    is_new[1:] = (np.diff(bad) > 1) | series.starts[bad[1:]]
    starts = np.flatnonzero(is_new)
    ends = np.append(starts, len(bad))[1:]
    number = np.cumsum(is_new) - 1
    farthest = np.lexsort((-_deviation(series, bad), number))
    return Runs(
        first=bad[starts],
        last=bad[ends - 1],
        count=ends - starts,
        flag=np.maximum.reduceat(flags[bad], starts) if len(bad) else flags[bad],
        extreme=bad[farthest[starts]],
    )


def _deviation(series: Series, chosen: Positions) -> Values:
    """Return how far the values are from the median of their stream; 0 for null."""
    present = np.isin(series.stream, np.unique(series.stream[chosen]))
    median = pd.Series(series.value[present]).groupby(series.stream[present]).median()
    centre = median.reindex(series.stream[chosen]).to_numpy()
    distance: Values = np.nan_to_num(np.abs(series.value[chosen] - centre))
    return distance


def run_defects(series: Series, found: Runs, expected: Words) -> pd.DataFrame:
    """Return one defect a run: first and last time, count, flag, extreme value."""
    span = spans(series.time[found.first], series.time[found.last])
    return defects(
        row=series.row[found.first],
        other=observation_ids(series, found.first),
        found=words(
            "{stream}, {when}: {count} value(s), flag {flag} ({name}), extreme value {extreme:.6g}",
            "{stream}，{when_zh}：{count} 个观测值，标志 {flag}（{name_zh}），极值 {extreme:.6g}",
            stream=series.names[series.stream[found.first]],
            when=span.en,
            when_zh=span.zh,
            count=found.count,
            flag=found.flag,
            name=[_ENGLISH[flag] for flag in found.flag.tolist()],
            name_zh=[_CHINESE[flag] for flag in found.flag.tolist()],
            extreme=series.value[found.extreme],
        ),
        expected=expected,
    )


def observation_ids(series: Series, chosen: Positions) -> list[str] | None:
    """Return what names each observation beside its sensor: its time; None if it is its own row."""
    return instants(series.time[chosen]) if series.is_feed else None


def spans(first: Moments, last: Moments) -> Words:
    """Return spans of time in words."""
    both = list(zip(instants(first), instants(last), strict=True))
    return Words(
        en=[low if low == high else f"{low} to {high}" for low, high in both],
        zh=[low if low == high else f"{low} 至 {high}" for low, high in both],
    )


def instants(when: Moments) -> list[str]:
    """Return moments in UTC as ISO 8601 texts, to the second."""
    texts = np.datetime_as_string(when.astype("datetime64[s]"))
    return [f"{text}Z" for text in texts.tolist()]


def durations(seconds: Sequence[float] | Values) -> list[str]:
    """Return lengths of time in the largest unit that they fill."""
    texts = []
    for length in np.asarray(seconds, dtype=float).tolist():
        for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
            if length >= size or unit == "s":
                texts.append(f"{length / size:.4g} {unit}")
                break
    return texts


def in_order(**limits: float | None) -> None:
    """Refuse limits of suspect and fail that are both missing or the wrong way round.

    Raises
    ------
    ValueError
        If so.
    """
    (suspect_name, suspect), (fail_name, fail) = limits.items()
    if suspect is None and fail is None:
        message = f"{suspect_name}, {fail_name} or both"
        raise ValueError(message)
    rises = not suspect_name.endswith("_below")
    if suspect is None or fail is None or suspect == fail:
        return
    if (fail > suspect) != rises:
        message = f"a {fail_name} that is not {'below' if rises else 'above'} {suspect_name}"
        raise ValueError(message)


def demands(suspect: Words | None, fail: Words | None) -> Words:
    """Return what was expected of a value, by what it is flagged otherwise."""
    given = [(SUSPECT, suspect), (FAIL, fail)]
    return Words(
        "; ".join(f"{each.en} (else {_ENGLISH[flag]})" for flag, each in given if each),
        "；".join(f"{each.zh}（否则{_CHINESE[flag]}）" for flag, each in given if each),
    )


def demand(en: str, zh: str, threshold: float | str | None) -> Words | None:
    """Return a template a language over a threshold; None for none."""
    return None if threshold is None else Words(en.format(threshold), zh.format(threshold))


def within(low: float | None, high: float | None) -> Words | None:
    """Return limits in words; None for none."""
    if low is None and high is None:
        return None
    if low is None or high is None:
        at, word = ("at most", "不大于") if low is None else ("at least", "不小于")
        limit = high if low is None else low
        return Words(f"{at} {limit:g}", f"{word} {limit:g}")
    return Words(f"{low:g} to {high:g}", f"{low:g} 至 {high:g}")
