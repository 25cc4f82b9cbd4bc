import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import geopandas as gpd
import pyogrio
import pytest
import shapely
from pyproj import Geod

from cityframe.products.report.exchange import geojson_bytes, write_geopackage
from cityframe.products.report.listing import list_findings

WRITTEN = "2026-11-22T02:05:37Z"


@pytest.fixture
def listing(sample):
    return list_findings(sample.findings, sample.layers, sample.waived)


def tables(path):
    kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(path)}
    return {name: kind for name, kind in kinds.items() if name != "layer_styles"}


def test_geopackage_has_a_table_for_each_geometry_type(tmp_path, listing):
    write_geopackage(tmp_path / "f.gpkg", listing, written_at=WRITTEN)
    assert tables(tmp_path / "f.gpkg") == {
        "findings": "None",
        "findings_point": "MultiPoint",
        "findings_line": "MultiLineString",
        "findings_polygon": "MultiPolygon",
    }


def test_geopackage_keeps_every_finding_at_its_place(tmp_path, listing):
    path = tmp_path / "f.gpkg"
    write_geopackage(path, listing, written_at=WRITTEN)
    read = {name: pyogrio.read_dataframe(path, layer=name) for name in tables(path)}
    assert sum(len(one) for one in read.values()) == len(listing.table)
    polygons = read["findings_polygon"].set_index("finding_id")
    assert polygons.crs == "EPSG:4547"
    for row in range(0, len(listing.table), 37):
        finding = listing.table.loc[row]
        if finding["finding_id"] in polygons.index:
            place = polygons.loc[finding["finding_id"]]
            assert place.geometry.equals(listing.geometry[row])
            assert bool(place["is_waived"]) == bool(finding["is_waived"])


def test_geopackage_of_layers_in_two_crs_has_tables_for_each(tmp_path, sample):
    layers = dict(sample.layers) | {"pipe": replace(sample.layers["pipe"], crs="EPSG:4526")}
    (frame,) = sample.findings.values()
    pipes = frame[frame["layer"] == "pipe"].to_crs("EPSG:4526")
    frames = {"a": frame[frame["layer"] != "pipe"], "b": pipes}
    path = tmp_path / "f.gpkg"
    write_geopackage(path, list_findings(frames, layers), written_at=WRITTEN)
    assert "findings_point_epsg_4526" in tables(path)
    line = pyogrio.read_dataframe(path, layer="findings_line_epsg_4526")
    assert line.crs == "EPSG:4526"
    assert len(line) == (pipes.geometry.geom_type == "LineString").sum()


def test_mixed_collection_keeps_its_parts_of_highest_dimension(tmp_path, sample):
    (frame,) = sample.findings.values()
    one = frame.iloc[:1].copy()
    square = shapely.box(0, 0, 1, 1)
    collection = shapely.GeometryCollection(
        [shapely.Point(9, 9), shapely.MultiPolygon([square]), shapely.LineString([(0, 0), (5, 5)])]
    )
    one["geometry"] = gpd.GeoSeries([collection], index=one.index, crs=one.crs)
    path = tmp_path / "f.gpkg"
    write_geopackage(path, list_findings({"one": one}, sample.layers), written_at=WRITTEN)
    assert set(tables(path)) == {"findings", "findings_polygon"}
    (place,) = pyogrio.read_dataframe(path, layer="findings_polygon").geometry
    assert place.equals(square)


def test_geopackage_bytes_depend_on_the_findings_alone(tmp_path, listing):
    first, second = tmp_path / "a.gpkg", tmp_path / "b.gpkg"
    for path in (first, second):
        write_geopackage(path, listing, written_at=WRITTEN)
    assert first.read_bytes() == second.read_bytes()
    with closing(sqlite3.connect(first)) as connection:
        times = connection.execute("select distinct last_change from gpkg_contents").fetchall()
    assert times == [("2026-11-22T02:05:37.000Z",)]
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None


def test_geojson_is_longitude_latitude_within_a_centimetre(listing):
    collection = json.loads(geojson_bytes(listing))
    assert len(collection["features"]) == len(listing.table)
    geod = Geod(ellps="GRS80")
    for row in (0, 100, 300):
        feature = collection["features"][row]
        assert feature["properties"]["finding_id"] == listing.table.loc[row, "finding_id"]
        expected = gpd.GeoSeries([listing.geometry[row]], crs="EPSG:4547").to_crs("EPSG:4490")
        east, north = shapely.get_coordinates(expected.iloc[0])[0]
        given = shapely.get_coordinates(shapely.from_geojson(json.dumps(feature["geometry"])))[0]
        assert geod.inv(east, north, *given)[2] < 0.01


def test_geojson_says_null_where_there_is_no_place(listing):
    features = json.loads(geojson_bytes(listing))["features"]
    whole = [one for one in features if one["properties"]["rule"] == "address.count"]
    assert [one["geometry"] for one in whole] == [None]
    assert whole[0]["properties"]["record"] is None


def test_no_findings_give_an_empty_collection_and_an_empty_table(tmp_path, sample):
    listing = list_findings({}, sample.layers)
    assert json.loads(geojson_bytes(listing)) == {"type": "FeatureCollection", "features": []}
    write_geopackage(tmp_path / "f.gpkg", listing, written_at=WRITTEN)
    assert tables(tmp_path / "f.gpkg") == {"findings": "None"}
