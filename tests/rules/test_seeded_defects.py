"""Defects sown into clean data: every one is found, and nothing else is.

One fixture a group of rule kinds. Each returns a clean layer of some hundred features and the
rows that each rule must report once the defects are sown; recall must be 1 and false alarms 0.
"""

import datetime as dt
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.affinity import translate

from cityframe.core.frames import with_column_types
from cityframe.model.finding import Scope
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ORIGIN = np.array([500_000.0, 3_400_000.0])
SIDE = 20


@dataclass
class Sown:
    """Clean data, the same with defects, and the records that fail each rule."""

    layer: object
    clean: gpd.GeoDataFrame
    rules: list
    frame: gpd.GeoDataFrame
    failing: dict[str, set[int]]
    others: dict = field(default_factory=dict)
    previous: gpd.GeoDataFrame | None = None
    clean_others: dict | None = None

    def found(self, frame):
        """Return the records that each rule reports; a feature that is gone by its uid."""
        layers = {self.layer.name: self.layer}
        layers |= {name: layer for name, (layer, _) in self.others.items()}
        checked = check_layer(
            compile_rules(self.rules, layers, {}),
            scope=Scope.CANDIDATE,
            layer=self.layer.name,
            frame=frame,
            as_of=AS_OF,
            other=lambda name: self.others[name][1],
            previous=self.previous,
        )
        assert [result.message for result in checked.results] == [""] * len(self.rules)
        position = {uid: row for row, uid in enumerate(frame["uid"])}
        rows = {rule.id: set() for rule in self.rules}
        for finding in checked.findings.to_dict("records"):
            involved = [finding["uid"]]
            if finding["rule"].endswith("overlaps"):
                involved += finding["other"].split(",")
            rows[finding["rule"]] |= {position.get(uid, uid) for uid in involved}
        return rows


def _coverage(rng):
    """Return polygons of 13 vertices that share their borders exactly."""
    size = np.arange(SIDE + 1) * 30.0
    corner = np.stack(np.meshgrid(size, size, indexing="ij"), axis=-1)
    corner = np.round(corner + rng.uniform(-4, 4, corner.shape) + ORIGIN, 3)

    def bent(one, two):
        share = np.array([1 / 3, 2 / 3])[:, np.newaxis]
        points = one[..., np.newaxis, :] + (two - one)[..., np.newaxis, :] * share
        return np.round(points + rng.uniform(-1, 1, points.shape), 3)

    across, along = bent(corner[:-1], corner[1:]), bent(corner[:, :-1], corner[:, 1:])
    i, j = (index.ravel() for index in np.indices((SIDE, SIDE)))
    sides = [
        corner[i, j][:, np.newaxis], across[i, j],
        corner[i + 1, j][:, np.newaxis], along[i + 1, j],
        corner[i + 1, j + 1][:, np.newaxis], across[i, j + 1][:, ::-1],
        corner[i, j + 1][:, np.newaxis], along[i, j][:, ::-1],
    ]  # fmt: skip
    return shapely.polygons(np.concatenate(sides, axis=1))


def _frame(layer, geometry, prefix="u", **attributes):
    geometry = np.asarray(geometry, dtype=object)
    uid = [f"{prefix}{row:04d}" for row in range(len(geometry))]
    frame = gpd.GeoDataFrame(
        {"uid": uid, **attributes}, geometry=gpd.GeoSeries(geometry, crs=layer.crs)
    )
    return with_column_types(frame, layer)


def _with_geometry(frame, geometry):
    return frame.set_geometry(gpd.GeoSeries(geometry, index=frame.index, crs=frame.crs))


