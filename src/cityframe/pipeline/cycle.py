"""The steps of a cycle in their order; Airflow and the command line call these."""

from dataclasses import dataclass

from cityframe.model.cycle import CycleState
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.answering import take_in_again
from cityframe.pipeline.city import City, now, operator
from cityframe.pipeline.decisions import decision
from cityframe.pipeline.intake import take_in
from cityframe.pipeline.plan import cycle_state, open_cycle, read_plan
from cityframe.pipeline.publishing import publish
from cityframe.pipeline.questions import kept_questions
from cityframe.pipeline.releasing import note_missing_releases, release
from cityframe.pipeline.review import approve, is_as_reviewed, put_in_review
from cityframe.pipeline.staging import candidate_of, check_candidate, stage
from cityframe.pipeline.turns import turn_of

__all__ = [
    "CycleOutcome",
    "approve",
    "check_candidate",
    "close_without_changes",
    "decision",
    "open_cycle",
    "publish",
    "put_in_review",
    "release",
    "run_cycle",
    "stage",
    "take_in",
]


@dataclass(frozen=True, slots=True)
class CycleOutcome:
    """What running a cycle came to.

    Attributes
    ----------
    cycle : str or None
        None when nothing landed.
    release : int or None
        The release that came of it.
    reason : str
        Why there is no release; empty when there is one.
    quarantined : tuple of str
        Why deliveries were set aside.
    """

    cycle: str | None
    state: str
    release: int | None
    candidate_digest: str
    reason: str
    quarantined: tuple[str, ...]


def run_cycle(
    city: City, series_name: str, *, approver: str = "", reason: str = ""
) -> CycleOutcome:
    """Run all steps of a series' cycle; stop at review unless an approver is named.

    Parameters
    ----------
    city : City
        The city.
    series_name : str
        The series.
    approver, reason : str, optional
        Approve the candidate in this name, for this reason.

    Raises
    ------
    GateClosedError
        If the gate is closed or the cycle was returned.
    """
    with turn_of(city, series_name):
        return _run_cycle(city, series_name, approver, reason)


def _run_cycle(city: City, series_name: str, approver: str, reason: str) -> CycleOutcome:
    note_missing_releases(city)
    cycle = open_cycle(city, series_name)
    if cycle is None:
        current = city.framework.current()
        known = f"release {current.number} stays" if current else "there is no release yet"
        return CycleOutcome(
            cycle=None,
            state="",
            release=None,
            candidate_digest="",
            reason=f"nothing landed since the last cycle of {series_name}; {known}",
            quarantined=(),
        )
    state = cycle_state(city, cycle)
    if state is CycleState.FROZEN:
        take_in_again(city, cycle)
        for source in city.workspace.cycle_series(series_name).sources:
            take_in(city, cycle, source)
        stage(city, cycle)
        check_candidate(city, cycle)
        put_in_review(city, cycle)
    elif state is CycleState.IN_REVIEW and not is_as_reviewed(city, cycle):
        # a waiver or answer was given, and its command was killed before the new report was there
        take_in_again(city, cycle)
        check_candidate(city, cycle)
        put_in_review(city, cycle)
        return _outcome(city, cycle, "it was put in review again: look at the new report")
    if not candidate_of(city, cycle).has_changes:
        return _outcome(city, cycle, close_without_changes(city, cycle))
    if decision(city, cycle) is None:
        if not approver:
            return _outcome(city, cycle, "it waits for a decision")
        approve(city, cycle, who=approver, why=reason)
    release(city, cycle)
    publish(city, cycle)
    return _outcome(city, cycle, "")


def close_without_changes(city: City, cycle: str) -> str:
    """End a cycle whose candidate changes nothing, and return why.

    A cycle whose deliveries were quarantined says so; they wait in the archive.
    """
    quarantined = [one for one in accounts(city, cycle) if one.quarantine_reasons]
    deliveries = ", ".join(read_plan(city, cycle).deliveries)
    if quarantined:
        why = f"no change is left: quarantined {', '.join(one.delivery for one in quarantined)}"
    elif asked := sum(
        frame["question"].nunique() for frame in kept_questions(city, cycle).values()
    ):
        why = f"no change is left: {asked} questions are open; answer them, and deliver again"
    else:
        why = f"no change: {deliveries} say what the framework already says"
    if cycle_state(city, cycle) is not CycleState.ABANDONED:
        city.ledger.append(CycleState.ABANDONED, cycle, {"why": why}, who=operator(), at=now())
    return why


def _outcome(city: City, cycle: str, reason: str) -> CycleOutcome:
    made = city.framework.released_by(cycle)
    return CycleOutcome(
        cycle=cycle,
        state=cycle_state(city, cycle).value,
        release=made.number if made else None,
        candidate_digest=candidate_of(city, cycle).digest,
        reason=reason,
        quarantined=tuple(
            why for account in accounts(city, cycle) for why in account.quarantine_reasons
        ),
    )
