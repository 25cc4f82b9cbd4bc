"""Stage the candidate of a cycle and check it over all layers."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import geopandas as gpd
import pandas as pd

from cityframe.core.frames import key_text
from cityframe.errors import GateClosedError
from cityframe.model.cycle import CycleState
from cityframe.model.finding import Scope
from cityframe.model.report import RuleResult
from cityframe.model.text import Title
from cityframe.pipeline.accounts import accounts, results_from
from cityframe.pipeline.blame import with_blame
from cityframe.pipeline.check_basis import (
    FULL,
    CheckBasis,
    check_basis,
    conditions,
    findings_digests,
)
from cityframe.pipeline.city import City, now, replaced_whole
from cityframe.pipeline.current import StoredLayer
from cityframe.pipeline.features import features_of_findings
from cityframe.pipeline.finding_states import note_findings
from cityframe.pipeline.frames_on_disk import write_frame
from cityframe.pipeline.observed import observed_in
from cityframe.pipeline.plan import cycle_state, read_plan, reference_time
from cityframe.pipeline.reconciled_tables import (
    bridge_of_cycle,
    changes_and_bridges,
    lineage_of_cycle,
    provenance_of_cycle,
)
from cityframe.pipeline.suites import keep_suite
from cityframe.pipeline.turns import in_turn
from cityframe.pipeline.waivers import waiver_book
from cityframe.reconcile import changes_in_order, compose
from cityframe.rules.check import Checked, check_layer
from cityframe.rules.checking.waiving import WaiverBook
from cityframe.rules.compiled import CompiledRules, compile_rules
from cityframe.store.candidate import (
    Candidate,
    read_candidate,
    read_changes_in_effect,
    write_candidate,
)

CHECK_FILE = "check.json"


@dataclass(frozen=True, slots=True)
class CandidateCheck:
    """What checking a candidate gave.

    Attributes
    ----------
    gate_reasons : tuple of str
        Why it can't be approved; empty when it can.
    rule_set_digest : str
        Of the rules that it was checked with.
    extent : str
        ``full`` or ``incremental``.
    why : Title
        The reason.
    waivers : tuple of str
        Those that stood for findings of the candidate.
    void_waivers : mapping of str to str
        Those whose finding is met again and stays open, and why.
    findings : mapping of str to str or None
        SHA-256 of each file with findings, by its name; None of a check by an older program.
    """

    results: tuple[RuleResult, ...]
    gate_reasons: tuple[str, ...]
    rule_set_digest: str
    extent: str
    why: Title
    waivers: tuple[str, ...]
    void_waivers: Mapping[str, str]
    findings: Mapping[str, str] | None


@dataclass(frozen=True)
class _Check:
    """One check of a candidate over all layers."""

    city: City
    candidate: Candidate
    rules: CompiledRules
    waivers: WaiverBook
    basis: CheckBasis
    frame_of: Callable[[str], gpd.GeoDataFrame]
    moment: dt.datetime
    opened_at: dt.datetime
    read_observations: Callable[[], pd.DataFrame] | None


@in_turn
def stage(city: City, cycle: str) -> bool:
    """Write the candidate of a cycle: the net changes of all its deliveries.

    Returns
    -------
    bool
        Whether any feature would change.

    Raises
    ------
    GateClosedError
        If a planned delivery was not taken in, another release came in between, or the cycle is
        past its review.
    """
    require_state(city, cycle, CycleState.FROZEN, CycleState.IN_REVIEW)
    _require_all_taken_in(city, cycle)
    layers = dict(city.workspace.layers)
    moment = reference_time(city, read_plan(city, cycle))
    changes: dict[str, gpd.GeoDataFrame] = {}
    for name, layer in layers.items():
        parts = [one for one, _ in changes_and_bridges(city, cycle, layer)]
        if parts:
            changes[name] = changes_in_order(StoredLayer(city.framework, layer, moment), parts)
    framework = city.framework
    candidate = write_candidate(
        city.cycle_folder(cycle) / "candidate",
        framework,
        changes,
        layers,
        valid_at=moment,
        lineage=[
            {str(name): value for name, value in event.items()}
            for name, made in changes.items()
            for event in lineage_of_cycle(city, cycle, layers[name], made).to_dict("records")
        ],
        bridge={
            name: bridge_of_cycle(city, cycle, layers[name], framework, made)
            for name, made in changes.items()
        },
        provenance={
            name: provenance_of_cycle(city, cycle, layers[name], framework, made)
            for name, made in changes.items()
        },
    )
    return candidate.has_changes


def candidate_of(city: City, cycle: str) -> Candidate:
    """Return the staged candidate of a cycle."""
    return read_candidate(city.cycle_folder(cycle) / "candidate")


@in_turn
def check_candidate(city: City, cycle: str) -> None:
    """Check the candidate with the rules over all layers and leave findings and results.

    What no change since the check before can have reached is not checked again, but every so many
    cycles all is (``checks.full_every`` of the series).
    """
    workspace, plan, candidate = city.workspace, read_plan(city, cycle), candidate_of(city, cycle)
    series = workspace.cycle_series(plan.series)
    check = _Check(
        city=city,
        candidate=candidate,
        rules=compile_rules(workspace.rules, workspace.layers, workspace.places),
        waivers=waiver_book(city, cycle, now()),
        basis=check_basis(city, candidate, CHECK_FILE, series.checks.full_every),
        frame_of=candidate_frames(city, candidate),
        moment=reference_time(city, plan),
        opened_at=pd.Timestamp(plan.opened_at).to_pydatetime(),
        read_observations=observed_in(city, plan),
    )
    _clear(candidate)
    found = [
        _check_layer(check, name)
        for name in workspace.layers
        if check.rules.of(name, Scope.CANDIDATE)
    ]
    results = [one for checked in found for one in checked.results]
    note_findings(city, cycle, results)
    body = {
        "candidate_digest": candidate.digest,
        "rule_set_digest": workspace.rule_set_digest(),
        "results": [asdict(one) for one in results],
        "gate_reasons": [why for checked in found for why in checked.gate_reasons],
        "extent": check.basis.extent,
        "why": asdict(check.basis.why),
        "since_full": check.basis.since_full,
        "conditions": conditions(city),
        "findings": findings_digests(candidate.folder),
        "waivers": sorted({name for checked in found for name in checked.standing_waivers}),
        "void_waivers": {name: why for one in found for name, why in one.void_waivers.items()},
    }
    with replaced_whole(candidate.folder / CHECK_FILE) as temporary:
        temporary.write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")


def _clear(candidate: Candidate) -> None:
    """Remove what an earlier check of other rules may have left."""
    for what in ("findings", "features", "fixed"):
        for path in candidate.folder.glob(f"*.{what}.parquet"):
            path.unlink()


def _check_layer(check: _Check, name: str) -> Checked:
    """Check one layer and leave its findings, their features and the suite."""
    city, candidate, layer = check.city, check.candidate, check.city.workspace.layer(name)
    stored, folder = StoredLayer(city.framework, layer, check.moment), candidate.folder
    checked = check_layer(
        check.rules,
        scope=Scope.CANDIDATE,
        layer=name,
        frame=check.frame_of(name),
        other=check.frame_of,
        previous=stored.all_rows(),
        changes=read_changes_in_effect(candidate, layer) if name in candidate.layers else None,
        as_of=check.opened_at,
        read_observations=check.read_observations,
        waivers=check.waivers,
        since=check.basis.since(layer),
    )
    findings = with_blame(city, candidate, layer, checked.findings)
    write_frame(folder / f"{name}.findings.parquet", findings)
    features = features_of_findings(findings, check.frame_of(name), stored, layer)
    write_frame(folder / f"{name}.features.parquet", features)
    keep_suite(folder, name, checked)
    return checked


def check_results(city: City, cycle: str) -> CandidateCheck:
    """Return what `check_candidate` left.

    Raises
    ------
    GateClosedError
        If it was not run over the present candidate.
    """
    path = city.cycle_folder(cycle) / "candidate" / CHECK_FILE
    digest = candidate_of(city, cycle).digest
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if data.get("candidate_digest") != digest:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found="the present candidate was not checked",
            expected=f"a check of candidate {digest[:16]}",
            remedy="run the cycle's steps again",
        )
    return CandidateCheck(
        results=results_from(data["results"]),
        gate_reasons=tuple(data["gate_reasons"]),
        rule_set_digest=data["rule_set_digest"],
        extent=data.get("extent", FULL),
        why=Title(**data.get("why", {"zh": "", "en": ""})),
        waivers=tuple(data.get("waivers", ())),
        void_waivers=data.get("void_waivers", {}),
        findings=data.get("findings"),
    )


def require_state(city: City, cycle: str, *allowed: CycleState) -> None:
    """Refuse a step that the cycle is past.

    Raises
    ------
    GateClosedError
        If the cycle is in none of the allowed states.
    """
    state = cycle_state(city, cycle)
    if state not in allowed:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"it is {state.value}",
            expected=f"a cycle that is {' or '.join(allowed)}",
            remedy="see `cityframe cycle status`",
        )


def _require_all_taken_in(city: City, cycle: str) -> None:
    plan = read_plan(city, cycle)
    missing = set(plan.deliveries) - {account.delivery for account in accounts(city, cycle)}
    if missing:
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"not taken in: {', '.join(sorted(missing))}",
            expected="every delivery of the plan",
            remedy="take in their sources first; a source that left the series must come back",
        )
    current = city.framework.current()
    if plan.parent != (current.number if current else 0):
        raise GateClosedError(
            where=f"cycle {cycle}",
            found=f"it was taken in over release {plan.parent}, which is not the newest any more",
            remedy="run the cycle again: it starts over from the newest release",
        )


def candidate_frames(city: City, candidate: Candidate) -> Callable[[str], gpd.GeoDataFrame]:
    """Return a function that gives any layer as it would be, with ``uid`` and ``source_key``.

    Rows are in the order of their uids, so that a check can build on the one before.
    """

    @lru_cache(maxsize=8)
    def frame_of(name: str) -> gpd.GeoDataFrame:
        layer = city.workspace.layer(name)
        moment = pd.Timestamp(candidate.valid_at).to_pydatetime()
        stored = StoredLayer(city.framework, layer, moment)
        if name in candidate.layers:
            composed = compose(stored, read_changes_in_effect(candidate, layer)).all_rows()
            frame = composed.sort_values("uid", ignore_index=True)
        else:
            frame = stored.all_rows()
        return frame.assign(source_key=key_text(frame, layer.key))

    return frame_of