@pytest.fixture
def attributes(layer_of, rule_of):
    size = 400
    layer = layer_of(
        "things",
        "Polygon",
        {
            "name": "string",
            "no": "string",
            "usage": {"type": "string", "codes": ["house", "shop"]},
            "height": {"type": "real", "unit": "m"},
            "storeys": "integer",
            "road": "string",
            "code": "string",
            "area": {"type": "real", "unit": "m2"},
            "built_on": "date",
            "razed_on": "date",
            "surveyed_on": "date",
        },
        key=["no"],
    )
    roads = layer_of("roads", "none", {"name": "string"})
    rows = np.arange(size)
    corner = np.stack([rows % 20 * 20.0, rows // 20 * 20.0], axis=1) + ORIGIN
    clean = _frame(
        layer,
        shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + 10, corner[:, 1] + 10),
        name=[f"人民路 {row}" for row in rows],
        no=[f"{row:06d}" for row in rows],
        usage=np.where(rows % 2, "house", "shop"),
        height=3.5 * (rows % 7 + 1.0),
        storeys=rows % 7 + 1,
        road=[f"road {row % 9}" for row in rows],
        code=["1101" if row == 0 else f"1101{row:02d}" if row < 90 else None for row in rows],
        area=100.0,
        built_on=pd.Timestamp("1990-05-05"),
        razed_on=[pd.Timestamp("2001-01-01") if row % 3 else None for row in rows],
        surveyed_on=pd.Timestamp("2025-05-05"),
    )
    rules = {
        "mandatory": {"column": "name"},
        "unique": {},
        "id_pattern": {"column": "no", "pattern": r"\d{6}"},
        "codes": {"column": "usage"},
        "range": {"column": "height", "min": 2, "max": 100},
        "subtype_conditional": {
            "when": {"column": "usage", "values": ["house"]},
            "column": "storeys",
            "required": True,
        },
        "cross_field": {"expression": "height >= 2.5 * storeys"},
        "foreign_key": {"column": "road", "layer": "roads", "layer_column": "name"},
        "admin_hierarchy": {"column": "code"},
        "registered_area": {"column": "area", "share": 0.05},
        "illegal_characters": {"column": "name"},
        "interval_order": {"start": "built_on", "end": "razed_on"},
        "impossible_date": {"column": "built_on"},
        "currency": {"column": "surveyed_on", "max_days": 365},
    }
    frame = clean.copy()
    picks = np.random.default_rng(7).permutation(np.arange(91, size)).reshape(-1, 3)
    seed = {kind: picks[number].tolist() for number, kind in enumerate(rules)}
    frame.loc[seed["mandatory"], "name"] = None
    frame.loc[seed["unique"], "no"] = "000090"
    frame.loc[seed["id_pattern"], "no"] = ["12345", "1234567", "12345x"]
    frame.loc[seed["codes"], "usage"] = ["barn", "House", "shop "]
    frame.loc[seed["range"], "height"] = [0.5, 101.0, 1e9]
    frame.loc[seed["range"], "storeys"] = None
    frame.loc[seed["subtype_conditional"], "usage"] = "house"
    frame.loc[seed["subtype_conditional"], "storeys"] = None
    frame.loc[seed["cross_field"], "storeys"] = 60
    frame.loc[seed["foreign_key"], "road"] = ["road 10", "Road 1", ""]
    frame.loc[seed["admin_hierarchy"], "code"] = ["1202", "11010", "120101"]
    frame.loc[seed["registered_area"], "area"] = [94.0, 106.5, 0.0]
    frame.loc[seed["illegal_characters"], "name"] = ["a\u0007", " b", "c\ufffd"]
    frame.loc[seed["interval_order"], "razed_on"] = pd.Timestamp("1980-01-01")
    frame.loc[seed["impossible_date"], "built_on"] = pd.Timestamp("1066-10-14")
    frame.loc[seed["currency"], "surveyed_on"] = pd.Timestamp("2020-01-01")
    failing = {f"things.{kind}": set(rows) for kind, rows in seed.items()}
    failing["things.unique"] |= {90}  # the one that had the number first
    # 1202 is of the highest level that occurs; with a range seed a house may lack storeys
    failing["things.admin_hierarchy"] -= {seed["admin_hierarchy"][0]}
    lacking = frame["storeys"].isna() & (frame["usage"] == "house")
    failing["things.subtype_conditional"] = set(np.flatnonzero(lacking))
    names = [f"road {number}" for number in range(9)]
    others = {"roads": (roads, _frame(roads, np.full(9, None), "r", name=names))}
    made = [rule_of(kind, parameters=parameters) for kind, parameters in rules.items()]
    return Sown(layer, clean, made, frame, failing, others)


@pytest.fixture
def shapes(layer_of, rule_of):
    layer = layer_of("things", "Polygon")
    clean = _frame(
        layer, shapely.buffer(_coverage(np.random.default_rng(1)), -2.0, join_style="mitre")
    )
    rules = {
        "null_geometry": {},
        "valid_geometry": {},
        "duplicate_vertices": {"tolerance_m": 0.001},
        "spikes": {"max_angle_deg": 2.0},
        "short_segments": {"min_m": 0.05},
        "minimum_area": {"min_m2": 10.0},
        "slivers": {"max_area_m2": 15.0, "max_thickness": 0.1},
    }
    polygons = np.asarray(clean.geometry).copy()
    picks = np.random.default_rng(2).permutation(len(polygons)).reshape(-1, 4)
    seed = {kind: picks[number].tolist() for number, kind in enumerate(rules)}
    for row in seed["null_geometry"]:
        polygons[row] = None if row % 2 else shapely.Polygon()
    for row in seed["valid_geometry"]:
        away = shapely.centroid(polygons[row]).coords[0] + np.array([[90, 90], [99, 90], [99, 99]])
        polygons[row] = shapely.Polygon(polygons[row].exterior, [away])
    for row in seed["duplicate_vertices"]:
        ring = shapely.get_coordinates(polygons[row])
        polygons[row] = shapely.Polygon(np.insert(ring, 4, ring[4], axis=0))
    for row in seed["spikes"]:
        ring = shapely.get_coordinates(polygons[row])
        aside = ring[4] + (ring[5] - ring[4]) / np.hypot(*(ring[5] - ring[4])) * 0.1
        normal = (ring[4] - ring.mean(axis=0)) / np.hypot(*(ring[4] - ring.mean(axis=0)))
        polygons[row] = shapely.Polygon(np.insert(ring, 5, [ring[4] + normal * 9, aside], axis=0))
    for row in seed["short_segments"]:
        ring = shapely.get_coordinates(polygons[row])
        step = (ring[5] - ring[4]) / np.hypot(*(ring[5] - ring[4])) * 0.02
        polygons[row] = shapely.Polygon(np.insert(ring, 5, ring[4] + step, axis=0))
    for row in seed["minimum_area"]:
        polygons[row] = shapely.box(*(ORIGIN - [row * 10, 50]), *(ORIGIN - [row * 10 - 3, 47]))
    for row in seed["slivers"]:
        polygons[row] = shapely.box(*(ORIGIN - [row * 99, 99]), *(ORIGIN - [row * 99 - 49, 98.75]))
    failing = {f"things.{kind}": set(rows) for kind, rows in seed.items()}
    made = [rule_of(kind, parameters=parameters) for kind, parameters in rules.items()]
    return Sown(layer, clean, made, _with_geometry(clean, polygons), failing)


@pytest.fixture
def coverage(layer_of, rule_of):
    layer = layer_of("things", "Polygon")
    rng = np.random.default_rng(3)
    clean = _frame(layer, _coverage(rng))
    polygons = np.asarray(clean.geometry).copy()
    inner = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)[1:-1:3, 1:-1:3].ravel()
    duplicates, nested, pushed, holes = (
        rows.tolist() for rows in np.array_split(rng.permutation(inner), 4)
    )
    overlapping, twins = set(), set()
    for row in duplicates:  # takes the shape of its neighbour and leaves a gap
        polygons[row] = shapely.reverse(polygons[row + 1])
        overlapping |= {row, row + 1}
        twins |= {row + 1}
    for row in nested:  # a small one inside the neighbour
        polygons[row] = shapely.buffer(shapely.centroid(polygons[row + 1]), 2.0, quad_segs=2)
        overlapping |= {row, row + 1}
    for row in pushed:  # moved a little towards one side
        polygons[row] = translate(polygons[row], 0.4, 0.0)
    for row in holes:  # shrunk: a gap all around
        polygons[row] = shapely.buffer(polygons[row], -1.0)
    frame = _with_geometry(clean, polygons)
    every = shapely.STRtree(polygons)
    one, two = every.query(polygons, predicate="intersects")
    common = shapely.area(shapely.intersection(polygons[one], polygons[two]))
    real = (one < two) & (common > 0.01)
    failing = {
        "things.overlaps": set(one[real]) | set(two[real]),
        "things.duplicate_geometry": twins,
    }
    assert overlapping <= failing["things.overlaps"]
    assert set(pushed) <= failing["things.overlaps"]
    made = [rule_of("overlaps"), rule_of("duplicate_geometry")]
    return Sown(layer, clean, made, frame, failing)


