"""Which of two values counts: by base, authority and age."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cityframe.core.three_way import UNLISTED, Choice, MergeRule, merge_values, same_values

EARLY, LATE, NEVER = (np.datetime64(day, "us") for day in ("2024-01-01", "2024-02-01", "NaT"))
CURRENT, INCOMING, CONFLICT = Choice
FIRST, SECOND = 0, 1


def texts(*values: str | None) -> pd.Series:
    return pd.Series(values, dtype="str")


def decided(
    base: str | None, current: str | None, incoming: str | None, *, has_base: bool, **claims: Any
) -> tuple[Choice, str]:
    merged = merge_values(
        texts(base) if has_base else None, texts(current), texts(incoming), **claims
    )
    return Choice(merged.choice[0]), str(merged.rule_names()[0])


@pytest.mark.parametrize(
    ("base", "current", "incoming", "expected"),
    [
        ("a", "a", "a", (CURRENT, "same")),
        ("a", "b", "b", (CURRENT, "same")),
        ("a", "a", "b", (INCOMING, "only-incoming-changed")),
        ("a", "b", "a", (CURRENT, "only-current-changed")),
        ("a", "b", "c", (CONFLICT, "undecided")),
        ("a", "a", None, (INCOMING, "only-incoming-changed")),
        ("a", None, "a", (CURRENT, "only-current-changed")),
        (None, None, "b", (INCOMING, "only-incoming-changed")),
        (None, None, None, (CURRENT, "same")),
        ("a", None, "b", (CONFLICT, "undecided")),
    ],
)
def test_with_a_base_the_side_that_changed_counts(
    base: str | None, current: str | None, incoming: str | None, expected: tuple[Choice, str]
) -> None:
    assert decided(base, current, incoming, has_base=True) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"rank_current": SECOND, "rank_incoming": FIRST}, (INCOMING, "authority")),
        ({"rank_current": FIRST, "rank_incoming": UNLISTED}, (CURRENT, "authority")),
        (
            {"rank_current": FIRST, "rank_incoming": SECOND, "time_incoming": LATE},
            (CURRENT, "authority"),
        ),
        ({"time_current": EARLY, "time_incoming": LATE}, (INCOMING, "observed-later")),
        ({"time_current": LATE, "time_incoming": EARLY}, (CURRENT, "observed-later")),
        ({"time_current": LATE, "time_incoming": LATE}, (CONFLICT, "undecided")),
        ({"time_current": NEVER, "time_incoming": LATE}, (CONFLICT, "undecided")),
        ({"time_current": LATE, "time_incoming": LATE, "is_own": True}, (INCOMING, "own-value")),
        (
            {"time_current": LATE, "time_incoming": EARLY, "is_own": True},
            (CURRENT, "observed-later"),
        ),
    ],
)
def test_where_both_changed_authority_decides_then_age_then_a_person(
    claims: dict[str, Any], expected: tuple[Choice, str]
) -> None:
    times = {"time_current": EARLY, "time_incoming": EARLY}
    assert decided("a", "b", "c", has_base=True, **{**times, **claims}) == expected


@pytest.mark.parametrize(
    ("current", "claims", "expected"),
    [
        ("b", {"rank_current": SECOND, "rank_incoming": FIRST}, (INCOMING, "authority")),
        ("b", {"rank_current": FIRST, "rank_incoming": SECOND}, (CURRENT, "authority")),
        ("b", {"rank_current": UNLISTED, "rank_incoming": SECOND}, (INCOMING, "authority")),
        ("b", {"rank_current": UNLISTED, "rank_incoming": UNLISTED}, (CURRENT, "no-authority")),
        (None, {"rank_current": FIRST, "rank_incoming": UNLISTED}, (INCOMING, "first-value")),
        (
            "b",
            {"rank_current": UNLISTED, "rank_incoming": UNLISTED, "is_own": True},
            (INCOMING, "own-value"),
        ),
    ],
)
def test_without_a_base_only_an_authority_overwrites_where_one_is_declared(
    current: str | None, claims: dict[str, Any], expected: tuple[Choice, str]
) -> None:
    times = {"time_current": EARLY, "time_incoming": LATE}
    assert decided(None, current, "c", has_base=False, **times, **claims) == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((EARLY, LATE), (INCOMING, "observed-later")),
        ((LATE, EARLY), (CURRENT, "observed-later")),
        ((LATE, LATE), (CONFLICT, "undecided")),
        ((NEVER, EARLY), (INCOMING, "observed-later")),
    ],
)
def test_without_a_base_and_authorities_the_later_one_counts(
    times: tuple[np.datetime64, np.datetime64], expected: tuple[Choice, str]
) -> None:
    claims = {"time_current": times[0], "time_incoming": times[1]}
    assert decided(None, "b", "c", has_base=False, **claims) == expected


def test_rows_are_decided_each_by_its_own() -> None:
    merged = merge_values(
        texts("a", "a", "a", "a"),
        texts("a", "b", "b", "b"),
        texts("c", "c", "c", "c"),
        has_base=np.array([True, True, True, False]),
        time_current=np.array([LATE, EARLY, LATE, LATE]),
        time_incoming=EARLY,
    )
    assert merged.choice.tolist() == [INCOMING, CONFLICT, CURRENT, CURRENT]
    assert merged.is_by(MergeRule.OBSERVED_LATER).tolist() == [False, False, True, True]
    assert merged.is_taken().tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        ("str", ["é", "a", None, None], ["é", "b", None, "a"], [True, False, True, False]),
        ("Int64", [1, 2, None, None], [1, 3, None, 4], [True, False, True, False]),
        ("float64", [0.0, 0.1, None, None], [-0.0, 0.2, None, 0], [True, False, True, False]),
        ("boolean", [True, False, None], [True, True, None], [True, False, True]),
        ("datetime64[s]", ["2024-01-01", None], ["2024-01-01", "2024-01-01"], [True, False]),
    ],
)  # fmt: skip
def test_values_are_the_same_as_the_row_digest_sees_them(
    kind: str, one: list[Any], other: list[Any], expected: list[bool]
) -> None:
    sides = [pd.Series(values).astype(kind) for values in (one, other)]
    assert same_values(*sides).tolist() == expected
