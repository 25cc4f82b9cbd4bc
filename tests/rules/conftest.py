"""Read the rule cases of ``tests/cases/rules`` and draw their geometry from character grids.

A grid is a picture: each character is a square of one metre (or ``cell_m``), the lowest line is at
y = 0. A feature takes its geometry from it by one of

``cells: ab``
    the union of all squares marked ``a`` or ``b``; ``legend: {X: ab}`` says that ``X`` is both
``line: abc``, ``ring: abcd``, ``point: a``, ``points: abc``
    the middles of the squares, in that order; a list gives many parts
``wkt: POINT (1 2)``
    well-known text; ``wkt: null`` for no geometry

Its other keys are attributes. ``received`` is what the delivery brought, ``scope`` where the rule
looks. ``observations`` are those of the sensors' feeds, a list of ``{stream, start, step_s, values,
delay_s}``.
"""

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import yaml

from cityframe.config.rule import Rule
from cityframe.core.frames import with_column_types
from cityframe.model.finding import Scope
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.check import Checked, check_layer
from cityframe.rules.compiled import compile_rules
from cityframe.rules.context import Received, ReceivedTable

CASES = Path(__file__).parents[1] / "cases" / "rules"
AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
GEOMETRY_KEYS = ("cells", "line", "ring", "point", "points", "wkt")


@dataclass(frozen=True)
class Grid:
    """A picture whose characters are places."""

    text: str = ""
    cell_m: float = 1.0
    legend: dict[str, str] = field(default_factory=dict)

    def squares(self, names: str) -> shapely.Geometry:
        """Return the union of the squares that carry one of the names."""
        found = [
            shapely.box(
                x * self.cell_m, y * self.cell_m, (x + 1) * self.cell_m, (y + 1) * self.cell_m
            )
            for mark, x, y in self._marks()
            if set(names) & {mark, *self.legend.get(mark, "")}
        ]
        assert found, f"no {names!r} in the grid"
        return shapely.union_all(found)

    def middles(self, names: str) -> list[tuple[float, float]]:
        """Return the middle of the square of each name, in the order of the names."""
        places = {
            mark: ((x + 0.5) * self.cell_m, (y + 0.5) * self.cell_m) for mark, x, y in self._marks()
        }
        return [places[name] for name in names]

    def _marks(self) -> list[tuple[str, int, int]]:
        lines = self.text.rstrip().splitlines()
        return [
            (mark, x, len(lines) - 1 - line)
            for line, marks in enumerate(lines)
            for x, mark in enumerate(marks)
            if mark not in ". "
        ]

    def geometry(self, feature: dict[str, Any]) -> shapely.Geometry | None:
        """Return the geometry of a feature of a case."""
        for key, value in feature.items():
            if key in GEOMETRY_KEYS:
                return self._draw(key, value)
        return None

    def _draw(self, key: str, value: Any) -> shapely.Geometry | None:
        if key == "wkt":
            with np.errstate(invalid="ignore"):  # WKT of a coordinate that is no number
                return None if value is None else shapely.from_wkt(value)
        if key == "cells":
            return self.squares(value)
        if key == "points":
            return shapely.MultiPoint(self.middles(value))
        one, many = {
            "line": (shapely.LineString, shapely.MultiLineString),
            "ring": (shapely.Polygon, shapely.MultiPolygon),
            "point": (shapely.Point, shapely.MultiPoint),
        }[key]
        if isinstance(value, list):
            return many([one(self._places(key, names)) for names in value])
        return one(self._places(key, value))

    def _places(self, key: str, names: str) -> Any:
        return self.middles(names)[0] if key == "point" else self.middles(names)


def make_layer(
    name: str, geometry: str, attributes: dict[str, Any] | None = None, **more: Any
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


def make_frame(layer: Layer, features: list[dict[str, Any]], grid: Grid) -> gpd.GeoDataFrame:
    """Return a layer frame with ``uid`` (``f0``, ``f1`` … if not given) and ``record``."""
    prefix = "f" if layer.name == "things" else f"{layer.name}."
    geometry = np.full(len(features), None, dtype=object)
    geometry[:] = [grid.geometry(feature) for feature in features]
    columns: dict[str, Any] = {
        "uid": [feature.get("uid", f"{prefix}{row}") for row, feature in enumerate(features)],
        "record": pd.array(range(len(features)), dtype="Int64"),
    }
    for name in layer.attribute_names:
        columns[name] = [feature.get(name) for feature in features]
    known = {"uid", "change", *layer.attribute_names, *GEOMETRY_KEYS}
    for feature in features:
        assert set(feature) <= known, f"unknown keys {set(feature) - known}"
    frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometry, crs=layer.crs))
    return with_column_types(frame, layer)


