"""Open a cycle: drain the inbox, freeze what it takes in, and know how far each cycle is."""

import datetime as dt
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cityframe.config.cycle import Series
from cityframe.errors import DeclarationError
from cityframe.model.cycle import CycleState
from cityframe.pipeline.city import City, now, operator, replaced_whole
from cityframe.pipeline.turns import turn_of
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
    parent : int
        The release that was current; 0 for none.
    stale_sources : tuple of str
        Sources whose newest delivery is older than their currency promise.
    """

    cycle: str
    series: str
    opened_at: str
    parent: int
    deliveries: tuple[str, ...]
    stale_sources: tuple[str, ...]
    rule_set_digest: str

    def deliveries_of(self, source: str) -> tuple[str, ...]:
        """Return the deliveries of one source."""
        return tuple(one for one in self.deliveries if source_of(one) == source)


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
        if not (city.cycle_folder(last.subject) / PLAN_FILE).exists():
            _write_plan(city, _plan_of(last))
        return last.subject
    landed = inbox(city, series, after=int(last.body["through"]) if last else 0)
    if not landed:
        return None
    current = city.framework.current()
    number = int(last.body["number"]) + 1 if last else 1
    order = {name: place for place, name in enumerate(series.sources)}
    deliveries = [(entry.subject, str(entry.body["delivery"])) for entry in landed]
    plan = Plan(
        cycle=f"{series.name}-{number:04d}",
        series=series.name,
        opened_at=moment.isoformat(timespec="seconds"),
        parent=current.number if current else 0,
        deliveries=tuple(
            delivery for _, delivery in sorted(deliveries, key=lambda one: order[one[0]])
        ),
        stale_sources=stale_sources(city, series, moment),
        rule_set_digest=city.workspace.rule_set_digest(),
    )
    city.ledger.append(
        CycleState.FROZEN,
        plan.cycle,
        {"through": landed[-1].sequence, "number": number, "plan": asdict(plan)},
        who=operator(),
        at=moment,
    )
    _write_plan(city, plan)
    return plan.cycle


def inbox(city: City, series: Series, *, after: int) -> list[Entry]:
    """Return the ledger's entries of deliveries that landed for a series since a sequence."""
    sources = set(series.sources)
    landed = city.ledger.entries(what="landed", after=after)
    return [entry for entry in landed if entry.subject in sources]


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
    """Return the entries that opened the cycles of a series, oldest first."""
    return [
        entry
        for entry in city.ledger.entries(what=CycleState.FROZEN)
        if entry.body["plan"]["series"] == series_name
    ]


def _last_frozen(city: City, series_name: str) -> Entry | None:
    opened = cycles_of(city, series_name)
    return opened[-1] if opened else None


def _plan_of(entry: Entry) -> Plan:
    return _from_dict(dict(entry.body["plan"]))


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
