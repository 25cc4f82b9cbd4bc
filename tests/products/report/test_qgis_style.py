import sqlite3
from contextlib import closing
from xml.etree import ElementTree

import pyogrio
import pytest

from cityframe.products.report.exchange import COLUMNS, write_geopackage
from cityframe.products.report.field_titles import FIELD_TITLES
from cityframe.products.report.listing import list_findings


@pytest.fixture
def geopackage(sample, tmp_path):
    path = tmp_path / "f.gpkg"
    listing = list_findings(sample.findings, sample.layers)
    write_geopackage(path, listing, written_at="2026-11-22T02:05:37Z")
    return path


def rows(path, question):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


def test_each_spatial_table_has_the_default_style_that_qgis_looks_for(geopackage):
    # the question is the one of QGIS' provider
    found = rows(
        geopackage,
        "SELECT f_table_name, styleQML FROM layer_styles WHERE f_table_schema = ''"
        " AND f_geometry_column = 'geom' AND useAsDefault = 1 ORDER BY f_table_name",
    )
    assert [name for name, _ in found] == ["findings_line", "findings_point", "findings_polygon"]
    symbols = {
        name: ElementTree.fromstring(qml).find(".//symbol").get("type") for name, qml in found
    }
    assert list(symbols.values()) == ["line", "marker", "fill"]


def test_style_has_a_category_for_each_class_and_for_what_is_waived_or_fixed(geopackage):
    ((qml,),) = rows(
        geopackage, "SELECT styleQML FROM layer_styles WHERE f_table_name = 'findings_polygon'"
    )
    style = ElementTree.fromstring(qml)
    categories = {one.get("value"): one.get("symbol") for one in style.iter("category")}
    assert set(categories) == {"A", "B", "C", "D", "waived", "fixed"}
    symbols = {one.get("name") for one in style.iter("symbol")}
    assert set(categories.values()) == symbols
    aliases = {one.get("field"): one.get("name") for one in style.iter("alias")}
    assert aliases["defect_class"] == "缺陷类别 Defect class"


def test_columns_have_titles_by_the_schema_extension(geopackage):
    assert rows(
        geopackage,
        "SELECT name FROM gpkg_data_columns"
        " WHERE table_name = 'findings_point' AND column_name = 'gate'",
    ) == [("关口 Gate",)]
    assert len(rows(geopackage, "SELECT DISTINCT column_name FROM gpkg_data_columns")) == len(
        COLUMNS
    )
    assert ("gpkg_schema",) in rows(geopackage, "SELECT extension_name FROM gpkg_extensions")


def test_every_column_has_a_title():
    assert set(FIELD_TITLES) == set(COLUMNS)


def test_gdal_reads_the_file_as_before(geopackage):
    frame = pyogrio.read_dataframe(geopackage, layer="findings_polygon")
    assert {"state", "found_zh", "is_waived"} <= set(frame.columns)
    assert len(frame) > 0
