"""Findings on disk: rows, GeoJSON, GeoPackage."""

import datetime as dt
import json

import numpy as np
import pyogrio
import pytest
import shapely

from cityframe.model.finding import FINDING_COLUMNS, Scope
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules
from cityframe.rules.writing import (
    NO_PLACE_TABLE,
    finding_rows,
    geojson,
    write_geojson,
    write_geopackage,
)

BOW_TIE = (
    "POLYGON ((500010 3400000, 500012 3400002, 500012 3400000, 500010 3400002, 500010 3400000))"
)
THIN = "POLYGON ((500020 3400000, 500024 3400000, 500020 3400000.05, 500020 3400000))"


@pytest.fixture
def findings(rule_of, layer_of, frame_of):
    """Return findings with a point, a line, a polygon and no place."""
    layer = layer_of("things", "Polygon", {"name": "string"})
    features = [{"wkt": None, "name": "甲"}, {"wkt": BOW_TIE}, {"wkt": THIN}]
    rules = [
        rule_of("null_geometry"),
        rule_of("valid_geometry"),
        rule_of("spikes"),
        rule_of("minimum_area", parameters={"min_m2": 1.0}),
    ]
    checked = check_layer(
        compile_rules(rules, {"things": layer}, {}),
        scope=Scope.CANDIDATE,
        layer="things",
        frame=frame_of(layer, features),
        as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    )
    assert len(checked.findings) == 4
    return checked.findings


def test_rows_hold_plain_values_and_places_in_lon_lat(findings):
    rows = finding_rows(findings)
    assert json.loads(json.dumps(rows)) == rows
    assert all(tuple(row) == FINDING_COLUMNS for row in rows)
    assert rows[0]["geometry"] is None
    assert rows[0]["record"] == 0
    longitude, latitude = rows[1]["geometry"]["coordinates"]
    assert longitude == pytest.approx(114.0, abs=0.01)
    assert latitude == pytest.approx(30.72, abs=0.01)


def test_the_record_of_a_finding_about_the_layer_is_null(findings):
    row = finding_rows(findings.assign(record=None).astype({"record": "Int64"}))[0]
    assert row["record"] is None


def test_geojson_is_a_feature_collection_that_gdal_reads(findings, tmp_path):
    path = tmp_path / "findings.geojson"
    write_geojson([findings, findings.iloc[:0]], path)
    assert json.loads(path.read_text(encoding="utf-8")) == geojson([findings])
    read = pyogrio.read_dataframe(path)
    assert list(read["finding_id"]) == list(findings["finding_id"])
    moved = read.to_crs(findings.crs).geometry.iloc[1:]
    gap = shapely.hausdorff_distance(np.asarray(moved), np.asarray(findings.geometry.iloc[1:]))
    assert gap.max() < 0.002


def test_a_geopackage_has_a_table_for_each_kind_of_place(findings, tmp_path):
    path = tmp_path / "findings.gpkg"
    write_geopackage([findings.iloc[:1]], path)
    write_geopackage([findings.iloc[:2], findings.iloc[2:]], path)
    layers = dict(pyogrio.list_layers(path))
    assert layers == {
        "points": "MultiPoint",
        "lines": "MultiLineString",
        "polygons": "MultiPolygon",
        NO_PLACE_TABLE: None,
    }
    tables = {name: pyogrio.read_dataframe(path, layer=name) for name in layers}
    assert tables["points"]["kind"].tolist() == ["valid_geometry"]
    assert tables["lines"]["kind"].tolist() == ["spikes"]
    assert tables["polygons"]["kind"].tolist() == ["minimum_area"]
    assert tables[NO_PLACE_TABLE]["kind"].tolist() == ["null_geometry"]
    assert tables["points"].crs == findings.crs
    assert set(tables["points"].columns) == set(FINDING_COLUMNS)


def test_layers_of_different_crs_meet_in_lon_lat(findings, tmp_path):
    path = tmp_path / "findings.gpkg"
    write_geopackage([findings, findings.to_crs("EPSG:4548")], path)
    read = pyogrio.read_dataframe(path, layer="points")
    assert len(read) == 2
    assert shapely.distance(*read.geometry) < 1e-7
    assert read.total_bounds[0] == pytest.approx(114, abs=0.01)


def test_no_findings_give_a_file_all_the_same(tmp_path):
    path = tmp_path / "findings.gpkg"
    write_geopackage([], path)
    assert len(pyogrio.list_layers(path)) == 4
    assert geojson([]) == {"type": "FeatureCollection", "features": []}
