"""The features that findings concern, before and after, column by column."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.products.report.columns import (
    GeometryArray,
    Grid,
    encode_geometries,
    finite,
    text_column,
)
from cityframe.products.report.listing import Listing

FEATURE_COLUMNS = ("finding_id", "side", "uid", "attributes", "geometry")
SIDES = ("before", "after")


@dataclass(frozen=True)
class DistinctFeatures:
    """The distinct features of one layer, their distinct geometries, and whose they are.

    Attributes
    ----------
    rows : DataFrame
        ``side``, ``uid``, ``attributes`` and ``place``, the number of the geometry.
    geometry : ndarray of shapely geometries
    links : DataFrame
        ``finding`` (row of the listing) and ``feature`` (row of ``rows``).
    """

    rows: pd.DataFrame
    geometry: GeometryArray
    links: pd.DataFrame


def distinct_features(frame: gpd.GeoDataFrame, listing: Listing) -> DistinctFeatures:
    """Keep each feature and each geometry once, however many findings concern it.

    Features of findings that are not in the listing are left out.
    """
    known = pd.DataFrame(
        {"finding_id": listing.table["finding_id"], "finding": np.arange(len(listing.table))}
    )
    listed = frame.loc[frame["finding_id"].isin(known["finding_id"])].reset_index(drop=True)
    geometry = finite(listed.geometry.to_numpy())
    place, _ = pd.factorize(pd.Series(shapely.to_wkb(geometry), dtype="object").fillna(b""))
    _, first = np.unique(place, return_index=True)
    rows = pd.DataFrame(
        {
            "side": listed["side"].astype("str"),
            "uid": listed["uid"].astype("str").fillna(""),
            "attributes": listed["attributes"].astype("str").fillna("{}"),
            "place": place,
        }
    )
    feature = rows.groupby(list(rows.columns), sort=False).ngroup()
    links = pd.DataFrame({"finding_id": listed["finding_id"], "feature": feature})
    links = links.merge(known, on="finding_id")[["finding", "feature"]]
    return DistinctFeatures(rows[~feature.duplicated()], geometry[first], links)


def feature_columns(
    kept: Mapping[str, DistinctFeatures],
    names: tuple[str, ...],
    listing: Listing,
    layers: Mapping[str, Layer],
    grids: Mapping[str, Grid],
) -> dict[str, Any]:
    """Return the features of all layers as columns, and whose finding each is.

    Returns
    -------
    dict
        ``tables`` (one a layer), ``counts`` (features of each finding) and ``of`` (the features
        of all findings one after the other, numbered through the tables).
    """
    tables: list[dict[str, Any]] = []
    links: list[pd.DataFrame] = []
    start = 0
    for name, one in kept.items():
        tables.append(
            {
                "layer": names.index(name),
                "start": start,
                "side": one.rows["side"].map(SIDES.index).tolist(),
                "uid": text_column(one.rows["uid"].tolist()),
                "attributes": _attributes(one.rows["attributes"], layers[name]),
                "place": one.rows["place"].tolist(),
                "block": encode_geometries(one.geometry, grids[layers[name].crs]),
            }
        )
        links.append(one.links.assign(feature=one.links["feature"] + start))
        start += len(one.rows)
    counts = np.zeros(len(listing.table), dtype=np.int64)
    linked: list[int] = []
    if links:
        every = pd.concat(links, ignore_index=True)
        every = every.sort_values(["finding", "feature"], kind="stable").drop_duplicates()
        counts = np.bincount(every["finding"], minlength=len(listing.table))
        linked = every["feature"].tolist()
    return {"tables": tables, "counts": counts.tolist(), "of": linked}


def check_features(name: str, frame: gpd.GeoDataFrame, layers: Mapping[str, Layer]) -> None:
    """Refuse a features frame without its columns, of another side, or of an unknown layer or CRS.

    Raises
    ------
    DeclarationError
    """
    where = f"features of {name}"
    missing = [column for column in FEATURE_COLUMNS if column not in frame.columns]
    if missing:
        raise DeclarationError(where=where, found=f"no column {', '.join(missing)}")
    if name not in layers:
        raise DeclarationError(
            where=where,
            found="no such layer",
            expected=f"one of {', '.join(sorted(layers))}",
            remedy="hand the layer's contract to the report",
        )
    other = sorted(set(frame["side"].unique()) - set(SIDES))
    if other:
        raise DeclarationError(where=where, found=f"side {other[0]!r}", expected="before or after")
    check_crs(where, frame, layers[name].crs)


def check_crs(where: str, frame: gpd.GeoDataFrame, code: str) -> None:
    """Refuse places in another CRS than the layer's.

    Raises
    ------
    DeclarationError
    """
    if not shapely.is_missing(frame.geometry.to_numpy()).all() and frame.crs != code:
        raise DeclarationError(where=where, found=f"CRS {frame.crs or 'missing'}", expected=code)


def _attributes(texts: pd.Series, layer: Layer) -> dict[str, Any]:
    parsed = [_parsed(text, layer.name) for text in texts]
    # the contract's attributes first, in its order; then what else the rows have
    seen = dict.fromkeys(layer.attribute_names)
    for one in parsed:
        seen.update(dict.fromkeys(one))
    columns = {name: _attribute_column(parsed, name) for name in seen}
    return {name: column for name, column in columns.items() if column["values"]}


def _attribute_column(rows: list[dict[str, Any]], name: str) -> dict[str, list[Any]]:
    places: dict[object, int] = {}
    values: list[Any] = []
    at: list[int] = []
    for row in rows:
        if name not in row:
            at.append(-1)
            continue
        value = row[name]
        # 1, 1.0 and true are equal in Python and different in JSON
        key = value if isinstance(value, str) else (json.dumps(value),)
        place = places.setdefault(key, len(places))
        if place == len(values):
            values.append(value)
        at.append(place)
    return {"values": values, "at": at}


def _parsed(text: str, layer: str) -> dict[str, Any]:
    def no_number(constant: str) -> None:
        message = f"{constant} is not a JSON number"
        raise ValueError(message)

    try:
        values = json.loads(text, parse_constant=no_number)
    except ValueError as error:
        raise DeclarationError(
            where=f"features of {layer}", found=f"attributes that are not JSON: {error}"
        ) from error
    if not isinstance(values, dict):
        raise DeclarationError(
            where=f"features of {layer}", found="attributes", expected="a JSON object"
        )
    return values
