from typing import Any

import pandas as pd
import pytest
from geopandas import GeoDataFrame

from cityframe.config.source import JoinGeometry, NoGeometry
from cityframe.core.frames import COLUMN_TYPES
from cityframe.model.change import CHANGE_COLUMNS
from cityframe.model.delivery import DeliveryKind
from cityframe.model.fate import FATE_COLUMNS
from cityframe.model.finding import FINDING_COLUMNS
from cityframe.reconcile import FrameLayer, Reconciled

A = {"uid": "U1", "code": "a", "name": "Alder", "floors": 3, "at": "POINT (0 0)"}
B = {"uid": "U2", "code": "b", "name": "Birch", "floors": 5, "at": "POINT (100 0)"}


def said(row: dict[str, Any], **other: Any) -> dict[str, Any]:
    """Return a row of the framework as a delivery says it, without its uid."""
    return {**{name: value for name, value in row.items() if name != "uid"}, **other}


def kinds(result: Reconciled) -> dict[str, str]:
    return dict(zip(result.changes["uid"], result.changes["change"], strict=True))


def fates(result: Reconciled) -> list[str]:
    return result.fates["fate"].tolist()


def rules(result: Reconciled) -> list[str]:
    return result.findings["rule"].tolist()


class Spy(FrameLayer):
    """A layer that notes which rows are read."""

    def __init__(self, other: FrameLayer) -> None:
        super().__init__(other.layer, other.all_rows())
        self.read: list[str] = []

    def rows(self, uids: Any) -> GeoDataFrame:
        self.read += list(uids)
        return super().rows(uids)

    def all_rows(self) -> GeoDataFrame:
        self.read += ["all"]
        return super().all_rows()


def test_tables_have_the_columns_and_types_of_the_contract(points: Any) -> None:
    result = points.reconcile(points.current(A), points.incoming(said(B)))
    assert list(result.changes.columns) == [*CHANGE_COLUMNS, "code", "name", "floors", "geometry"]
    assert str(result.changes.crs) == points.layer.crs
    for attribute in points.layer.attributes:
        assert str(result.changes[attribute.name].dtype) == COLUMN_TYPES[attribute.type]
    assert str(result.changes["record"].dtype) == "Int64"
    assert str(result.changes["valid_from"].dtype) == "datetime64[us, UTC]"
    assert result.changes["has_new_attributes"].dtype == bool
    assert list(result.fates.columns) == list(FATE_COLUMNS)
    assert list(result.findings.columns) == list(FINDING_COLUMNS)
    assert result.changes["uid"].is_monotonic_increasing
    assert result.changes.index.equals(pd.RangeIndex(2))


def test_nothing_with_nothing_is_nothing(points: Any) -> None:
    result = points.reconcile(points.current(), points.incoming())
    assert len(result.changes) == len(result.fates) == len(result.findings) == 0
    assert list(result.changes.columns) == [*CHANGE_COLUMNS, "code", "name", "floors", "geometry"]


def test_an_equal_record_is_unchanged_and_its_row_is_not_read(points: Any) -> None:
    current = Spy(points.current(A, B))
    result = points.reconcile(current, points.incoming(said(A), said(B, floors=6)))
    assert kinds(result) == {"U2": "attributes"}
    assert fates(result) == ["unchanged", "published"]
    assert result.fates["reason"].tolist() == ["equal", "attributes"]
    assert current.read == ["U2"]


def test_a_first_delivery_is_all_new(points: Any) -> None:
    result = points.reconcile(points.current(), points.incoming(said(A), said(B)))
    assert result.changes["change"].tolist() == ["new", "new"]
    assert result.changes["uid"].str.len().tolist() == [20, 20]
    assert result.fates["uid"].tolist() == [
        result.changes.set_index("code").loc[code, "uid"] for code in "ab"
    ]
    assert not result.changes["has_new_attributes"].any()


def test_a_new_uid_depends_on_node_and_name_and_on_no_delivery(points: Any) -> None:
    def uids(**more: Any) -> list[str]:
        return (
            points.reconcile(points.current(), points.incoming(said(A)), **more)
            .changes["uid"]
            .tolist()
        )

    assert uids() == uids(delivery="d2")
    assert uids() != uids(node="320100")


def test_without_a_key_the_content_names_a_new_feature(keyless: Any) -> None:
    one = keyless.reconcile(keyless.current(), keyless.incoming(said(A), said(A), said(B)))
    other = keyless.reconcile(keyless.current(), keyless.incoming(said(B), said(A), said(A)))
    assert one.changes["uid"].is_unique
    assert one.changes["uid"].tolist() == other.changes["uid"].tolist()


