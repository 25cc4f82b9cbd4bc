from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely

from cityframe.core.edge_matching import border_distance, ends_of, match_ends, sides_of

DISTRICTS = np.array([shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)], dtype=object)
LIMIT, REACH = 0.7, 2.1


def wkt(*texts: str | None) -> Any:
    return shapely.from_wkt(np.array(texts, dtype=object))


def matched(
    *texts: str,
    names: Sequence[str | None] | None = None,
    kinds: Sequence[str | None] | None = None,
) -> list[tuple[int, int, str]]:
    """Return pairs of features with their outcome."""
    geometry = wkt(*texts)
    ends = ends_of(geometry, 5 * LIMIT)
    distance = border_distance(ends.xy, DISTRICTS, REACH)
    ends, distance = ends.take(distance <= REACH), distance[distance <= REACH]
    said = pd.DataFrame(
        {
            "name": list(names or [None] * len(texts)),
            "kind": list(kinds or [None] * len(texts)),
        },
        dtype="str",
    ).iloc[ends.feature]
    table, _ = match_ends(
        ends,
        sides_of(ends.inside, DISTRICTS),
        said.reset_index(drop=True),
        near_border=distance <= LIMIT,
        limit_m=LIMIT,
        reach_m=REACH,
        precision_m=0.001,
    )
    first, second = (ends.feature[table[name]] for name in ("first", "second"))
    return [
        (int(one), int(other), outcome)
        for one, other, outcome in zip(first, second, table["outcome"], strict=True)
    ]


LEFT = "LINESTRING (50 50, 99.8 50)"


def test_ends_know_their_place_direction_and_feature() -> None:
    ends = ends_of(wkt("POINT (1 1)", None, "MULTILINESTRING ((0 0, 9 0), (9 5, 9 9))"), 2)
    assert ends.feature.tolist() == [2, 2, 2, 2]
    assert ends.vertex.tolist() == [1, 2, 3, 4]
    assert ends.xy.tolist() == [[0, 0], [9, 0], [9, 5], [9, 9]]
    assert ends.direction.tolist() == [[-1, 0], [1, 0], [0, -1], [0, 1]]
    assert ends.inside.tolist() == [[2, 0], [7, 0], [9, 7], [9, 7]]


def test_a_closed_line_has_no_ends_and_a_polygon_has_its_vertices() -> None:
    ends = ends_of(wkt("LINESTRING (0 0, 1 0, 1 1, 0 0)", "POLYGON ((0 0, 1 0, 0 1, 0 0))"), 2)
    assert ends.feature.tolist() == [1, 1, 1, 1]
    assert np.isnan(ends.direction).all()


def test_border_distance_ends_at_reach() -> None:
    distance = border_distance(np.array([[98.0, 50.0], [90.0, 50.0]]), DISTRICTS, 3)
    assert distance.tolist() == [2.0, np.inf]


def test_lines_that_go_on_across_the_border_are_a_pair() -> None:
    assert matched(LEFT, "LINESTRING (100.1 50.2, 150 50)") == [(0, 1, "pair")]


def test_lines_of_one_side_are_never_a_pair() -> None:
    assert matched(LEFT, "LINESTRING (99.9 50.1, 99.9 90)") == []


def test_a_line_that_turns_too_much_or_of_another_class_is_no_partner() -> None:
    assert matched(LEFT, "LINESTRING (100.1 50.2, 100.2 90)") == []
    right = "LINESTRING (100.1 50.2, 150 50)"
    assert matched(LEFT, right, kinds=["road", "river"]) == []
    assert matched(LEFT, right, kinds=["road", None]) == [(0, 1, "pair")]


def test_what_meets_already_is_left_alone() -> None:
    assert matched(LEFT, "LINESTRING (99.8 50, 150 50)") == []


def test_beyond_the_limit_it_is_apart_and_beyond_reach_nothing() -> None:
    assert matched(LEFT, "LINESTRING (101 50, 150 50)") == [(0, 1, "apart")]
    assert matched(LEFT, "LINESTRING (102 50, 150 50)") == []


def test_two_partners_are_a_tie_unless_a_name_decides() -> None:
    texts = LEFT, "LINESTRING (100.1 50.3, 150 50)", "LINESTRING (100.1 49.9, 150 50)"
    assert matched(*texts) == [(0, 1, "tie"), (0, 2, "tie")]
    assert matched(*texts, names=["Elm", "Oak", "ELM "]) == [(0, 2, "pair")]
    assert matched(*texts, names=["Elm", "Oak", None]) == [(0, 2, "pair")]


def test_a_fork_on_one_side_is_one_partner() -> None:
    texts = LEFT, "LINESTRING (100.1 50.2, 150 60)", "LINESTRING (100.1 50.2, 150 40)"
    assert matched(*texts) == [(0, 1, "pair")]


def test_corners_of_polygons_pair_too() -> None:
    left = "POLYGON ((90 10, 99.9 10, 99.8 20, 90 20, 90 10))"
    right = "POLYGON ((100.2 10.1, 110 10, 110 20, 100.1 20.2, 100.2 10.1))"
    assert matched(left, right) == [(0, 1, "pair"), (0, 1, "pair")]


def test_a_tie_is_seen_from_either_side() -> None:
    right = "LINESTRING (100.1 50, 150 50)"
    low, high = "LINESTRING (50 50, 99.8 49.8)", "LINESTRING (50 50.4, 99.8 50.2)"
    assert matched(low, right, high) == [(0, 1, "tie"), (1, 2, "tie")]
    assert matched(low, high, right) == [(0, 2, "tie"), (1, 2, "tie")]


def test_of_several_beyond_the_limit_the_nearest_is_told() -> None:
    texts = LEFT, "LINESTRING (101.2 50, 150 50)", "LINESTRING (101 51, 150 51)"
    assert matched(*texts) == [(0, 1, "apart")]


def test_nothing_near_a_border_is_nothing() -> None:
    assert matched("LINESTRING (10 10, 20 10)") == []
