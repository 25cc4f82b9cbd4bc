"""What shapes tell: matches without keys, splits, merges, replacements, questions."""

from typing import Any

import pandas as pd
import pytest

from cityframe.config.reconciling import Reconciling
from cityframe.model.delivery import DeliveryKind
from cityframe.model.question import QuestionKind, question_id
from cityframe.reconcile import FrameLayer, Reconciled, compose
from cityframe.reconcile.answers import Constraints
from cityframe.reconcile.records import Records

RETIRE = Reconciling(split="retire")


def box(west: float, east: float, south: float = 0, north: float = 10) -> str:
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return "POLYGON ((" + ", ".join(f"{x} {y}" for x, y in corners) + "))"


def feature(uid: str, code: str | None, at: str) -> dict[str, Any]:
    return {"uid": uid, "code": code, "name": None, "floors": 1, "at": at}


def record(code: str | None, at: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "name": None, "floors": 1, "at": at, **more}


def kinds(result: Reconciled) -> dict[str, str]:
    return dict(zip(result.changes["uid"], result.changes["change"], strict=True))


def events(result: Reconciled) -> list[tuple[str, str, float]]:
    lineage = result.lineage
    return [(one.event, one.parent, round(one.share, 2)) for one in lineage.itertuples(index=False)]


WHOLE, LEFT, RIGHT = box(0, 20), box(0, 8), box(8, 20)
HALF, OTHER_HALF = box(0, 10), box(10, 20)


def test_without_keys_another_outline_of_the_same_is_the_same(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", None, WHOLE)), polygons.incoming(record(None, box(0, 22)))
    )
    assert kinds(result) == {"U1": "reshaped"}
    assert result.changes["basis"].tolist() == ["shape"]
    (told,) = result.provenance.to_dict("records")
    assert (told["uid"], told["attribute"], told["rule"]) == ("U1", "", "shape")
    assert 0 < told["score"] <= 1
    assert 0 < told["margin"] <= 1


@pytest.mark.parametrize("code", [None, "p"])
def test_a_whole_in_parts_is_split_and_retired(polygons: Any, code: str | None) -> None:
    keys = (None, None) if code is None else ("q", "r")
    result = polygons.reconcile(
        polygons.current(feature("U1", code, WHOLE)),
        polygons.incoming(record(keys[0], LEFT), record(keys[1], RIGHT)),
        rules=RETIRE,
    )
    assert kinds(result)["U1"] == "removed"
    assert sorted(events(result)) == [("split", "U1", 0.4), ("split", "U1", 0.6)]
    assert set(result.changes["basis"]) == {"split"}
    assert set(result.lineage["child"]) == set(result.changes["uid"]) - {"U1"}
    assert result.fates["reason"].tolist() == ["split", "split"]


def test_the_largest_part_keeps_the_uid_where_the_layer_says_so(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", None, WHOLE)),
        polygons.incoming(record(None, LEFT), record(None, RIGHT)),
        rules=Reconciling(split="largest", keep_share=0.55),
    )
    assert kinds(result)["U1"] == "reshaped"
    assert sorted(kinds(result).values()) == ["new", "reshaped"]
    assert events(result) == [("split", "U1", 0.4)]


def test_no_part_is_large_enough(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", None, WHOLE)),
        polygons.incoming(record(None, HALF), record(None, OTHER_HALF)),
    )
    assert kinds(result)["U1"] == "removed"
    assert [one[0] for one in events(result)] == ["split", "split"]


@pytest.mark.parametrize("code", [None, "p"])
def test_parts_that_become_a_whole_are_merged(polygons: Any, code: str | None) -> None:
    keys = (None, None, None) if code is None else ("q", "r", "p")
    result = polygons.reconcile(
        polygons.current(feature("U1", keys[0], LEFT), feature("U2", keys[1], RIGHT)),
        polygons.incoming(record(keys[2], WHOLE)),
        rules=RETIRE,
    )
    assert kinds(result)["U1"] == kinds(result)["U2"] == "removed"
    assert events(result) == [("merged", "U1", 1.0), ("merged", "U2", 1.0)]
    assert len(set(result.lineage["child"])) == 1


def test_a_part_that_keeps_the_number_of_the_whole_is_a_split(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", "p", WHOLE)),
        polygons.incoming(record("p", LEFT), record("q", RIGHT)),
        rules=RETIRE,
    )
    assert kinds(result)["U1"] == "reshaped"
    assert events(result) == [("split", "U1", 0.6)]


def test_another_number_at_the_place_replaces(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", "p", WHOLE)), polygons.incoming(record("q", WHOLE))
    )
    assert sorted(kinds(result).values()) == ["new", "removed"]
    assert events(result) == [("replaced", "U1", 1.0)]
    assert set(result.changes["basis"]) == {"replaced"}