def test_a_uid_that_was_ever_known_is_never_given_again(points: Any) -> None:
    first = points.reconcile(points.current(), points.incoming(said(A)))
    uid = first.changes["uid"].iloc[0]
    taken = points.current({**B, "uid": uid})
    again = points.reconcile(taken, points.incoming(said(A)), DeliveryKind.PARTIAL)
    assert again.changes["change"].tolist() == ["new"]
    assert again.changes["uid"].iloc[0] != uid


def test_within_tolerance_the_stored_geometry_stays(points: Any) -> None:
    # σd = √(0.1² + 0.1²): points up to 0.42 m away agree
    result = points.reconcile(points.current(A), points.incoming(said(A, at="POINT (0.4 0)")))
    assert len(result.changes) == 0
    assert result.fates["reason"].tolist() == ["within tolerance"]


def test_small_steps_do_not_add_up_to_a_drift(points: Any) -> None:
    current, places = points.current(A), []
    for step in range(1, 8):
        survey = points.incoming(said(A, at=f"POINT ({0.1 * step} 0)", floors=step + 10))
        current = FrameLayer(points.layer, points.reconcile(current, survey).changes)
        places.append(current.all_rows().geometry.x.iloc[0])
    # the fifth step is the first beyond tolerance of the last survey that was accepted
    assert places == [0, 0, 0, 0, 0.5, 0.5, 0.5]


def test_new_attributes_keep_a_geometry_within_tolerance(points: Any) -> None:
    record = said(A, name="Ash", at="POINT (0.3 0)")
    result = points.reconcile(points.current(A), points.incoming(record))
    row = result.changes.iloc[0]
    assert (row["change"], row["name"], row["has_new_attributes"]) == ("attributes", "Ash", True)
    assert row["geometry"].x == 0


def test_moved_and_reshaped_with_and_without_new_attributes(polygons: Any) -> None:
    house = "POLYGON ((0 0, 10 0, 10 8, 0 8, 0 0))"
    aside = "POLYGON ((3 0, 13 0, 13 8, 3 8, 3 0))"
    larger = "POLYGON ((0 0, 15 0, 15 8, 0 8, 0 0))"
    rows = [{**A, "uid": f"U{n}", "code": str(n), "at": house} for n in range(4)]
    records = [
        said(rows[0], at=aside),
        said(rows[1], at=aside, floors=9),
        said(rows[2], at=larger),
        said(rows[3], at=None),
    ]
    result = polygons.reconcile(polygons.current(*rows), polygons.incoming(*records))
    assert result.changes["change"].tolist() == ["moved", "moved", "reshaped", "reshaped"]
    assert result.changes["has_new_attributes"].tolist() == [False, True, False, False]
    assert result.changes.geometry.iloc[0].bounds == (3, 0, 13, 8)
    assert result.changes.geometry.isna().tolist() == [False, False, False, True]


def test_absence_removes_only_where_the_delivery_is_full(points: Any) -> None:
    current, incoming = points.current(A, B), points.incoming(said(A))
    assert kinds(points.reconcile(current, incoming, DeliveryKind.FULL)) == {"U2": "removed"}
    again = points.reconcile(current, incoming, DeliveryKind.LAYERS_CHANGED_ONLY)
    assert kinds(again) == {"U2": "removed"}
    assert kinds(points.reconcile(current, incoming, DeliveryKind.PARTIAL)) == {}
    assert kinds(points.reconcile(current, incoming, DeliveryKind.CHANGES)) == {}


def test_a_removed_row_is_as_it_was_and_valid_until_the_delivery(points: Any) -> None:
    removed = points.reconcile(points.current(A, B), points.incoming(said(A))).changes.iloc[0]
    assert (removed["name"], removed["floors"], removed["geometry"].x) == ("Birch", 5, 100)
    assert removed["record"] is pd.NA
    assert removed["valid_from"] == pd.Timestamp("2026-03-01", tz="UTC")


def test_valid_from_is_the_records_or_else_the_deliverys(points: Any) -> None:
    records = points.incoming(said(A, valid_from=pd.Timestamp("2025-12-24", tz="UTC")), said(B))
    changes = points.reconcile(points.current(), records).changes.set_index("code")
    assert changes.loc["a", "valid_from"] == pd.Timestamp("2025-12-24", tz="UTC")
    assert changes.loc["b", "valid_from"] == pd.Timestamp("2026-03-01", tz="UTC")


