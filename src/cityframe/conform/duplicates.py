"""Records that stand twice in a delivery, and records without a key."""

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.config.source import Duplicates, Feed
from cityframe.conform.problems import Mask, RecordProblem, Records
from cityframe.core.digest import geometry_bytes
from cityframe.errors import DeclarationError
from cityframe.model.fate import Fate
from cityframe.model.layer import Layer

_LISTED = 20


def missing_keys(
    records: gpd.GeoDataFrame, feed: Feed, layer: Layer, is_live: Mask, *, where: str
) -> list[RecordProblem]:
    """Return the live records without a key, where the feed wants them returned.

    Parameters
    ----------
    records : GeoDataFrame, n rows
        All records of the delivery with ``source_key``.
    is_live : ndarray of bool, n
        Records that have not been returned yet.

    Raises
    ------
    DeclarationError
        If the feed wants them returned but maps no column to the key.
    """
    if not layer.key or feed.missing_key == "match":
        return []
    unmapped = [name for name in layer.key if name not in feed.columns]
    if unmapped:
        raise DeclarationError(
            where=where,
            found=f"{unmapped[0]!r} of the key of layer {layer.name} is not mapped",
            expected="all attributes of the key in columns",
            remedy="map it, or set missing_key: match",
        )
    lacking = np.flatnonzero(is_live & records["source_key"].isna().to_numpy())
    if not len(lacking):
        return []
    present = [name for name in layer.key if name in records.columns]
    is_absent = records[present].iloc[lacking].isna().to_numpy()
    found = [
        "no " + ", ".join(name for name, is_null in zip(present, row, strict=True) if is_null)
        for row in is_absent
    ]
    found_zh = [f"缺少 {text.removeprefix('no ')}" for text in found]
    expected = ", ".join(layer.key)
    return [RecordProblem("intake.missing-key", lacking, found, expected, found_zh=found_zh)]


def duplicates(
    records: gpd.GeoDataFrame, policy: Duplicates, layer: Layer, is_live: Mask
) -> list[RecordProblem]:
    """Return the live records that stand twice: first the exact ones, then those sharing a key.

    Parameters
    ----------
    records : GeoDataFrame, n rows
        All records of the delivery with ``source_key``, ``operation``, ``valid_from``, attributes
        and geometry, and ``uid`` if they update features; RangeIndex.

    Notes
    -----
    Geometries agree if they have one canonical form at the layer's precision (`core.digest`).
    """
    identity = "uid" if "uid" in records.columns else "source_key"
    live = records[is_live]
    exact = _exact(live, live[identity], policy, layer)
    said = {record for problem in exact for record in problem.records}
    rest = live[~live.index.isin(said)] if said else live
    return [*exact, *_same_key(rest[identity], policy)]


def _exact(
    live: gpd.GeoDataFrame, identity: pd.Series, policy: Duplicates, layer: Layer
) -> list[RecordProblem]:
    # only records that share a key, or have none, can say the same: narrow down before comparing
    values = [name for name in live.columns if name not in ("record", "geometry")]
    alike = live[identity.isna() | identity.duplicated(keep=False)]
    alike = alike[alike.duplicated(values, keep=False)]
    if alike.empty:
        return []
    shape = pd.Series(geometry_bytes(alike.geometry.to_numpy(), layer), index=alike.index)
    compared = pd.DataFrame(alike[values]).assign(shape=shape)
    is_later = compared.duplicated(keep="first")
    if not is_later.any():
        return []
    group = compared.groupby(list(compared.columns), dropna=False, sort=False).ngroup()
    firsts = group[~is_later]
    first_of = pd.Series(firsts.index, index=firsts.to_numpy())
    later: Records = is_later.index.to_numpy()[is_later.to_numpy()]
    same = first_of[group[later]].tolist()
    is_merged = policy.exact == "merge"
    return [
        RecordProblem(
            "intake.duplicate-record",
            later,
            [f"says the same as record {first}" for first in same],
            "each record once",
            Fate.MERGED if is_merged else Fate.RETURNED,
            is_finding=not is_merged,
            found_zh=[f"与记录 {first} 完全相同" for first in same],
            expected_zh="每条记录一次",
        )
    ]


def _same_key(identity: pd.Series, policy: Duplicates) -> list[RecordProblem]:
    named = identity.dropna()
    shared = named[named.duplicated(keep=False)]
    if shared.empty:
        return []
    if policy.key == "return":
        losing = shared
    else:
        losing = shared[shared.duplicated(keep="first" if policy.key == "first" else "last")]
    records = shared.index.to_series().groupby(shared)
    listed, listed_zh = records.agg(_listed), records.agg(_listed, more=" 等，另有 {} 条")
    found = [f"key {key!r} stands several times: records {listed[key]}" for key in losing]
    kept = "" if policy.key == "return" else f"; the {policy.key} is taken"
    kept_zh = {"first": "；采用第一条", "last": "；采用最后一条"}.get(policy.key, "")
    return [
        RecordProblem(
            "intake.duplicate-key",
            losing.index.to_numpy(),
            found,
            f"each key once{kept}",
            found_zh=[f"主键 {key!r} 重复：记录 {listed_zh[key]}" for key in losing],
            expected_zh=f"每个主键一次{kept_zh}",
        )
    ]


def _listed(records: pd.Series, more: str = " and {} more") -> str:
    rest = len(records) - _LISTED
    shown = ", ".join(str(record) for record in records[:_LISTED])
    return shown + (more.format(rest) if rest > 0 else "")
