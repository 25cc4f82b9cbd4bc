"""The data inside the page: findings, the features concerned and the map, column by column."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Gate
from cityframe.model.layer import Layer
from cityframe.model.report import Report, RuleResult
from cityframe.model.text import Title
from cityframe.products.report.geometry_encoding import (
    GeometryArray,
    Grid,
    encode_geometries,
    finite,
    grid_over,
)
from cityframe.products.report.listing import Listing

Language = Literal["zh", "en"]
Frames = Mapping[str, gpd.GeoDataFrame]

FEATURE_COLUMNS = ("finding_id", "side", "uid", "attributes", "geometry")
SIDES = ("before", "after")
_FINEST_UNIT_M = 0.001


@dataclass(frozen=True)
class PageData:
    """What both language versions of the page share, ready to be written."""

    findings: dict[str, Any]
    features: dict[str, Any]
    context: tuple[dict[str, Any], ...]
    maps: tuple[dict[str, Any], ...]
    layers: tuple[str, ...]
    map_of_layer: Mapping[str, int]
    rules: tuple[str, ...]
    deliveries: tuple[str, ...]


def page_data(
    listing: Listing, features: Frames, context: Frames, layers: Mapping[str, Layer]
) -> PageData:
    """Encode everything that the page's list and map need.

    Parameters
    ----------
    features, context : mapping of str to GeoDataFrame
        By layer, each in its layer's CRS. Features of findings that are not listed are left out.

    Raises
    ------
    DeclarationError
        If a features frame lacks a column, names another side, or is of an unknown layer or CRS.
    """
    for name, frame in features.items():
        _check_features(name, frame, layers)
    names = tuple(name for name in layers if _is_used(name, listing, features, context))
    codes = {name: layers[name].crs for name in names}
    codes |= {name: _code(frame) for name, frame in context.items() if name not in layers}
    for name, frame in context.items():
        _check_crs(f"context of {name}", frame, codes[name])
    kept = {name: _distinct(features[name], listing) for name in names if name in features}
    order = sorted(
        set(codes.values()), key=lambda code: (-(listing.table["crs"] == code).sum(), code)
    )
    grids = {code: _grid(code, codes, listing, kept, context, layers) for code in order}
    map_of = {name: order.index(code) for name, code in codes.items()}
    rules, deliveries = _names(listing.table["rule"]), _names(listing.table["delivery"])
    return PageData(
        findings=_findings(listing, names, rules, deliveries, grids),
        features=_features(kept, names, listing, layers, grids),
        context=tuple(
            {
                "layer": name,
                "map": map_of[name],
                "block": encode_geometries(context[name].geometry.to_numpy(), grids[codes[name]]),
            }
            for name in sorted(context)
        ),
        maps=tuple(_map(code, grids[code]) for code in order),
        layers=names,
        map_of_layer=map_of,
        rules=rules,
        deliveries=deliveries,
    )


def page_json(
    data: PageData,
    report: Report,
    layers: Mapping[str, Layer],
    words: Mapping[str, str],
    language: Language,
) -> str:
    """Return the page's data in one language as JSON that is safe inside a ``script`` element."""
    results = {result.rule: result for result in report.results}
    titles = {one.layer: one.title for one in report.changes}
    plain = {
        "language": language,
        "words": dict(words),
        "maps": data.maps,
        "layers": [_layer(layers[name], data.map_of_layer[name], language) for name in data.layers],
        "rules": [_rule(name, results.get(name), language) for name in data.rules],
        "deliveries": data.deliveries,
        "findings": data.findings,
        "features": data.features,
        "context": [
            {**one, "title": _title_of(one["layer"], layers, titles, language)}
            for one in data.context
        ],
    }
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def text_column(values: Sequence[Any]) -> list[Any] | dict[str, list[Any]]:
    """Return a column as it is, or as distinct values and places where that is shorter."""
    places: dict[Any, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    if 2 * len(places) > len(values):
        return list(values)
    return {"values": list(places), "at": at}


def _findings(
    listing: Listing,
    layers: tuple[str, ...],
    rules: tuple[str, ...],
    deliveries: tuple[str, ...],
    grids: Mapping[str, Grid],
) -> dict[str, Any]:
    table = listing.table
    record = table["record"].astype("object")
    return {
        "n": len(table),
        "id": table["finding_id"].tolist(),
        "rule": _places(table["rule"], rules),
        "layer": _places(table["layer"], layers),
        "gate": _places(table["gate"], [gate.value for gate in Gate]),
        "class": _places(table["defect_class"], [one.value for one in DefectClass]),
        "delivery": _places(table["delivery"], deliveries),
        "record": text_column([None if pd.isna(one) else int(one) for one in record]),
        "waived": np.flatnonzero(table["is_waived"].to_numpy()).tolist(),
        **{
            name: text_column(table[name].tolist())
            for name in ("uid", "source_key", "other", "found", "expected")
        },
        "places": [
            encode_geometries(_only(listing.geometry, (table["crs"] == code).to_numpy()), grid)
            for code, grid in grids.items()
        ],
    }


def _features(
    kept: Mapping[str, "_Features"],
    names: tuple[str, ...],
    listing: Listing,
    layers: Mapping[str, Layer],
    grids: Mapping[str, Grid],
) -> dict[str, Any]:
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


@dataclass(frozen=True)
class _Features:
    """The distinct features of one layer, their distinct geometries, and whose they are."""

    rows: pd.DataFrame
    geometry: GeometryArray
    links: pd.DataFrame


def _distinct(frame: gpd.GeoDataFrame, listing: Listing) -> _Features:
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
    return _Features(rows[~feature.duplicated()], geometry[first], links)


def _attributes(texts: pd.Series, layer: Layer) -> dict[str, Any]:
    parsed = [_parsed(text, layer.name) for text in texts]
    # the contract's attributes first, in its order; then what else the rows have
    seen = dict.fromkeys(layer.attribute_names)
    for one in parsed:
        seen.update(dict.fromkeys(one))
    columns: dict[str, Any] = {}
    for name in seen:
        values: dict[str, int] = {}
        at = [
            values.setdefault(json.dumps(one[name], ensure_ascii=False), len(values))
            if name in one
            else -1
            for one in parsed
        ]
        if values:
            columns[name] = {"values": [json.loads(value) for value in values], "at": at}
    return columns


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


def _check_features(name: str, frame: gpd.GeoDataFrame, layers: Mapping[str, Layer]) -> None:
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
    _check_crs(where, frame, layers[name].crs)


def _check_crs(where: str, frame: gpd.GeoDataFrame, code: str) -> None:
    if frame.geometry.notna().any() and frame.crs != code:
        raise DeclarationError(where=where, found=f"CRS {frame.crs or 'missing'}", expected=code)


def _code(frame: gpd.GeoDataFrame) -> str:
    return "" if frame.crs is None else str(frame.crs.to_string())


def _is_used(name: str, listing: Listing, features: Frames, context: Frames) -> bool:
    return name in features or name in context or bool((listing.table["layer"] == name).any())


def _grid(
    code: str,
    codes: Mapping[str, str],
    listing: Listing,
    features: Mapping[str, _Features],
    context: Frames,
    layers: Mapping[str, Layer],
) -> Grid:
    here = [name for name, other in codes.items() if other == code]
    units = [layers[name].precision_m for name in here if name in layers]
    blocks = [
        listing.geometry[(listing.table["crs"] == code).to_numpy()],
        *(features[name].geometry for name in here if name in features),
        *(context[name].geometry.to_numpy() for name in here if name in context),
    ]
    return grid_over(blocks, max(_FINEST_UNIT_M, min(units, default=_FINEST_UNIT_M)))


def _map(code: str, grid: Grid) -> dict[str, Any]:
    name = pyproj.CRS.from_user_input(code).name if code else ""
    return {"crs": code, "name": name, "origin": [grid.east, grid.north], "unit": grid.unit_m}


def _layer(layer: Layer, map_number: int, language: Language) -> dict[str, Any]:
    return {
        "name": layer.name,
        "title": getattr(layer.title, language),
        "map": map_number,
        "attributes": {
            one.name: [getattr(one.title, language), one.unit] for one in layer.attributes
        },
    }


def _rule(name: str, result: RuleResult | None, language: Language) -> dict[str, Any]:
    if result is None:
        return {"id": name, "title": name, "measure": "", "version": None}
    measure = f"{result.measure.register} · {result.measure.id} · {result.measure.name}"
    return {
        "id": name,
        "title": getattr(result.title, language),
        "measure": measure,
        "version": result.version,
    }


def _title_of(
    name: str, layers: Mapping[str, Layer], titles: Mapping[str, Title], language: Language
) -> str:
    title = layers[name].title if name in layers else titles.get(name)
    return name if title is None else str(getattr(title, language))


def _only(geometry: GeometryArray, chosen: npt.NDArray[np.bool_]) -> GeometryArray:
    kept = geometry.copy()
    kept[~chosen] = None
    return kept


def _names(column: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(column.unique()))


def _places(column: pd.Series, among: Sequence[str]) -> list[int]:
    places: list[int] = column.map({name: place for place, name in enumerate(among)}).tolist()
    return places
