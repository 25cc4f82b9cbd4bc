"""Make the layers, frames, rules and deliveries of rule cases from what a case file says."""

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.config.rule import Rule
from cityframe.core.frames import with_column_types
from cityframe.errors import DeclarationError
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.context import Received, ReceivedTable
from cityframe.rules.proving.case_grid import GEOMETRY_KEYS, Grid

LAYER = "things"
"""Name of the layer under check in every case."""


def make_layer(
    name: str, geometry: str, attributes: Mapping[str, Any] | None = None, **more: Any
) -> Layer:
    """Return a layer; attributes map a name to a type or to ``{type, codes, unit}``."""
    made = []
    for column, given in (attributes or {}).items():
        spec = {"type": given} if isinstance(given, str) else given
        made.append(
            Attribute(
                name=column,
                type=AttributeType(spec["type"]),
                title=Title(zh=column, en=column),
                codes=tuple(spec.get("codes", ())),
                unit=spec.get("unit", ""),
            )
        )
    return Layer(
        name=name,
        title=Title(zh=name, en=name),
        geometry=GeometryType(geometry),
        crs=more.get("crs", "EPSG:4547"),
        precision_m=more.get("precision_m", 0.001),
        accuracy_m=0.25,
        key=tuple(more.get("key", ())),
        attributes=tuple(made),
        has_z=more.get("has_z", False),
        vertical_datum="EPSG:5737" if more.get("has_z") else "",
    )


def make_frame(layer: Layer, features: Sequence[Mapping[str, Any]], grid: Grid) -> gpd.GeoDataFrame:
    """Return a layer frame with ``uid`` (``f0``, ``f1`` … if not given) and ``record``.

    Raises
    ------
    DeclarationError
        If a feature has a key that is no attribute.
    """
    known = {"uid", "change", *layer.attribute_names, *GEOMETRY_KEYS}
    for feature in features:
        if not set(feature) <= known:
            raise DeclarationError(
                found=f"unknown keys {sorted(set(feature) - known)}",
                where=f"a feature of layer {layer.name}",
                expected=f"some of {', '.join(sorted(known))}",
            )
    prefix = "f" if layer.name == LAYER else f"{layer.name}."
    geometry = np.full(len(features), None, dtype=object)
    geometry[:] = [grid.geometry(feature) for feature in features]
    columns: dict[str, Any] = {
        "uid": [feature.get("uid", f"{prefix}{row}") for row, feature in enumerate(features)],
        "record": pd.array(range(len(features)), dtype="Int64"),
    }
    for name in layer.attribute_names:
        columns[name] = [feature.get(name) for feature in features]
    frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometry, crs=layer.crs))
    return with_column_types(frame, layer)


def make_rule(kind: str, **more: Any) -> Rule:
    """Return a rule of a kind over the layer of the cases."""
    return Rule.model_validate(
        {
            "id": f"{LAYER}.{kind}",
            "title": {"zh": kind, "en": kind},
            "kind": kind,
            "layers": [LAYER],
            "defect_class": "B",
            "gate": "block",
            "scope": "candidate",
            **more,
        }
    )


def make_observations(raw: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the observations of feeds as a case tells them."""
    rows = [
        (one["stream"], time, value, time + pd.Timedelta(one.get("delay_s", 0), unit="s"))
        for one in raw
        for number, value in enumerate(one["values"])
        for time in [pd.Timestamp(one["start"]) + number * pd.Timedelta(one["step_s"], unit="s")]
    ]
    moment = "datetime64[us, UTC]"
    types = {"stream": "str", "time": moment, "value": "float64", "received": moment}
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def make_received(raw: Mapping[str, Any] | None) -> Received | None:
    """Return what a delivery brought, as a case tells it."""
    if raw is None:
        return None
    return Received(
        files=raw.get("files", {}),
        layers=frozenset(raw.get("layers", ())),
        tables=tuple(ReceivedTable(**table) for table in raw.get("tables", ())),
        crs=raw.get("crs", ""),
        metadata=raw.get("metadata", {}),
    )
