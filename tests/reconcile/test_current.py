from typing import Any

import pandas as pd
import pytest

from cityframe.errors import IntegrityError
from cityframe.model.delivery import DeliveryKind
from cityframe.reconcile import FrameLayer, compose

ROWS = [
    {"uid": f"U{n}", "code": code, "floors": n, "at": f"POINT ({100 * n} 0)"}
    for n, code in enumerate("abcd")
]


def test_index_has_uid_key_and_digest(points: Any) -> None:
    index = points.current(*ROWS).index()
    assert list(index.columns) == ["uid", "key", "digest"]
    assert index["key"].tolist() == list("abcd")
    assert {len(digest) for digest in index["digest"]} == {16}


def test_rows_come_in_the_order_asked_for(points: Any) -> None:
    rows = points.current(*ROWS).rows(["U3", "U1"])
    assert rows["code"].tolist() == ["d", "b"]
    assert rows.index.equals(pd.RangeIndex(2))


def test_an_unknown_feature_is_an_error(points: Any) -> None:
    with pytest.raises(IntegrityError, match="no feature 'U9'"):
        points.current(*ROWS).rows(["U1", "U9"])


def composed(points: Any) -> Any:
    """Change a, drop b, leave c and d, add e."""
    survey = points.incoming(
        {"code": "a", "floors": 77, "at": "POINT (0 0)"},
        {"code": "e", "floors": 8, "at": "POINT (9 9)"},
        {"code": "b", "operation": "delete"},
    )
    current = points.current(*ROWS)
    return compose(current, points.reconcile(current, survey, DeliveryKind.CHANGES).changes)


def test_a_composed_layer_is_the_layer_with_its_changes(points: Any) -> None:
    layer = composed(points)
    rows = layer.all_rows()
    assert sorted(rows["code"]) == ["a", "c", "d", "e"]
    assert rows.set_index("code")["floors"].to_dict() == {"a": 77, "c": 2, "d": 3, "e": 8}
    assert layer.index()["uid"].tolist() == rows["uid"].tolist()
    pd.testing.assert_frame_equal(layer.index(), FrameLayer(points.layer, rows).index())


def test_rows_of_a_composed_layer_come_in_the_order_asked_for(points: Any) -> None:
    layer = composed(points)
    uids = layer.index()["uid"].tolist()[::-1]
    assert layer.rows(uids)["uid"].tolist() == uids
    assert layer.rows(["U3", "U0"])["floors"].tolist() == [3, 77]
    assert len(layer.rows([])) == 0


def test_a_removed_feature_is_gone(points: Any) -> None:
    with pytest.raises(IntegrityError, match="no feature 'U1'"):
        composed(points).rows(["U1"])


def test_composing_reads_no_rows_of_the_layer_below(points: Any) -> None:
    class Closed(FrameLayer):
        def rows(self, uids: Any) -> Any:
            raise AssertionError(uids)

        def all_rows(self) -> Any:
            raise AssertionError

    current = points.current(*ROWS)
    survey = points.incoming({"code": "a", "floors": 77, "at": "POINT (0 0)"})
    changes = points.reconcile(current, survey, DeliveryKind.PARTIAL).changes
    layer = compose(Closed(points.layer, current.all_rows()), changes)
    assert len(layer.index()) == 4


def test_without_changes_the_layer_is_the_same(points: Any) -> None:
    current = points.current(*ROWS)
    nothing = points.reconcile(current, points.incoming(), DeliveryKind.PARTIAL).changes
    assert compose(current, nothing) is current


def test_a_second_delivery_sees_what_the_first_one_brought(points: Any) -> None:
    layer = composed(points)
    survey = points.incoming({"code": "e", "floors": 8, "at": "POINT (9 9)"})
    result = points.reconcile(layer, survey, DeliveryKind.PARTIAL, delivery="s.2")
    assert len(result.changes) == 0