def test_a_deleted_whole_and_inserted_parts_are_a_split(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", "p", WHOLE)),
        polygons.incoming(
            record("p", WHOLE, operation="delete"),
            record("q", LEFT, operation="insert"),
            record("r", RIGHT, operation="insert"),
        ),
        DeliveryKind.CHANGES,
    )
    assert [one[0] for one in events(result)] == ["split", "split"]


def test_in_a_partial_delivery_what_is_not_named_is_not_replaced(polygons: Any) -> None:
    result = polygons.reconcile(
        polygons.current(feature("U1", "p", WHOLE)),
        polygons.incoming(record("q", WHOLE)),
        DeliveryKind.PARTIAL,
    )
    assert list(kinds(result).values()) == ["new"]
    assert result.lineage.empty


def test_several_for_several_is_a_question_and_nothing_goes(polygons: Any) -> None:
    current = polygons.current(feature("U1", None, HALF), feature("U2", None, OTHER_HALF))
    said = polygons.incoming(record(None, box(0, 20, 0, 5)), record(None, box(0, 20, 5, 10)))
    result = polygons.reconcile(current, said)
    assert result.changes.empty
    assert result.fates["fate"].tolist() == ["waiting", "waiting"]
    assert set(result.questions["kind"]) == {"complex"}
    assert len(set(result.questions["question"])) == 1
    assert set(result.questions["candidates"].iloc[0].split(",")) == {"U1", "U2"}

    asked = question_id("things", "s", result.questions["subject"], QuestionKind.COMPLEX)
    assert result.questions["question"].iloc[0] == asked
    answered = polygons.reconcile(
        current, said, constraints=Constraints(replaced=frozenset([asked]))
    )
    assert sorted(answered.changes["change"]) == ["new", "new", "removed", "removed"]
    assert {one[0] for one in events(answered)} == {"replaced"}
    assert len(answered.lineage) == 4


def test_what_is_not_the_same_by_an_answer_is_new(polygons: Any) -> None:
    current, said = (
        polygons.current(feature("U1", None, WHOLE)),
        polygons.incoming(record(None, box(0, 22))),
    )
    subject = polygons.reconcile(current, said).changes["uid"]
    assert subject.tolist() == ["U1"]
    name = Records.read(said, polygons.layer, polygons.feed).subject.iloc[0]
    result = polygons.reconcile(
        current, said, constraints=Constraints(cannot_link=frozenset([(name, "U1")]))
    )
    assert sorted(kinds(result).values()) == ["new", "removed"]


def test_what_is_the_same_by_an_answer_is_matched_wherever_it_lies(polygons: Any) -> None:
    current = polygons.current(feature("U1", "p", WHOLE))
    far = polygons.incoming(record("p", box(5000, 5020)))
    asked = polygons.reconcile(current, far)
    assert asked.questions["kind"].tolist() == ["implausible"]
    told = polygons.reconcile(current, far, constraints=Constraints(must_link={"key p": "U1"}))
    assert kinds(told) == {"U1": "moved"}
    assert told.changes["basis"].tolist() == ["answer"]
    assert told.questions.empty


def test_the_sources_own_name_is_remembered(polygons: Any) -> None:
    desk = type(polygons)(polygons.layer, polygons.feed.model_copy(update={"id": "OID"}))
    first = polygons.incoming(record(None, WHOLE)).assign(source_id=pd.Series(["17"], dtype="str"))
    brought = desk.reconcile(desk.current(), first, delivery="s.1")
    (kept,) = brought.bridge.to_dict("records")
    uid = brought.changes["uid"].iloc[0]
    assert (kept["source"], kept["source_id"], kept["uid"]) == ("s", "17", uid)
    assert kept["matched_by"] == "new"

    state = compose(desk.current(), brought.changes, brought.bridge)
    elsewhere = polygons.incoming(record(None, box(30, 50))).assign(
        source_id=pd.Series(["17"], dtype="str")
    )
    result = desk.reconcile(state, elsewhere, delivery="s.2")
    assert kinds(result) == {uid: "moved"}
    assert result.changes["basis"].tolist() == ["id"]
    assert result.bridge.empty


def test_id_and_key_of_two_features_are_a_question(polygons: Any) -> None:
    desk = type(polygons)(polygons.layer, polygons.feed.model_copy(update={"id": "OID"}))
    bridge = pd.DataFrame({"source": ["s"], "source_id": ["17"], "uid": ["U1"]}, dtype="str")
    rows = desk.current(feature("U1", "p", WHOLE), feature("U2", "q", box(40, 60))).all_rows()
    said = polygons.incoming(record("q", WHOLE)).assign(source_id=pd.Series(["17"], dtype="str"))
    result = desk.reconcile(FrameLayer(desk.layer, rows, bridge), said, DeliveryKind.PARTIAL)
    assert result.changes.empty
    assert result.questions["kind"].tolist() == ["ambiguous"]
    assert set(result.questions["candidates"].iloc[0].split(",")) == {"U1", "U2"}
