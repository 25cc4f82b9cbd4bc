"""Gather what a report says from what the steps of a cycle left, and write it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.core.findings import concat_findings
from cityframe.model.change import ChangeKind
from cityframe.model.cycle import CycleState
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.report import DeliveryAccount, LayerChanges, Report
from cityframe.pipeline.accounts import accounts, delivery_folder
from cityframe.pipeline.check_sections import check_sections
from cityframe.pipeline.city import City
from cityframe.pipeline.decisions import decisions
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.lineage_sections import lineage_sections
from cityframe.pipeline.plan import cycle_state, read_plan, source_of
from cityframe.pipeline.question_sections import question_sections
from cityframe.pipeline.score_sections import score_sections
from cityframe.pipeline.staging import candidate_frames, candidate_of, check_results
from cityframe.products.report import ReportFiles, write_report
from cityframe.store.candidate import Candidate, read_changes_in_effect
from cityframe.store.pruned import require_kept

REPORT_FILE = "report.json"
CONTEXT_FEATURES = 4000
CONTEXT_POLYGONS = 200


def report_folder(city: City, cycle: str) -> Path:
    """Return the folder of a cycle's report."""
    return city.cycle_folder(cycle) / "report"


def write_cycle_report(city: City, cycle: str, folder: Path | None = None) -> ReportFiles:
    """Write the report of a cycle as it is now.

    Parameters
    ----------
    city : City
        The city.
    cycle : str
        A cycle that was checked.
    folder : Path, optional
        Where to; by default the cycle's own report folder, which decisions bind to.

    Returns
    -------
    ReportFiles
        HTML in two languages, JSON, ISO 19157 XML, findings as GeoPackage, GeoJSON and CSV.
    """
    findings = listed_findings(city, cycle)
    return write_report(
        folder or report_folder(city, cycle),
        cycle_report(city, cycle),
        findings=findings,
        features=features_by_layer(city, cycle),
        context=report_context(city, cycle, findings),
        layers=city.workspace.layers,
    )


def cycle_report(city: City, cycle: str) -> Report:
    """Return the report of a cycle without its findings."""
    plan = read_plan(city, cycle)
    candidate = candidate_of(city, cycle)
    check = check_results(city, cycle)
    results = [result for account in accounts(city, cycle) for result in account.results]
    made = city.framework.released_by(cycle)
    return Report(
        id=cycle,
        city=city.workspace.title.title(),
        series=city.workspace.cycle_series(plan.series).title.title(),
        state=_state(city, cycle).value,
        created_at=plan.opened_at,
        parent_release=plan.parent,
        release=made.number if made else None,
        candidate_digest=candidate.digest,
        rule_set_digest=check.rule_set_digest,
        deliveries=tuple(_delivery_accounts(city, cycle)),
        results=(*results, *check.results),
        changes=tuple(_layer_changes(city, candidate, plan.parent)),
        stale_sources=plan.stale_sources,
        decisions=tuple(decisions(city, cycle)),
        gate_reasons=check.gate_reasons,
        time_zone=city.workspace.time_zone,
        sections=(
            *check_sections(city, cycle),
            *question_sections(city, cycle),
            *lineage_sections(city, cycle, candidate),
            *score_sections(city, cycle),
        ),
    )


def _state(city: City, cycle: str) -> CycleState:
    # what is checked and reported is in review; the ledger says so once the report is written
    state = cycle_state(city, cycle)
    return CycleState.IN_REVIEW if state is CycleState.FROZEN else state


def findings_by_layer(city: City, cycle: str) -> dict[str, gpd.GeoDataFrame]:
    """Return all findings of a cycle: of its deliveries and of its candidate."""
    frames = _frames_by_layer(city, cycle, "findings")
    return {
        name: concat_findings([frame], city.workspace.layer(name).crs)
        for name, frame in frames.items()
        if len(frame)
    }