@pytest.fixture
def network(layer_of, rule_of):
    layer = layer_of("things", "LineString")
    nodes_layer = layer_of("nodes", "Point")
    size = 15
    grid = np.indices((size, size)).reshape(2, -1).T * 50.0 + ORIGIN
    node = np.arange(size * size).reshape(size, size)
    pairs = np.concatenate(
        [
            np.stack([node[:-1].ravel(), node[1:].ravel()], axis=1),
            np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], axis=1),
        ]
    )
    clean = _frame(layer, shapely.linestrings(grid[pairs]))
    lines = np.asarray(clean.geometry).copy()
    picks = np.random.default_rng(4).choice(len(lines), 20, replace=False)
    short, crossed = picks[:10].tolist(), picks[10:].tolist()
    for row in short:
        start, end = shapely.get_coordinates(lines[row])
        lines[row] = shapely.LineString([start, end - (end - start) * 0.02])
    for row in crossed:
        start, end = shapely.get_coordinates(lines[row])
        along = end - start
        aside = along[::-1] * [0.1, -0.1]
        loop = [
            start,
            start + along * 0.6,
            start + along * 0.6 + aside,
            start + along * 0.4 + aside,
        ]
        lines[row] = shapely.LineString([*loop, start + along * 0.5 - aside, end])
    failing = {
        "things.dangles": set(short),
        "things.ends_on_nodes": set(short),
        "things.simple_line": set(crossed),
    }
    rules = [
        rule_of("dangles", parameters={"near_m": 2.0}),
        rule_of("ends_on_nodes", parameters={"layer": "nodes", "tolerance_m": 0.05}),
        rule_of("simple_line"),
    ]
    others = {"nodes": (nodes_layer, _frame(nodes_layer, shapely.points(grid), "n"))}
    return Sown(layer, clean, rules, _with_geometry(clean, lines), failing, others)


