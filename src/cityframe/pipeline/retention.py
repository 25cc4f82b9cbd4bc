"""Prune landed bytes, candidates and working files; never releases nor what proves them.

Plans, accounts, summaries of candidates, suites, reports, packages, the framework, the ledger and
observations are never touched. What is to go is written to ``pruning.json`` first, so that a
prune that was killed is completed by the next; the ledger's entry comes last.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City, now, operator
from cityframe.pipeline.decisions import require_approver
from cityframe.pipeline.prunable import (
    Part,
    Prunable,
    bulk,
    due,
    folder_of,
    of_deliveries,
    without_needed,
)
from cityframe.pipeline.turns import turn_of
from cityframe.store.pruned import PruneNote, write_durably, write_note

PRUNED = "pruned"
SUBJECT = "retention"
JOURNAL_FILE = "pruning.json"


@dataclass(frozen=True, slots=True)
class Pruning:
    """One prune: what goes, by whom and why; the same in the journal and the ledger.

    Attributes
    ----------
    pruned_at : str
        ISO 8601 in UTC, to the microsecond: tells one prune from another.
    by_order : bool
        Whether a decision named the deliveries.
    """

    pruned_at: str
    who: str
    why: str
    by_order: bool
    items: tuple[Prunable, ...]

    @property
    def bytes(self) -> int:
        """How many bytes are freed."""
        return sum(one.bytes for one in self.items)


def prune(city: City, *, at: dt.datetime | None = None) -> tuple[Pruning, ...]:
    """Prune what is due, after completing what a killed run began.

    Parameters
    ----------
    city : City
        The city.
    at : datetime, optional
        The moment at which ages are counted; now by default, and never later.

    Returns
    -------
    tuple of Pruning
        What was done: none, one, or two with the completed one first.

    Raises
    ------
    DeclarationError
        If ``at`` is to come: nothing goes before its time.
    SourceUnreachableError
        If another process is at work on a cycle or a pull.
    """
    present = now()
    if at is not None and at > present:
        raise DeclarationError(
            where="prune",
            found=f"{at.isoformat()} is to come",
            expected=f"{present.isoformat(timespec='seconds')} or earlier",
            remedy="leave --at out, or look ahead with --dry-run",
        )
    declared = city.workspace.retention.model_dump(exclude_none=True)
    why = ", ".join(f"{name} {days}" for name, days in declared.items())
    with _all_turns(city):
        completed = _complete(city)
        items = due(city, at or present)
        pruning = Pruning(_text(present), operator(), f"retention: {why}", False, items)
        return (*completed, *_carry_out(city, pruning))


def prune_deliveries(city: City, ids: Sequence[str], *, who: str, why: str) -> Pruning:
    """Prune named deliveries by order of a decision, whatever their age.

    Their bytes don't land again: a pull that brings the same ones is refused.

    Parameters
    ----------
    city : City
        The city.
    ids : sequence of str
        Deliveries; those that were pruned for their age are barred from landing too.
    who, why : str
        An approver, and the reason. Both are kept for ever: a reason holds no personal data.

    Returns
    -------
    Pruning
        What went: also working files and candidates that hold the same data.

    Raises
    ------
    DeclarationError
        If there is no such delivery.
    GateClosedError
        If ``who`` approves no cycle, there is no reason, or an open cycle needs a delivery.
    SourceUnreachableError
        If another process is at work on a cycle or a pull.
    """
    require_approver(city, who, why, what="prune deliveries")
    with _all_turns(city):
        _complete(city)
        pruning = Pruning(_text(now()), who, why, True, of_deliveries(city, ids))
        _carry_out(city, pruning)
    return pruning


def unfinished(city: City) -> Pruning | None:
    """Return the prune that a killed run left to the next one, or None."""
    path = _journal(city)
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    items = tuple(Prunable(**{**one, "part": Part(one["part"])}) for one in data.pop("items"))
    return Pruning(**data, items=items)


def _complete(city: City) -> tuple[Pruning, ...]:
    begun = unfinished(city)
    if begun is None:
        return ()
    noted = city.ledger.last(what=PRUNED, subject=SUBJECT)
    if noted is not None and noted.body["pruned_at"] == begun.pruned_at:
        _journal(city).unlink()
        return ()
    # what landed again since must stay
    return _carry_out(city, replace(begun, items=without_needed(city, begun.items)))


def _carry_out(city: City, pruning: Pruning) -> tuple[Pruning, ...]:
    journal = _journal(city)
    if not pruning.items:
        journal.unlink(missing_ok=True)
        return ()
    body = asdict(pruning)
    write_durably(journal, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    for item in pruning.items:
        _remove(city, pruning, item)
    city.ledger.append(PRUNED, SUBJECT, body, who=pruning.who, at=now())
    journal.unlink()
    return (pruning,)


def _remove(city: City, pruning: Pruning, item: Prunable) -> None:
    note = PruneNote(
        pruned_at=pruning.pruned_at,
        who=pruning.who,
        why=pruning.why,
        by_order=pruning.by_order,
        bytes=item.bytes,
    )
    if item.part is Part.LANDED:
        city.archive.prune(item.delivery, note)
        return
    folder = folder_of(city, item)
    # from the note on, whoever reads here is told that it was pruned
    write_note(folder, note)
    for path in bulk(folder):
        path.unlink()


@contextmanager
def _all_turns(city: City) -> Iterator[None]:
    """Hold the turns of all series and pulls, so that nothing comes to be needed meanwhile."""
    pulls = [f"pull-{name}" for name in city.workspace.sources]
    with ExitStack() as stack:
        for name in sorted([*city.workspace.series, *pulls]):
            stack.enter_context(turn_of(city, name))
        yield


def _journal(city: City) -> Path:
    return city.workspace.store / JOURNAL_FILE


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
