"""The timeline against a model that keeps, for each feature, what each single day is."""

from typing import Any

import hypothesis.strategies as st
import pandas as pd
from hypothesis import given, settings

from cityframe.store.timeline import FOREVER, Timeline, in_effect, timeline

DAYS = 14
"""Periods begin and end on days 0 to 12; the last day stands for all that follow."""
UIDS = ("a", "b", "c")
Days = dict[tuple[str, int], str]

# uid, begins on day, lasts days (None: for ever), is removed
CHANGE = st.tuples(
    st.sampled_from(UIDS),
    st.integers(0, 12),
    st.one_of(st.none(), st.integers(1, 12)),
    st.booleans(),
)
# of each feature: the days on which its rows begin, and whether each is there at all
KNOWN = st.fixed_dictionaries(
    {uid: st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=4) for uid in UIDS}
)


def frame_of_changes(drawn: list[Any]) -> pd.DataFrame:
    ends = [FOREVER if lasts is None else start + lasts for _, start, lasts, _ in drawn]
    return pd.DataFrame(
        {
            "uid": pd.Series([one[0] for one in drawn], dtype="str"),
            "valid_from": pd.Series([one[1] for one in drawn], dtype="int64"),
            "valid_to": pd.Series(ends, dtype="int64"),
            "is_removed": pd.Series([one[3] for one in drawn], dtype=bool),
        }
    )


def frame_of_known(drawn: dict[str, list[tuple[int, bool]]]) -> pd.DataFrame:
    rows = []
    for uid, starts in drawn.items():
        ordered = sorted(dict(starts).items())
        following = [*(start for start, _ in ordered[1:]), FOREVER]
        for (start, is_there), end in zip(ordered, following[: len(ordered)], strict=True):
            rows += [(uid, start, end)] if is_there else []
    columns = {"uid": "str", "valid_from": "int64", "valid_to": "int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def said_by(rows: pd.DataFrame, names: list[str]) -> Days:
    """Return what each day is of each feature; fail if two rows claim one day."""
    days: Days = {}
    for name, uid, start, end in zip(
        names, rows["uid"], rows["valid_from"], rows["valid_to"], strict=True
    ):
        assert start < end
        for day in range(start, min(end, DAYS)):
            assert (uid, day) not in days, f"{name} and {days[uid, day]} both hold on day {day}"
            days[uid, day] = name
    return days


def model(changes: pd.DataFrame, known: Days) -> Days:
    """Write the changes day by day over what is known."""
    days = dict(known)
    for change, row in enumerate(changes.itertuples(index=False)):
        for day in range(row.valid_from, min(row.valid_to, DAYS)):
            days.pop((row.uid, day), None)
            if not row.is_removed:
                days[row.uid, day] = f"change {change}"
    return days


def after(changes: pd.DataFrame, known: pd.DataFrame, line: Timeline) -> Days:
    """Return what each day is once rows are closed, copied and added."""
    kept = known[~line.closed]
    copies = line.copies.assign(uid=known["uid"].to_numpy()[line.copies["known"]])
    added = line.added.assign(uid=changes["uid"].to_numpy()[line.added["change"]])
    names = [
        *(f"known {row}" for row in kept.index),
        *(f"known {row}" for row in copies["known"]),
        *(f"change {row}" for row in added["change"]),
    ]
    return said_by(pd.concat([kept, copies, added], ignore_index=True), names)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(drawn=st.lists(CHANGE, max_size=7), known_days=KNOWN)
def test_each_day_is_what_was_said_of_it_last(
    drawn: list[Any], known_days: dict[str, list[tuple[int, bool]]]
) -> None:
    changes, known = frame_of_changes(drawn), frame_of_known(known_days)
    before = said_by(known, [f"known {row}" for row in known.index])
    line = timeline(changes, known)
    assert after(changes, known, line) == model(changes, before)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(drawn=st.lists(CHANGE, max_size=7), known_days=KNOWN)
def test_rows_that_no_change_overlaps_stay_as_they_are(
    drawn: list[Any], known_days: dict[str, list[tuple[int, bool]]]
) -> None:
    changes, known = frame_of_changes(drawn), frame_of_known(known_days)
    line = timeline(changes, known)
    for row, (uid, start, end) in enumerate(known.itertuples(index=False)):
        of_uid = changes[changes["uid"] == uid]
        meets = ((of_uid["valid_from"] < end) & (of_uid["valid_to"] > start)).any()
        assert bool(line.closed[row]) == meets
        if not meets:
            assert row not in set(line.copies["known"])


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(drawn=st.lists(CHANGE, max_size=7), known_days=KNOWN)
def test_a_period_that_is_cut_short_says_which_change_ended_it(
    drawn: list[Any], known_days: dict[str, list[tuple[int, bool]]]
) -> None:
    changes, known = frame_of_changes(drawn), frame_of_known(known_days)
    line = timeline(changes, known)
    for copy in line.copies.itertuples(index=False):
        is_cut = copy.valid_to < known["valid_to"].iloc[copy.known]
        assert (copy.ended_by >= 0) == is_cut
    for added in line.added.itertuples(index=False):
        assert (added.ended_by >= 0) == (added.valid_to != FOREVER)
    for piece in pd.concat([line.copies, line.added]).itertuples(index=False):
        if piece.ended_by >= 0:
            by = changes.iloc[piece.ended_by]
            # it ended what was there, or its own time was over
            assert piece.valid_to in (by["valid_from"], by["valid_to"])


@given(start=st.integers(0, 9), lasts=st.integers(1, 9), at=st.integers(0, 20))
def test_a_period_holds_its_first_moment_and_not_its_last(start: int, lasts: int, at: int) -> None:
    period = pd.Series([start]).to_numpy(), pd.Series([start + lasts]).to_numpy()
    assert bool(in_effect(*period, at)[0]) == (at in range(start, start + lasts))