@pytest.fixture
def across(layer_of, rule_of):
    layer = layer_of("things", "Polygon")
    parcels = _coverage(np.random.default_rng(5))
    clean = _frame(layer, shapely.buffer(parcels, -6.0, join_style="mitre"))
    centre = shapely.point_on_surface(np.asarray(clean.geometry))
    district = shapely.coverage_union_all(parcels)
    edges = shapely.line_merge(shapely.union_all(shapely.boundary(parcels)))
    polygons = np.asarray(clean.geometry).copy()
    inner = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)[1:-1, 1:-1].ravel()
    picks = np.random.default_rng(6).permutation(inner)[:20].reshape(-1, 5)
    outside, on_road, without, crowded = (rows.tolist() for rows in picks[:4])
    for row in outside:
        polygons[row] = translate(polygons[row], 5000.0, row)
    for row in on_road:
        polygons[row] = shapely.buffer(parcels[row], -0.5)
        polygons[row] = translate(polygons[row], 3.0, 0.0)
    full = [centre[row] for row in range(len(polygons))]
    points = [centre[row] for row in range(len(polygons)) if row not in {*without, *outside}]
    points += [shapely.centroid(polygons[row]) for row in outside]
    points += [translate(centre[row], 0.5, 0.5) for row in crowded]
    others = {
        name: (other, _frame(other, shapes, name))
        for name, other, shapes in [
            ("district", layer_of("district", "Polygon"), [district]),
            ("roads", layer_of("roads", "LineString"), shapely.get_parts(edges)),
            ("addresses", layer_of("addresses", "Point"), points),
        ]
    }
    failing = {
        "things.covered_by": set(outside),
        "things.must_not_overlap": set(on_road),
        "things.one_point_a_polygon": {*without, *crowded},
    }
    rules = [
        rule_of("covered_by", parameters={"layer": "district"}),
        rule_of("must_not_overlap", parameters={"layer": "roads"}),
        rule_of("one_point_a_polygon", parameters={"layer": "addresses"}),
    ]
    sown = Sown(layer, clean, rules, _with_geometry(clean, polygons), failing, others)
    addresses = others["addresses"][0]
    sown.clean_others = others | {"addresses": (addresses, _frame(addresses, full, "a"))}
    return sown


