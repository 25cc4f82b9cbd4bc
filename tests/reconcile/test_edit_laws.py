"""Laws over layers of buildings that are edited in all ways: also split, merged, moved, reshaped.

A site is a place of its own, 60 m from the next, in one of the forms of `FORMS`. There is one for
each pair of forms before and after, so each law is tried on all of them at once; which of them
come together in a delivery, and in which order, is drawn.
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import geopandas as gpd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.model.delivery import DeliveryKind
from cityframe.reconcile import CurrentLayer, FrameLayer, compose

Row = dict[str, Any]

# per form: name of the part, box, floors
FORMS: dict[str, list[tuple[str, tuple[float, float, float, float], int]]] = {
    "none": [],
    "whole": [("", (0, 0, 10, 8), 3)],
    "taller": [("", (0, 0, 10, 8), 5)],
    "noise": [("", (0.05, 0.05, 10.05, 8.05), 3)],
    "moved": [("", (3, 0, 13, 8), 3)],
    "grown": [("", (0, 0, 10, 12), 3)],
    "parts": [("w", (0, 0, 4, 8), 3), ("e", (4, 0, 10, 8), 3)],
    "elsewhere": [("", (0, 25, 6, 31), 3)],
}
PAIRS = list(itertools.product(FORMS, FORMS))
SITES = len(PAIRS)
BEFORE, AFTER = ([pair[side] for pair in PAIRS] for side in (0, 1))
some_sites = st.sets(st.integers(0, SITES - 1), min_size=SITES // 3)
twice_over = settings(max_examples=2, deadline=None)


@pytest.fixture(scope="module", params=["with keys", "without keys"])
def desk(request: pytest.FixtureRequest, polygons: Any) -> Any:
    return polygons if request.param == "with keys" else unkeyed(polygons)


def unkeyed(desk: Any) -> Any:
    return replace(desk, layer=replace(desk.layer, key=()))


def rows(desk: Any, states: Sequence[str], sites: Collection[int] | None = None) -> list[Row]:
    """Return the records of some sites in the forms given."""
    return [
        {
            "code": f"{site}{part}" if desk.layer.key else None,
            "floors": floors,
            "at": shapely.box(west + 60 * site, south, east + 60 * site, north).wkt,
        }
        for site, state in enumerate(states)
        if sites is None or site in sites
        for part, (west, south, east, north), floors in FORMS[state]
    ]


def stored(desk: Any, states: Sequence[str]) -> FrameLayer:
    layer: FrameLayer = desk.current(
        *[{**row, "uid": f"U{number}"} for number, row in enumerate(rows(desk, states))]
    )
    return layer


def content(layer: CurrentLayer) -> list[tuple[str, bytes]]:
    index = layer.index()
    return sorted(zip(index["uid"], index["digest"], strict=True))


def test_the_same_delivery_twice_changes_nothing(desk: Any) -> None:
    current, delivery = stored(desk, BEFORE), desk.incoming(*rows(desk, AFTER))
    first = desk.reconcile(current, delivery)
    again = desk.reconcile(compose(current, first.changes), delivery)
    assert len(again.changes) == 0
    assert again.lineage.empty


@twice_over
@given(first=some_sites)
def test_the_order_of_independent_sources_does_not_matter(desk: Any, first: set[int]) -> None:
    second = set(range(SITES)) - first
    parts = [("d1", rows(desk, AFTER, first)), ("d2", rows(desk, AFTER, second))]
    outcomes = []
    for order in (parts, parts[::-1]):
        state: CurrentLayer = stored(desk, BEFORE)
        events = []
        for delivery, records in order:
            result = desk.reconcile(
                state, desk.incoming(*records), DeliveryKind.PARTIAL, delivery=delivery
            )
            state = compose(state, result.changes)
            events += result.lineage.to_dict("records")
        outcomes.append((content(state), sorted(map(str, events))))
    assert outcomes[0] == outcomes[1]


@twice_over
@given(first=some_sites)
def test_disjoint_edits_one_after_another_are_both_at_once(desk: Any, first: set[int]) -> None:
    start = stored(desk, BEFORE)
    state: CurrentLayer = start
    for sites in (first, set(range(SITES)) - first):
        survey = desk.incoming(*rows(desk, AFTER, sites))
        state = compose(state, desk.reconcile(state, survey, DeliveryKind.PARTIAL).changes)
    both = desk.reconcile(start, desk.incoming(*rows(desk, AFTER)), DeliveryKind.PARTIAL)
    assert content(compose(start, both.changes)) == content(state)


def sites_of(frame: gpd.GeoDataFrame) -> dict[str, int]:
    west = shapely.bounds(frame.geometry.to_numpy()).reshape(-1, 4)[:, 0]
    return dict(zip(frame["uid"], (west // 60).astype(int).tolist(), strict=True))


def events_at(desk: Any, before: list[str], after: list[str]) -> set[tuple[int, str]]:
    """Return where something is split, merged or replaced."""
    result = desk.reconcile(stored(desk, before), desk.incoming(*rows(desk, after)))
    sites = sites_of(stored(desk, before).all_rows())
    return {
        (sites[parent], event)
        for parent, event in zip(result.lineage["parent"], result.lineage["event"], strict=True)
    }


def test_exchanging_the_sides_turns_a_split_into_a_merge(desk: Any) -> None:
    mirror = {"split": "merged", "merged": "split"}
    forth, back = events_at(desk, BEFORE, AFTER), events_at(desk, AFTER, BEFORE)
    assert forth == {(site, mirror.get(event, event)) for site, event in back}
    assert (PAIRS.index(("whole", "parts")), "split") in forth
    assert (PAIRS.index(("parts", "whole")), "merged") in forth


def test_no_uid_is_used_again(desk: Any) -> None:
    state: CurrentLayer = stored(desk, BEFORE)
    known = set(state.index()["uid"])
    for number, states in enumerate((AFTER, BEFORE, AFTER)):
        changes = desk.reconcile(
            state, desk.incoming(*rows(desk, states)), delivery=f"d{number}"
        ).changes
        assert changes["uid"].is_unique
        new = set(changes.loc[changes["change"] == "new", "uid"])
        assert not new & known
        known |= new
        state = compose(state, changes)
        assert state.index()["uid"].is_unique


@twice_over
@given(twice=some_sites)
def test_each_record_has_one_fate_and_each_change_its_record(desk: Any, twice: set[int]) -> None:
    records = rows(desk, AFTER) + rows(desk, AFTER, twice)
    result = desk.reconcile(stored(desk, BEFORE), desk.incoming(*records))
    assert result.fates["record"].tolist() == list(range(len(records)))
    published = result.fates[result.fates["fate"] == "published"]
    changed = result.changes[result.changes["record"].notna()]
    assert sorted(published["record"]) == sorted(changed["record"])
    known = set(stored(desk, BEFORE).index()["uid"]) | set(result.changes["uid"])
    assert set(result.lineage["parent"]) | set(result.lineage["child"]) <= known
