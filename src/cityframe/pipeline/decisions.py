"""Decisions over candidates, read from the ledger."""

from collections.abc import Iterator
from dataclasses import asdict

from cityframe.errors import GateClosedError
from cityframe.model.cycle import CycleState
from cityframe.model.report import Decision
from cityframe.pipeline.city import City
from cityframe.pipeline.staging import candidate_of


def decision(city: City, cycle: str) -> Decision | None:
    """Return the approval over exactly the present candidate, or None while it is awaited.

    Raises
    ------
    GateClosedError
        If the cycle was returned.
    """
    digest = candidate_of(city, cycle).digest
    found = None
    for one in decisions(city, cycle):
        if one.what == CycleState.RETURNED:
            raise GateClosedError(
                where=f"cycle {cycle}",
                found=f"returned by {one.who}: {one.why}",
                remedy="mend the sources; what they deliver next opens the next cycle",
            )
        if one.candidate_digest == digest:
            found = one
    return found


def decisions(city: City, cycle: str) -> Iterator[Decision]:
    """Yield the decisions over a cycle, oldest first."""
    for entry in city.ledger.entries(subject=cycle):
        if entry.what in (CycleState.APPROVED, CycleState.RETURNED):
            yield Decision(
                who=entry.who,
                when=entry.at,
                what=entry.what,
                why=str(entry.body["why"]),
                candidate_digest=str(entry.body["candidate_digest"]),
            )


def as_evidence(taken: Decision) -> dict[str, str]:
    """Return a decision as it stands in a release's evidence."""
    return {name: str(value) for name, value in asdict(taken).items()}


def require_approver(
    city: City, who: str, why: str, *, what: str, option: str = "--reason"
) -> None:
    """Refuse a decision without a reason, or by nobody who approves cycles.

    Raises
    ------
    GateClosedError
        With the names of those who may.
    """
    approvers = sorted({name for one in city.workspace.series.values() for name in one.approvers})
    if who not in approvers:
        raise GateClosedError(
            where=what,
            found=f"{who!r}, who approves no cycle",
            expected=f"one of {', '.join(approvers) or 'nobody: no series is declared'}",
            remedy="ask one of them, and name them with --by",
        )
    if not why.strip():
        raise GateClosedError(where=what, found="no reason", remedy=f"say why with {option} TEXT")