@pytest.fixture
def versions(layer_of, rule_of):
    layer = layer_of("things", "Polygon")
    previous = _frame(layer, _coverage(np.random.default_rng(8)))
    picks = np.random.default_rng(9).permutation(len(previous))
    moved, lost = picks[:7].tolist(), picks[7:12].tolist()
    polygons = np.asarray(previous.geometry).copy()
    for row in moved:
        polygons[row] = translate(polygons[row], 400.0, 300.0)
    frame = _with_geometry(previous, polygons).drop(index=lost).reset_index(drop=True)
    position = {uid: row for row, uid in enumerate(frame["uid"])}
    failing = {
        "things.moved_too_far": {position[f"u{row:04d}"] for row in moved},
        "things.identity_loss": {f"u{row:04d}" for row in lost},
    }
    rules = [
        rule_of("moved_too_far", parameters={"max_m": 100.0}),
        rule_of("identity_loss"),
    ]
    return Sown(layer, previous, rules, frame, failing, previous=previous)


GROUPS = ["attributes", "shapes", "coverage", "network", "across", "versions"]


@pytest.mark.parametrize("group", GROUPS)
def test_clean_data_raise_no_alarm(group, request):
    sown = request.getfixturevalue(group)
    sown.others = sown.clean_others or sown.others
    assert not any(sown.found(sown.clean).values())


@pytest.mark.parametrize("group", GROUPS)
def test_every_sown_defect_is_found_and_nothing_else(group, request):
    sown = request.getfixturevalue(group)
    found = sown.found(sown.frame)
    assert set(found) == set(sown.failing)
    for rule, rows in sown.failing.items():
        assert rows, rule
        assert found[rule] == rows, rule


def test_every_gap_in_a_coverage_is_found_and_nothing_else(coverage, rule_of):
    coverage.rules = [rule_of("gaps", parameters={"min_area_m2": 0.01})]
    assert not coverage.found(coverage.clean)["things.gaps"]
    polygons = np.asarray(coverage.frame.geometry)
    union = shapely.union_all(polygons)
    holes = [
        shapely.Polygon(ring)
        for part in shapely.get_parts(union)
        for ring in part.interiors
        if shapely.Polygon(ring).area > 0.01
    ]
    compiled = compile_rules(coverage.rules, {"things": coverage.layer}, {})
    checked = check_layer(
        compiled, scope=Scope.CANDIDATE, layer="things", frame=coverage.frame, as_of=AS_OF
    )
    places = np.asarray(checked.findings.geometry)
    assert len(shapely.get_parts(places)) == len(holes) > 20
    assert shapely.union_all(places).symmetric_difference(shapely.union_all(holes)).area < 1e-6