def test_returned_records_are_not_absent(points: Any) -> None:
    current = points.current(A, B)
    nothing = points.incoming()
    assert kinds(points.reconcile(current, nothing, held_keys=frozenset("a"))) == {"U2": "removed"}
    assert kinds(points.reconcile(current, nothing, held_uids=frozenset({"U1"}))) == {
        "U2": "removed"
    }


def test_held_records_hold_their_features_without_a_key(keyless: Any) -> None:
    records = keyless.incoming(said(A, at="POINT (0.2 0)", floors=99))
    result = keyless.reconcile(keyless.current(A, B), records, held_records=frozenset({0}))
    assert kinds(result) == {"U2": "removed"}
    assert len(result.fates) == 0


def test_an_absent_attribute_is_not_null(points: Any) -> None:
    records = points.incoming(said(A, name="Ash"), said(B), without=["floors"])
    result = points.reconcile(points.current(A, B), records)
    assert kinds(result) == {"U1": "attributes"}
    assert result.changes["floors"].tolist() == [3]
    null = points.incoming(said(A, floors=None), said(B))
    assert points.reconcile(points.current(A, B), null).changes["floors"].isna().tolist() == [True]


def test_an_attribute_absent_from_a_new_record_is_null(points: Any) -> None:
    result = points.reconcile(points.current(), points.incoming(said(A), without=["floors"]))
    assert result.changes["floors"].isna().tolist() == [True]
    assert str(result.changes["floors"].dtype) == "Int64"


@pytest.mark.parametrize("dropped", [[], ["geometry"]])
def test_a_feed_without_geometry_keeps_that_of_the_framework(
    points: Any, dropped: list[str]
) -> None:
    feed = points.feed.model_copy(update={"geometry": NoGeometry(none=True)})
    desk = type(points)(points.layer, feed)
    records = desk.incoming(said(A, at=None, floors=4), said(B, at=None), without=dropped)
    result = desk.reconcile(desk.current(A, B), records)
    assert kinds(result) == {"U1": "attributes"}
    assert result.changes.geometry.iloc[0].x == 0


def test_records_joined_to_a_feature_update_it_by_uid(points: Any) -> None:
    join = JoinGeometry(layer="things", on={"name": "NAME"}, take="feature")
    desk = type(points)(points.layer, points.feed.model_copy(update={"geometry": join}))
    records = desk.incoming(
        {"uid": "U2", "name": "Beech"}, {"uid": "gone", "name": "?"}, without=["code", "floors"]
    ).assign(source_key=["r0", "r1"])
    result = desk.reconcile(desk.current(A, B), records, DeliveryKind.PARTIAL)
    assert kinds(result) == {"U2": "attributes"}
    assert result.changes[["code", "name"]].to_numpy().tolist() == [["b", "Beech"]]
    assert fates(result) == ["published", "returned"]
    assert rules(result) == ["reconcile.unknown-target"]


def test_a_layer_without_geometry(tables: Any) -> None:
    rows = [{**A, "at": None}, {**B, "at": None}]
    records = tables.incoming(said(rows[0], floors=8), said(rows[0], code="c"))
    result = tables.reconcile(tables.current(*rows), records)
    assert result.changes["change"].value_counts().to_dict() == {
        "attributes": 1, "removed": 1, "new": 1,
    }  # fmt: skip


def test_operations_of_a_change_delivery(points: Any) -> None:
    records = points.incoming(
        said(A, operation="delete"),
        said(B, operation="insert", floors=6),
        said(B, operation="insert", code="c"),
        said(B, operation="update", code="x"),
        said(B, operation="delete", code="y"),
    )
    result = points.reconcile(points.current(A, B), records, DeliveryKind.CHANGES)
    assert result.changes.set_index("code")["change"].to_dict() == {
        "a": "removed", "b": "attributes", "c": "new",
    }  # fmt: skip
    assert fates(result) == ["published", "published", "published", "returned", "returned"]
    found = result.findings.set_index("record")["rule"].to_dict()
    assert found == {
        1: "reconcile.insert-of-known",
        3: "reconcile.unknown-target",
        4: "reconcile.unknown-target",
    }
    assert result.quarantine_reasons == ()
    assert result.changes.set_index("code")["record"].to_dict() == {"a": 0, "b": 1, "c": 2}


def test_the_last_of_several_records_of_a_feature_counts(points: Any) -> None:
    records = points.incoming(
        said(A, floors=4), said(A, floors=7), said(B, operation="insert", code="n"),
        said(B, operation="update", code="n", floors=8),
    )  # fmt: skip
    result = points.reconcile(points.current(A), records, DeliveryKind.CHANGES)
    assert fates(result) == ["superseded", "published", "superseded", "published"]
    assert result.changes.set_index("code")["floors"].to_dict() == {"a": 7, "n": 8}
    assert rules(result) == ["reconcile.same-target"] * 2


