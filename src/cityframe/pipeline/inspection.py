"""Two checks and one acceptance of a candidate, as entries in the ledger."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cityframe.config.cycle import InspectionPlan
from cityframe.config.scoring import Scoring
from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.model.acceptance import Inspection, Stage
from cityframe.model.cycle import CycleState
from cityframe.pipeline.city import City, now, replaced_whole
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.scores import changed_units, scored_units
from cityframe.pipeline.staging import candidate_of, require_state
from cityframe.pipeline.turns import in_turn
from cityframe.pipeline.worksheet import (
    Row,
    read_worksheet,
    worksheet_rows,
    write_worksheet,
)
from cityframe.rules.acceptance.sampling import draw_lots
from cityframe.rules.acceptance.scoring import UnitScore, batch_score

PLANNED, INSPECTED = "inspection-planned", "inspected"
ALL_UNITS = "all"


def inspections(city: City, cycle: str) -> tuple[Inspection, ...]:
    """Return the stages of inspection of the present candidate, in their order.

    Raises
    ------
    DeclarationError
        If there is no such cycle.
    """
    read_plan(city, cycle)
    digest = candidate_of(city, cycle).digest
    found: dict[Stage, Inspection] = {}
    for entry in city.ledger.entries(subject=cycle):
        if entry.what == PLANNED and entry.body["candidate_digest"] == digest:
            one = _planned(entry.body, entry.who, entry.at)
            found[one.stage] = one
        if entry.what == INSPECTED and entry.body["candidate_digest"] == digest:
            planned = found[Stage(entry.body["stage"])]
            found[planned.stage] = _inspected(planned, entry.body, entry.who, entry.at)
    return tuple(found[stage] for stage in Stage if stage in found)


@in_turn
def plan_inspection(
    city: City, cycle: str, stage: Stage, *, who: str, seed: str = ""
) -> Inspection:
    """Say which units of a candidate are inspected: all in the two checks, a sample for acceptance.

    Parameters
    ----------
    seed : str
        Of the draw; drawn at random and recorded if it is not given.

    Raises
    ------
    DeclarationError
        If ``who`` may not do the stage, or no scored layer changes.
    GateClosedError
        If the cycle is not in review, or the stage before has not passed.
    """
    require_state(city, cycle, CycleState.IN_REVIEW)
    _require_person(city, cycle, stage, who)
    _require_stage_before(city, cycle, stage)
    batches = _batches(city, cycle)
    if not batches:
        raise DeclarationError(
            where=f"cycle {cycle}",
            found="no unit to inspect",
            expected="a change in a layer that a scoring scheme names",
            remedy="name the layer in quality_rules/scoring/",
        )
    lots = {f"{scheme}-{ALL_UNITS}": list(units) for scheme, units in batches.items()}
    if stage is Stage.ACCEPTANCE:
        seed = seed or secrets.token_hex(8)
        lots = {
            f"{scheme}-{lot.number}": list(lot.sample)
            for scheme, units in batches.items()
            for lot in draw_lots(units, _scheme(city, scheme).sampling, seed)
        }
    body = {
        "stage": stage.value,
        "candidate_digest": candidate_of(city, cycle).digest,
        "seed": seed if stage is Stage.ACCEPTANCE else "",
        "lots": lots,
        "units": sum(len(units) for units in batches.values()),
    }
    entry = city.ledger.append(PLANNED, cycle, body, who=who, at=now())
    return _planned(entry.body, entry.who, entry.at)


def write_inspection_worksheet(city: City, cycle: str, stage: Stage, path: Path) -> None:
    """Write the worksheet of a planned stage, with what the rules already found.

    Raises
    ------
    GateClosedError
        If the stage is not planned over the present candidate.
    """
    planned = _require_planned(city, cycle, stage)
    rows = _rows(city, cycle, planned)
    known = {(one.layer, one.unit): one for one in _scores(city, cycle, rows, None)}
    with replaced_whole(path) as temporary:
        write_worksheet(temporary, rows, _schemes(city), known)


@in_turn
def record_inspection(
    city: City, cycle: str, stage: Stage, worksheet: Path, *, who: str
) -> Inspection:
    """Take in a filled worksheet: score its units and note the result in the ledger.

    A stage passes if no unit fails. The worksheet is kept beside the candidate.

    Raises
    ------
    DeclarationError
        If ``who`` may not do the stage, or the worksheet is wrong; with the line.
    GateClosedError
        If the stage is not planned over the present candidate, or has its result.
    """
    require_state(city, cycle, CycleState.IN_REVIEW)
    _require_person(city, cycle, stage, who)
    planned = _require_planned(city, cycle, stage)
    if planned.is_passed is not None:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"{stage} has its result, by {planned.who}",
            expected="one result a stage",
            remedy="plan the stage again to repeat it",
        )
    content = _bytes_of(worksheet)
    scores = _scores_with(city, cycle, planned, content, where=str(worksheet))
    batch = batch_score(scores)
    kept = _kept_worksheet(city, cycle, stage)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with replaced_whole(kept) as temporary:
        temporary.write_bytes(content)
    body = {
        "stage": stage.value,
        "candidate_digest": planned.candidate_digest,
        "worksheet": hashlib.sha256(content).hexdigest(),
        "score": batch.score,
        "failed": _failed(scores),
        "is_passed": batch.is_passed,
    }
    entry = city.ledger.append(INSPECTED, cycle, body, who=who, at=now())
    return _inspected(planned, entry.body, entry.who, entry.at)


def require_inspected(city: City, cycle: str) -> None:
    """Refuse an approval before each stage that the series demands has passed.

    Each recorded worksheet is scored again: findings that a waiver covered when it was recorded
    may be open by now.

    Raises
    ------
    GateClosedError
        With the first stage that is missing or failed.
    IntegrityError
        If a recorded worksheet is gone or is another one.
    """
    by_stage = {one.stage: one for one in inspections(city, cycle)}
    for stage in _demanded(city, cycle):
        one = by_stage.get(stage)
        if one is None or one.is_passed is None:
            raise GateClosedError(
                where=f"cycle {cycle}",
                found=f"no result of {stage} over this candidate",
                expected=f"{stage} by one of {', '.join(_people(city, cycle, stage))}",
                remedy=f"cityframe inspection plan, worksheet, record with --stage {stage}",
            )
        if not one.is_passed:
            raise GateClosedError(
                where=f"cycle {cycle}",
                found=f"{stage} failed: {', '.join(one.failed)}",
                expected="every inspected unit passes",
                remedy="return the cycle and have the sources mended; or, once an approver has "
                "waived what is right as it stands, plan the stage again",
            )
        _require_still_passed(city, cycle, one)


def _require_still_passed(city: City, cycle: str, one: Inspection) -> None:
    path = _kept_worksheet(city, cycle, one.stage)
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != one.worksheet:
        raise IntegrityError(
            where=str(path),
            found="another worksheet" if path.exists() else "no worksheet",
            expected=f"the one that {one.who} recorded at {one.when}",
            remedy="restore it, or plan the stage again and record it",
        )
    failed = _failed(_scores_with(city, cycle, one, content, where=str(path)))
    if failed:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"{one.stage} passed, and by the check of now fails: {', '.join(failed)}",
            expected="every inspected unit passes",
            remedy=f"plan {one.stage} again, or waive what is right as it stands",
        )


def _demanded(city: City, cycle: str) -> Iterator[Stage]:
    return (stage for stage in Stage if _people(city, cycle, stage))


def _people(city: City, cycle: str, stage: Stage) -> tuple[str, ...]:
    series = city.workspace.cycle_series(read_plan(city, cycle).series)
    plan: InspectionPlan = series.inspection
    return {
        Stage.PROCESS_CHECK: plan.process_check,
        Stage.FINAL_CHECK: plan.final_check,
        Stage.ACCEPTANCE: plan.acceptance,
    }[stage]


def _require_person(city: City, cycle: str, stage: Stage, who: str) -> None:
    allowed = _people(city, cycle, stage)
    if who not in allowed:
        raise DeclarationError(
            where=f"cycles/{read_plan(city, cycle).series}.yaml",
            found=f"{who!r} does not do {stage}",
            expected=f"one of {', '.join(allowed) or 'nobody: the stage names no people'}",
            remedy="name them under inspection, or let one of them do it with --by NAME",
        )
    others = [one for one in inspections(city, cycle) if one.stage is not stage]
    taken = [one.stage for one in others if who in (one.who, one.planned_by)]
    if taken:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"{who} did {taken[0]} of this candidate",
            expected="somebody else for each stage",
        )


def _require_stage_before(city: City, cycle: str, stage: Stage) -> None:
    passed = {one.stage for one in inspections(city, cycle) if one.is_passed}
    before = [one for one in _demanded(city, cycle) if list(Stage).index(one) < _rank(stage)]
    missing = [one for one in before if one not in passed]
    if missing:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"{stage} before {missing[0]} has passed",
            expected=f"{', then '.join(Stage)}",
        )


def _rank(stage: Stage) -> int:
    return list(Stage).index(stage)


def _require_planned(city: City, cycle: str, stage: Stage) -> Inspection:
    for one in inspections(city, cycle):
        if one.stage is stage:
            return one
    raise GateClosedError(
        where=f"cycle {cycle}",
        found=f"{stage} is not planned over the present candidate",
        remedy=f"cityframe inspection plan CYCLE --stage {stage} --by NAME",
    )


def _batches(city: City, cycle: str) -> dict[str, list[str]]:
    """Return the units that the candidate changes, by scoring scheme: one batch each."""
    units: dict[str, set[str]] = {}
    for layer, names in changed_units(city, cycle).items():
        units.setdefault(city.workspace.scoring[layer].name, set()).update(names)
    return {scheme: sorted(names) for scheme, names in units.items()}


def _scheme(city: City, name: str) -> Scoring:
    return next(one for one in city.workspace.scoring.values() if one.name == name)


def _schemes(city: City) -> Mapping[str, Scoring]:
    return city.workspace.scoring


def _rows(city: City, cycle: str, planned: Inspection) -> list[Row]:
    return worksheet_rows(planned.lots, changed_units(city, cycle), _schemes(city))


def _scores(
    city: City, cycle: str, rows: list[Row], counts: "pd.Series[int] | None"
) -> tuple[UnitScore, ...]:
    """Return the scores of the units in a worksheet, with what people found if they have looked."""
    scores: list[UnitScore] = []
    for layer in dict.fromkeys(row[1] for row in rows):
        units = tuple(dict.fromkeys(row[2] for row in rows if row[1] == layer))
        found = counts
        if counts is not None and len(counts):
            is_of_layer = counts.index.get_level_values("layer") == layer
            found = counts[is_of_layer].droplevel("layer")
        scores += scored_units(city, cycle, layer, units, found)
    return tuple(scores)


def _scores_with(
    city: City, cycle: str, planned: Inspection, content: bytes, *, where: str
) -> tuple[UnitScore, ...]:
    """Return the scores of the inspected units by the candidate's check and a worksheet."""
    rows = _rows(city, cycle, planned)
    return _scores(city, cycle, rows, read_worksheet(content, rows, where=where))


