"""Gather a rule's defects to findings: one a set of features, with all its places."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.findings import findings_frame
from cityframe.rules.checking.attempt import Attempt
from cityframe.rules.checking.feature_digests import feature_digests
from cityframe.rules.checking.waiving import VoidReason, WaiverBook, match_waivers
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.geometry.extent import extent

_FEATURES = ["row", "other_row", "other", "uid"]


@dataclass(frozen=True)
class Gathered:
    """The findings of one rule.

    Attributes
    ----------
    attempt : Attempt
        What they were gathered from; it knows now which of its defects are waived.
    findings : GeoDataFrame
        Columns `cityframe.model.finding.FINDING_COLUMNS`, sorted by row and other features; those
        about the whole layer last. Several places of the same features are one finding with a
        multi-part geometry; the places are flat.
    void : mapping of str to VoidReason
        Waivers of these findings that do not stand.
    """

    attempt: Attempt
    findings: gpd.GeoDataFrame
    void: Mapping[str, VoidReason] = field(default_factory=dict)

    @property
    def waived(self) -> int:
        """How many of the findings a waiver accepts."""
        return int((self.findings["waiver"] != "").sum())


def gather(
    context: Context, attempt: Attempt, *, delivery: str, waivers: WaiverBook | None = None
) -> Gathered:
    """Gather the defects of one rule to findings, and say which of them are waived."""
    rows, number = _gathered(attempt.defects)
    findings = _findings(context, attempt, rows, delivery=delivery)
    match = match_waivers(findings, waivers, partial(feature_digests, context, attempt.compiled))
    if not any(match.waiver):
        return Gathered(attempt, findings, match.void)
    findings["waiver"] = pd.Series(match.waiver, index=findings.index, dtype="str")
    waiver = np.array(match.waiver, dtype=object)[number]
    return Gathered(replace(attempt, waiver=waiver), findings, match.void)


def _findings(
    context: Context, attempt: Attempt, rows: pd.DataFrame, *, delivery: str
) -> gpd.GeoDataFrame:
    """Return a findings frame of gathered rows, in their order."""
    rule, layer = attempt.compiled.rule, attempt.compiled.layer
    rows["geometry"] = _placed(context, rows)
    rows["partner"] = _partner(context, rows)
    rows["other"] = _named(rows)
    for name in ("uid", "source_key", "record"):
        if name in context.frame.columns:
            rows[name] = _of_features(context.frame[name], rows, name)
    return findings_frame(
        rows,
        rule=rule.id,
        kind=rule.kind,
        defect_class=rule.defect_class,
        gate=rule.gate,
        scope=rule.scope,
        layer=layer.name,
        delivery=delivery,
        crs=layer.crs,
        rule_version=rule.version,
    )


def _gathered(defects: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Return one row a set of features, in the order of the layer; and of each defect its row."""
    is_about_layer = defects["row"] < 0
    ordered = defects.assign(is_about_layer=is_about_layer).sort_values(
        ["is_about_layer", *_FEATURES], kind="stable"
    )
    groups = ordered.groupby(_FEATURES, sort=False)
    number = groups.ngroup().to_numpy(dtype=np.int64)
    rows = ordered.drop_duplicates(_FEATURES).reset_index(drop=True)
    rows["geometry"] = _joined(ordered["geometry"].to_numpy(), number, len(rows))
    count = np.bincount(number, minlength=len(rows))
    for name, text in (("found", " ({} places)"), ("found_zh", "（{} 处）")):
        more = pd.Series([text.format(n) if n > 1 else "" for n in count], dtype="str")
        rows[name] = rows[name] + more
    row_of = pd.Series(number, index=ordered.index).reindex(defects.index).to_numpy()
    return rows.drop(columns="is_about_layer"), row_of


def _joined(geometry: Geometries, number: npt.NDArray[np.integer], size: int) -> Geometries:
    """Return one flat geometry a number, of the parts of the highest dimension there is."""
    # an intersection may be a collection of multi-part geometries: take it apart twice
    outer, place = shapely.get_parts(shapely.force_2d(geometry), return_index=True)
    parts, inner = shapely.get_parts(outer, return_index=True)
    parts, index = parts[~shapely.is_empty(parts)], number[place[inner][~shapely.is_empty(parts)]]
    dimension = shapely.get_dimensions(parts)
    highest = np.full(size, -1)
    np.maximum.at(highest, index, dimension)
    joined = np.full(size, None, dtype=object)
    for each in (0, 1, 2):
        chosen = (dimension == each) & (highest[index] == each)
        if chosen.any():
            targets, compact = np.unique(index[chosen], return_inverse=True)
            joined[targets] = _multi(parts[chosen], compact, each)
    is_single = shapely.get_num_geometries(joined) == 1
    joined[is_single] = shapely.get_geometry(joined[is_single], 0)
    return joined


def _multi(parts: Geometries, index: npt.NDArray[np.integer], dimension: int) -> Geometries:
    """Return one multi-part geometry a number in ``index``."""
    if dimension == 0:
        return np.asarray(shapely.multipoints(parts, indices=index), dtype=object)
    if dimension == 1:
        return np.asarray(shapely.multilinestrings(parts, indices=index), dtype=object)
    return np.asarray(shapely.multipolygons(parts, indices=index), dtype=object)


def _placed(context: Context, rows: pd.DataFrame) -> Geometries:
    """Return the places; where a defect has none, its feature is the place."""
    places = rows["geometry"].to_numpy().copy()
    row = rows["row"].to_numpy()
    own = np.flatnonzero(shapely.is_missing(places) & (row >= 0))
    places[own] = own_places(context, row[own])
    return places


def own_places(context: Context, row: Positions) -> Geometries:
    """Return the place of each feature as findings give it: flat, its extent if it is broken."""
    features: Geometries = shapely.force_2d(context.geometry[row])
    xy, index = shapely.get_coordinates(features, return_index=True)
    odd = np.union1d(
        index[~np.isfinite(xy).all(axis=1)], np.flatnonzero(shapely.is_empty(features))
    )
    for one in odd:
        features[one] = extent(features[[one]])
    return features


def _partner(context: Context, rows: pd.DataFrame) -> pd.Series:
    """Return the identity of the second feature that fails."""
    other_row = rows["other_row"].to_numpy()
    names = pd.Series("", index=rows.index, dtype="str")
    has_partner = other_row >= 0
    if has_partner.any():
        names[has_partner] = context.ids[other_row[has_partner]]
    return names


def _named(rows: pd.DataFrame) -> pd.Series:
    """Return the identities of the other features concerned, comma-separated."""
    names = rows["partner"]
    comma = np.where((names != "") & (rows["other"] != ""), ",", "")
    return names + comma + rows["other"]


def _of_features(column: pd.Series, rows: pd.DataFrame, name: str) -> pd.Series:
    """Return a system column's value of each row's feature; what the defect says of itself wins."""
    row = rows["row"].to_numpy()
    values = column.reset_index(drop=True).reindex(row).reset_index(drop=True)
    if name != "uid":
        return values
    return rows["uid"].where(rows["uid"] != "", values.fillna(""))
