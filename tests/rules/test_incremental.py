"""A check since the one before gives what a full check gives, and tiles give what no tiles give.

Every kind with a reach is tried on random layers with the parameters and values of its own cases.
"""

import datetime as dt
from dataclasses import dataclass
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
from cityframe.model.layer import GeometryType, Layer
from cityframe.rules.compiled import CompiledRules, compile_rules
from cityframe.rules.context import Context, geometries
from cityframe.rules.execution import Threads
from cityframe.rules.gathering import gather
from cityframe.rules.registry import rule_kinds
from cityframe.rules.running import try_rules
from cityframe.rules.since import LayerChange, Since

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WHOLE = Threads(workers=1, tile_rows=1_000_000)
REACHING = sorted(
    name for name, kind in rule_kinds().items() if kind.reach in ("feature", "neighbourhood")
)
MAX_EXAMPLES = 30


def _shape(kind: GeometryType, rng: np.random.Generator) -> shapely.Geometry | None:
    """Return a shape on a small lattice, so that shapes meet, overlap and repeat; or none."""
    if kind is GeometryType.NONE or rng.random() < 0.05:
        return None
    x, y = (int(one) for one in rng.integers(0, 14, 2))
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

    def findings(
        self, frames: dict[str, gpd.GeoDataFrame], execution: Threads, since: Since | None = None
    ) -> tuple[gpd.GeoDataFrame, list[str]]:
        """Return the findings, and what each rule says of itself."""
        context = self.context(frames)
        attempts = try_rules(context, self.rules.rules, execution, since=since)
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
        uids = sorted({f"f{one:03}" for one in rng.integers(0, 999, int(rng.integers(0, 25)))})
        frames[name] = material.features(name, rng, uids)
    return frames


@pytest.mark.parametrize("kind", REACHING)
@QUICK
@SEEDS
def test_tiles_give_what_no_tiles_give(material_of, kind, seed):
    rng = np.random.default_rng(seed)
    material = material_of(kind, seed)
    frames = _frames(material, rng)
    tiled = Threads(workers=int(rng.integers(1, 4)), tile_rows=int(rng.integers(1, 6)))
    _assert_equal(material.findings(frames, tiled), material.findings(frames, WHOLE))


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
    execution = Threads(workers=1, tile_rows=int(rng.choice([2, 1000])))
    _assert_equal(material.findings(after, execution, since), material.findings(after, WHOLE))
