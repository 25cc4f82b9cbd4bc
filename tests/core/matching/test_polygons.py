"""Which polygons of two surveys are the same."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import Evidence
from cityframe.core.matching.polygons import candidate_features, match_polygons

DATA = Path(os.environ.get("CITYFRAME_DATA", Path(__file__).parents[4] / "shared" / "data"))
SURVEYED, IMAGERY = Tolerance.between(0.25, 0.25), Tolerance.between(2.0, 2.0)


def boxes(*bounds: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([shapely.box(*one) for one in bounds], dtype=object)


def pairs(found: Correspondence) -> list[tuple[int, int]]:
    return list(zip(found.links["before"], found.links["after"], strict=True))


def sure(found: Correspondence) -> list[bool]:
    return found.links["is_sure"].tolist()


def houses(count: int) -> np.ndarray:
    """Return houses of different sizes, each alone on its plot of 40 m."""
    return boxes(
        *(
            (x * 40.0, y * 40.0, x * 40.0 + 8 + x, y * 40.0 + 10 + y)
            for x in range(count)
            for y in range(count)
        )
    )


def test_the_same_polygons_in_another_order_are_found_one_to_one():
    before = houses(4)
    order = np.random.default_rng(1).permutation(len(before))
    found = match_polygons(before, before[order], SURVEYED)
    assert found.links["before"].tolist() == list(range(len(before)))
    assert (order[found.links["after"]] == found.links["before"]).all()
    assert (found.links["score"] > 0.999).all()
    assert all(sure(found))
    assert (found.groups()[["before_count", "after_count"]] == 1).all(axis=None)


def test_a_split_is_one_group_and_its_exchange_a_merge():
    whole, parts = boxes((0, 0, 20, 10)), boxes((0, 0, 8, 10), (8, 0, 20, 10))
    split = match_polygons(whole, parts, SURVEYED)
    merge = match_polygons(parts, whole, SURVEYED)
    assert pairs(split) == [(0, 0), (0, 1)]
    assert pairs(merge) == [(0, 0), (1, 0)]
    assert split.groups().to_numpy().tolist() == [[1, 2, True]]
    assert merge.groups().to_numpy().tolist() == [[2, 1, True]]


def test_a_local_shift_wider_than_the_houses_apart_is_undone():
    # a row of narrow houses: without the shift each would overlap its neighbour most
    before = np.append(houses(5), boxes(*((300 + 6.0 * x, 0, 306 + 6.0 * x, 10) for x in range(6))))
    after = shapely.transform(before, lambda xy: xy + np.array([4.5, 1.0]))
    found = match_polygons(before, after, IMAGERY)
    assert pairs(found) == [(at, at) for at in range(len(before))]
    assert all(sure(found))


def test_neighbours_drawn_into_each_other_are_not_linked():
    before = boxes((0, 0, 10, 10), (10, 0, 20, 10))
    after = boxes((0.4, 0, 10.6, 10), (10.6, 0, 20, 10))
    assert pairs(match_polygons(before, after, SURVEYED)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("depth_m", "expected"), [(0.5, []), (4.0, [(0, 0)])])
def test_a_new_building_is_linked_to_its_neighbour_only_beyond_what_accuracy_explains(
    depth_m, expected
):
    # alone on both sides: 2 σd are 0.71 m
    before, after = boxes((0, 0, 10, 10)), boxes((10 - depth_m, 0, 20 - depth_m, 10))
    assert pairs(match_polygons(before, after, SURVEYED)) == expected


def test_a_shallow_annex_goes_with_the_building_that_it_touches():
    before = boxes((0, 0, 20, 10))
    after = boxes((0, 0, 16, 10), (20.5, 0, 22, 4), (16, 0, 20.5, 10))
    coarse = match_polygons(before, after, IMAGERY)
    assert pairs(coarse) == [(0, 0), (0, 1), (0, 2)]
    assert all(sure(coarse))
    fine = match_polygons(before, after, SURVEYED)
    assert pairs(fine) == [(0, 0), (0, 2)]


@pytest.mark.parametrize(("gap_m", "expected"), [(0.05, [True]), (0.3, [False]), (0.7, [])])
def test_what_nearly_touches_is_a_question(gap_m, expected):
    before = boxes((0, 0, 20, 10))
    after = boxes((0, 0, 20, 10), (20 + gap_m, 0, 23, 4))
    annex = match_polygons(before, after, IMAGERY).links.query("after == 1")
    assert annex["is_sure"].tolist() == expected
    assert (annex["margin"] >= 0).all()


def test_a_small_share_of_the_smaller_polygon_is_a_question():
    # 2 m of 16 m, and the smaller one is no deeper than 3 σd
    before, after = boxes((0, 0, 16, 10)), boxes((14, 0, 30, 10))
    found = match_polygons(before, after, IMAGERY)
    assert found.links[["score", "is_sure"]].to_numpy().tolist() == [[0.125, False]]


def test_a_pair_that_is_best_for_neither_is_dropped():
    # the middle pair shares 6 m, where its ends share 24 and 30 m with others
    before = boxes((0, 0, 30, 10), (30, 0, 60, 10))
    assert pairs(match_polygons(before, boxes((0, 0, 24, 10), (24, 0, 60, 10)), SURVEYED)) == [
        (0, 0),
        (1, 1),
    ]


def test_a_near_tie_is_a_question():
    # the middle pair shares 15.4 m, where its ends share 15.6 and 16 m with others
    before, after = (
        boxes((0, 0, 31, 10), (31, 0, 62, 10)),
        boxes((0, 0, 15.6, 10), (15.6, 0, 47, 10)),
    )
    found = match_polygons(before, after, SURVEYED)
    assert pairs(found) == [(0, 0), (0, 1), (1, 1)]
    assert sure(found) == [True, False, True]
    assert found.groups()["is_sure"].tolist() == [False]


def test_an_exact_value_that_differs_forbids_a_pair():
    both = boxes((0, 0, 10, 10), (100, 0, 110, 10), (200, 0, 210, 10))
    evidence = Evidence(
        exact=(pd.DataFrame({"no": ["1", "2", None]}), pd.DataFrame({"no": ["1", "3", "4"]}))
    )
    assert pairs(match_polygons(both, both, SURVEYED, evidence=evidence)) == [(0, 0), (2, 2)]


def test_null_empty_and_flat_match_nothing_and_invalid_ones_still_match():
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    odd = np.array(
        [None, shapely.Polygon(), shapely.LineString([(0, 0), (1, 1)]), bow_tie, *houses(1)],
        dtype=object,
    )
    found = match_polygons(odd, odd, SURVEYED)
    assert set(found.links["before"]) == {3, 4}
    assert found.links["score"].between(0, 1).all()


@pytest.mark.parametrize("count", [0, 1])
def test_no_polygons_match_nothing(count):
    none = np.empty(0, dtype=object)
    some = houses(1)[:count]
    assert pairs(match_polygons(none, some, SURVEYED)) == []
    assert pairs(match_polygons(some, none, SURVEYED)) == []
    assert len(candidate_features(none, some, SURVEYED)) == 0


def test_heights_and_parts_do_not_matter():
    before = np.array(
        [shapely.union_all(boxes((0, 0, 10, 10), (12, 0, 20, 10))), shapely.box(50, 0, 60, 10)],
        dtype=object,
    )
    after = shapely.force_3d(before, 7.0)
    assert pairs(match_polygons(before, after, SURVEYED)) == [(0, 0), (1, 1)]


def test_the_input_is_left_as_it_is():
    before = np.append(houses(4), [shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), None])
    after = shapely.transform(houses(4), lambda xy: xy + 3.0)
    copies = shapely.to_wkb(before), shapely.to_wkb(after)
    match_polygons(before, after, IMAGERY)
    assert (shapely.to_wkb(before) == copies[0]).all()
    assert (shapely.to_wkb(after) == copies[1]).all()


class BySize:
    """A scorer that goes by the share of the smaller polygon."""

    def score(self, features: pd.DataFrame) -> np.ndarray:
        return features["share_small"].to_numpy()


def test_a_scorer_stands_for_the_rules_and_its_doubts_are_questions():
    before = boxes((0, 0, 10, 10), (100, 0, 110, 10), (200, 0, 210, 10))
    after = boxes((0, 0, 10, 10), (104, 0, 114, 10), (209, 0, 219, 10))
    found = match_polygons(before, after, IMAGERY, scorer=BySize())
    assert pairs(found) == [(0, 0), (1, 1)]
    assert sure(found) == [True, False]
    np.testing.assert_allclose(found.links["score"], [1.0, 0.6])


rectangles = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 25), st.integers(1, 25)).map(
        lambda one: shapely.box(one[0], one[1], one[0] + one[2], one[1] + one[3])
    ),
    max_size=8,
)


@settings(max_examples=20, deadline=None)
@given(before=rectangles, after=rectangles, sigma_m=st.sampled_from([0.35, 2.8]))
def test_exchanging_the_sides_exchanges_the_ends_of_each_link(before, after, sigma_m):
    sides = np.array(before, dtype=object), np.array(after, dtype=object)
    tolerance = Tolerance(sigma_m)
    there = match_polygons(*sides, tolerance).links
    back = match_polygons(*sides[::-1], tolerance).links
    swapped = back.rename(columns={"before": "after", "after": "before"})
    swapped = swapped.sort_values(["before", "after"], ignore_index=True)
    columns = ["before", "after", "score", "margin", "is_sure"]
    pd.testing.assert_frame_equal(there[columns], swapped[columns])


@settings(max_examples=20, deadline=None)
@given(before=rectangles, after=rectangles)
def test_features_are_the_same_when_the_sides_are_exchanged(before, after):
    sides = np.array(before, dtype=object), np.array(after, dtype=object)
    there = candidate_features(*sides, IMAGERY)
    back = candidate_features(*sides[::-1], IMAGERY)
    back = back.rename(columns={"before": "after", "after": "before"})[list(there.columns)]
    keys = ["before", "after"]
    pd.testing.assert_frame_equal(
        there.sort_values(keys, ignore_index=True), back.sort_values(keys, ignore_index=True)
    )


def test_judged_buildings_are_matched_as_people_did():
    folder = DATA / "matching"
    if not folder.is_dir():
        pytest.skip("no real data")
    names = ("gov", "osm", "msft")
    layers = {name: pyogrio.read_dataframe(folder / "buildings.gpkg", layer=name) for name in names}
    judged = pd.read_csv(folder / "buildings_pairs.csv")
    known = pd.concat([layer["fid_src"] for layer in layers.values()])
    judged = judged[judged["id_existing"].isin(known) & judged["id_new"].isin(known)]
    found = []
    for survey in ("gov-osm", "gov-msft", "osm-msft"):
        old, new = (layers[name] for name in survey.split("-"))
        links = match_polygons(old.geometry.to_numpy(), new.geometry.to_numpy(), IMAGERY).links
        ends = {
            "id_existing": old["fid_src"].to_numpy()[links["before"]],
            "id_new": new["fid_src"].to_numpy()[links["after"]],
        }
        found.append(links.assign(**ends))
    judged = judged.merge(pd.concat(found), on=["id_existing", "id_new"], how="left")
    is_linked = judged["score"].notna()
    hits = (is_linked & judged["match"]).sum()
    assert 2 * hits / (is_linked.sum() + judged["match"].sum()) >= 0.98
    assert judged["is_sure"].eq(False).mean() <= 0.02
