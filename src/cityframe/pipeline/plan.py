"""Open a cycle: drain the inbox, freeze what it takes in, and know how far each cycle is."""

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cityframe.config.cycle import Series
from cityframe.errors import DeclarationError
from cityframe.model.cycle import CycleState
from cityframe.model.release import ReleaseKind
from cityframe.pipeline.city import City, now, operator, replaced_whole
from cityframe.pipeline.turns import turn_of
from cityframe.store import contract
from cityframe.store.ledger import Entry

PLAN_FILE = "plan.json"
ENDED = frozenset({CycleState.PUBLISHED, CycleState.RETURNED, CycleState.ABANDONED})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle was frozen over; written once, when it is opened.

    Attributes
    ----------
    deliveries : tuple of str
        Delivery ids in the order in which they are taken in.
    observed : mapping of str to str
        When each delivery's content was so in the world, ISO 8601 in UTC, as its last pull said.
    parent : int
        The release that was current; 0 for none.
    stale_sources : tuple of str
        Sources whose newest delivery is older than their currency promise.
    bases : mapping of str to int
        The release that a delivery was worked from, where its last pull said so.
    """

    cycle: str
    series: str
    opened_at: str
    parent: int
    deliveries: tuple[str, ...]
    observed: Mapping[str, str]
    stale_sources: tuple[str, ...]
    rule_set_digest: str
    bases: Mapping[str, int] = field(default_factory=dict)

    def deliveries_of(self, source: str) -> tuple[str, ...]:
        """Return the deliveries of one source."""
        return tuple(one for one in self.deliveries if source_of(one) == source)


def reference_time(city: City, plan: Plan) -> dt.datetime:
    """Return the moment that the cycle's state stands for.

    It is the cut-off, or the newest observation taken in if that is later; never before the
    reference time of the newest release.
    """
    current = city.framework.current()
    moments = [plan.opened_at, *plan.observed.values(), *([current.valid_at] if current else [])]
    newest = max(dt.datetime.fromisoformat(one).astimezone(dt.UTC) for one in moments)
    whole = newest.replace(microsecond=0)
    return whole if whole == newest else whole + dt.timedelta(seconds=1)


def source_of(delivery: str) -> str:
    """Return the name of the source in a delivery's id."""
    return delivery.rpartition(".")[0]


def open_cycle(city: City, series_name: str, *, at: dt.datetime | None = None) -> str | None:
    """Open the next cycle of a series, or resume the one that has not ended.

    Parameters
    ----------
    city : City
        The city.
    series_name : str
        A series declared in ``cycles/``.
    at : datetime, optional
        The cut-off; now by default. What lands later goes to the next cycle.

    Returns
    -------
    str or None
        The cycle's id; None when nothing landed since the last cycle of the series.

    Raises
    ------
    DeclarationError
        If there is no such series.
    """
    series = city.workspace.cycle_series(series_name)
    with turn_of(city, series_name):
        return _open_or_resume(city, series, at or now())


def _open_or_resume(city: City, series: Series, moment: dt.datetime) -> str | None:
    last = _last_frozen(city, series.name)
    if last is not None and cycle_state(city, last.subject) not in ENDED:
        _resume(city, last, moment)
        return last.subject
    through = dict(last.body["through"]) if last else {}
    landed = inbox(city, series, through)
    if not landed:
        return None
    _check_contracts(city)
    current = city.framework.current()
    number = int(last.body["number"]) + 1 if last else 1
    order = {name: place for place, name in enumerate(series.sources)}
    # content that came twice counts where it came last
    newest = {str(entry.body["delivery"]): entry for entry in landed}
    taken = sorted(newest.values(), key=lambda entry: (order[entry.subject], entry.sequence))
    plan = Plan(
        cycle=f"{series.name}-{number:04d}",
        series=series.name,
        opened_at=moment.isoformat(timespec="seconds"),
        parent=current.number if current else 0,
        deliveries=tuple(str(entry.body["delivery"]) for entry in taken),
        observed={str(entry.body["delivery"]): str(entry.body["observed_at"]) for entry in taken},
        stale_sources=stale_sources(city, series, moment),
        rule_set_digest=city.workspace.rule_set_digest(),
        bases={
            str(entry.body["delivery"]): int(entry.body["base"])
            for entry in taken
            if entry.body.get("base") is not None
        },
    )
    through |= {entry.subject: entry.sequence for entry in landed}
    _freeze(city, plan, {"through": through, "number": number}, moment)
    return plan.cycle


