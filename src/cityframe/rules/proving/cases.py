"""Cases of a rule kind: small layers with the findings that they must give, one YAML file a kind.

::

    kind: minimum_area
    geometry: Polygon
    parameters: {min_m2: 2.0}
    cases:
      - title: too small
        is: fail
        grid: |
          aaab
        features: [{cells: a}, {cells: b}]
        findings: [{row: 1, found: 1.00 m², place: {cells: b}}]

The document's ``attributes`` map names to types, its ``layer`` gives more of the contract,
``others`` declares other layers, ``scope`` where the rule looks. A case is one of ``pass``,
``fail``, ``limit`` and ``empty``; each of its features is drawn as
`cityframe.rules.proving.case_grid` says, its other keys are attributes. A case may have
``parameters``, ``geometry`` and ``others`` of its own, ``previous`` (the layer in the current
release), ``changes``, ``received`` (what the delivery brought) and ``observations`` (those of the
sensors' feeds, a list of ``{stream, start, step_s, values, delay_s}``).

A finding wanted has ``row`` (null for the whole layer) and may have ``other``, ``uid``, ``place``,
and parts of the texts ``found``, ``expected``, ``found_zh``, ``expected_zh``.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from cityframe.config.document import read_yaml
from cityframe.errors import DeclarationError
from cityframe.model.finding import Scope
from cityframe.model.layer import Layer
from cityframe.rules.check import Checked, check_layer
from cityframe.rules.checking.execution import Threads
from cityframe.rules.compiled import CompiledRules, compile_rules
from cityframe.rules.context import Context, Received
from cityframe.rules.proving.case_grid import Grid
from cityframe.rules.proving.case_material import (
    LAYER,
    make_frame,
    make_layer,
    make_observations,
    make_received,
    make_rule,
)
from cityframe.rules.proving.without_gate import Findings, findings_of

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The moment that counts as now in every case."""

_PLACE_TOLERANCE_M = 1e-6


@dataclass(frozen=True)
class Case:
    """One case of a rule kind, drawn and ready.

    Attributes
    ----------
    what : str
        One of pass, fail, limit, empty.
    findings : list of dict
        Those wanted, in the order of the layer.
    """

    kind: str
    title: str
    what: str
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

    @property
    def read_observations(self) -> Callable[[], pd.DataFrame] | None:
        """Gives the observations; None where the case has none."""
        observations = self.observations
        return None if observations is None else lambda: observations

    def compiled(self) -> CompiledRules:
        """Return the rule, compiled for the layers of the case."""
        layers = {LAYER: self.layer} | {name: layer for name, (layer, _) in self.others.items()}
        rule = make_rule(self.kind, parameters=self.parameters, scope=self.scope)
        return compile_rules([rule], layers, {rule.id: f"case {self.title!r}"})

    def check(self) -> Checked:
        """Check the layer as a cycle does, with the gate."""
        return check_layer(
            self.compiled(),
            scope=self.scope,
            layer=LAYER,
            frame=self.frame,
            as_of=AS_OF,
            other=lambda name: self.others[name][1],
            previous=self.previous,
            changes=self.changes,
            received=self.received,
            read_observations=self.read_observations,
        )

    def found(self, frame: gpd.GeoDataFrame | None = None) -> Findings:
        """Return what the rule finds, without the gate: in the case's frame or in another."""
        case = self if frame is None else replace(self, frame=frame)
        compiled = case.compiled()
        return findings_of(case.context(compiled), compiled, Threads(workers=1))

    def context(self, compiled: CompiledRules) -> Context:
        """Return what the rule sees."""
        return Context(
            layer=self.layer,
            frame=self.frame,
            layers=compiled.layers,
            as_of=AS_OF,
            previous=self.previous,
            changes=self.changes,
            read_other=lambda name: self.others[name][1],
            received=self.received,
            read_observations=self.read_observations,
        )

    def differences(self, found: gpd.GeoDataFrame) -> list[str]:
        """Return how findings differ from those wanted; empty if they are the same."""
        if len(found) != len(self.findings):
            listed = found[["record", "other", "found"]].to_string()
            return [f"{len(found)} findings, not {len(self.findings)}: {listed}"]
        return [
            f"finding {number}: {what}"
            for number, wanted in enumerate(self.findings)
            for what in self._finding_differences(found.iloc[number], wanted)
        ]

    def _finding_differences(self, found: pd.Series, wanted: Mapping[str, Any]) -> list[str]:
        row = None if pd.isna(found["record"]) else int(found["record"])
        exact = {"row": (row, wanted["row"]), "other": (found["other"], wanted.get("other", ""))}
        if "uid" in wanted:
            exact["uid"] = (found["uid"], wanted["uid"])
        told = [
            f"{name} is {one!r}, not {two!r}" for name, (one, two) in exact.items() if one != two
        ]
        told += [
            f"{name} is {found[name]!r}, without {wanted[name]!r}"
            for name in ("found", "expected", "found_zh", "expected_zh")
            if wanted.get(name, "") not in found[name]
        ]
        if "place" in wanted:
            place = self.grid.geometry(wanted["place"])
            if not _is_same_place(found["geometry"], place):
                told.append(f"its place is {found['geometry']}, not {place}")
        return told


def read_cases(path: Path) -> list[Case]:
    """Return the cases of a file.

    Raises
    ------
    DeclarationError
        If it can't be read, or a case is not as this module says.
    """
    document, _ = read_yaml(path)
    try:
        return [read_case(document, raw) for raw in document["cases"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DeclarationError(
            found=f"no case ({type(error).__name__}: {error})",
            where=str(path),
            expected="a file as cityframe.rules.proving.cases says",
        ) from error


def read_case(document: Mapping[str, Any], raw: Mapping[str, Any]) -> Case:
    """Draw one case of a case file's document."""
    grid = Grid(raw.get("grid", ""), raw.get("cell_m", 1.0), raw.get("legend", {}))
    geometry = raw.get("geometry", document.get("geometry", "none"))
    layer = make_layer(LAYER, geometry, document.get("attributes"), **document.get("layer", {}))
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
        what=raw["is"],
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


def _is_same_place(found: shapely.Geometry | None, wanted: shapely.Geometry | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    is_close = shapely.hausdorff_distance(found, wanted) < _PLACE_TOLERANCE_M
    return bool(is_close and shapely.get_type_id(found) == shapely.get_type_id(wanted))
