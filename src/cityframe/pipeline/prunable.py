"""What may be pruned: bytes that no open cycle needs, by age or by name.

::

    part        may go when                                             what stays
    landed      old; taken in by an ended cycle and by no open one;     manifest.json, pruned.json
                waits in no inbox; not the newest of its source
    candidate   its cycle ended long ago                                all JSON, pruned.json
    working     the same, for each delivery of the cycle                all JSON, pruned.json
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from cityframe.errors import GateClosedError
from cityframe.model.cycle import CycleState
from cityframe.pipeline.accounts import delivery_folder
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import ENDED, cycles_of, inbox


class Part(StrEnum):
    """What kind of bytes may be pruned."""

    LANDED = "landed"
    CANDIDATE = "candidate"
    WORKING = "working"


@dataclass(frozen=True, slots=True)
class Prunable:
    """One thing that may go.

    Attributes
    ----------
    cycle : str
        Empty for landed bytes.
    delivery : str
        Empty for a candidate.
    since : str
        What its age counts from: when the delivery landed or the cycle ended, ISO 8601 in UTC.
    bytes : int
        How many are freed.
    """

    part: Part
    cycle: str
    delivery: str
    since: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Cycles:
    """What the ledger says about cycles.

    Attributes
    ----------
    taken : mapping of str to frozenset of str
        By cycle, the deliveries of its plan.
    ended : mapping of str to str
        When each cycle ended that has ended.
    """

    taken: Mapping[str, frozenset[str]]
    ended: Mapping[str, str]


def due(city: City, at: dt.datetime) -> tuple[Prunable, ...]:
    """Return what is old enough to go at a moment, and needed by no open cycle.

    Parameters
    ----------
    city : City
        Its declared ``retention`` counts; what that leaves out is kept for ever.
    at : datetime
        The moment at which ages are counted, with a time zone.

    Returns
    -------
    tuple of Prunable
        Landed bytes, then candidates, then working files; each oldest first.
    """
    retention, cycles = city.workspace.retention, _cycles(city)
    found: list[Prunable] = []
    if retention.landed_days is not None:
        limit = at - dt.timedelta(days=retention.landed_days)
        found += _sorted(_landed_until(city, cycles, limit))
    if retention.candidate_days is not None:
        limit = at - dt.timedelta(days=retention.candidate_days)
        found += _sorted(_candidates(city, cycles, _ended_until(cycles, limit)))
    if retention.working_days is not None:
        limit = at - dt.timedelta(days=retention.working_days)
        found += _sorted(_working_files(city, cycles, _ended_until(cycles, limit)))
    return tuple(found)


def of_deliveries(city: City, ids: Sequence[str]) -> tuple[Prunable, ...]:
    """Return what goes with named deliveries, whatever their age.

    Returns
    -------
    tuple of Prunable
        Their landed bytes, also if they are gone already; and what holds the same data: their
        working files, and the candidates of the cycles that took them in.

    Raises
    ------
    DeclarationError
        If there is no such delivery.
    GateClosedError
        If a cycle that has not ended needs one; with what does.
    """
    cycles, named = _cycles(city), frozenset(ids)
    needs = _needs(city, cycles)
    found: list[Prunable] = []
    for one in sorted(named):
        delivery = city.archive.get(one)
        if one in needs:
            raise GateClosedError(
                where=f"delivery {one}",
                found=f"{needs[one]} needs it",
                remedy="release or return that cycle first",
            )
        found.append(_landed(city, one, delivery.landed_at))
    took = [cycle for cycle in cycles.ended if cycles.taken[cycle] & named]
    found += _sorted(_candidates(city, cycles, took))
    working = _working_files(city, cycles, took)
    found += _sorted(one for one in working if one.delivery in named)
    return tuple(found)


def without_needed(city: City, items: Iterable[Prunable]) -> tuple[Prunable, ...]:
    """Return those that no open cycle needs now."""
    needs = _needs(city, _cycles(city))
    return tuple(one for one in items if one.part is not Part.LANDED or one.delivery not in needs)


def folder_of(city: City, item: Prunable) -> Path:
    """Return the folder in a cycle that holds a candidate or working files."""
    if item.part is Part.CANDIDATE:
        return city.cycle_folder(item.cycle) / "candidate"
    return delivery_folder(city, item.cycle, item.delivery)


def bulk(folder: Path) -> list[Path]:
    """Return the files of such a folder that may go: tables, not summaries and evidence."""
    return sorted(folder.glob("*.parquet"))


def _cycles(city: City) -> _Cycles:
    frozen = {one.subject: one for one in city.ledger.entries(what=CycleState.FROZEN)}
    endings = {cycle: _ended_at(city, cycle) for cycle in frozen}
    return _Cycles(
        taken={name: frozenset(one.body["plan"]["deliveries"]) for name, one in frozen.items()},
        ended={name: at for name, at in endings.items() if at is not None},
    )


def _ended_at(city: City, cycle: str) -> str | None:
    states = set(CycleState)
    said = [entry for entry in city.ledger.entries(subject=cycle) if entry.what in states]
    return said[-1].at if said[-1].what in ENDED else None


def _needs(city: City, cycles: _Cycles) -> dict[str, str]:
    """Return the deliveries that a cycle still needs, and which."""
    needs: dict[str, str] = {}
    for name, series in city.workspace.series.items():
        opened = cycles_of(city, name)
        through = opened[-1].body["through"] if opened else {}
        for entry in inbox(city, series, through):
            needs[str(entry.body["delivery"])] = f"the next cycle of {name}"
    for cycle in cycles.taken.keys() - cycles.ended.keys():
        needs |= dict.fromkeys(cycles.taken[cycle], f"cycle {cycle}")
    return needs


def _landed_until(city: City, cycles: _Cycles, limit: dt.datetime) -> Iterator[Prunable]:
    entries = list(city.ledger.entries(what="landed"))
    newest = {entry.subject: entry.body["delivery"] for entry in entries}
    landed_at = {str(entry.body["delivery"]): entry.at for entry in entries}
    done = frozenset[str]().union(*(cycles.taken[cycle] for cycle in cycles.ended))
    prunable = done - {*newest.values(), *_needs(city, cycles)}
    for delivery, at in landed_at.items():
        is_old = dt.datetime.fromisoformat(at) <= limit
        if is_old and delivery in prunable and not city.archive.is_pruned(delivery):
            yield _landed(city, delivery, at)


def _landed(city: City, delivery: str, since: str) -> Prunable:
    is_gone = city.archive.is_pruned(delivery)
    size = 0 if is_gone else sum(file.size for file in city.archive.get(delivery).files)
    return Prunable(Part.LANDED, cycle="", delivery=delivery, since=since, bytes=size)


def _ended_until(cycles: _Cycles, limit: dt.datetime) -> list[str]:
    return [name for name, at in cycles.ended.items() if dt.datetime.fromisoformat(at) <= limit]


def _candidates(city: City, cycles: _Cycles, names: Iterable[str]) -> Iterator[Prunable]:
    for name in names:
        yield from _tables(city, Prunable(Part.CANDIDATE, name, "", cycles.ended[name], 0))


def _working_files(city: City, cycles: _Cycles, names: Iterable[str]) -> Iterator[Prunable]:
    for name in names:
        for delivery in cycles.taken[name]:
            item = Prunable(Part.WORKING, name, delivery, cycles.ended[name], 0)
            yield from _tables(city, item)


def _tables(city: City, item: Prunable) -> Iterator[Prunable]:
    """Yield the item with its size, if there is anything of it."""
    files = bulk(folder_of(city, item))
    if files:
        yield replace(item, bytes=sum(path.stat().st_size for path in files))


def _sorted(items: Iterable[Prunable]) -> list[Prunable]:
    return sorted(items, key=lambda one: (one.since, one.cycle, one.delivery))
