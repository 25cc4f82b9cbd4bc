"""Laws that hold for any two states of a layer."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.model.delivery import DeliveryKind
from cityframe.reconcile import CurrentLayer, FrameLayer, compose, net_changes

Row = dict[str, Any]

# places 0.25 m apart: the tolerance of 0.42 m takes in the next one only; and one far away
places = st.sampled_from([*(0.25 * n for n in range(12)), 40.0, 7000.0])


@st.composite
def rows(draw: st.DrawFn, codes: str = "abcdefg") -> list[Row]:
    """Return records with different keys, in any order."""
    keys = draw(st.permutations(codes))[: draw(st.integers(0, len(codes)))]
    return [
        {
            "code": key,
            "floors": draw(st.sampled_from([1, 2, None])),
            "at": draw(st.one_of(st.none(), places.map(lambda x: f"POINT ({x} 0)"))),
        }
        for key in keys
    ]


def stored(desk: Any, features: Sequence[Row]) -> FrameLayer:
    return desk.current(*[{**row, "uid": f"U{n}"} for n, row in enumerate(features)])


def content(layer: CurrentLayer) -> list[tuple[str, bytes]]:
    index = layer.index()
    return sorted(zip(index["uid"], index["digest"], strict=True))


examples = settings(max_examples=12, deadline=None)


@examples
@given(before=rows(), after=rows())
def test_the_same_delivery_twice_changes_nothing(
    points: Any, before: list[Row], after: list[Row]
) -> None:
    current, delivery = stored(points, before), points.incoming(*after)
    first = points.reconcile(current, delivery)
    again = points.reconcile(compose(current, first.changes), delivery)
    assert len(again.changes) == 0
    assert set(again.fates["fate"]) <= {"unchanged", "waiting"}


@examples
@given(before=rows(), after=rows())
def test_the_same_delivery_twice_changes_nothing_without_keys(
    keyless: Any, before: list[Row], after: list[Row]
) -> None:
    current, delivery = stored(keyless, before), keyless.incoming(*after)
    first = keyless.reconcile(current, delivery)
    again = keyless.reconcile(compose(current, first.changes), delivery)
    assert len(again.changes) == 0


@examples
@given(before=rows(), after=rows())
def test_the_same_step_twice_gives_the_same(
    points: Any, before: list[Row], after: list[Row]
) -> None:
    first, again = (
        points.reconcile(stored(points, before), points.incoming(*after)) for _ in range(2)
    )
    assert first.changes.to_wkb().equals(again.changes.to_wkb())
    assert first.fates.equals(again.fates)
    assert first.findings.to_wkb().equals(again.findings.to_wkb())


@examples
@given(before=rows(), after=rows())
def test_exchanging_the_sides_exchanges_new_and_removed(
    points: Any, before: list[Row], after: list[Row]
) -> None:
    forth = points.reconcile(stored(points, before), points.incoming(*after)).changes
    back = points.reconcile(stored(points, after), points.incoming(*before)).changes
    mirror = {"new": "removed", "removed": "new"}
    kinds = dict(zip(forth["code"], forth["change"], strict=True))
    mirrored = {
        code: mirror.get(kind, kind)
        for code, kind in zip(back["code"], back["change"], strict=True)
    }
    assert kinds == mirrored


@examples
@given(before=rows(), after=rows(), repeated=rows(), without_keys=st.booleans())
def test_each_record_has_one_fate(
    points: Any,
    keyless: Any,
    before: list[Row],
    after: list[Row],
    repeated: list[Row],
    without_keys: bool,
) -> None:
    desk = keyless if without_keys else points
    result = desk.reconcile(stored(desk, before), desk.incoming(*after, *repeated))
    assert result.fates["record"].tolist() == list(range(len(after) + len(repeated)))
    published = result.fates[result.fates["fate"] == "published"]
    changed = result.changes[result.changes["record"].notna()]
    assert sorted(published["record"]) == sorted(changed["record"])
    assert set(published["uid"]) == set(changed["uid"])


@examples
@given(before=rows(), after=rows(), without_keys=st.booleans())
def test_uids_are_never_used_twice(
    points: Any, keyless: Any, before: list[Row], after: list[Row], without_keys: bool
) -> None:
    desk = keyless if without_keys else points
    current = stored(desk, before)
    changes = desk.reconcile(current, desk.incoming(*after)).changes
    assert changes["uid"].is_unique
    is_new = changes["change"] == "new"
    known = set(current.index()["uid"])
    assert not known & set(changes.loc[is_new, "uid"])
    assert set(changes.loc[~is_new, "uid"]) <= known


@examples
@given(before=rows(), after=rows())
def test_a_full_delivery_leaves_what_it_says_but_for_tolerance_and_questions(
    points: Any, before: list[Row], after: list[Row]
) -> None:
    current = stored(points, before)
    result = points.reconcile(current, points.incoming(*after))
    state = compose(current, result.changes).all_rows().set_index("code")
    asked = set(result.fates.loc[result.fates["fate"] == "waiting", "source_key"])
    assert set(state.index) == {row["code"] for row in after}
    for row in after:
        if row["code"] in asked:
            continue
        here = state.loc[row["code"]]
        assert here["floors"] == row["floors"] or (row["floors"] is None)
        x = None if row["at"] is None else float(row["at"][7:-3])
        assert (here["geometry"] is None) == (x is None)
        assert x is None or abs(here["geometry"].x - x) <= 0.4243


@examples
@given(before=rows(), after=rows(), data=st.data())
def test_the_order_of_records_does_not_matter(
    points: Any, before: list[Row], after: list[Row], data: st.DataObject
) -> None:
    current = stored(points, before)
    shuffled = data.draw(st.permutations(after))
    states = [
        content(compose(current, points.reconcile(current, points.incoming(*records)).changes))
        for records in (after, shuffled)
    ]
    assert states[0] == states[1]


@examples
@given(before=rows(), first=rows("abcd"), second=rows("efgh"))
def test_the_order_of_independent_sources_does_not_matter(
    points: Any, before: list[Row], first: list[Row], second: list[Row]
) -> None:
    states = []
    for order in (("d1", first), ("d2", second)), (("d2", second), ("d1", first)):
        state: CurrentLayer = stored(points, before)
        for name, records in order:
            survey = points.incoming(*records)
            result = points.reconcile(state, survey, DeliveryKind.PARTIAL, delivery=name)
            state = compose(state, result.changes)
        states.append(content(state))
    assert states[0] == states[1]


@examples
@given(before=rows(), surveys=st.lists(rows(), max_size=4))
def test_net_changes_applied_once_do_what_the_parts_do_in_turn(
    points: Any, before: list[Row], surveys: list[list[Row]]
) -> None:
    start = stored(points, before)
    state: CurrentLayer = start
    parts = []
    for number, records in enumerate(surveys):
        result = points.reconcile(state, points.incoming(*records), delivery=f"s.{number}")
        parts.append(result.changes)
        state = compose(state, result.changes)
    net = net_changes(start, parts)
    assert content(compose(start, net)) == content(state)
    assert net["uid"].is_unique
    before_net = set(start.index()["uid"])
    assert set(net.loc[net["change"] == "new", "uid"]).isdisjoint(before_net)
    assert set(net.loc[net["change"] != "new", "uid"]) <= before_net
