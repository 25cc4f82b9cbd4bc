"""A check since the one before gives what a full check gives, and tiles give what no tiles give.

Every kind with a reach is tried on random layers with the parameters and values of its own cases.
"""

import datetime as dt
import json
import os
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.findings import concat_findings
from cityframe.core.frames import with_column_types
from cityframe.errors import IntegrityError
from cityframe.model.finding import Scope
from cityframe.model.layer import GeometryType, Layer
from cityframe.rules.check import check_layer
from cityframe.rules.checking.attempt import Attempt
from cityframe.rules.checking.execution import Threads
from cityframe.rules.checking.gathering import gather
from cityframe.rules.checking.running import try_rules
from cityframe.rules.checking.since import LayerChange, Since
from cityframe.rules.compiled import CompiledRules, compile_rules
from cityframe.rules.context import Context, geometries
from cityframe.rules.registry import rule_kinds

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WHOLE = Threads(workers=1, tile_rows=1_000_000)
REACHING = sorted(
    name for name, kind in rule_kinds().items() if kind.reach in ("feature", "neighbourhood")
)
MAX_EXAMPLES = int(os.environ.get("CITYFRAME_EXAMPLES", "2"))
"""Of each kind; a large number is for whoever writes one."""


def _shape(kind: GeometryType, rng: np.random.Generator) -> shapely.Geometry | None:
    """Return a shape on a small lattice, so that shapes meet, overlap and repeat; or none."""
    if kind is GeometryType.NONE or rng.random() < 0.05:
        return None
    x, y = (int(one) for one in rng.integers(0, 22, 2))
    w, h = (int(one) for one in rng.integers(1, 4, 2))
    if kind in (GeometryType.POINT, GeometryType.MULTIPOINT):
        one: shapely.Geometry = shapely.Point(x / 2, y / 2)
        many: Any = shapely.MultiPoint
    elif kind in (GeometryType.LINESTRING, GeometryType.MULTILINESTRING):
        steps = np.cumsum(rng.integers(-2, 3, (int(rng.integers(1, 4)), 2)), axis=0)
        one = shapely.LineString([(x, y), *((x + dx, y + dy + 0.5) for dx, dy in steps)])
        many = shapely.MultiLineString
    else:
        choice = rng.integers(0, 8)
        box = shapely.box(x, y, x + w, y + h)
        one = {
            0: shapely.Polygon([(x, y), (x + w, y), (x, y + h)]),
            1: shapely.Polygon([(x, y), (x + w, y + h), (x + w, y), (x, y + h)]),
            2: shapely.box(x, y, x + 3, y + 3).difference(shapely.box(x + 1, y + 1, x + 2, y + 2)),
            3: shapely.Polygon([*shapely.box(x, y, x + w, y + h).exterior.coords[:-1], (x - 1, y)]),
        }.get(int(choice), box)
        many = shapely.MultiPolygon
    is_multi = kind.value.startswith("Multi") and rng.random() < 0.5
    return many([one]) if is_multi else one


@dataclass(frozen=True)
class Material:
    """What random layers of a kind are made of: layers, parameters, and values of its cases."""

    rules: CompiledRules
    layers: dict[str, Layer]
    values: dict[str, dict[str, list[Any]]]

    def features(self, name: str, rng: np.random.Generator, uids: list[str]) -> gpd.GeoDataFrame:
        """Return random features of a layer."""
        layer, values = self.layers[name], self.values[name]
        shapes = np.full(len(uids), None, dtype=object)
        shapes[:] = [_shape(layer.geometry, rng) for _ in uids]
        if layer.has_z:
            shapes = shapely.force_3d(shapes, rng.integers(0, 3, len(uids)).astype(float))
        columns: dict[str, Any] = {"uid": pd.Series(uids, dtype="str")}
        for column in layer.attribute_names:
            pool = values.get(column) or [None]
            columns[column] = [pool[at] for at in rng.integers(0, len(pool), len(uids))]
        frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs=layer.crs))
        return with_column_types(frame, layer)

    def changed(
        self, name: str, before: gpd.GeoDataFrame, rng: np.random.Generator
    ) -> gpd.GeoDataFrame:
        """Return the layer with some features gone, some come, some moved and some edited."""
        fate = rng.choice(["kept", "gone", "new", "edited"], len(before), p=[0.7, 0.1, 0.1, 0.1])
        other = self.features(name, rng, list(before["uid"]))
        edited = other.assign(geometry=before.geometry)
        come = self.features(name, rng, [f"f{one:03}" for one in rng.integers(0, 999, 2)])
        come = come[~come["uid"].isin(before["uid"])].drop_duplicates("uid")
        parts = [before[fate == "kept"], other[fate == "new"], edited[fate == "edited"], come]
        parts = [part for part in parts if len(part)]
        if not parts:
            return before.iloc[:0]
        return pd.concat(parts).sort_values("uid", ignore_index=True)

    def context(self, frames: dict[str, gpd.GeoDataFrame]) -> Context:
        """Return the context of a check."""
        return Context(
            layer=self.layers["things"],
            frame=frames["things"],
            layers=self.layers,
            as_of=AS_OF,
            read_other=frames.__getitem__,
        )

    def attempts(
        self, frames: dict[str, gpd.GeoDataFrame], execution: Threads, since: Since | None = None
    ) -> list[Attempt]:
        """Return what came of trying the rules."""
        return try_rules(self.context(frames), self.rules.rules, execution, since=since)

    def findings(
        self, frames: dict[str, gpd.GeoDataFrame], execution: Threads, since: Since | None = None
    ) -> tuple[gpd.GeoDataFrame, list[str]]:
        """Return the findings, and what each rule says of itself."""
        context = self.context(frames)
        attempts = self.attempts(frames, execution, since)
        found = [gather(context, attempt, delivery="").findings for attempt in attempts]
        return concat_findings(found, context.layer.crs), [one.message for one in attempts]