def make_rule(kind: str, **more: Any) -> Rule:
    """Return a rule of a kind over the layer ``things``."""
    return Rule(
        **{
            "id": f"things.{kind}",
            "title": {"zh": kind, "en": kind},
            "kind": kind,
            "layers": ["things"],
            "defect_class": "B",
            "gate": "block",
            "scope": "candidate",
            **more,
        }
    )


@dataclass(frozen=True)
class Case:
    """One case of a rule kind, drawn and ready."""

    kind: str
    title: str
    layer: Layer
    frame: gpd.GeoDataFrame
    others: dict[str, tuple[Layer, gpd.GeoDataFrame]]
    previous: gpd.GeoDataFrame | None
    changes: gpd.GeoDataFrame | None
    parameters: dict[str, Any]
    findings: list[dict[str, Any]]
    grid: Grid
    received: Received | None = None
    scope: Scope = Scope.CANDIDATE
    observations: pd.DataFrame | None = None

    def check(self) -> Checked:
        """Compile the rule and check the layer."""
        layers = {self.layer.name: self.layer} | {
            name: layer for name, (layer, _) in self.others.items()
        }
        rule = make_rule(self.kind, parameters=self.parameters, scope=self.scope)
        return check_layer(
            compile_rules([rule], layers, {rule.id: "case.yaml:1"}),
            scope=self.scope,
            layer="things",
            frame=self.frame,
            as_of=AS_OF,
            other=lambda name: self.others[name][1],
            previous=self.previous,
            changes=self.changes,
            received=self.received,
            read_observations=None if self.observations is None else lambda: self.observations,
        )


def make_observations(raw: list[dict[str, Any]]) -> pd.DataFrame:
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


def make_received(raw: dict[str, Any] | None) -> Received | None:
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


def read_case(document: dict[str, Any], raw: dict[str, Any]) -> Case:
    """Draw one case of a case file."""
    grid = Grid(raw.get("grid", ""), raw.get("cell_m", 1.0), raw.get("legend", {}))
    layer = make_layer(
        "things",
        raw.get("geometry", document.get("geometry", "none")),
        document.get("attributes"),
        **document.get("layer", {}),
    )
    others = {}
    for name, spec in document.get("others", {}).items():
        other = make_layer(name, spec["geometry"], spec.get("attributes"))
        others[name] = (other, make_frame(other, raw.get("others", {}).get(name, []), grid))
    previous = raw.get("previous")
    changes = None
    if "changes" in raw:
        changes = make_frame(layer, raw["changes"], grid)
        changes["change"] = [change["change"] for change in raw["changes"]]
    return Case(
        kind=document["kind"],
        title=raw["title"],
        layer=layer,
        frame=make_frame(layer, raw["features"], grid),
        others=others,
        previous=None if previous is None else make_frame(layer, previous, grid),
        changes=changes,
        parameters=raw.get("parameters", document.get("parameters", {})),
        findings=raw.get("findings", []),
        grid=grid,
        observations=make_observations(raw["observations"]) if "observations" in raw else None,
        received=make_received(raw.get("received")),
        scope=Scope(document.get("scope", "candidate")),
    )


def read_cases(path: Path) -> list[tuple[str, Case]]:
    """Return the cases of a file with what each one is: pass, fail, limit or empty."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [(raw["is"], read_case(document, raw)) for raw in document["cases"]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each case of each file to the tests that take a ``case``."""
    if "case" in metafunc.fixturenames:
        cases = [case for path in sorted(CASES.glob("*.yaml")) for _, case in read_cases(path)]
        metafunc.parametrize("case", cases, ids=[f"{one.kind}: {one.title}" for one in cases])


@pytest.fixture
def case_files() -> dict[str, list[tuple[str, Case]]]:
    """Return the cases of each kind."""
    return {path.stem: read_cases(path) for path in sorted(CASES.glob("*.yaml"))}


@pytest.fixture(scope="session")
def cases_of() -> Callable[[str], list[Case]]:
    """Return the function that reads the cases of one kind, once."""
    return cache(lambda kind: [case for _, case in read_cases(CASES / f"{kind}.yaml")])


@pytest.fixture(scope="session")
def layer_of() -> Callable[..., Layer]:
    """Return the function that makes a layer."""
    return make_layer


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., gpd.GeoDataFrame]:
    """Return a function that makes a frame from features and a grid's text."""

    def make(layer: Layer, features: list[dict[str, Any]], text: str = "") -> gpd.GeoDataFrame:
        return make_frame(layer, features, Grid(text))

    return make


@pytest.fixture(scope="session")
def rule_of() -> Callable[..., Rule]:
    """Return the function that makes a rule."""
    return make_rule


@pytest.fixture
def data_dir() -> Path:
    """Return the folder of the real data, or skip."""
    given = os.environ.get("CITYFRAME_DATA")
    folder = Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CITYFRAME_DATA")
    return folder
