"""Digests of the features that findings are about: what a waiver is bound to."""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.core.digest import row_digests
from cityframe.core.frames import empty_frame, with_column_types
from cityframe.errors import IntegrityError
from cityframe.model.finding import Scope
from cityframe.model.layer import Layer
from cityframe.rules.checking.waiving import FeatureDigests
from cityframe.rules.compiled import CompiledRule, CompiledRules
from cityframe.rules.context import Context, feature_ids

ABSENT = "absent"
"""Stands for a feature that a finding names and no layer at hand holds."""


def feature_digests(
    context: Context, compiled: CompiledRule, findings: gpd.GeoDataFrame
) -> list[FeatureDigests]:
    """Return the digests of the features of each finding, by their identities.

    A feature is looked for in the layer under check, then in the layers that the rule reads, then
    in the current release. Records that share an identity have one digest together. A finding
    about the whole layer has one entry under the layer's name: over what the finding says.

    Parameters
    ----------
    findings : GeoDataFrame, n rows
        Findings of one rule on the layer of the context.

    Returns
    -------
    list of mapping, n
        Digests in hexadecimal; `ABSENT` for a feature that is nowhere, None for one with
        coordinates that can't be digested.
    """
    names = [_identities(one) for one in findings.itertuples(index=False)]
    wanted = {name for each in names for name in each}
    known: dict[str, str | None] = {}
    for frame, layer in _frames(context, compiled):
        missing = wanted - known.keys()
        if not missing:
            break
        known |= _digests(frame, layer, missing)
    return [
        {name: known.get(name, ABSENT) for name in each}
        if each
        else {context.layer.name: _digest_of_statement(findings.iloc[place])}
        for place, each in enumerate(names)
    ]


def digest_table(
    compiled: CompiledRules,
    findings: gpd.GeoDataFrame,
    *,
    scope: Scope,
    layer: str,
    frame: gpd.GeoDataFrame,
    as_of: dt.datetime,
    other: Callable[[str], gpd.GeoDataFrame] | None = None,
    previous: gpd.GeoDataFrame | None = None,
) -> pd.DataFrame:
    """Return the digests that waivers of findings would be bound to.

    Parameters
    ----------
    findings : GeoDataFrame
        Of one layer; those of rules that are not declared for the scope are passed over.
    frame, as_of, other, previous
        What the layer was checked with; see `cityframe.rules.check.check_layer`.

    Returns
    -------
    DataFrame
        ``finding_id``, ``feature``, ``digest``; one row a feature of a finding.
    """
    context = Context(
        layer=compiled.layers[layer],
        frame=frame,
        layers=compiled.layers,
        as_of=as_of,
        previous=previous,
        read_other=other,
    )
    rows: list[tuple[str, str, str | None]] = []
    for rule in compiled.of(layer, scope):
        mine = findings[findings["rule"] == rule.rule.id]
        for finding, digests in zip(
            mine["finding_id"], feature_digests(context, rule, mine), strict=True
        ):
            rows += [(finding, feature, digest) for feature, digest in digests.items()]
    return pd.DataFrame(rows, columns=["finding_id", "feature", "digest"], dtype="str")


def _identities(finding: tuple[object, ...]) -> list[str]:
    """Return the identities of a finding's features; none for one about the whole layer."""
    record = getattr(finding, "record", None)
    own = (
        getattr(finding, "uid", "")
        or getattr(finding, "source_key", "")
        or ("" if pd.isna(record) else str(record))
    )
    return [one for one in (own, *str(getattr(finding, "other", "")).split(",")) if one]


def _frames(context: Context, compiled: CompiledRule) -> Iterator[tuple[gpd.GeoDataFrame, Layer]]:
    yield context.frame, context.layer
    for needed in compiled.parameters.needed_layers():
        yield context.other(needed.name), context.layers[needed.name]
    if context.previous is not None:
        yield context.previous, context.layer


def _digests(frame: gpd.GeoDataFrame, layer: Layer, wanted: set[str]) -> dict[str, str | None]:
    ids = pd.Series(feature_ids(frame), dtype="str")
    at = np.flatnonzero(ids.isin(wanted))
    rows = _whole(frame.iloc[at], layer)
    try:
        digests: list[str | None] = [one.hex() for one in row_digests(rows, layer)]
    except IntegrityError:
        digests = [_digest(rows.iloc[[place]], layer) for place in range(len(rows))]
    found: dict[str, str | None] = {}
    for name, digest in sorted(zip(ids.iloc[at], digests, strict=True), key=str):
        before = found.get(name, "")
        found[name] = None if before is None or digest is None else before + digest
    return found


def _digest(row: gpd.GeoDataFrame, layer: Layer) -> str | None:
    try:
        return str(row_digests(row, layer)[0].hex())
    except IntegrityError:
        return None


def _whole(rows: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Return rows with all attributes of the contract; what is not provided is null."""
    nothing = empty_frame(layer)
    plain = pd.DataFrame(rows).reset_index(drop=True)
    columns = {
        name: plain[name] if name in plain else nothing[name].reindex(plain.index)
        for name in layer.attribute_names
    }
    geometry = plain["geometry"].to_numpy() if "geometry" in plain else [None] * len(plain)
    whole = gpd.GeoDataFrame(
        pd.DataFrame(columns, index=plain.index),
        geometry=gpd.GeoSeries(geometry, index=plain.index, crs=layer.crs),
        crs=layer.crs,
    )
    return with_column_types(whole, layer)


def _digest_of_statement(finding: "pd.Series[Any]") -> str:
    """Return a digest over what a finding says and where."""
    place = shapely.to_wkb(finding["geometry"]) or b""
    said = "\x1f".join(str(finding[name]) for name in ("found", "expected"))
    return hashlib.blake2b(said.encode() + b"\x1f" + place, digest_size=16).hexdigest()
