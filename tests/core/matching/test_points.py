import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.point_pairs import NAMESAKES, NEIGHBOURS
from cityframe.core.matching.points import match_points

TOLERANCE = Tolerance(0.1)


def points(*xy: tuple[float, float]) -> np.ndarray:
    return np.asarray(shapely.points(np.array(xy, dtype=float)), dtype=object)


def named(before: list[str | None], after: list[str | None]) -> Evidence:
    return Evidence(names=(pd.Series(before, dtype="str"), pd.Series(after, dtype="str")))


def numbered(before: list[str | None], after: list[str | None]) -> Evidence:
    first, second = (pd.DataFrame({"number": side}, dtype="str") for side in (before, after))
    return Evidence(exact=(first, second))


def links(before: np.ndarray, after: np.ndarray, evidence: Evidence = NO_EVIDENCE) -> list[tuple]:
    table = match_points(before, after, TOLERANCE, evidence=evidence).links
    return list(table[["before", "after", "is_sure"]].itertuples(index=False, name=None))


def test_the_nearest_of_both_is_a_match() -> None:
    found = links(points((0, 0), (30, 0)), points((31, 0), (2, 0)))
    assert found == [(0, 1, True), (1, 0, True)]


def test_too_far_is_no_match() -> None:
    assert links(points((0, 0)), points((26, 0))) == []
    assert links(points((0, 0)), points((51, 0)), named(["Café Rosa"], ["CAFÉ ROSA"])) == []


def test_an_equal_name_reaches_further() -> None:
    assert links(points((0, 0)), points((35, 0)), named(["Café Rosa"], ["CAFÉ ROSA"])) == [
        (0, 0, True)
    ]


def test_a_name_decides_between_places() -> None:
    evidence = named(["Rosa"], ["Bakery Miller", "Rosa"])
    assert links(points((0, 0)), points((1, 0), (8, 0)), evidence) == [(0, 1, True)]


def test_another_name_at_the_very_place_is_a_question() -> None:
    assert links(points((0, 0)), points((0, 0)), named(["Rosa"], ["Miller"])) == [(0, 0, False)]


@pytest.mark.parametrize(("one", "other"), [("12", "13"), ("12", "12A"), ("1-25", "125")])
def test_another_number_is_a_veto(one: str, other: str) -> None:
    assert links(points((0, 0)), points((0, 0)), numbered([one], [other])) == []


@pytest.mark.parametrize(
    ("one", "other"), [("12a", "１２ A"), ("12", None), (None, "13"), ("7", "")]
)
def test_the_same_number_or_none_is_no_veto(one: str | None, other: str | None) -> None:
    assert links(points((0, 0)), points((0, 0)), numbered([one], [other])) == [(0, 0, True)]


def test_the_same_number_is_better_than_none() -> None:
    evidence = numbered(["12"], [None, "12"])
    assert links(points((0, 0)), points((3, 0), (-3, 0)), evidence) == [(0, 1, True)]


def test_level_rivals_are_questions_from_either_side() -> None:
    one, two = points((0, 0)), points((5, 0), (-5, 0))
    assert links(one, two) == [(0, 0, False), (0, 1, False)]
    assert links(two, one) == [(0, 0, False), (1, 0, False)]


def test_twins_at_one_place_are_questions() -> None:
    twins = points((0, 0), (0, 0))
    evidence = named(["Rosa", "Rosa"], ["Rosa", "Rosa"])
    found = match_points(twins, twins, TOLERANCE, evidence=evidence)
    assert not found.links["is_sure"].any()
    assert found.groups()[["before_count", "after_count"]].values.tolist() == [[2, 2]]


def test_what_is_taken_is_no_rival_any_more() -> None:
    before, after = points((0, 0), (8, 0)), points((0, 0), (18, 0))
    assert links(before, after) == [(0, 0, True), (1, 1, True)]


def test_a_namesake_is_found_in_a_crowd_and_the_rest_is_not_squared() -> None:
    count = 400
    names = [f"shop {chr(97 + i // 20) * 3}{chr(97 + i % 20) * 3}" for i in range(count)]
    crowd = points(*[(0.0, 0.0)] * count)
    found = match_points(crowd, crowd[::-1], TOLERANCE, evidence=named(names, names[::-1])).links
    sure = found[found["is_sure"]]
    assert (sure["before"] + sure["after"] == count - 1).all()
    assert len(sure) == count
    unnamed = match_points(crowd, crowd, TOLERANCE).links
    assert not unnamed["is_sure"].any()
    assert len(unnamed) <= 2 * count * (NEIGHBOURS + NAMESAKES)


def test_an_unseen_rival_in_a_crowd_leaves_a_question() -> None:
    crowd = points((10, 0), *[(0.0, 12.0)] * NEIGHBOURS)
    assert links(points((0, 0)), crowd[:1]) == [(0, 0, True)]
    assert links(points((0, 0)), crowd) == [(0, 0, True)]
    ring = points(*[(10 + i / 1000, 0.0) for i in range(NEIGHBOURS + 3)])
    assert not any(is_sure for _, _, is_sure in links(points((0, 0)), ring))


def test_null_and_empty_match_nothing() -> None:
    blank = np.array([None, shapely.Point()], dtype=object)
    assert links(blank, points((0, 0))) == []
    assert links(points((0, 0)), blank, named(["a"], [None, None])) == []
    assert links(blank[:0], blank[:0]) == []


PLACES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from(["Oak", "Elm Road", None])),
    max_size=8,
)


@given(before=PLACES, after=PLACES)
@settings(max_examples=25, deadline=None)
def test_exchanged_sides_give_the_same_links(before: list, after: list) -> None:
    sides = [
        np.asarray([shapely.Point(x, y) for x, y, _ in side], object) for side in (before, after)
    ]
    names = [[name for *_, name in side] for side in (before, after)]
    there = match_points(*sides, TOLERANCE, evidence=named(*names)).links
    back = match_points(*sides[::-1], TOLERANCE, evidence=named(*names[::-1])).links
    back = back.rename(columns={"before": "after", "after": "before"})
    columns = ["before", "after", "score", "margin", "is_sure"]
    pd.testing.assert_frame_equal(
        there[columns], back.sort_values(["before", "after"], ignore_index=True)[columns]
    )
    sure = there[there["is_sure"]]
    assert sure["before"].is_unique
    assert sure["after"].is_unique
