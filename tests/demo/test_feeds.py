import json
import sqlite3
import zipfile
from pathlib import Path

import pyogrio
import pytest

from cityframe.config.workspace import read_workspace
from cityframe.demo.feeds.messages import HOURS
from cityframe.demo.layers import KEYS
from cityframe.demo.truth import read_truth

ROOT = Path(__file__).parents[2]


def declared(source, layer):
    """Return the columns that the root workspace expects in a feed."""
    workspace = read_workspace(ROOT)
    feed = next(one for one in workspace.source(source).feeds if one.layer == layer)
    columns = {mapping.column for mapping in feed.columns.values()} | set(feed.ignore)
    joined = getattr(feed.geometry, "on", {})
    places = {getattr(feed.geometry, axis, "") for axis in ("x", "y")} - {""}
    operation = {feed.operation.column} if feed.operation else set()
    return columns | set(joined.values()) | places | operation


@pytest.mark.parametrize(
    ("table", "layer"), [("JZW", "buildings"), ("ZD", "parcels"), ("DL", "roads")]
)
def test_shapefiles_have_the_declared_fields_in_gbk_without_cpg(city, table, layer):
    archive = city.delivery(2).folder / "survey_base.zip"
    with zipfile.ZipFile(archive) as packed:
        assert not [name for name in packed.namelist() if name.endswith(".cpg")]
        raw = packed.read(f"{table}.dbf")[:600]
    info = pyogrio.read_info(f"/vsizip/{archive}/{table}.shp", encoding="GBK")
    assert set(info["fields"]) == declared("survey_base", layer)
    assert all(len(name.encode("GBK")) <= 10 for name in info["fields"])
    assert "编码".encode("GBK") in raw or "代码".encode("GBK") in raw
    assert info["crs"] == "EPSG:4547"


@pytest.mark.parametrize(
    ("table", "layer"),
    [
        ("XZQ", "boundaries"), ("JS_POINT", "water_nodes"), ("JS_LINE", "water_pipes"),
        ("WS_POINT", "sewer_nodes"), ("WS_LINE", "sewer_pipes"),
    ],
)  # fmt: skip
def test_geopackage_has_the_declared_columns(city, table, layer):
    path = city.delivery(2).folder / "survey_network.gpkg"
    info = pyogrio.read_info(path, layer=table)
    assert set(info["fields"]) == declared("survey_network", layer)
    assert info["geometry_type"].endswith(" Z") == layer.startswith("sewer")


def test_boundaries_come_only_when_they_changed(city):
    tables = [
        set(pyogrio.list_layers(city.delivery(number).folder / "survey_network.gpkg")[:, 0])
        for number in (1, 2, 3, 4)
    ]
    assert ["XZQ" in one for one in tables] == [True, True, False, True]


def test_tables_have_the_declared_columns(city):
    delivery = city.delivery(2)
    assert set(delivery.table("pois.csv", "gb18030").columns) == declared("pois", "pois")
    assert set(delivery.table("housing.csv", "utf-8-sig").columns) == declared(
        "housing", "buildings"
    )
    connection = sqlite3.connect(delivery.folder / "departmental.sqlite")
    columns = {row[1] for row in connection.execute("PRAGMA table_info(address)")}
    connection.close()
    assert columns == declared("addresses", "addresses")


def test_the_database_grows_by_rows_above_the_last_watermark(city):
    highest = ""
    for number in (1, 2, 3, 4):
        connection = sqlite3.connect(city.delivery(number).folder / "departmental.sqlite")
        query = "SELECT count(*), max(updated_at) FROM address WHERE updated_at > ?"
        pulled, now_highest = connection.execute(query, (highest,)).fetchone()
        stood = connection.execute("SELECT count(*) FROM address").fetchone()[0]
        connection.close()
        assert pulled == stood if number == 1 else 5 < pulled < 0.1 * stood
        truth = read_truth(city.delivery(number).folder / "truth.jsonl")
        spoken_of = {one.key for one in (*truth.changes, *truth.same) if one.layer == "addresses"}
        assert len(spoken_of) <= pulled
        assert now_highest[:10] < city.manifest.deliveries[number - 1].day
        highest = now_highest


def test_messages_are_as_the_truth_counts_them(city):
    folder = city.delivery(2).folder
    text = (folder / "mqtt.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    truth = read_truth(folder / "truth.jsonl").messages[0]
    assert len(lines) == truth.sent
    broken, seen, repeated, late = 0, set(), 0, 0
    day = city.manifest.deliveries[1].day
    for line in lines:
        try:
            payload = json.loads(line["payload"])
        except json.JSONDecodeError:
            broken += 1
            continue
        assert line["topic"] == f"city/{payload['stream']}"
        repeated += line["payload"] in seen
        seen.add(line["payload"])
        late += payload["time"][:10] < str(day)[:8] + "26"
    assert (broken, repeated, late) == (truth.malformed, truth.duplicate, truth.late)
    assert truth.sent > HOURS * 10


def test_layers_are_those_of_the_root_workspace():
    layers = read_workspace(ROOT).layers
    assert set(layers) == {*KEYS, "sensor_states"}
    for name, key in KEYS.items():
        assert layers[name].key == (key,)