def _failed(scores: tuple[UnitScore, ...]) -> list[str]:
    """Return the units that fail, each with why."""
    return [f"{one.layer} {one.unit} ({', '.join(one.failures)})" for one in scores if one.failures]


def _kept_worksheet(city: City, cycle: str, stage: Stage) -> Path:
    return city.cycle_folder(cycle) / "inspection" / f"{stage.value}.csv"


def _bytes_of(worksheet: Path) -> bytes:
    try:
        return worksheet.read_bytes()
    except OSError as error:
        raise DeclarationError(
            where=str(worksheet),
            found=f"no file that can be read: {error.strerror}",
            expected="the filled worksheet",
            remedy="give its path with --worksheet",
        ) from error


def _planned(body: Mapping[str, Any], who: str, at: str) -> Inspection:
    return Inspection(
        stage=Stage(body["stage"]),
        candidate_digest=str(body["candidate_digest"]),
        seed=str(body["seed"]),
        lots={lot: tuple(units) for lot, units in body["lots"].items()},
        units=int(body["units"]),
        planned_by=who,
        planned_at=at,
    )


def _inspected(planned: Inspection, body: Mapping[str, Any], who: str, at: str) -> Inspection:
    return Inspection(
        stage=planned.stage,
        candidate_digest=planned.candidate_digest,
        seed=planned.seed,
        lots=planned.lots,
        units=planned.units,
        planned_by=planned.planned_by,
        planned_at=planned.planned_at,
        who=who,
        when=at,
        score=float(body["score"]),
        failed=tuple(body["failed"]),
        is_passed=bool(body["is_passed"]),
        worksheet=str(body["worksheet"]),
    )
