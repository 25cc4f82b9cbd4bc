import numpy as np
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.matching import place
from cityframe.core.matching.labels import UNMATCHED, match_content, match_labels
from cityframe.core.matching.place import match_place

TOLERANCE = Tolerance(0.1)


def labels(*values: str | None) -> pd.Series:
    return pd.Series(values, dtype="str")


def points(*xy: tuple[float, float]) -> np.ndarray:
    return shapely.points(np.array(xy, dtype=float))


def test_labels_match_one_to_one_and_null_matches_nothing() -> None:
    found = match_labels(labels("a", None, "b"), labels("b", None, "c", "a"))
    assert found.position.tolist() == [2, UNMATCHED, UNMATCHED, 0]
    assert not found.is_ambiguous.any()


def test_a_label_that_stands_twice_is_ambiguous() -> None:
    found = match_labels(labels("a", "a", "b"), labels("a", "b"))
    assert found.position.tolist() == [UNMATCHED, 2]
    assert found.is_ambiguous.tolist() == [True, False]


def test_no_labels_at_all() -> None:
    found = match_labels(labels("a", "b"), labels(None, None))
    assert found.position.tolist() == [UNMATCHED, UNMATCHED]
    assert match_labels(labels(), labels("a")).position.tolist() == [UNMATCHED]


def test_equal_content_pairs_as_often_as_it_stands_on_both_sides() -> None:
    current = np.array([b"x", b"x", b"y", b"x"], dtype=object)
    incoming = np.array([b"x", b"z", b"x", b"y", b"y"], dtype=object)
    assert match_content(current, incoming).tolist() == [0, UNMATCHED, 1, 2, UNMATCHED]


def test_places_match_within_tolerance() -> None:
    pairs = match_place(points((0, 0), (10, 0)), points((10.2, 0), (0, 0.5)), TOLERANCE)
    assert pairs.to_dict("records") == [{"incoming": 0, "current": 1, "is_ambiguous": False}]


def test_two_candidates_are_ambiguous_from_either_side() -> None:
    one, two = points((0, 0)), points((0.1, 0), (-0.1, 0))
    assert match_place(one, two, TOLERANCE)["is_ambiguous"].tolist() == [True, True]
    assert match_place(two, one, TOLERANCE)["is_ambiguous"].tolist() == [True, True]


def test_two_records_with_labels_are_no_pair() -> None:
    one = points((0, 0))
    yes, no = np.array([True]), np.array([False])
    assert len(match_place(one, one, TOLERANCE, has_label=(yes, yes))) == 0
    assert len(match_place(one, one, TOLERANCE, has_label=(yes, no))) == 1


def test_a_crowd_at_one_place_is_ambiguous_and_not_squared() -> None:
    crowd = points(*[(0.0, 0.0)] * 3000)
    pairs = match_place(crowd, crowd, TOLERANCE)
    assert pairs["is_ambiguous"].all()
    assert len(pairs) <= 2 * 3000 * place._NEIGHBOURS


def test_boxes_alone_do_not_make_a_pair() -> None:
    rising, falling = (shapely.linestrings([line]) for line in ([[0, 0], [5, 5]], [[0, 5], [5, 0]]))
    assert len(match_place(rising, falling, TOLERANCE)) == 0


def test_null_and_empty_geometries_match_nothing() -> None:
    blank = np.array([None, shapely.Point()], dtype=object)
    assert len(match_place(blank, points((0, 0)), TOLERANCE)) == 0
    assert len(match_place(points((0, 0)), blank, TOLERANCE)) == 0


def test_places_match_as_a_full_search_finds_them() -> None:
    random = np.random.default_rng(11)
    current, incoming = (shapely.points(random.random((120, 2)) * 8) for _ in range(2))
    distance = shapely.distance(incoming[:, None], current[None, :])
    expected = {tuple(pair) for pair in np.argwhere(distance <= TOLERANCE.limit_m).tolist()}
    pairs = match_place(current, incoming, TOLERANCE)
    assert set(zip(pairs["incoming"], pairs["current"], strict=True)) == expected
    clear = pairs[~pairs["is_ambiguous"]]
    assert clear["incoming"].is_unique
    assert clear["current"].is_unique
    assert pairs["is_ambiguous"].any()


def test_implausible_is_far_for_its_size_and_apart() -> None:
    near, far = shapely.box(0, 0, 10, 10), shapely.box(100, 0, 110, 10)
    long = shapely.LineString([[0, 0], [1000, 0]])
    before = np.array([near, near, shapely.Point(0, 0), shapely.Point(0, 0), long, None])
    after = np.array(
        [
            far,
            shapely.box(60, 0, 70, 10),
            shapely.Point(51, 0),
            shapely.Point(49, 0),
            shapely.LineString([[0, 500], [1000, 500]]),
            near,
        ]
    )
    assert place.is_implausible(before, after).tolist() == [
        True, False, True, False, False, False,
    ]  # fmt: skip


def test_what_still_overlaps_is_plausible() -> None:
    before = np.array([shapely.box(0, 0, 1, 1)])
    after = np.array([shapely.box(0, 0, 900, 900)])
    assert not place.is_implausible(before, after).any()
