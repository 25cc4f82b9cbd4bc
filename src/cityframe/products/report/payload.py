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

from cityframe.model.finding import DefectClass, FindingState, Gate
from cityframe.model.layer import Layer
from cityframe.model.report import Report, RuleResult
from cityframe.model.text import Title
from cityframe.products.report.columns import (
    GeometryArray,
    Grid,
    encode_geometries,
    grid_over,
    text_column,
)
from cityframe.products.report.document import FindingTotals
from cityframe.products.report.feature_columns import (
    DistinctFeatures,
    check_crs,
    check_features,
    distinct_features,
    feature_columns,
)
from cityframe.products.report.listing import Listing, source_titles
from cityframe.products.report.packing import packed

Language = Literal["zh", "en"]
Frames = Mapping[str, gpd.GeoDataFrame]

_FINEST_UNIT_M = 0.001


@dataclass(frozen=True)
class PageData:
    """What both language versions of the page share; the large parts packed.

    Attributes
    ----------
    packs : mapping of str to str
        ``findings``, ``features``, ``context``: packed parts; nothing where there is none.
    texts : DataFrame
        ``found``, ``expected``, ``found_zh``, ``expected_zh`` of the findings.
    """

    packs: Mapping[str, str]
    texts: pd.DataFrame
    count: int
    context: tuple[str, ...]
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
        check_features(name, frame, layers)
    names = tuple(name for name in layers if _is_used(name, listing, features, context))
    codes = {name: layers[name].crs for name in names}
    codes |= {name: _code(frame) for name, frame in context.items() if name not in layers}
    for name, frame in context.items():
        check_crs(f"context of {name}", frame, codes[name])
    kept = {name: distinct_features(features[name], listing) for name in names if name in features}
    order = sorted(
        set(codes.values()), key=lambda code: (-(listing.table["crs"] == code).sum(), code)
    )
    grids = {code: _grid(code, codes, listing, kept, context, layers) for code in order}
    map_of = {name: order.index(code) for name, code in codes.items()}
    rules, deliveries = _names(listing.table["rule"]), _names(listing.table["delivery"])
    background = [
        {
            "layer": name,
            "map": map_of[name],
            "block": encode_geometries(context[name].geometry.to_numpy(), grids[codes[name]]),
        }
        for name in sorted(context)
    ]
    parts = {
        "findings": _findings(listing, names, rules, deliveries, grids),
        "features": feature_columns(kept, names, listing, layers, grids),
        "context": background,
    }
    return PageData(
        packs={name: packed(part) for name, part in parts.items()} if len(listing.table) else {},
        texts=listing.table[["found", "expected", "found_zh", "expected_zh"]],
        count=len(listing.table),
        context=tuple(sorted(context)),
        maps=tuple(_map(code, grids[code]) for code in order),
        layers=names,
        map_of_layer=map_of,
        rules=rules,
        deliveries=deliveries,
    )


def page_packs(data: PageData, language: Language) -> dict[str, str]:
    """Return the packed parts of the page in one language."""
    if not data.count:
        return {}
    suffix = "_zh" if language == "zh" else ""
    texts = {name: text_column(data.texts[name + suffix]) for name in ("found", "expected")}
    return {**data.packs, "texts": packed(texts)}


def page_json(
    data: PageData,
    report: Report,
    totals: FindingTotals,
    layers: Mapping[str, Layer],
    words: Mapping[str, str],
    language: Language,
) -> str:
    """Return the page's small data in one language as JSON that is safe in a ``script`` element."""
    results = {result.rule: result for result in report.results}
    titles = {one.layer: one.title for one in report.changes}
    sources = source_titles(report, data.deliveries)
    plain = {
        "language": language,
        "words": dict(words),
        "count": data.count,
        "total": totals.total,
        "maps": data.maps,
        "layers": [_layer(layers[name], data.map_of_layer[name], language) for name in data.layers],
        "rules": [_rule(name, results.get(name), language) for name in data.rules],
        "deliveries": [_delivery(one, sources.get(one), language) for one in data.deliveries],
        "contextTitles": {name: _title_of(name, layers, titles, language) for name in data.context},
    }
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


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
        "state": _places(table["state"], ["", *FindingState]),
        "record": text_column([None if pd.isna(one) else int(one) for one in record]),
        "waived": np.flatnonzero(table["is_waived"].to_numpy()).tolist(),
        **{
            name: text_column(table[name].tolist())
            for name in ("uid", "source_key", "other", "rule_version", "waiver", "first_seen")
        },
        "places": [
            encode_geometries(_only(listing.geometry, (table["crs"] == code).to_numpy()), grid)
            for code, grid in grids.items()
        ],
    }


def _code(frame: gpd.GeoDataFrame) -> str:
    return "" if frame.crs is None else str(frame.crs.to_string())


def _is_used(name: str, listing: Listing, features: Frames, context: Frames) -> bool:
    return name in features or name in context or bool((listing.table["layer"] == name).any())


def _grid(
    code: str,
    codes: Mapping[str, str],
    listing: Listing,
    features: Mapping[str, DistinctFeatures],
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
        return {"id": name, "title": name, "measure": ""}
    measure = f"{result.measure.register} · {result.measure.id} · {result.measure.name}"
    return {"id": name, "title": getattr(result.title, language), "measure": measure}


def _delivery(name: str, title: Title | None, language: Language) -> dict[str, str]:
    return {"id": name, "title": f"{getattr(title, language)} · {name}" if title else name}


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
