"""Clean data with defects sown at known places, and how many of them a kind finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import pandas as pd

from cityframe.config.rule import Rule
from cityframe.config.schema import TitleText
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import CompiledRules, compile_rules
from cityframe.rules.context import Context, Received
from cityframe.rules.proving.cases import AS_OF

WHOLE_LAYER = ""
"""Stands in `Sowing.failing` for a finding about the whole layer."""


@dataclass(frozen=True)
class Sowing:
    """Clean data with defects sown at known places.

    Attributes
    ----------
    frame : GeoDataFrame, n rows
        With ``uid``; some hundred rows, most of them clean, so that false alarms can show.
    parameters : mapping
        Of the rule.
    failing : frozenset of str
        Uids of the features that the findings must name as failing (the first feature and its
        partner), and `WHOLE_LAYER`.
    others : mapping of str to (Layer, GeoDataFrame)
        The other layers that the rule reads.
    """

    layer: Layer
    frame: gpd.GeoDataFrame
    parameters: Mapping[str, Any]
    failing: frozenset[str]
    others: Mapping[str, tuple[Layer, gpd.GeoDataFrame]] = field(default_factory=dict)
    previous: gpd.GeoDataFrame | None = None
    changes: gpd.GeoDataFrame | None = None
    received: Received | None = None
    observations: pd.DataFrame | None = None
    scope: Scope = Scope.CANDIDATE


@dataclass(frozen=True)
class Recall:
    """How many sown defects a kind found, and what it found besides."""

    sown: int
    missed: frozenset[str]
    false_alarms: frozenset[str]

    @property
    def share(self) -> float:
        """Share of the sown defects that were found."""
        return 1.0 - len(self.missed) / self.sown


def recall_of(kind: str, sowing: Sowing) -> Recall:
    """Measure a kind on sown defects, in a check as a cycle makes it.

    Raises
    ------
    AssertionError
        If the rule could not be checked.
    """
    rules = compiled_sowing(kind, sowing)
    context = sowing_context(rules, sowing, sowing.frame)
    checked = check_layer(
        rules,
        scope=sowing.scope,
        layer=sowing.layer.name,
        frame=context.frame,
        as_of=AS_OF,
        other=context.read_other,
        previous=context.previous,
        changes=context.changes,
        received=context.received,
        read_observations=context.read_observations,
    )
    (result,) = checked.results
    if result.message:
        message = f"{kind}: {result.message}"
        raise AssertionError(message)
    findings = checked.findings
    found = frozenset(findings["uid"]) | frozenset(findings["partner"][findings["partner"] != ""])
    return Recall(
        sown=len(sowing.failing),
        missed=sowing.failing - found,
        false_alarms=found - sowing.failing,
    )


def compiled_sowing(kind: str, sowing: Sowing) -> CompiledRules:
    """Return one rule of a kind, compiled for the layers of a sowing."""
    name = sowing.layer.name
    rule = Rule(
        id=f"{name}.{kind}",
        title=TitleText(zh=kind, en=kind),
        kind=kind,
        layers=(name,),
        parameters=dict(sowing.parameters),
        defect_class=DefectClass.B,
        gate=Gate.BLOCK,
        scope=sowing.scope,
    )
    layers = {name: sowing.layer} | {one: layer for one, (layer, _) in sowing.others.items()}
    return compile_rules([rule], layers, {rule.id: kind})


def sowing_context(rules: CompiledRules, sowing: Sowing, frame: gpd.GeoDataFrame) -> Context:
    """Return what the rule sees, with these rows of the layer."""
    observations = sowing.observations
    return Context(
        layer=sowing.layer,
        frame=frame,
        layers=rules.layers,
        as_of=AS_OF,
        previous=sowing.previous,
        changes=sowing.changes,
        read_other=lambda name: sowing.others[name][1],
        received=sowing.received,
        read_observations=None if observations is None else lambda: observations,
    )
