"""Review: the report, the decision over the candidate, the gate."""

import hashlib
from pathlib import Path

from cityframe.errors import DeclarationError, GateClosedError
from cityframe.model.cycle import CycleState
from cityframe.model.report import Decision
from cityframe.pipeline.check_basis import findings_digests
from cityframe.pipeline.city import City, now, operator
from cityframe.pipeline.inspection import require_inspected
from cityframe.pipeline.plan import cycle_state, read_plan
from cityframe.pipeline.questions import first_stale, note_questions
from cityframe.pipeline.reporting import REPORT_FILE, report_folder, write_cycle_report
from cityframe.pipeline.staging import CHECK_FILE, candidate_of, check_results, require_state
from cityframe.pipeline.turns import in_turn
from cityframe.pipeline.waiver_standing import waivers_in_effect


@in_turn
def put_in_review(city: City, cycle: str) -> str:
    """Write the report of a cycle and note in the ledger that it waits for a decision.

    Returns
    -------
    str
        The candidate's digest: what a decision must be taken over.

    Raises
    ------
    GateClosedError
        If a delivery was taken in before an answer about its source was given or taken back.
    """
    require_state(city, cycle, CycleState.FROZEN, CycleState.IN_REVIEW)
    _require_answers_obeyed(city, cycle)
    note_questions(city, cycle)
    write_cycle_report(city, cycle)
    last = city.ledger.last(what=CycleState.IN_REVIEW, subject=cycle)
    body = _present(city, cycle)
    is_told = cycle_state(city, cycle) is CycleState.IN_REVIEW
    if not is_told or last is None or dict(last.body) != body:
        city.ledger.append(CycleState.IN_REVIEW, cycle, body, who=operator(), at=now())
    return body["candidate_digest"]


def report_digest(city: City, cycle: str) -> str:
    """Return the SHA-256 of a cycle's report.json, in hexadecimal."""
    return _sha256(report_folder(city, cycle) / REPORT_FILE)


@in_turn
def approve(city: City, cycle: str, *, who: str, why: str) -> Decision:
    """Approve a cycle's candidate.

    Raises
    ------
    DeclarationError
        If the reason is empty or ``who`` is no approver of the series.
    GateClosedError
        If the cycle is not in review, a waiver that let something in has expired or was withdrawn,
        a blocking rule fails in the candidate, or a stage of inspection that its series demands
        has not passed; or an answer was given or taken back since the report.
    IntegrityError
        If a recorded worksheet is not the one that was recorded.
    """
    _check_decider(city, cycle, who, why)
    require_state(city, cycle, CycleState.IN_REVIEW)
    _require_as_reviewed(city, cycle)
    waivers_in_effect(city, cycle, now())
    gate_reasons = check_results(city, cycle).gate_reasons
    if gate_reasons:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"the gate is closed: {'; '.join(gate_reasons)}",
            remedy=f"see the report in {report_folder(city, cycle)}; return the cycle with a "
            "reason, have the sources mended and run the next cycle",
        )
    require_inspected(city, cycle)
    return _decide(city, cycle, CycleState.APPROVED, who, why)


@in_turn
def send_back(city: City, cycle: str, *, who: str, why: str) -> Decision:
    """Return a cycle's candidate to its sources; the cycle ends without a release.

    Raises
    ------
    DeclarationError
        If the reason is empty or ``who`` is no approver of the series.
    GateClosedError
        If the cycle is not in review.
    """
    _check_decider(city, cycle, who, why)
    # an approved cycle that was not released can still be sent back
    require_state(city, cycle, CycleState.IN_REVIEW, CycleState.APPROVED)
    return _decide(city, cycle, CycleState.RETURNED, who, why)


def _check_decider(city: City, cycle: str, who: str, why: str) -> None:
    if not why.strip():
        raise DeclarationError(
            found="no reason given", expected="a reason", remedy="say why with --reason TEXT"
        )
    series = city.workspace.cycle_series(read_plan(city, cycle).series)
    if who not in series.approvers:
        raise DeclarationError(
            where=f"cycles/{series.name}.yaml",
            found=f"{who!r} is no approver of {series.name}",
            expected=f"one of {', '.join(series.approvers)}",
        )


def _require_as_reviewed(city: City, cycle: str) -> None:
    if not is_as_reviewed(city, cycle):
        raise GateClosedError(
            where=f"cycle {cycle}",
            found="candidate, check, findings or report are not those that were put in review",
            remedy="run the cycle again and look at the new report",
        )


def is_as_reviewed(city: City, cycle: str) -> bool:
    """Tell whether candidate, check, findings and report are those that were put in review."""
    reviewed = city.ledger.last(what=CycleState.IN_REVIEW, subject=cycle)
    # an answer takes the check away before it changes anything else
    if reviewed is None or not _check_file(city, cycle).exists():
        return False
    # reviews of before waivers don't name the check
    said = {"check_digest": _sha256(_check_file(city, cycle)), **reviewed.body}
    found = check_results(city, cycle).findings
    is_found = found is None or found == findings_digests(_check_file(city, cycle).parent)
    return is_found and said == _present(city, cycle) and first_stale(city, cycle) is None


def _require_answers_obeyed(city: City, cycle: str) -> None:
    first = first_stale(city, cycle)
    if first is not None:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"{read_plan(city, cycle).deliveries[first]} was taken in with other answers "
            "than stand now",
            remedy="run the cycle again: it takes the delivery in with them",
        )


def _present(city: City, cycle: str) -> dict[str, str]:
    return {
        "candidate_digest": candidate_of(city, cycle).digest,
        "check_digest": _sha256(_check_file(city, cycle)),
        "report_digest": report_digest(city, cycle),
    }


def _check_file(city: City, cycle: str) -> Path:
    return city.cycle_folder(cycle) / "candidate" / CHECK_FILE


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _decide(city: City, cycle: str, what: CycleState, who: str, why: str) -> Decision:
    digest = candidate_of(city, cycle).digest
    body = {
        "why": why,
        "candidate_digest": digest,
        "report_digest": report_digest(city, cycle),
    }
    entry = city.ledger.append(what, cycle, body, who=who, at=now())
    return Decision(who=who, when=entry.at, what=what.value, why=why, candidate_digest=digest)
