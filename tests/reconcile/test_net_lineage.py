"""Events of several deliveries of one cycle, as a release tells them."""

from typing import Any

import pandas as pd
import pytest
import shapely

from cityframe.config.reconciling import Reconciling
from cityframe.model.delivery import DeliveryKind
from cityframe.reconcile import CurrentLayer, changes_in_order, compose
from cityframe.reconcile.net_lineage import net_lineage

RETIRE = Reconciling(split="retire")
Part = tuple[str, float, float]
WHOLE: Part = ("a", 0, 40)


def row(part: Part, **more: Any) -> dict[str, Any]:
    code, west, east = part
    at = shapely.box(west, 0, east, 10).wkt
    return {"code": code, "name": None, "floors": 1, "at": at, **more}


def told(desk: Any, before: list[Part], *deliveries: list[Part]) -> list[tuple[str, str, float]]:
    """Return event, code of the child and share of what a cycle comes to; all of U-a."""
    start: CurrentLayer = desk.current(*[row(one, uid=f"U-{one[0]}") for one in before])
    state, changes, lineage = start, [], []
    for number, parts in enumerate(deliveries):
        result = desk.reconcile(
            state,
            desk.incoming(*[row(one) for one in parts]),
            DeliveryKind.FULL,
            delivery=f"s.{number}",
            rules=RETIRE,
        )
        changes.append(result.changes)
        lineage.append(result.lineage)
        state = compose(state, result.changes)
    net = net_lineage(lineage, changes_in_order(start, changes))
    code = dict(zip(state.index()["uid"], state.index()["key"], strict=True))
    assert set(net["parent"]) <= {f"U-{one[0]}" for one in before}
    return [(one.event, code[one.child], one.share) for one in net.itertuples(index=False)]


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        (
            [[("b", 0, 20), ("c", 20, 40)], [("d", 0, 10), ("e", 10, 20), ("c", 20, 40)]],
            [("split", "c", 0.5), ("split", "d", 0.25), ("split", "e", 0.25)],
        ),
        ([[("b", 0, 20), ("c", 20, 40)], [("c", 20, 40)]], [("split", "c", 0.5)]),
        ([[("b", 0, 20), ("c", 20, 40)], []], []),
        ([[("b", 0, 20), ("c", 20, 40)], [("f", 0, 40)]], [("merged", "f", 1.0)]),
        ([[("b", 0, 20), ("c", 20, 40)], [("a", 0, 40)]], [("merged", "a", 1.0)]),
    ],
)
def test_what_came_and_went_within_a_cycle_is_passed_over(
    polygons: Any, deliveries: list[list[Part]], expected: list[tuple[str, str, float]]
) -> None:
    assert sorted(told(polygons, [WHOLE], *deliveries), key=lambda one: one[1]) == expected


def test_a_split_that_is_taken_back_is_none(polygons: Any) -> None:
    kept = Reconciling(split="largest", keep_share=0.6)
    start = polygons.current(row(WHOLE, uid="U-a"))
    parts = polygons.incoming(row(("a", 0, 30)), row(("b", 30, 40)))
    first = polygons.reconcile(start, parts, delivery="s.0", rules=kept)
    assert first.lineage["event"].tolist() == ["split"]
    whole = polygons.incoming(row(WHOLE))
    state = compose(start, first.changes)
    second = polygons.reconcile(state, whole, delivery="s.1", rules=kept)
    both = changes_in_order(start, [first.changes, second.changes])
    assert both.empty
    assert net_lineage([first.lineage, second.lineage], both).empty


def test_only_later_events_go_on_from_a_feature_that_ends() -> None:
    names = ["event", "parent", "child", "share"]
    parts = [
        pd.DataFrame([("split", "u", "q", 0.4)], columns=names),
        pd.DataFrame([("merged", "p", "u", 1.0)], columns=names),
    ]
    changes = pd.DataFrame({"uid": ["q", "p", "u"], "change": ["new", "removed", "removed"]})
    assert net_lineage(parts, changes)["parent"].tolist() == ["u"]
