"""Where a feature came from, what became of it, and where a retired uid leads today."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import sqlalchemy as sa

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.store.framework import Framework
from cityframe.store.history_query import as_schema
from cityframe.store.layer_plan import microseconds
from cityframe.store.state_spans import state_spans
from cityframe.store.tables import LINEAGE, history_table

REMOVED = "removed"
_UIDS_A_QUERY = 10_000
_PERIOD = ("uid", "release_from", "release_to", "valid_from", "valid_to")


class Status(StrEnum):
    """What a uid is today.

    =============  =================================================================
    current        in the newest release's state
    succeeded      ended; other features have taken its place
    removed        ended without a successor
    not-in-effect  known, but no release's state ever had it: it is dated in the
                   future, or was withdrawn before its time came
    =============  =================================================================
    """

    CURRENT = "current"
    SUCCEEDED = "succeeded"
    REMOVED = "removed"
    NOT_IN_EFFECT = "not-in-effect"


@dataclass(frozen=True, slots=True)
class Event:
    """One row of lineage: in a release, a parent ended or gave a share of itself to a child."""

    release: int
    layer: str
    event: str
    parent: str
    child: str | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where a uid leads.

    Attributes
    ----------
    successors : tuple of str
        Uids in the newest state, sorted: the uid itself if it is current; none for a tombstone.
    ended : tuple of Event
        What ended it, and what ended those that took its place; oldest first.
    """

    layer: str
    uid: str
    status: Status
    successors: tuple[str, ...]
    ended: tuple[Event, ...]


def resolve(framework: Framework, uid: str) -> Resolution:
    """Return where a uid leads today.

    A feature that came back after its end (a roll-back) is judged by its last life only.

    Parameters
    ----------
    framework : Framework
        The store.
    uid : str
        Of any feature that a layer has or had.

    Raises
    ------
    DeclarationError
        If no layer ever had it.
    IntegrityError
        If it ended, and no event says what became of it.
    """
    layer = layer_of(framework, uid)
    ended: dict[Event, None] = {}
    successors: set[str] = set()
    waiting, seen, status = [uid], {uid}, Status.REMOVED
    while waiting:
        one = waiting.pop()
        entered, is_current = _last_life(framework, layer, one)
        if is_current:
            successors.add(one)
            continue
        if entered is None:
            status = Status.NOT_IN_EFFECT if one == uid else status
            continue
        events = [event for event in _events(framework, layer, [one]) if event.release >= entered]
        if not events:
            raise IntegrityError(
                where=f"layer {layer.name} uid {one}",
                found="a feature that ended, and no event says what became of it",
                expected="its successors or a tombstone",
                remedy="run `cityframe fsck`",
            )
        ended.update(dict.fromkeys(events))
        children = {event.child for event in events if event.child is not None}
        waiting += sorted(children - seen)
        seen |= children
    if uid in successors:
        status = Status.CURRENT
    elif successors:
        status = Status.SUCCEEDED
    return Resolution(
        layer=layer.name,
        uid=uid,
        status=status,
        successors=tuple(sorted(successors)),
        ended=tuple(sorted(ended, key=lambda event: (event.release, event.parent))),
    )


def ancestors(framework: Framework, uid: str) -> tuple[Event, ...]:
    """Return the events that lead to a feature, those of its parents' parents too; oldest first.

    Raises
    ------
    DeclarationError
        If no layer ever had it.
    """
    return _walk(framework, uid, backwards=True)


def descendants(framework: Framework, uid: str) -> tuple[Event, ...]:
    """Return the events that a feature and those after it were parents in; oldest first.

    Raises
    ------
    DeclarationError
        If no layer ever had it.
    """
    return _walk(framework, uid, backwards=False)