def _resume(city: City, last: Entry, moment: dt.datetime) -> None:
    plan = _from_dict(dict(last.body["plan"]))
    current = city.framework.current()
    newest = current.number if current else 0
    is_released = city.framework.released_by(plan.cycle) is not None
    is_approved = cycle_state(city, plan.cycle) is CycleState.APPROVED
    is_overtaken = plan.parent != newest and not (is_approved and can_move(city, plan))
    # a candidate from before the store was migrated: its digests are those of that time
    is_outdated = (city.cycle_folder(plan.cycle) / "candidate" / "candidate.gpkg").exists()
    if (is_overtaken or is_outdated) and not is_released:
        # what was made over the old release does not count
        shutil.rmtree(city.cycle_folder(plan.cycle), ignore_errors=True)
        _freeze(city, replace(plan, parent=newest), last.body, moment)
    elif not (city.cycle_folder(plan.cycle) / PLAN_FILE).exists():
        _write_plan(city, plan)


def can_move(city: City, plan: Plan) -> bool:
    """Return whether an approved cycle may be committed over the releases made since it froze.

    Over those of other cycles it may, if the commit finds no feature in common; a roll-back or
    redaction in between takes back what the cycle was compared with.
    """
    since = (one for one in city.framework.releases() if one.number > plan.parent)
    return all(one.kind is ReleaseKind.CYCLE for one in since)


def _freeze(city: City, plan: Plan, body: Mapping[str, Any], moment: dt.datetime) -> None:
    frozen = {"through": body["through"], "number": body["number"], "plan": asdict(plan)}
    city.ledger.append(CycleState.FROZEN, plan.cycle, frozen, who=operator(), at=moment)
    _write_plan(city, plan)


def _check_contracts(city: City) -> None:
    stored = city.framework.contracts()
    for name, layer in city.workspace.layers.items():
        if name in stored:
            contract.added_attributes(stored[name], layer)


def inbox(city: City, series: Series, through: Mapping[str, int]) -> list[Entry]:
    """Return the entries of deliveries that landed since the last cycle, by source."""
    sources = set(series.sources)
    return [
        entry
        for entry in city.ledger.entries(what="landed")
        if entry.subject in sources and entry.sequence > through.get(entry.subject, 0)
    ]


def stale_sources(city: City, series: Series, moment: dt.datetime) -> tuple[str, ...]:
    """Return the sources of a series whose newest content is older than they promise."""
    stale = []
    for name in series.sources:
        promise = city.workspace.source(name).currency_days
        if promise is None:
            continue
        newest = city.ledger.last(what="landed", subject=name)
        observed = newest and dt.datetime.fromisoformat(str(newest.body["observed_at"]))
        if not observed or moment - observed > dt.timedelta(days=promise):
            stale.append(name)
    return tuple(stale)


def read_plan(city: City, cycle: str) -> Plan:
    """Return the plan of a cycle.

    Raises
    ------
    DeclarationError
        If there is no such cycle.
    """
    path = city.cycle_folder(cycle) / PLAN_FILE
    if not path.exists():
        raise DeclarationError(
            where=str(path),
            found=f"no cycle {cycle!r}",
            remedy="see `cityframe cycle status` for the cycles there are",
        )
    return _plan(path)


def cycle_state(city: City, cycle: str) -> CycleState:
    """Return how far a cycle is, from the ledger."""
    states = set(CycleState)
    found = CycleState.PLANNED
    for entry in city.ledger.entries(subject=cycle):
        if entry.what in states:
            found = CycleState(entry.what)
    return found


def open_cycle_of(city: City, series_name: str) -> str | None:
    """Return the cycle of a series that has not ended, or None."""
    last = _last_frozen(city, series_name)
    if last is None or cycle_state(city, last.subject) in ENDED:
        return None
    return last.subject


def cycles_of(city: City, series_name: str) -> list[Entry]:
    """Return the entries that froze the cycles of a series, oldest first; one a cycle."""
    frozen = {
        entry.subject: entry
        for entry in city.ledger.entries(what=CycleState.FROZEN)
        if entry.body["plan"]["series"] == series_name
    }
    return list(frozen.values())


def _last_frozen(city: City, series_name: str) -> Entry | None:
    opened = cycles_of(city, series_name)
    return opened[-1] if opened else None


def _plan(path: Path) -> Plan:
    return _from_dict(json.loads(path.read_text(encoding="utf-8")))


def _from_dict(data: dict[str, object]) -> Plan:
    for name in ("deliveries", "stale_sources"):
        data[name] = tuple(data[name])  # type: ignore[arg-type]
    return Plan(**data)  # type: ignore[arg-type]


def _write_plan(city: City, plan: Plan) -> None:
    with replaced_whole(city.cycle_folder(plan.cycle) / PLAN_FILE) as temporary:
        temporary.write_text(
            json.dumps(asdict(plan), ensure_ascii=False, indent=1), encoding="utf-8"
        )


def newest_cycles(city: City) -> tuple[str, ...]:
    """Return the newest cycle of each series, the one that was frozen last first."""
    newest = [entry for name in city.workspace.series for entry in cycles_of(city, name)[-1:]]
    newest = [one for one in newest if (city.cycle_folder(one.subject) / PLAN_FILE).exists()]
    return tuple(one.subject for one in sorted(newest, key=lambda one: -one.sequence))
