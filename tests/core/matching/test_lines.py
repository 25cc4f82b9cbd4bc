import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.line_shift import aligned
from cityframe.core.matching.lines import match_lines

TOLERANCE = Tolerance(0.1)


def lines(*paths: list[tuple[float, float]]) -> np.ndarray:
    return np.array([shapely.LineString(path) for path in paths], dtype=object)


def grid(columns: int, rows: int, block: float = 80.0) -> np.ndarray:
    """Return the streets between the crossings of a town."""
    at = [
        [(x, y), (x + dx, y + dy)]
        for x in range(columns)
        for y in range(rows)
        for dx, dy in ((1, 0), (0, 1))
        if x + dx < columns and y + dy < rows
    ]
    return np.asarray(shapely.linestrings(np.array(at) * block), dtype=object)


def links(before: np.ndarray, after: np.ndarray, evidence: Evidence = NO_EVIDENCE) -> list[tuple]:
    table = match_lines(before, after, TOLERANCE, evidence=evidence).links
    return list(table[["before", "after", "is_sure"]].itertuples(index=False, name=None))


def diagonal(found: pd.DataFrame, count: int) -> bool:
    return found["before"].tolist() == found["after"].tolist() == list(range(count))


def test_equal_lines_match_whichever_way_they_are_drawn() -> None:
    town = grid(4, 4)
    found = match_lines(town, shapely.reverse(town), TOLERANCE).links
    assert diagonal(found, len(town))
    assert found["is_sure"].all()
    assert found["score"].min() > 0.95


def test_a_crossing_line_is_no_match() -> None:
    assert links(lines([(0, 0), (100, 0)]), lines([(50, -50), (50, 50)])) == []


def test_a_parallel_line_beyond_reach_is_no_match() -> None:
    assert links(lines([(0, 0), (100, 0)]), lines([(0, 30), (100, 30)])) == []


def test_a_line_that_was_cut_is_one_group_and_exchanged_it_is_a_merge() -> None:
    whole = lines([(0, 0), (200, 0)])
    parts = lines([(0, 0), (70, 0)], [(70, 0), (120, 0)], [(200, 0), (120, 0)])
    assert links(whole, parts) == [(0, 0, True), (0, 1, True), (0, 2, True)]
    assert links(parts, whole) == [(0, 0, True), (1, 0, True), (2, 0, True)]
    groups = match_lines(whole, parts, TOLERANCE).groups()
    assert groups[["before_count", "after_count"]].values.tolist() == [[1, 3]]


def test_a_new_carriageway_beside_the_old_one_is_new() -> None:
    old = lines([(0, 0), (200, 0)])
    assert links(old, lines([(0, 8), (200, 8)], [(0, 0), (200, 0)])) == [(0, 1, True)]


def test_two_at_the_same_distance_are_questions() -> None:
    found = links(lines([(0, 0), (200, 0)]), lines([(0, 8), (200, 8)], [(0, -8), (200, -8)]))
    assert found
    assert not any(is_sure for _, _, is_sure in found)


def test_coincident_twins_are_questions_and_not_squared() -> None:
    count = 60
    crowd = lines(*[[(0, 0), (100, 0)]] * count)
    found = match_lines(crowd, crowd, TOLERANCE).links
    assert not found["is_sure"].any()
    assert len(found) < count * count / 2


def test_a_name_decides_between_two_carriageways() -> None:
    before = lines([(0, 0), (200, 0)])
    after = lines([(0, 8), (200, 8)], [(0, -8), (200, -8)])
    evidence = Evidence(names=(pd.Series(["Elm"]), pd.Series(["Oak Lane", "Elm"])))
    assert links(before, after, evidence) == [(0, 1, True)]


def test_an_exact_value_that_differs_is_a_veto() -> None:
    one = lines([(0, 0), (200, 0)])
    values = pd.DataFrame({"floor": [1]}), pd.DataFrame({"floor": [2]})
    assert links(one, one, Evidence(exact=(values[0], values[0]))) == [(0, 0, True)]
    assert links(one, one, Evidence(exact=values)) == []


def test_what_lines_meet_decides_between_level_rivals() -> None:
    # two lanes were drawn anew half the way towards each other; their ends tell which is which
    def lanes(first: float, second: float) -> np.ndarray:
        stubs = [
            [(x, y), (x, y + way)] for x in (0, 200) for y, way in ((first, -60), (second, 60))
        ]
        return lines([(0, first), (200, first)], [(0, second), (200, second)], *stubs)

    before, after = lanes(0, 20), lanes(9, 11)
    found = match_lines(before, after, TOLERANCE).links
    assert diagonal(found[found["is_sure"]], len(before))


def test_a_displaced_layer_is_matched_as_if_it_were_not() -> None:
    town = grid(8, 8)
    # a lane runs beside each street, nearer than the displacement
    town = np.concatenate([town, shapely.transform(town[:60], lambda xy: xy * 0.96 + 6)])
    moved = shapely.transform(town, lambda xy: xy + np.array([7.0, -5.0]))
    sides = aligned(town, moved, 25.0)
    gap = shapely.hausdorff_distance(*sides)
    assert np.median(gap) < 0.25 * np.hypot(7.0, 5.0)
    found = match_lines(town, moved, TOLERANCE).links
    sure = found[found["is_sure"]]
    assert (sure["before"] == sure["after"]).all()
    assert len(sure) > 0.95 * len(town)


def test_multilines_null_and_empty() -> None:
    parts = shapely.MultiLineString([[(0, 0), (40, 0)], [(60, 0), (100, 0)]])
    before = np.array([None, parts, shapely.LineString()], dtype=object)
    assert links(before, lines([(100, 0), (0, 0)])) == [(1, 0, True)]
    assert links(before[:1], before) == []
    assert links(before[:0], before[:0]) == []


def test_a_line_without_length_matches_nothing() -> None:
    point = lines([(0, 0), (0, 0)])
    assert links(point, lines([(0, 0), (10, 0)])) == []


@pytest.mark.parametrize("nth", range(5))
def test_drawn_anew_in_any_order_each_finds_its_counterpart(nth: int) -> None:
    random = np.random.default_rng(nth)
    town = grid(6, 6)
    noisy = shapely.transform(town, lambda xy: xy + random.normal(0, 1.5, xy.shape))
    order = random.permutation(len(town))
    found = match_lines(town, noisy[order], Tolerance(1.5)).links
    sure = found[found["is_sure"]]
    assert (order[sure["after"]] == sure["before"]).all()
    assert len(sure) == len(town)


PATHS = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=3),
    max_size=6,
)


@given(before=PATHS, after=PATHS)
@settings(max_examples=25, deadline=None)
def test_exchanged_sides_give_the_same_links(before: list, after: list) -> None:
    sides = [
        np.array([shapely.LineString(np.array(path) * 10.0) for path in side], dtype=object)
        for side in (before, after)
    ]
    there = match_lines(*sides, TOLERANCE).links
    back = match_lines(*sides[::-1], TOLERANCE).links
    back = back.rename(columns={"before": "after", "after": "before"})
    columns = ["before", "after", "score", "margin"]
    pd.testing.assert_frame_equal(
        there[columns],
        back.sort_values(["before", "after"], ignore_index=True)[columns],
        atol=1e-6,
    )
