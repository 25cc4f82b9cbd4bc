"""Build findings frames and their lasting identities."""

import hashlib
from collections.abc import Sequence

import geopandas as gpd
import pandas as pd

from cityframe.model.finding import FINDING_COLUMNS, DefectClass, Gate, Scope

_TEXT = tuple(name for name in FINDING_COLUMNS if name not in ("record", "geometry"))


def finding_id(rule: str, layer: str, features: Sequence[str]) -> str:
    """Return the lasting identity of a finding: rule, layer and features, in any order."""
    text = "\x1f".join([rule, layer, *sorted(features)])
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def empty_findings(crs: str | None) -> gpd.GeoDataFrame:
    """Return a findings frame without rows."""
    columns: dict[str, pd.Series] = {name: pd.Series(dtype="str") for name in _TEXT}
    columns["record"] = pd.Series(dtype="Int64")
    frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs), crs=crs)
    return frame[list(FINDING_COLUMNS)]


def findings_frame(
    rows: pd.DataFrame,
    *,
    rule: str,
    kind: str,
    defect_class: DefectClass,
    gate: Gate,
    scope: Scope,
    layer: str,
    delivery: str,
    crs: str | None,
    rule_version: int = 1,
) -> gpd.GeoDataFrame:
    """Complete rows of one rule to a findings frame.

    Parameters
    ----------
    rows : DataFrame, n rows
        Columns ``uid``, ``source_key``, ``record``, ``other``, ``found``, ``expected``,
        ``found_zh``, ``expected_zh``, ``partner``, ``geometry``; any but ``found`` may be missing,
        and Chinese text that is missing is the English one. The identity is made from the uid,
        else the source key, else the record, and from ``other``.

    Returns
    -------
    GeoDataFrame, n rows
        The columns of `FINDING_COLUMNS`, in the order of ``rows``.
    """
    if rows.empty:
        return empty_findings(crs)
    frame = rows.reset_index(drop=True)
    for name in ("uid", "source_key", "other", "expected", "partner"):
        frame[name] = frame[name].astype("str").fillna("") if name in frame else ""
    for name in ("found", "expected"):
        if f"{name}_zh" not in frame:
            frame[f"{name}_zh"] = frame[name]
    frame["record"] = frame["record"].astype("Int64") if "record" in frame else pd.NA
    records = frame["record"].astype("str").fillna("")
    features = frame["uid"].where(
        frame["uid"] != "", frame["source_key"].where(frame["source_key"] != "", records)
    )
    frame["finding_id"] = [
        finding_id(rule, layer, [feature, *(other.split(",") if other else [])])
        for feature, other in zip(features, frame["other"], strict=True)
    ]
    for name, value in (
        ("rule", rule), ("kind", kind), ("defect_class", defect_class.value), ("gate", gate.value),
        ("scope", scope.value), ("layer", layer), ("delivery", delivery),
        ("rule_version", str(rule_version)), ("waiver", ""), ("state", ""), ("first_seen", ""),
    ):  # fmt: skip
        frame[name] = value
    geometry = frame["geometry"] if "geometry" in frame else [None] * len(frame)
    found = gpd.GeoDataFrame(
        frame.drop(columns=["geometry"], errors="ignore"),
        geometry=gpd.GeoSeries(geometry, crs=crs),
        crs=crs,
    )
    return found[list(FINDING_COLUMNS)].astype({"record": "Int64", **dict.fromkeys(_TEXT, "str")})


def concat_findings(parts: Sequence[gpd.GeoDataFrame], crs: str | None) -> gpd.GeoDataFrame:
    """Return all findings in one frame, in the order of the parts."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return empty_findings(crs)
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), geometry="geometry", crs=crs)