def listed_findings(city: City, cycle: str) -> dict[str, gpd.GeoDataFrame]:
    """Return what a report lists: all findings of a cycle, and those that it fixed."""
    found, fixed = findings_by_layer(city, cycle), dict[str, gpd.GeoDataFrame]()
    for path in sorted((city.cycle_folder(cycle) / "candidate").glob("*.fixed.parquet")):
        fixed[path.name.partition(".")[0]] = read_frame(path)
    return {
        name: concat_findings(
            [part[name] for part in (found, fixed) if name in part], city.workspace.layer(name).crs
        )
        for name in sorted(found.keys() | fixed.keys())
    }


def features_by_layer(city: City, cycle: str) -> dict[str, gpd.GeoDataFrame]:
    """Return the features that the findings of a cycle concern, before and after."""
    return _frames_by_layer(city, cycle, "features")


def _frames_by_layer(city: City, cycle: str, what: str) -> dict[str, gpd.GeoDataFrame]:
    parts: dict[str, list[gpd.GeoDataFrame]] = {}
    for account in accounts(city, cycle):
        folder = delivery_folder(city, cycle, account.delivery)
        for feed in account.feeds:
            name = feed.partition("-")[2]
            parts.setdefault(name, []).append(read_frame(folder / f"{feed}.{what}.parquet"))
    candidate_folder = city.cycle_folder(cycle) / "candidate"
    require_kept(candidate_folder)
    for path in sorted(candidate_folder.glob(f"*.{what}.parquet")):
        parts.setdefault(path.name.partition(".")[0], []).append(read_frame(path))
    return {
        name: _concat([part for part in frames if len(part)], city.workspace.layer(name))
        for name, frames in sorted(parts.items())
        if any(len(part) for part in frames)
    }


def _concat(frames: list[gpd.GeoDataFrame], layer: Layer) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        pd.concat(frames, ignore_index=True), geometry="geometry", crs=layer.crs
    )


def _delivery_accounts(city: City, cycle: str) -> Iterable[DeliveryAccount]:
    for account in accounts(city, cycle):
        source = city.workspace.source(source_of(account.delivery))
        yield DeliveryAccount(
            delivery=city.archive.get(account.delivery),
            source_title=source.title.title(),
            layers=account.layers,
            quarantine_reasons=account.quarantine_reasons,
        )


def _layer_changes(city: City, candidate: Candidate, parent: int) -> Iterable[LayerChanges]:
    before = {
        version.layer: version.count
        for version in (city.framework.release(parent).layers if parent else ())
    }
    for name, layer in city.workspace.layers.items():
        count = before.get(name, 0)
        state = candidate.layers.get(name)
        if state is None:
            yield LayerChanges(name, layer.title, count, count, {}, 0)
            continue
        frame = read_changes_in_effect(candidate, layer)
        kept = frame["change"].isin([ChangeKind.MOVED, ChangeKind.RESHAPED])
        yield LayerChanges(
            layer=name,
            title=layer.title,
            before=count,
            after=state.version.count,
            changes=state.version.changes,
            with_new_attributes=int((frame["has_new_attributes"] & kept).sum()),
        )


def report_context(
    city: City, cycle: str, findings: Mapping[str, gpd.GeoDataFrame]
) -> dict[str, gpd.GeoDataFrame]:
    """Return a thin extract for orientation: boundaries, and lines near the findings."""
    frame_of = candidate_frames(city, candidate_of(city, cycle))
    extent = [np.nan] * 4
    bounds = [frame.total_bounds for frame in findings.values() if frame.geometry.notna().any()]
    if bounds:
        corners = np.array(bounds)
        extent = [*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)]
    context: dict[str, gpd.GeoDataFrame] = {}
    for name, layer in city.workspace.layers.items():
        frame = frame_of(name)
        if layer.geometry.single == GeometryType.POLYGON and len(frame) <= CONTEXT_POLYGONS:
            context[name] = frame
        elif layer.geometry.single == GeometryType.LINESTRING and np.isfinite(extent).all():
            xmin, ymin, xmax, ymax = extent
            context[name] = frame.cx[xmin:xmax, ymin:ymax].head(CONTEXT_FEATURES)
    return context
