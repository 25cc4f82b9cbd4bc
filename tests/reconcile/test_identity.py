"""Which feature a record is, in deliveries that make it hard to tell: no uid stands for two."""

from itertools import pairwise
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cityframe.config.reconciling import Reconciling
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.question import Action, Answer, QuestionKind
from cityframe.reconcile import CurrentLayer, Reconciled, Setting, compose, reconcile
from cityframe.reconcile.answers import Constraints

OBSERVED_AT = "2026-03-01T00:00:00Z"
RETIRE = Reconciling(split="retire")


def box(west: float, east: float, south: float = 0, north: float = 10) -> str:
    return str(shapely.box(west, south, east, north).wkt)


def feature(uid: str, at: str, code: str | None = None) -> dict[str, Any]:
    return {"uid": uid, "code": code, "name": None, "floors": 1, "at": at}


def record(at: str | None, code: str | None = None, **more: Any) -> dict[str, Any]:
    return {"code": code, "name": None, "floors": 1, "at": at, **more}


def named(frame: gpd.GeoDataFrame, *ids: str | None) -> gpd.GeoDataFrame:
    return frame.assign(source_id=pd.Series(list(ids), dtype="str"))


def with_ids(desk: Any) -> Any:
    return type(desk)(desk.layer, desk.feed.model_copy(update={"id": "OID"}))


def kinds(result: Reconciled) -> dict[str, str]:
    return dict(zip(result.changes["uid"], result.changes["change"], strict=True))


def fates(result: Reconciled) -> list[str]:
    return result.fates["fate"].tolist()


WHOLE, LEFT, RIGHT = box(0, 20), box(0, 10), box(10, 20)


@pytest.mark.parametrize("first", [WHOLE, box(0, 20.01), box(0, 22)])
def test_of_records_with_one_id_the_last_counts_however_the_first_would_match(
    polygons: Any, first: str
) -> None:
    desk = with_ids(polygons)
    said = named(desk.incoming(record(first), record(box(100, 120))), "17", "17")
    result = desk.reconcile(desk.current(feature("U1", WHOLE)), said, DeliveryKind.PARTIAL)
    assert fates(result) == ["superseded", "published"]
    assert list(kinds(result).values()) == ["new"]
    assert result.bridge["source_id"].tolist() == ["17"]
    assert result.bridge["uid"].tolist() == result.changes["uid"].tolist()


def test_of_records_with_one_key_the_last_counts_however_the_first_would_match(
    polygons: Any,
) -> None:
    said = polygons.incoming(
        record(WHOLE, "p", operation="insert"), record(box(100, 120), "p", operation="update")
    )
    result = polygons.reconcile(polygons.current(feature("U1", WHOLE)), said, DeliveryKind.CHANGES)
    assert fates(result) == ["superseded", "published"]
    assert list(kinds(result).values()) == ["new"]


def test_a_record_that_was_returned_supersedes_none(polygons: Any) -> None:
    desk = with_ids(polygons)
    said = named(desk.incoming(record(WHOLE), record(box(0, 22))), "17", "17")
    result = desk.reconcile(
        desk.current(feature("U1", WHOLE)), said, DeliveryKind.PARTIAL, held_records=frozenset([1])
    )
    assert fates(result) == ["unchanged"]


def test_two_sources_that_use_one_id_give_the_same_uids_in_any_order(polygons: Any) -> None:
    desk = with_ids(polygons)

    def take_in(state: CurrentLayer, source: str, at: str) -> CurrentLayer:
        setting = Setting(
            layer=desk.layer,
            feed=desk.feed,
            delivery=Delivery(f"{source}.1", source, "here", OBSERVED_AT, OBSERVED_AT, (), "00"),
            delivery_kind=DeliveryKind.PARTIAL,
            accuracy_m=0.1,
        )
        result = reconcile(state, named(desk.incoming(record(at)), "17"), setting)
        return compose(state, result.changes, result.bridge)

    def uids(*order: tuple[str, str]) -> dict[str, str]:
        state: CurrentLayer = desk.current()
        for source, at in order:
            state = take_in(state, source, at)
        rows = state.all_rows()
        return dict(zip(rows.geometry.to_wkt(), rows["uid"], strict=True))

    one, other = ("s", box(0, 10)), ("t", box(100, 110))
    assert uids(one, other) == uids(other, one)