def _difference(
    before: dict[str, gpd.GeoDataFrame], after: dict[str, gpd.GeoDataFrame]
) -> dict[str, LayerChange]:
    """Return what differs; a layer without differences is not named."""
    changed = {}
    for name in before:
        old = _plain(before[name]).set_index("uid")
        new = _plain(after[name]).set_index("uid")
        uids = set(old.index) ^ set(new.index)
        common = old.index.intersection(new.index)
        same = (old.loc[common] == new.loc[common]).all(axis=1)
        uids |= set(common[~same])
        if uids:
            there = before[name][before[name]["uid"].isin(uids)]
            changed[name] = LayerChange(frozenset(uids), geometries(there))
    return changed


def _plain(frame: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return a frame as text, which can be compared."""
    shapes = [None if one is None else one.wkb_hex for one in geometries(frame)]
    plain = pd.DataFrame(frame.drop(columns="geometry")).assign(shape=shapes)
    return plain.astype("str").fillna("")


def _in_order(defects: pd.DataFrame) -> pd.DataFrame:
    """Return defects as gathering takes them: the places of the same features in their order."""
    features = ["row", "other_row", "other", "uid"]
    plain = defects.assign(geometry=shapely.to_wkb(defects["geometry"].to_numpy(), hex=True))
    return plain.sort_values(features, kind="stable", ignore_index=True)


def _assert_equal(
    one: tuple[gpd.GeoDataFrame, list[str]], other: tuple[gpd.GeoDataFrame, list[str]]
) -> None:
    assert one[1] == other[1]
    pd.testing.assert_frame_equal(_plain(one[0]), _plain(other[0]))


@pytest.fixture(scope="session")
def material_of(cases_of, rule_of):
    """Return a function that makes the material of a kind with the parameters of one case."""

    def make(kind: str, number: int) -> Material:
        cases = cases_of(kind)
        case = cases[number % len(cases)]
        layers = {"things": case.layer} | {name: one for name, (one, _) in case.others.items()}
        values: dict[str, dict[str, list[Any]]] = {name: {} for name in layers}
        for one in cases:
            frames = {"things": one.frame} | {name: pair[1] for name, pair in one.others.items()}
            for name, frame in frames.items():
                for column in layers[name].attribute_names:
                    values[name].setdefault(column, []).extend(frame[column].tolist())
        rule = rule_of(kind, parameters=case.parameters)
        return Material(compile_rules([rule], layers, {}), layers, values)

    return make


SEEDS = given(seed=st.integers(0, 2**32 - 1))
QUICK = settings(deadline=None, max_examples=MAX_EXAMPLES)


def _frames(material: Material, rng: np.random.Generator) -> dict[str, gpd.GeoDataFrame]:
    frames = {}
    for name in material.layers:
        uids = sorted({f"f{one:03}" for one in rng.integers(0, 999, int(rng.integers(0, 60)))})
        frames[name] = material.features(name, rng, uids)
    return frames


@pytest.mark.parametrize("kind", REACHING)
@QUICK
@SEEDS
def test_tiles_give_what_no_tiles_give(material_of, kind, seed):
    rng = np.random.default_rng(seed)
    material = material_of(kind, seed)
    frames = _frames(material, rng)
    tiled = Threads(workers=int(rng.integers(1, 4)), tile_rows=int(rng.integers(1, 20)))
    (one,), (other,) = (material.attempts(frames, each) for each in (tiled, WHOLE))
    assert one.message == other.message
    pd.testing.assert_frame_equal(_in_order(one.defects), _in_order(other.defects))


@pytest.mark.parametrize("kind", REACHING)
@QUICK
@SEEDS
def test_a_check_since_the_one_before_gives_what_a_full_one_gives(material_of, kind, seed):
    rng = np.random.default_rng(seed)
    material = material_of(kind, seed)
    before = _frames(material, rng)
    after = {name: material.changed(name, frame, rng) for name, frame in before.items()}
    findings, _ = material.findings(before, WHOLE)
    since = Since(findings, _difference(before, after))
    execution = Threads(workers=1, tile_rows=int(rng.choice([5, 1000])))
    _assert_equal(material.findings(after, execution, since), material.findings(after, WHOLE))


@pytest.fixture
def town(layer_of, rule_of, frame_of):
    """Return rules of each reach, and houses in a row of which two pairs overlap."""
    layer = layer_of("things", "Polygon", {"name": "string", "seen": "date"})
    points = layer_of("points", "Point")
    rules = compile_rules(
        [
            rule_of("mandatory", parameters={"column": "name"}),
            rule_of("overlaps", tolerated=0.5),
            rule_of("one_point_a_polygon", parameters={"layer": "points"}, gate="note"),
            rule_of("gaps", parameters={"min_area_m2": 0.1}),
            rule_of("currency", parameters={"column": "seen", "max_days": 30}),
            rule_of("silent_feed", parameters={"min_count": 3}),
        ],
        {"things": layer, "points": points},
        {},
    )
    grid = "abcdefghijkl"
    seen = dt.date(2025, 12, 20)
    features = [{"cells": mark, "name": mark, "seen": seen} for mark in grid]
    features[1]["cells"], features[9]["cells"], features[5]["name"] = "bc", "jk", None
    frames = {
        "things": frame_of(layer, features, grid).sort_values("uid", ignore_index=True),
        "points": frame_of(points, [{"point": mark} for mark in "abdefgh"], grid),
    }
    return rules, frames


def _check(rules, frames, **more):
    return check_layer(
        rules,
        scope=Scope.CANDIDATE,
        layer="things",
        frame=frames["things"],
        other=frames.__getitem__,
        **{"as_of": AS_OF, **more},
    )


def _assert_same_check(one, other):
    pd.testing.assert_frame_equal(one.findings.to_wkb(), other.findings.to_wkb())
    assert one.results == other.results
    assert one.gate_reasons == other.gate_reasons
    assert one.returned_records == other.returned_records
    said, also_said = (json.loads(each.validation_json) for each in (one, other))
    assert said["features"]["results"] == also_said["features"]["results"]
    assert said["layer"]["results"] == also_said["layer"]["results"]


def test_a_whole_check_is_the_same_since_the_one_before(town):
    rules, before = town
    first = _check(rules, before)
    after = {
        "things": before["things"].drop(index=[0, 2]).reset_index(drop=True),
        "points": before["points"].drop(index=[5]).reset_index(drop=True),
    }
    after["things"].loc[6, "name"] = "Z"
    since = Since(first.findings, _difference(before, after))
    assert set(since.changed) == {"things", "points"}
    later = {"as_of": AS_OF + dt.timedelta(days=60)}
    full = _check(rules, after, **later)
    assert {result.failed for result in full.results} >= {0, 2, len(after["things"])}
    _assert_same_check(_check(rules, after, since=since, **later), full)


def test_what_no_change_reaches_is_not_looked_at_again(town, monkeypatch):
    rules, before = town
    looked_at = {}

    def watched(kind):
        def check(context, parameters):
            looked_at.setdefault(kind.name, []).extend(context.frame["uid"])
            return kind.check(context, parameters)

        return check

    watched_rules = replace(
        rules,
        rules=tuple(
            one if one.kind.check is None else replace(
                one, kind=replace(one.kind, check=watched(one.kind))
            )
            for one in rules.rules
        ),
    )  # fmt: skip
    first = _check(rules, before)
    after = {**before, "things": before["things"].copy()}
    # f0, f1, f10, f11, f2 …: uids are in the order of their text, places in that of their number
    after["things"].loc[after["things"]["uid"] == "f6", "name"] = "other"
    since = Since(first.findings, _difference(before, after))
    checked = _check(watched_rules, after, since=since)
    assert sorted(looked_at["overlaps"]) == ["f5", "f6", "f7"]
    assert sorted(looked_at["gaps"]) == sorted(after["things"]["uid"])
    looked_at.clear()
    unchanged = _check(watched_rules, before, since=Since(first.findings))
    assert set(looked_at) == {"currency", "silent_feed"}
    _assert_same_check(unchanged, first)
    _assert_same_check(checked, _check(rules, after))


def test_rows_out_of_order_are_refused(town):
    rules, frames = town
    first = _check(rules, frames)
    turned = {**frames, "things": frames["things"].iloc[::-1].reset_index(drop=True)}
    with pytest.raises(IntegrityError, match="not in the order of their uids"):
        _check(rules, turned, since=Since(first.findings))


def test_a_finding_whose_partner_is_gone_tells_of_a_kind_that_looks_too_far(town):
    rules, frames = town
    findings = _check(rules, frames).findings
    rules = replace(
        rules,
        rules=tuple(replace(one, kind=replace(one.kind, is_pairwise=False)) for one in rules.rules),
    )
    forged = findings.assign(partner=findings["partner"].where(findings["partner"] == "", "gone"))
    with pytest.raises(IntegrityError, match="beyond its reach"):
        _check(rules, frames, since=Since(forged))