def test_a_recycled_id_is_a_question_and_changes_nothing(points: Any) -> None:
    records = points.incoming(said(A, at="POINT (5000 0)", floors=1), said(B))
    result = points.reconcile(points.current(A, B), records)
    assert len(result.changes) == 0
    assert fates(result) == ["waiting", "unchanged"]
    finding = result.findings.iloc[0]
    assert (finding["rule"], finding["uid"]) == ("reconcile.implausible-match", "U1")
    assert "5000 m" in finding["found"]
    assert finding["found_zh"].startswith("记录与同号要素 U1 相距 5000 m；待定问题 ")
    assert finding["geometry"].x == 5000


def test_without_keys_equal_records_pair_up_however_often_they_stand(keyless: Any) -> None:
    rows = [{**A, "uid": f"U{n}"} for n in range(3)]
    result = keyless.reconcile(keyless.current(*rows), keyless.incoming(said(A), said(A)))
    assert result.changes["change"].tolist() == ["removed"]
    assert fates(result) == ["unchanged", "unchanged"]


def test_without_keys_a_record_near_a_feature_speaks_of_it(keyless: Any) -> None:
    records = keyless.incoming(said(A, at="POINT (0.3 0)", floors=4), said(B, at="POINT (130 0)"))
    result = keyless.reconcile(keyless.current(A, B), records)
    changes = result.changes.set_index("uid")["change"]
    assert changes["U1"] == "attributes"
    assert changes["U2"] == "removed"
    assert sorted(changes) == ["attributes", "new", "removed"]


def test_two_features_near_a_record_are_a_question(keyless: Any) -> None:
    rows = [A, {**B, "at": "POINT (0.3 0)"}]
    records = keyless.incoming(said(A, at="POINT (0.15 0)", floors=8))
    result = keyless.reconcile(keyless.current(*rows), records)
    assert len(result.changes) == 0
    assert fates(result) == ["waiting"]
    assert rules(result) == ["reconcile.ambiguous-match"]
    assert result.findings["other"].tolist() == ["U1,U2"]


def test_partly_provided_records_without_keys_pair_by_what_they_say(keyless: Any) -> None:
    rows = [A, {**B, "at": "POINT (0 0)"}]
    records = keyless.incoming(said(A), said(rows[1]), without=["floors"])
    result = keyless.reconcile(keyless.current(*rows), records)
    assert fates(result) == ["unchanged", "unchanged"]


def test_a_record_without_its_key_is_matched_by_place_and_keeps_the_key(points: Any) -> None:
    records = points.incoming(said(A, code=None, floors=4, at="POINT (0.2 0)"), said(B))
    result = points.reconcile(points.current(A, B), records)
    assert kinds(result) == {"U1": "attributes"}
    assert result.changes["code"].tolist() == ["a"]


def test_a_feature_without_a_key_gets_one_from_its_place(points: Any) -> None:
    result = points.reconcile(points.current({**A, "code": None}), points.incoming(said(A)))
    assert kinds(result) == {"U1": "attributes"}
    assert result.changes["code"].tolist() == ["a"]


def test_two_different_keys_at_one_place_are_two_features(points: Any) -> None:
    result = points.reconcile(points.current(A), points.incoming(said(A, code="z")))
    assert sorted(result.changes["change"]) == ["new", "removed"]


def test_different_keys_stay_apart_beside_records_and_features_without_keys(points: Any) -> None:
    rows = [A, {**B, "code": None}]
    records = points.incoming(said(A, code="z"), said(B, code=None, at="POINT (300 0)"))
    result = points.reconcile(points.current(*rows), records)
    assert sorted(result.changes["change"]) == ["new", "new", "removed", "removed"]


def test_a_key_that_stands_twice_in_the_framework_is_a_question(points: Any) -> None:
    rows = [A, {**B, "code": "a"}]
    result = points.reconcile(points.current(*rows), points.incoming(said(A, floors=9)))
    assert len(result.changes) == 0
    assert fates(result) == ["waiting"]
    assert result.findings["other"].tolist() == ["U1,U2"]


def test_input_frames_are_left_alone(points: Any) -> None:
    current, incoming = points.current(A, B), points.incoming(said(A, floors=1, at="POINT (9 9)"))
    before, rows = incoming.copy(), current.all_rows().copy()
    points.reconcile(current, incoming)
    pd.testing.assert_frame_equal(incoming, before)
    pd.testing.assert_frame_equal(current.all_rows(), rows)