def heirs(
    framework: Framework,
    layer: str,
    uids: Iterable[str],
    removed: Iterable[str],
    events: Iterable[Mapping[str, Any]],
) -> dict[str, tuple[str | None, str | None]]:
    """Return the one feature that takes the place of each that ends, and the event that says so.

    Parameters
    ----------
    framework : Framework
        The store, before the release in which they end.
    layer : str
        Their layer.
    uids : iterable of str
        The features asked for.
    removed : iterable of str
        All features of the layer that end in the release.
    events : iterable of mapping
        The release's lineage; events told ahead are in the store.

    Returns
    -------
    dict
        By uid ``(heir, event)``; None and None where nobody or more than one feature is.
    """
    gone = set(removed)
    children: dict[str, dict[str, str]] = defaultdict(dict)
    for one in events:
        if one["layer"] == layer and one["child"] is not None:
            children[one["parent"]][one["child"]] = one["event"]
    contract = framework.contract(layer)
    for event in _events(framework, contract, sorted(gone)):
        entered, _ = _last_life(framework, contract, event.parent)
        if event.child is not None and entered is not None and event.release >= entered:
            children[event.parent][event.child] = event.event
    return {uid: _heir(uid, children, gone) for uid in uids}


def _heir(
    uid: str, children: Mapping[str, Mapping[str, str]], gone: Collection[str]
) -> tuple[str | None, str | None]:
    seen: set[str] = set()
    one, first = uid, None
    while one in gone and one not in seen:
        seen.add(one)
        following = children.get(one, {})
        if len(following) != 1:
            return None, None
        ((one, event),) = following.items()
        first = first or event
    return (None, None) if one in gone else (one, first)


def layer_of(framework: Framework, uid: str) -> Layer:
    """Return the layer that has or had a uid, or raise `DeclarationError`."""
    for layer in framework.contracts().values():
        column = history_table(layer).c.uid
        with framework.home.engine.connect() as connection:
            if connection.execute(sa.select(column).where(column == uid).limit(1)).first():
                return layer
    raise DeclarationError(
        where=framework.label,
        found=f"no feature {uid!r}",
        remedy="see `cityframe diff A B --features` for uids",
    )


def _walk(framework: Framework, uid: str, *, backwards: bool) -> tuple[Event, ...]:
    layer = layer_of(framework, uid)
    found: dict[Event, None] = {}
    level, seen = [uid], {uid}
    while level:
        events = _events(framework, layer, level, backwards=backwards)
        found.update(dict.fromkeys(events))
        ends = {event.parent if backwards else event.child for event in events} - {None}
        level = sorted(str(end) for end in ends - seen)
        seen |= set(level)
    return tuple(sorted(found, key=lambda event: (event.release, event.parent, event.child or "")))


def _events(
    framework: Framework, layer: Layer, uids: Iterable[str], *, backwards: bool = False
) -> list[Event]:
    column = LINEAGE.c.child if backwards else LINEAGE.c.parent
    names = ("release", "layer", "event", "parent", "child", "share")
    ordered, found = list(uids), []
    with framework.home.engine.connect() as connection:
        for start in range(0, len(ordered), _UIDS_A_QUERY):
            query = (
                sa.select(*(LINEAGE.c[name] for name in names))
                .where(LINEAGE.c.layer == layer.name)
                .where(column.in_(ordered[start : start + _UIDS_A_QUERY]))
                .order_by(LINEAGE.c.id)
            )
            found += [Event(**row) for row in connection.execute(query).mappings()]
    return found


def _last_life(framework: Framework, layer: Layer, uid: str) -> tuple[int | None, bool]:
    """Return the release in which a feature entered the state last, and whether it is there yet."""
    batches = framework.history_rows(layer, _PERIOD, history_table(layer).c.uid == uid)
    rows = as_schema(batches, _PERIOD, layer)
    releases = framework.releases()
    times: Any = np.array([one.valid_at.removesuffix("Z") for one in releases], dtype="M8[us]")
    # null is "for ever" in whole numbers as in moments
    known_from, known_to, valid_from, valid_to = (
        microseconds(rows.column(name)) for name in _PERIOD[1:]
    )
    spans = state_spans(known_from, known_to, valid_from, valid_to, times.astype(np.int64))
    if not len(spans.row):
        return None, False
    # one row after another: a life goes on while the next span begins where the last one ends
    order = np.argsort(spans.enter)
    enter, leave = spans.enter[order], spans.leave[order]
    begins = np.flatnonzero(np.concatenate([[True], enter[1:] != leave[:-1]]))
    return int(enter[begins[-1]]), bool(leave[-1] == len(releases) + 1)
