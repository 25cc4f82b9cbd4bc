"""Feeds whose keys are hints, numbers that are given anew: place and shape overrule them."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import shapely

from cityframe.config.source import Matching, NoGeometry
from cityframe.model.delivery import DeliveryKind
from cityframe.reconcile import FrameLayer, Reconciled, compose


@pytest.fixture
def desk(polygons: Any) -> Any:
    matching = Matching(keys="hint")
    return replace(polygons, feed=polygons.feed.model_copy(update={"matching": matching}))


def box(west: float, east: float, north: float = 10) -> str:
    return str(shapely.box(west, 0, east, north).wkt)


def feature(uid: str, code: str | None, at: str | None) -> dict[str, Any]:
    return {"uid": uid, "code": code, "name": None, "floors": 1, "at": at}


def record(code: str | None, at: str | None, **more: Any) -> dict[str, Any]:
    return {"code": code, "name": None, "floors": 1, "at": at, **more}


def outcome(result: Reconciled) -> dict[str, tuple[str, str, str]]:
    """Return change, key and basis of each feature that changes; what is new as ``new``."""
    return {
        "new" if one.change == "new" else one.uid: (one.change, one.code, one.basis)
        for one in result.changes.itertuples(index=False)
    }


def test_keys_that_were_exchanged_follow_the_place(desk: Any) -> None:
    current = desk.current(feature("U1", "1", box(0, 10)), feature("U2", "2", box(20, 30)))
    said = desk.incoming(record("2", box(0, 10)), record("1", box(20, 30)))
    result = desk.reconcile(current, said)
    assert outcome(result) == {
        "U1": ("attributes", "2", "near"), "U2": ("attributes", "1", "near"),
    }  # fmt: skip
    again = desk.reconcile(compose(current, result.changes), said, delivery="d2")
    assert again.changes.empty


def test_a_number_given_anew_is_no_question(desk: Any) -> None:
    current = desk.current(feature("U1", "1", box(0, 10)))
    said = desk.incoming(record("9", box(0, 12)), record("1", box(5000, 5010)))
    result = desk.reconcile(current, said)
    assert result.questions.empty
    assert outcome(result) == {"U1": ("reshaped", "9", "shape"), "new": ("new", "1", "new")}


def test_a_key_counts_where_the_place_is_plausible(desk: Any) -> None:
    current = desk.current(feature("U1", "1", box(0, 10)), feature("U2", "2", box(1000, 1010)))
    said = desk.incoming(record("1", box(14, 24)), record("2", box(1000, 1010)))
    assert outcome(desk.reconcile(current, said)) == {"U1": ("moved", "1", "key")}


def test_of_features_at_one_place_the_key_tells_which(desk: Any) -> None:
    stacked = [feature("U1", "1", box(0, 10)), feature("U2", "2", box(0, 10))]
    said = desk.incoming(record("1", box(0.01, 10), floors=2), record("2", box(0.01, 10), floors=3))
    result = desk.reconcile(desk.current(*stacked), said)
    assert result.questions.empty
    assert outcome(result) == {
        "U1": ("attributes", "1", "key"), "U2": ("attributes", "2", "key"),
    }  # fmt: skip


def test_the_sources_id_overrules_a_hint(desk: Any) -> None:
    desk = replace(desk, feed=desk.feed.model_copy(update={"id": "OID"}))
    rows = desk.current(feature("U1", "1", box(0, 10)), feature("U2", "2", box(20, 30)))
    bridge = pd.DataFrame({"source": ["s"], "source_id": ["17"], "uid": ["U1"]}, dtype="str")
    said = desk.incoming(record("2", box(0, 12))).assign(source_id=pd.Series(["17"], dtype="str"))
    current = FrameLayer(desk.layer, rows.all_rows(), bridge)
    result = desk.reconcile(current, said, DeliveryKind.PARTIAL)
    assert result.questions.empty
    assert outcome(result) == {"U1": ("reshaped", "2", "id")}


def test_without_geometry_the_keys_are_all_there_is(desk: Any) -> None:
    current = desk.current(feature("U1", "1", box(0, 10)), feature("U2", None, None))
    said = desk.incoming(record("1", None, floors=4), without=["geometry"])
    feed = desk.feed.model_copy(update={"geometry": NoGeometry(none=True)})
    result = replace(desk, feed=feed).reconcile(current, said, DeliveryKind.PARTIAL)
    assert outcome(result) == {"U1": ("attributes", "1", "key")}


def test_a_hint_that_lies_nowhere_is_followed(desk: Any) -> None:
    current = desk.current(feature("U1", "1", None), feature("U2", "2", box(0, 10)))
    said = desk.incoming(record("1", box(40, 50)), record("2", None))
    result = desk.reconcile(current, said)
    assert {uid: kind for uid, (kind, _, _) in outcome(result).items()} == {
        "U1": "reshaped", "U2": "reshaped",
    }  # fmt: skip


def test_strict_keys_ask(polygons: Any) -> None:
    current = polygons.current(feature("U1", "1", box(0, 10)))
    result = polygons.reconcile(current, polygons.incoming(record("1", box(5000, 5010))))
    assert result.questions["kind"].tolist() == ["implausible"]
