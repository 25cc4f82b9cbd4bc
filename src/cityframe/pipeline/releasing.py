"""Release an approved candidate, and roll back."""

import datetime as dt

from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.model.cycle import CycleState
from cityframe.model.release import Release, ReleaseKind
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.city import City, now, operator
from cityframe.pipeline.decisions import as_evidence, decision, decisions, require_approver
from cityframe.pipeline.plan import can_move, read_plan
from cityframe.pipeline.questions import answers_of_cycle
from cityframe.pipeline.questions import as_body as answer_body
from cityframe.pipeline.recalling import recalls
from cityframe.pipeline.reporting import report_folder
from cityframe.pipeline.review import report_digest
from cityframe.pipeline.staging import candidate_of, check_results
from cityframe.pipeline.turns import in_turn
from cityframe.pipeline.waiver_standing import waivers_in_effect
from cityframe.pipeline.waivers import as_body
from cityframe.store.candidate import write_restoring_candidate
from cityframe.store.commit import commit


@in_turn
def release(city: City, cycle: str) -> int:
    """Make a cycle's approved candidate the next release.

    Returns
    -------
    int
        Its number; the same one if the cycle was released before.

    Raises
    ------
    GateClosedError
        If no decision approves exactly this candidate, or another release came in between.
    IntegrityError
        If the candidate is not what was approved.
    """
    plan = read_plan(city, cycle)
    candidate = candidate_of(city, cycle)
    if decision(city, cycle) is None:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"no decision over candidate {candidate.digest[:16]}",
            expected="an approval in the ledger over exactly this candidate",
            remedy=f"review the report and run `cityframe cycle approve {plan.series} "
            "--by NAME --reason TEXT`",
        )
    if city.framework.released_by(cycle) is None and not can_move(city, plan):
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"release {plan.parent}, over which it was approved, was taken back since",
            expected="releases of cycles only",
            remedy="run the cycle again: it starts over from the newest release",
        )
    approved = city.ledger.last(what=CycleState.APPROVED, subject=cycle)
    if approved is None or approved.body["report_digest"] != report_digest(city, cycle):
        raise IntegrityError(
            where=str(report_folder(city, cycle)),
            found="a report other than the one that the decision was taken over",
            expected="the report as it was approved",
            remedy="return the cycle, or restore the report",
        )
    quarantined = [one.delivery for one in accounts(city, cycle) if one.quarantine_reasons]
    evidence = {
        "rule_set_digest": check_results(city, cycle).rule_set_digest,
        "report_digest": approved.body["report_digest"],
        "decisions": [as_evidence(one) for one in decisions(city, cycle)],
        "deliveries": [one for one in plan.deliveries if one not in quarantined],
        "quarantined": quarantined,
        "stale_sources": list(plan.stale_sources),
        "waivers": [
            as_body(one)
            for one in waivers_in_effect(city, cycle, dt.datetime.fromisoformat(approved.at))
        ],
        "answers": [answer_body(one) for one in answers_of_cycle(city, cycle)],
        "recalls": recalls(city),
    }
    made = commit(
        city.framework,
        candidate,
        city.workspace.layers,
        kind=ReleaseKind.CYCLE,
        cycle=cycle,
        evidence=evidence,
        at=now(),
    )
    _note(city, made)
    return made.number


def note_missing_releases(city: City) -> None:
    """Add ledger entries that a crash between commit and ledger left out."""
    for made in city.framework.releases():
        _note(city, made)


def roll_back(city: City, number: int, *, who: str, why: str, at: dt.datetime) -> Release:
    """Make a release that says again what an older one said.

    On both time axes the new release answers as the older one; what came in between stays in the
    history.

    Raises
    ------
    DeclarationError
        If there is no such release, it is the current one, or it says the same.
    GateClosedError
        If no reason is given, or it is nobody who approves cycles.
    """
    require_approver(city, who, why, what=f"roll back to release {number}")
    target = city.framework.release(number)
    current = city.framework.current()
    newest = current.number if current else 0
    if target.number == newest:
        raise DeclarationError(
            found=f"release {number} is the current one",
            expected=f"an older release, 1 to {newest - 1}",
        )
    if _restored(city, newest) == _restored(city, number):
        raise DeclarationError(
            found=f"release {number} says the same as the current release {newest}"
        )
    cycle = f"rollback-to-{number:04d}-over-{newest:04d}"
    folder = city.cycle_folder(cycle) / "candidate"
    candidate = write_restoring_candidate(folder, city.framework, number)
    if not candidate.has_changes:
        raise DeclarationError(
            found=f"release {number} says the same as the current release {newest}"
        )
    taken = {
        "who": who, "when": at.isoformat(timespec="seconds"), "what": "rolled-back", "why": why,
        "candidate_digest": candidate.digest,
    }  # fmt: skip
    city.ledger.append("rolled-back", cycle, taken, who=who, at=at)
    made = commit(
        city.framework,
        candidate,
        city.framework.contracts(),
        kind=ReleaseKind.ROLLBACK,
        cycle=cycle,
        evidence={"decisions": [taken], "restores": number, "recalls": recalls(city)},
        at=at,
    )
    _note(city, made)
    return made


def _restored(city: City, number: int) -> int:
    """Return the release whose words a release repeats, through all roll-backs; or itself."""
    while (restores := city.framework.release(number).evidence.get("restores")) is not None:
        number = int(restores)
    return number


def _note(city: City, made: Release) -> None:
    if city.ledger.last(what=CycleState.RELEASED, subject=made.cycle) is not None:
        return
    body = {"release": made.number, "digest": made.digest, "kind": made.kind.value}
    city.ledger.append(CycleState.RELEASED, made.cycle, body, who=operator(), at=now())