def test_a_name_in_question_is_not_kept(polygons: Any) -> None:
    desk = with_ids(polygons)
    far = named(desk.incoming(record(box(9000, 9020), "p")), "17")
    result = desk.reconcile(desk.current(feature("U1", WHOLE, "p")), far)
    assert result.questions["kind"].tolist() == ["implausible"]
    assert result.bridge.empty


def test_records_that_lie_over_one_another_are_no_parts(polygons: Any) -> None:
    current = polygons.current(feature("U1", WHOLE))
    twice = polygons.incoming(record(box(0, 21)), record(box(0, 21.5)))
    result = polygons.reconcile(current, twice, rules=RETIRE)
    assert result.changes.empty
    assert set(result.questions["kind"]) == {"complex"}
    halves = polygons.incoming(record(box(0, 12)), record(box(0, 12.5)))
    assert polygons.reconcile(current, halves, rules=RETIRE).lineage.empty


@pytest.mark.parametrize("keeps", [RETIRE, Reconciling(keep_share=0.55)])
def test_updates_that_would_be_parts_are_asked_about(polygons: Any, keeps: Reconciling) -> None:
    said = polygons.incoming(
        record(box(0, 12), operation="update"), record(box(12, 20), operation="update")
    )
    result = polygons.reconcile(
        polygons.current(feature("U1", WHOLE)), said, DeliveryKind.CHANGES, rules=keeps
    )
    assert result.changes.empty
    assert fates(result) == ["waiting", "waiting"]


def test_an_update_that_would_replace_is_asked_about(polygons: Any) -> None:
    said = polygons.incoming(record(box(0, 5), operation="update"))
    result = polygons.reconcile(polygons.current(feature("U1", WHOLE)), said)
    assert result.changes.empty
    assert fates(result) == ["waiting"]


def test_a_returned_record_in_the_place_of_a_feature_keeps_it(polygons: Any) -> None:
    said = polygons.incoming(record(box(0, 5)))
    current = polygons.current(feature("U1", WHOLE))
    assert sorted(kinds(polygons.reconcile(current, said)).values()) == ["new", "removed"]
    held = polygons.reconcile(current, said, held_records=frozenset([0]))
    assert held.changes.empty
    assert held.questions.empty
    assert held.fates.empty


def test_identical_records_without_keys_are_features_of_their_own_and_stay_so(
    polygons: Any,
) -> None:
    said = polygons.incoming(record(WHOLE), record(WHOLE), record(RIGHT))
    first = polygons.reconcile(polygons.current(), said)
    assert first.changes["uid"].is_unique
    again = polygons.reconcile(compose(polygons.current(), first.changes), said)
    assert again.changes.empty


def test_a_key_that_was_retired_names_a_new_feature_in_the_same_cycle_too(polygons: Any) -> None:
    desk, said = polygons, polygons.incoming(record(WHOLE, "p"))
    first = desk.reconcile(desk.current(), said)
    state = compose(desk.current(), first.changes)
    gone = desk.reconcile(state, desk.incoming(record(WHOLE, "p", operation="delete")),
                          DeliveryKind.CHANGES)  # fmt: skip
    again = desk.reconcile(compose(state, gone.changes), said)
    assert again.changes["change"].tolist() == ["new"]
    assert again.changes["uid"].tolist() != first.changes["uid"].tolist()


def test_a_deleted_whole_in_parts_is_no_loss_for_the_guards(polygons: Any) -> None:
    desk = polygons.guarded(removed_min=1)
    said = desk.incoming(
        record(WHOLE, "p", operation="delete"),
        record(LEFT, "q", operation="insert"),
        record(RIGHT, "r", operation="insert"),
    )
    result = desk.reconcile(desk.current(feature("U1", WHOLE, "p")), said, DeliveryKind.CHANGES)
    assert result.lineage["event"].tolist() == ["split", "split"]
    assert result.quarantine_reasons == ()


