"""What a feed's history lets through, and features that must be absent several times."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from cityframe.config.source import Guards
from cityframe.core.agreement import Tolerance
from cityframe.model.change import ChangeKind
from cityframe.reconcile.former_deliveries import FeedEffect, held_absent
from cityframe.reconcile.guards import CHURN, CHURN_FLOOR, Guard

COUNT = 1000


def effects(*changed: int, count: int = COUNT) -> list[FeedEffect]:
    return [FeedEffect(count, {"attributes": one}) for one in changed]


def churn(desk: Any, changed: int, history: Sequence[FeedEffect], **limits: Any) -> list[str]:
    rows = [
        {"uid": f"U{n}", "change": ChangeKind.RESHAPED.value, "at": f"POINT ({n} 0)"}
        for n in range(changed)
    ]
    frame = desk.current(*rows).all_rows()
    changes = frame.assign(change=[row["change"] for row in rows])
    guard = Guard(desk.layer, "d1", Guards(**limits), Tolerance.between(0.1, 0.1))
    return [text for one in guard.churn(changes, COUNT, history) for text in one["found"]]


@pytest.mark.parametrize(
    ("changed", "history", "is_held"),
    [
        # median 10 %, deviations 0, 2 and 2 %: up to 10 + 3 · 1.4826 · 2 = 18.9 %
        (188, (80, 100, 120), False),
        (190, (80, 100, 120), True),
        # a feed that hardly changes anything is not held for a little more
        (50, (1, 1, 1, 1), False),
        (51, (1, 1, 1, 1), True),
        # of two deliveries nobody knows what is usual
        (900, (1, 1), False),
    ],
)
def test_the_usual_range_comes_from_what_the_feed_did_before(
    points: Any, changed: int, history: tuple[int, ...], is_held: bool
) -> None:
    assert bool(churn(points, changed, effects(*history))) == is_held


def test_what_is_declared_counts_until_the_feed_is_known_to_change_more(points: Any) -> None:
    limits = {"churn_share": 0.01}
    assert churn(points, 11, [], **limits)
    assert not churn(points, 10, [], **limits)
    assert churn(points, 11, effects(1, 1, 1), **limits)
    assert not churn(points, 100, effects(100, 100, 100), **limits)


def test_few_changes_and_first_loads_are_no_churn(points: Any) -> None:
    limits = {"churn_share": 0.001, "removed_min": 20}
    assert not churn(points, 19, [], **limits)
    assert churn(points, 20, [], **limits)
    # that it once filled the empty layer does not widen the range
    loads = effects(5000, 5000, 5000, count=0)
    assert not churn(points, 900, loads)
    assert churn(points, 900, [*loads, *effects(10, 10, 10)])


def test_the_finding_tells_kinds_and_limit(points: Any) -> None:
    frame = points.current({"uid": "U1", "at": "POINT (0 0)"}, {"uid": "U2", "at": "POINT (1 0)"})
    changes = frame.all_rows().assign(change=["new", "moved"])
    guard = Guard(points.layer, "d1", Guards(removed_min=0), Tolerance.between(0.1, 0.1))
    (found,) = guard.churn(changes, 10, effects(0, 0, 0))
    (one,) = found.to_dict("records")
    assert (one["rule"], one["gate"], one["defect_class"]) == (CHURN, "block", "A")
    assert one["found"] == "2 changes of 10 features (20.00%) of things: 1 new, 1 moved"
    assert one["found_zh"] == "things 图层 10 个要素中将变更 2 个（20.00%）：新增 1，平移 1"
    assert f"{CHURN_FLOOR:.2%}" in one["expected"]
    assert "此前 3 批次" in one["expected_zh"]


def test_a_share_is_of_the_layer_as_it_was() -> None:
    effect = FeedEffect(200, {"new": 20, "removed": 10})
    assert effect.share() == 0.15
    assert effect.share(ChangeKind.REMOVED) == 0.05


def test_a_feature_is_removed_when_it_was_absent_often_enough() -> None:
    absent = pd.Series(["U1", "U2"], index=[5, 9])
    first = held_absent(absent, {}, 3)
    assert (first.is_removed.tolist(), dict(first.times)) == ([False, False], {"U1": 1, "U2": 1})
    # U2 comes back once: its count starts anew
    second = held_absent(absent[:1], first.times, 3)
    third = held_absent(absent, second.times, 3)
    assert third.is_removed.tolist() == [True, False]
    assert dict(third.times) == {"U2": 1}


def test_by_default_a_feature_is_removed_at_once() -> None:
    absence = held_absent(pd.Series(["U1"]), {}, 1)
    assert absence.is_removed.all()
    assert not absence.times
