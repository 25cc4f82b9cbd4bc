"""The features that findings are about, before and after, for the report."""

import json
from typing import Any

import geopandas as gpd
import pandas as pd

from cityframe.model.layer import Layer
from cityframe.reconcile import CurrentLayer

BEFORE, AFTER = "before", "after"


def features_of_findings(
    findings: gpd.GeoDataFrame,
    incoming: gpd.GeoDataFrame,
    current: CurrentLayer,
    layer: Layer,
) -> gpd.GeoDataFrame:
    """Return the features of findings as they were and as they would be.

    Parameters
    ----------
    findings : GeoDataFrame
        `cityframe.model.finding.FINDING_COLUMNS`.
    incoming : GeoDataFrame
        Layer frame with ``uid`` or with ``record`` and ``source_key``.
    current : CurrentLayer
        The layer as it is.
    layer : Layer
        The contract.

    Returns
    -------
    GeoDataFrame
        ``finding_id, side`` ('before' or 'after'), ``uid, attributes`` (JSON), ``geometry``.
    """
    after = _after(findings, incoming, layer)
    before = _before(findings, current, layer)
    both = pd.concat([before, after], ignore_index=True)
    return gpd.GeoDataFrame(both, geometry="geometry", crs=layer.crs)


def _after(
    findings: gpd.GeoDataFrame, incoming: gpd.GeoDataFrame, layer: Layer
) -> gpd.GeoDataFrame:
    by_record = "record" in incoming.columns
    column = "record" if by_record else "uid"
    wanted = findings[["finding_id", column]].dropna()
    keys = pd.Index(incoming[column])
    positions = keys.get_indexer(pd.Index(wanted[column]))
    found = wanted[positions >= 0]
    rows = incoming.iloc[positions[positions >= 0]]
    return _sided(found["finding_id"].tolist(), AFTER, rows, layer)


def _before(findings: gpd.GeoDataFrame, current: CurrentLayer, layer: Layer) -> gpd.GeoDataFrame:
    index = current.index()
    uid_of = pd.Series(index["uid"].to_numpy(), index=index["key"])
    uid_of = uid_of[uid_of.index.notna() & ~uid_of.index.duplicated()]
    known = set(index["uid"])
    uids = [
        uid if uid in known else uid_of.get(key, "")
        for uid, key in zip(findings["uid"], findings["source_key"], strict=True)
    ]
    pairs = [
        (finding, uid) for finding, uid in zip(findings["finding_id"], uids, strict=True) if uid
    ]
    wanted = list(dict.fromkeys(uid for _, uid in pairs))
    rows = current.rows(wanted)
    positions = {uid: place for place, uid in enumerate(wanted)}
    return _sided(
        [finding for finding, _ in pairs],
        BEFORE,
        rows.iloc[[positions[uid] for _, uid in pairs]],
        layer,
    )


def _sided(
    finding_ids: list[str], side: str, rows: gpd.GeoDataFrame, layer: Layer
) -> gpd.GeoDataFrame:
    attributes = [json.dumps(one, ensure_ascii=False) for one in attributes_of(rows, layer)]
    uids = rows["uid"].to_numpy() if "uid" in rows.columns else [""] * len(rows)
    return gpd.GeoDataFrame(
        {
            "finding_id": pd.Series(finding_ids, dtype="str"),
            "side": pd.Series([side] * len(rows), dtype="str"),
            "uid": pd.Series(list(uids), dtype="str"),
            "attributes": pd.Series(attributes, dtype="str"),
        },
        geometry=gpd.GeoSeries(rows.geometry.to_numpy(), crs=layer.crs),
        crs=layer.crs,
    )


def attributes_of(rows: gpd.GeoDataFrame, layer: Layer) -> list[dict[str, Any]]:
    """Return the attributes of each row that it has, JSON-ready."""
    names = [name for name in layer.attribute_names if name in rows.columns]
    return [
        {name: _plain(value) for name, value in zip(names, values, strict=True)}
        for values in rows[names].itertuples(index=False)
    ]


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        is_date = value.tzinfo is None
        return value.date().isoformat() if is_date else value.isoformat()
    return value.item() if hasattr(value, "item") else value