def test_what_ends_in_parts_ends_when_they_begin(polygons: Any) -> None:
    said = polygons.incoming(
        record(LEFT, valid_from=pd.Timestamp("2026-02-10", tz="UTC")),
        record(RIGHT, valid_from=pd.Timestamp("2026-02-10", tz="UTC")),
    )
    result = polygons.reconcile(polygons.current(feature("U1", WHOLE)), said, rules=RETIRE)
    assert set(result.changes["valid_from"]) == {pd.Timestamp("2026-02-10", tz="UTC")}


def test_a_feed_without_geometry_needs_none_for_its_coverage(polygons: Any) -> None:
    said = polygons.incoming(record(None, "p"), without=["geometry"])
    result = polygons.reconcile(
        polygons.current(feature("U1", WHOLE, "p")), said, area=shapely.box(-10, -10, 50, 50)
    )
    assert result.findings.empty


def test_answers_about_other_values_did_not_take_part(polygons: Any) -> None:
    answer = Answer(
        id="a1", question="q", kind=QuestionKind.CONFLICT, layer="things", source="s",
        action=Action.KEEP, subjects=("value U9 00",), subject="", uids=("U9",),
        attribute="name", who="li", at=OBSERVED_AT, why="", cycle="c",
    )  # fmt: skip
    result = polygons.reconcile(
        polygons.current(feature("U1", WHOLE, "p")),
        polygons.incoming(record(box(0, 25), "p")),
        constraints=Constraints.of([answer], "things", "s"),
    )
    assert result.answers_met == ()


def test_ids_that_stand_twice_beside_different_keys_lose_no_record(polygons: Any) -> None:
    desk = with_ids(polygons)
    said = named(desk.incoming(record(LEFT, "p"), record(RIGHT, "q")), "17", "17")
    result = desk.reconcile(desk.current(), said)
    assert fates(result) == ["published", "published"]


def test_a_source_may_date_a_correction_of_its_own_back(polygons: Any) -> None:
    current = polygons.current()
    first = polygons.reconcile(current, polygons.incoming(record(WHOLE, "p")), delivery="s.1")
    state = compose(current, first.changes)
    earlier = pd.Timestamp("2025-06-01", tz="UTC")
    said = polygons.incoming({**record(WHOLE, "p", valid_from=earlier), "floors": 9})
    result = polygons.reconcile(state, said, delivery="s.2")
    assert result.changes["floors"].tolist() == [9]
    assert result.changes["valid_from"].tolist() == [earlier]


@pytest.mark.parametrize(("before", "after"), [((0, 15, 20), (0, 20)), ((0, 20), (0, 15, 20))])
def test_who_may_not_say_where_features_lie_splits_and_merges_none(
    polygons: Any, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    rows = [feature(f"U{west}", box(west, east)) for west, east in pairwise(before)]
    said = polygons.incoming(*[record(box(west, east)) for west, east in pairwise(after)])
    current = polygons.current(*rows)
    free = Reconciling(authority={"geometry": ("s", "t")})
    assert len(polygons.reconcile(current, said, rules=free).lineage) == 1
    bound = Reconciling(authority={"geometry": ("t",)})
    result = polygons.reconcile(current, said, rules=bound)
    assert result.changes.empty
    assert set(result.questions["kind"]) == {"complex"}


def test_a_record_of_which_nothing_counts_is_not_said_to_be_within_tolerance(
    polygons: Any,
) -> None:
    current = polygons.current(feature("U1", WHOLE, "p"))
    bound = Reconciling(authority={"geometry": ("t",)})
    said = polygons.incoming(record(box(0, 26), "p"))
    result = polygons.reconcile(current, said, rules=bound)
    assert result.changes.empty
    assert result.fates["reason"].tolist() == ["overruled"]
