"""What a delivery brought, as the rules see it."""

import geopandas as gpd
import openpyxl
import pytest
import shapely

from cityframe.connectors import read_tables
from cityframe.connectors.listing import file_sizes, tables_held
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.received import received_of
from cityframe.rules.compiled import compile_rules

RULES = """
  - id: {layer}.fields
    title: {{zh: 字段, en: Fields}}
    kind: unexpected_fields
    layers: {layer}
    parameters: {{mandatory: [{field}], allow_other: true}}
    defect_class: A
    gate: block
    scope: delivery
"""


def add_rule(town, layer, field):
    path = town.root / "quality_rules" / "all.yaml"
    path.write_text(path.read_text(encoding="utf-8") + RULES.format(layer=layer, field=field))


def received(town, source_name, delivery):
    city = town.city
    workspace = city.workspace
    source = workspace.source(source_name)
    (feed,) = source.feeds
    files = city.archive.files(delivery.id)
    return received_of(
        read_tables(files, source, feed),
        files,
        source=source,
        feed=feed,
        delivery=delivery,
        rules=compile_rules(workspace.rules, workspace.layers, workspace.places),
    )


def test_a_geopackage_tells_its_layer_columns_and_crs(town, grid):
    delivery = town.deliver_parcels(grid[:4]).delivery
    assert received(town, "cadastre", delivery) is None
    add_rule(town, "parcels", "DJH")
    brought = received(town, "cadastre", delivery)
    assert list(brought.files) == ["parcels.gpkg"]
    assert brought.layers == {"parcels"}
    (table,) = brought.tables
    assert (table.file, table.table, table.crs) == ("parcels.gpkg", "parcels", "EPSG:4547")
    assert dict(table.columns) == {"DJH": "string", "YT": "string", "MJ": "real"}
    assert table.longest == {"DJH": 4, "YT": 1}
    west, south, east, north = table.central_bounds
    assert west <= east
    assert south <= north
    assert brought.metadata["observed_at"].startswith("2026-01-01")
    assert brought.metadata["accuracy_m"] == "0.05"
    assert brought.metadata["title_zh"] == "地籍测量"


def test_a_text_file_has_text_and_coordinates_in_columns(town):
    delivery = town.deliver_addresses(
        [("A1", 1.0, 10.0, "中山路 1 号"), ("A2", 3.0, 30.0, "")]
    ).delivery
    add_rule(town, "addresses", "id")
    (table,) = received(town, "registry", delivery).tables
    assert table.encoding == "utf-8"
    assert dict(table.columns) == dict.fromkeys(["id", "x", "y", "address"], "string")
    assert table.longest["address"] == 7
    assert table.crs == ""
    assert table.central_bounds == pytest.approx((1.5, 15.0, 2.5, 25.0))


def test_all_tables_of_a_delivery_are_listed(tmp_path, town):
    landed = tmp_path / "landed"
    landed.mkdir()
    points = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(0, 0)], crs="EPSG:4547")
    points.to_file(landed / "city.gpkg", layer="roads")
    points.to_file(landed / "city.gpkg", layer="rivers")
    points.to_file(landed / "walls.fgb")
    book = openpyxl.Workbook()
    book.create_sheet("notes")
    book.save(landed / "book.xlsx")
    source = town.city.workspace.source("cadastre")
    everything = source.model_copy(
        update={"feeds": (source.feeds[0].model_copy(update={"file": "*"}),)}
    )
    assert tables_held(landed, everything) == {"roads", "rivers", "walls", "Sheet", "notes"}
    only = source.model_copy(
        update={"feeds": (source.feeds[0].model_copy(update={"file": "*.fgb"}),)}
    )
    assert tables_held(landed, only) == {"walls"}
    assert set(file_sizes(landed)) == {"city.gpkg", "walls.fgb", "book.xlsx"}


def test_a_missing_field_keeps_the_delivery_out(town, grid):
    add_rule(town, "parcels", "QLR")
    town.deliver_parcels(grid[:4])
    town.deliver_addresses([("A1", 1.0, 10.0, "x")])
    outcome = town.run()
    assert any("no field QLR" in reason for reason in outcome.quarantined)
    brought = [
        one for one in accounts(town.city, outcome.cycle) if one.delivery.startswith("cadastre")
    ]
    results = {one.rule: one for account in brought for one in account.results}
    assert results["parcels.fields"].failed == 1
