"""What ``cityframe rule try`` prints of a trial."""

from pathlib import Path
from typing import Any

import pandas as pd
import shapely

from cityframe.cli.answer import table
from cityframe.pipeline.trying import Trial
from cityframe.rules.writing import finding_rows

LANGUAGES = ("zh", "en")
SHOWN = 10
"""Findings that are printed; all are in the file that ``--to`` names."""

_HEADS = {
    "zh": ("要素", "位置", "发现", "应为"),
    "en": ("feature", "place", "found", "expected"),
}
_SUMMARY = {
    "zh": "{rule}：检查 {records} 条记录，发现 {findings} 处",
    "en": "{rule}: {findings} findings in {records} records",
}
_MORE = {"zh": "另有 {more} 处", "en": "and {more} more"}
_WHOLE = {"zh": "整个图层", "en": "the whole layer"}
_RECORD = {"zh": "记录 {record}", "en": "record {record}"}


def trial_body(trial: Trial, to: Path | None) -> dict[str, Any]:
    """Return a trial, JSON-ready."""
    return {
        "rule": trial.rule,
        "kind": trial.kind,
        "parameters": dict(trial.parameters),
        "layer": trial.layer.name,
        "geometry": trial.layer.geometry.value,
        "crs": trial.layer.crs,
        "attributes": {one.name: one.type.value for one in trial.layer.attributes},
        "notes": list(trial.notes),
        "records": trial.records,
        "findings": len(trial.findings),
        "first": finding_rows(trial.findings.iloc[:SHOWN]),
        "file": None if to is None else str(to),
    }


def trial_text(trial: Trial, to: Path | None, language: str) -> str:
    """Return a trial in words."""
    findings = trial.findings
    ending = "_zh" if language == "zh" else ""
    rows = [
        (_feature(row, language), _place(row["geometry"]), row[f"found{ending}"],
         row[f"expected{ending}"])
        for _, row in findings.iloc[:SHOWN].iterrows()
    ]  # fmt: skip
    lines = list(trial.notes)
    lines.append(
        _SUMMARY[language].format(rule=trial.rule, records=trial.records, findings=len(findings))
    )
    if rows:
        lines.append(table(rows, _HEADS[language]))
    if len(findings) > SHOWN:
        lines.append(_MORE[language].format(more=len(findings) - SHOWN))
    if to is not None:
        lines.append(str(to))
    return "\n".join(lines)


def _feature(row: "pd.Series[Any]", language: str) -> str:
    if pd.isna(row["record"]):
        return _WHOLE[language]
    record = _RECORD[language].format(record=row["record"])
    name = row["uid"] or row["source_key"]
    return f"{name} ({record})" if name else record


def _place(place: shapely.Geometry | None) -> str:
    """Return a point inside of the place; empty where there is none."""
    if place is None or shapely.is_empty(place):
        return ""
    point = shapely.point_on_surface(place)
    return f"{shapely.get_x(point):.10g} {shapely.get_y(point):.10g}"
