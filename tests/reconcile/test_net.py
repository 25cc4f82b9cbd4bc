from collections.abc import Sequence
from typing import Any

import pytest

from cityframe.model.delivery import DeliveryKind
from cityframe.reconcile import compose, net_changes

HERE, THERE, YONDER = "POINT (0 0)", "POINT (20 0)", "POINT (40 0)"
ELM = {"code": "e", "name": "Elm", "floors": 2, "at": HERE}
OLD = {**ELM, "uid": "U1"}
GONE = {"code": "e", "operation": "delete"}


def parts(desk: Any, current: Any, steps: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the change tables of deliveries of one record each, one after another."""
    tables = []
    for number, step in enumerate(steps):
        result = desk.reconcile(
            current, desk.incoming(step), DeliveryKind.CHANGES, delivery=f"s.{number}"
        )
        tables.append(result.changes)
        current = compose(current, result.changes)
    return tables


@pytest.mark.parametrize(
    ("before", "steps", "expected"),
    [
        ((), [ELM], "new"),
        ((), [ELM, {**ELM, "floors": 3}], "new"),
        ((), [ELM, {**ELM, "at": THERE}], "new"),
        ((), [ELM, GONE], None),
        ((OLD,), [GONE], "removed"),
        ((OLD,), [{**ELM, "floors": 3}, GONE], "removed"),
        ((OLD,), [{**ELM, "at": THERE}, GONE], "removed"),
        ((OLD,), [{**ELM, "floors": 3}], "attributes"),
        ((OLD,), [{**ELM, "floors": 3}, {**ELM, "floors": 4}], "attributes"),
        ((OLD,), [{**ELM, "floors": 3}, ELM], None),
        ((OLD,), [{**ELM, "at": THERE}], "moved"),
        ((OLD,), [{**ELM, "at": THERE}, {**ELM, "at": YONDER}], "moved"),
        ((OLD,), [{**ELM, "at": THERE}, ELM], None),
        ((OLD,), [{**ELM, "at": THERE}, {**ELM, "floors": 3}], "attributes"),
        ((OLD,), [{**ELM, "at": THERE}, {**ELM, "at": THERE, "floors": 3}], "moved"),
        ((OLD,), [{**ELM, "at": None}, ELM], None),
        ((OLD,), [{**ELM, "at": None}, {**ELM, "at": THERE}], "reshaped"),
    ],
)
def test_net_kind_of_several_changes(
    points: Any, before: tuple[dict[str, Any], ...], steps: list[Any], expected: str | None
) -> None:
    current = points.current(*before)
    net = net_changes(current, parts(points, current, steps))
    assert net["change"].tolist() == ([expected] if expected else [])


def test_moved_and_then_other_attributes_is_moved_with_new_attributes(points: Any) -> None:
    current = points.current(OLD)
    steps = [{**ELM, "at": THERE}, {**ELM, "at": THERE, "floors": 3}]
    row = net_changes(current, parts(points, current, steps)).iloc[0]
    assert (row["floors"], row["geometry"].x, row["has_new_attributes"]) == (3, 20, True)
    assert (row["delivery"], row["record"]) == ("s.1", 0)


def test_a_removed_row_is_as_it_was_before_the_cycle(points: Any) -> None:
    current = points.current(OLD)
    steps = [{**ELM, "at": THERE, "floors": 9}, GONE]
    row = net_changes(current, parts(points, current, steps)).iloc[0]
    assert (row["floors"], row["geometry"].x, row["delivery"]) == (2, 0, "s.1")


def test_a_new_feature_keeps_where_it_came_from(points: Any) -> None:
    current = points.current()
    row = net_changes(current, parts(points, current, [ELM, {**ELM, "floors": 9}])).iloc[0]
    assert (row["floors"], row["delivery"], row["has_new_attributes"]) == (9, "s.0", False)


def test_no_parts_make_an_empty_table(points: Any) -> None:
    net = net_changes(points.current(OLD), [])
    assert len(net) == 0
    assert str(net.crs) == points.layer.crs
