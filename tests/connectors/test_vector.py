"""Vector formats through GDAL: encodings, layers, measures, hostile files."""

import http.server
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

from cityframe.config.source import Feed
from cityframe.connectors import vector as module
from cityframe.connectors.contents import contents
from cityframe.connectors.datasets import matching_datasets
from cityframe.connectors.vector import read_vector
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

MakeFeed = Callable[..., Feed]
NAMES = ["人民广场", "南京东路", None]


def read(folder: Path, feed: Feed) -> SourceTable | None:
    (dataset,) = matching_datasets(contents(folder), feed.file)
    return read_vector(dataset, feed)


def table(folder: Path, feed: Feed) -> SourceTable:
    result = read(folder, feed)
    assert result is not None
    return result


def frame() -> gpd.GeoDataFrame:
    points = shapely.points([[500000, 3000000], [500001, 3000000], [500002, 3000000]])
    return gpd.GeoDataFrame({"名称": NAMES, "层数": [1, 2, 3]}, geometry=points, crs="EPSG:4547")


def shapefile(folder: Path, encoding: str, *, cpg: str | None = None, language_id: int = 0) -> None:
    frame().to_file(folder / "roads.shp", encoding=encoding)
    (folder / "roads.cpg").unlink(missing_ok=True)
    if cpg is not None:
        (folder / "roads.cpg").write_text(cpg)
    body = bytearray((folder / "roads.dbf").read_bytes())
    body[29] = language_id
    (folder / "roads.dbf").write_bytes(body)


@pytest.mark.parametrize(
    ("written", "cpg", "language_id", "declared", "used"),
    [
        ("GBK", "GBK", 0, "", "gb18030"),
        ("GBK", "936\r\n", 0, "", "gb18030"),
        ("GBK", None, 0x4D, "", "gb18030"),
        ("GBK", None, 0x57, "", "gb18030"),
        ("GBK", None, 0, "", "gb18030"),
        ("GBK", "UTF-8", 0, "GBK", "gb18030"),
        ("UTF-8", "UTF-8", 0, "", "utf-8"),
        ("UTF-8", None, 0, "", "utf-8"),
        ("UTF-8", "", 0x57, "", "utf-8"),
    ],
)
def test_encoding_of_a_shapefile_is_found(
    tmp_path: Path,
    feed: MakeFeed,
    written: str,
    cpg: str | None,
    language_id: int,
    declared: str,
    used: str,
) -> None:
    shapefile(tmp_path, written, cpg=cpg, language_id=language_id)
    result = table(tmp_path, feed(file="*.shp", encoding=declared))
    assert list(result.frame.columns) == ["名称", "层数"]
    assert result.frame["名称"].to_list()[:2] == NAMES[:2]
    assert result.frame["名称"].isna().to_list() == [False, False, True]
    assert result.frame["层数"].to_list() == [1, 2, 3]
    assert (result.encoding, result.crs, result.table) == (used, "EPSG:4547", "roads")


def test_encoding_that_the_bytes_are_not_in_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    shapefile(tmp_path, "GBK", cpg="UTF-8")
    with pytest.raises(QuarantinedError, match=r"roads\.shp, column names: .*utf-8 does") as caught:
        read(tmp_path, feed(file="*.shp"))
    assert "set the true encoding in the feed" in caught.value.remedy
    shapefile(tmp_path, "GBK", cpg="klingon")
    with pytest.raises(DeclarationError, match=r"roads\.cpg: encoding 'klingon'"):
        read(tmp_path, feed(file="*.shp"))


def test_western_bytes_without_a_statement_are_not_guessed(tmp_path: Path, feed: MakeFeed) -> None:
    points = shapely.points([[1, 2], [3, 4]])
    names = gpd.GeoDataFrame({"n": ["Café Olé", "Église"]}, geometry=points, crs="EPSG:4547")
    names.to_file(tmp_path / "a.shp", encoding="ISO-8859-1")
    (tmp_path / "a.cpg").unlink(missing_ok=True)
    body = bytearray((tmp_path / "a.dbf").read_bytes())
    body[29] = 0
    (tmp_path / "a.dbf").write_bytes(body)
    with pytest.raises(QuarantinedError, match="neither UTF-8"):
        read(tmp_path, feed(file="*.shp"))
    result = table(tmp_path, feed(file="*.shp", encoding="cp1252"))
    assert result.frame["n"].to_list() == ["Café Olé", "Église"]


@pytest.mark.parametrize(
    ("suffix", "driver"),
    [
        (".gpkg", "GPKG"), (".fgb", "FlatGeobuf"), (".gml", "GML"), (".kml", "LIBKML"),
        (".mif", "MapInfo File"), (".tab", "MapInfo File"), (".gdb", "OpenFileGDB"),
    ],
)  # fmt: skip
def test_format_is_read(tmp_path: Path, feed: MakeFeed, suffix: str, driver: str) -> None:
    points = shapely.points([[121.0, 31.0, 5.0], [121.5, 31.5, 6.0]])
    given = gpd.GeoDataFrame({"label": ["人民广场", "b"]}, geometry=points, crs="EPSG:4326")
    options = {".mif": {"FORMAT": "MIF"}, ".fgb": {"SPATIAL_INDEX": "NO"}}.get(suffix, {})
    pyogrio.write_dataframe(given, tmp_path / f"things{suffix}", driver=driver, **options)
    result = table(tmp_path, feed(file=f"*{suffix}"))
    assert result.table == "things"
    assert result.frame["label"].to_list() == ["人民广场", "b"]
    assert result.geometry is not None
    assert shapely.get_coordinates(result.geometry).tolist() == [[121.0, 31.0], [121.5, 31.5]]
    if suffix not in (".mif", ".tab"):
        assert shapely.get_z(result.geometry).tolist() == [5.0, 6.0]
        assert result.crs == "EPSG:4326"


def test_nothing_is_written_beside_the_landed_bytes(tmp_path: Path, feed: MakeFeed) -> None:
    folder = tmp_path / "landed"
    folder.mkdir()
    frame().to_file(folder / "a.gml", driver="GML")
    (folder / "a.xsd").unlink()
    frame().to_file(folder / "a.gpkg")
    with sqlite3.connect(folder / "a.gpkg") as database:
        database.execute("pragma journal_mode = wal")
    database.close()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    for pattern in ("*.gml", "*.gpkg"):
        assert len(table(folder, feed(file=pattern)).frame) == 3
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_rows_in_a_journal_count(tmp_path: Path, feed: MakeFeed) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "landed").mkdir()
    frame().to_file(tmp_path / "work" / "a.gpkg")
    database = sqlite3.connect(tmp_path / "work" / "a.gpkg")
    database.execute("pragma journal_mode = wal")
    for (name,) in database.execute(
        "select name from sqlite_master where type = 'trigger'"
    ).fetchall():
        database.execute(f"drop trigger {name}")
    database.execute("update a set 名称 = '外滩' where fid = 1")
    database.commit()
    for path in (tmp_path / "work").iterdir():
        (tmp_path / "landed" / path.name).write_bytes(path.read_bytes())
    database.close()
    assert (tmp_path / "landed" / "a.gpkg-wal").stat().st_size > 0
    assert table(tmp_path / "landed", feed(file="*.gpkg")).frame["名称"][0] == "外滩"


def test_layer_is_chosen_by_table(tmp_path: Path, feed: MakeFeed) -> None:
    frame().to_file(tmp_path / "a.gpkg", layer="道路")
    frame().head(1).to_file(tmp_path / "a.gpkg", layer="建筑")
    assert len(table(tmp_path, feed(table="道路")).frame) == 3
    assert len(table(tmp_path, feed(table="建筑")).frame) == 1
    assert read(tmp_path, feed(table="地块")) is None
    with pytest.raises(DeclarationError, match="2 layers and no table declared"):
        read(tmp_path, feed())


def test_key_of_another_name_than_fid_is_a_column(tmp_path: Path, feed: MakeFeed) -> None:
    pyogrio.write_dataframe(frame(), tmp_path / "a.gpkg", FID="objectid")
    assert "objectid" in table(tmp_path, feed()).frame
    (tmp_path / "a.gpkg").unlink()
    pyogrio.write_dataframe(frame(), tmp_path / "b.gpkg")
    assert list(table(tmp_path, feed()).frame.columns) == ["名称", "层数"]


def test_table_without_geometry_has_none(tmp_path: Path, feed: MakeFeed) -> None:
    pyogrio.write_dataframe(frame().drop(columns="geometry"), tmp_path / "a.gpkg")
    result = table(tmp_path, feed())
    assert result.geometry is None
    assert result.crs is None
    assert result.frame["层数"].to_list() == [1, 2, 3]


def test_moments_keep_their_zone_or_have_none(tmp_path: Path, feed: MakeFeed) -> None:
    moments = np.array(["2024-05-01T12:00:00", "2024-05-01T13:30:00.250"], "datetime64[ms]")
    given = gpd.GeoDataFrame({"at": moments}, geometry=shapely.points([[1, 2], [3, 4]]))
    given["at_utc"] = given["at"].dt.tz_localize("UTC")
    given = given.set_crs("EPSG:4547")
    given.to_file(tmp_path / "a.fgb", driver="FlatGeobuf", SPATIAL_INDEX="NO")
    result = table(tmp_path, feed())
    assert str(result.frame["at"].dtype) == "datetime64[us]"
    assert str(result.frame["at_utc"].dtype) == "datetime64[us, UTC]"
    assert result.frame["at"].to_list() == given["at"].to_list()
    assert result.frame["at_utc"].to_list() == given["at_utc"].to_list()


def test_mixed_case_of_a_shapefile_is_no_matter(tmp_path: Path, feed: MakeFeed) -> None:
    shapefile(tmp_path, "UTF-8", cpg="UTF-8")
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("roads", "Roads").upper()))
    (tmp_path / "ROADS.DBF").rename(tmp_path / "roads.dbf")
    result = table(tmp_path, feed(file="roads.shp"))
    assert result.frame["名称"].to_list()[:2] == NAMES[:2]
    assert result.crs == "EPSG:4547"


def test_encoding_of_a_format_that_states_its_own_is_an_error(
    tmp_path: Path, feed: MakeFeed
) -> None:
    frame().to_file(tmp_path / "a.gpkg")
    with pytest.raises(DeclarationError, match="the format states its own"):
        read(tmp_path, feed(encoding="GBK"))


def test_text_that_no_header_explains_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    head = 'Version 300\nCharset "{}"\nDelimiter ","\nColumns 1\n  name Char(20)\nData\nPoint 1 2\n'
    for charset, is_read in (("WindowsSimpChinese", True), ("Neutral", False)):
        (tmp_path / "a.mif").write_text(head.format(charset))
        (tmp_path / "a.mid").write_bytes('"中国"\n'.encode("gbk"))
        if is_read:
            assert table(tmp_path, feed(file="*.mif")).frame["name"].to_list() == ["中国"]
        else:
            with pytest.raises(QuarantinedError, match="an encoding that the file does not state"):
                read(tmp_path, feed(file="*.mif"))


VRT = (
    '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>{}</SrcDataSource>'
    "<SrcLayer>secret</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"
)


@pytest.mark.parametrize(
    "suffix", [".gml", ".kml", ".xml", ".gpx", ".shp", ".gpkg", ".tab", ".dxf"]
)
def test_vrt_under_another_name_is_refused(tmp_path: Path, feed: MakeFeed, suffix: str) -> None:
    (tmp_path / "in").mkdir()
    secret = gpd.GeoDataFrame({"secret": ["x"]}, geometry=[shapely.Point(1, 2)], crs="EPSG:4547")
    secret.to_file(tmp_path / "secret.gpkg", layer="secret")
    (tmp_path / "in" / f"a{suffix}").write_text(VRT.format(tmp_path / "secret.gpkg"))
    with pytest.raises(QuarantinedError, match=f"a{suffix}: a file that can't be read"):
        read(tmp_path / "in", feed(file=f"*{suffix}"))


def test_vrt_itself_has_no_reader(tmp_path: Path, feed: MakeFeed) -> None:
    (tmp_path / "a.vrt").write_text(VRT.format("b.gpkg"))
    with pytest.raises(DeclarationError, match=r"a\.vrt matches '\*', and nothing reads it"):
        read(tmp_path, feed())


def test_mapinfo_table_that_refers_to_others_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    (tmp_path / "a.tab").write_text(
        '!table\n!version 100\nopen table "/etc/b.tab"\ncreate view a as\nselect * from b\n'
    )
    with pytest.raises(QuarantinedError, match="refers to other tables"):
        read(tmp_path, feed(file="*.tab"))


@pytest.mark.parametrize("suffix", [".gml", ".kml"])
def test_entity_bomb_never_reaches_the_driver(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    (tmp_path / f"a{suffix}").write_text(
        '<?xml version="1.0"?><!DOCTYPE k [<!ENTITY x SYSTEM "file:///etc/passwd">]><k>&x;</k>'
    )
    monkeypatch.setattr(module, "_answer", lambda *_: pytest.fail("the driver was asked"))
    with pytest.raises(QuarantinedError, match="a document type"):
        read(tmp_path, feed(file=f"*{suffix}"))


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A web server, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_no_file_opens_a_connection(
    tmp_path: Path, feed: MakeFeed, listener: tuple[str, list[str]]
) -> None:
    url, asked = listener
    frame().to_file(tmp_path / "a.gml", driver="GML")
    (tmp_path / "a.xsd").unlink()
    gml = (tmp_path / "a.gml").read_text()
    wfs = f'xsi:schemaLocation="http://ogr.maptools.org/ {url}/wfs?request=DescribeFeatureType"'
    gml = gml.replace('xsi:schemaLocation="http://ogr.maptools.org/ a.xsd"', wfs)
    gml = gml.replace('srsName="', f'srsName="{url}/crs/').replace("a.xsd", f"{url}/a.xsd")
    assert gml.count(url) > 2
    (tmp_path / "a.gml").write_text(gml)
    kml = (
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><NetworkLink><Link>'
        f"<href>{url}/b.kml</href></Link></NetworkLink><Placemark><name>a</name>"
        "<Point><coordinates>1,2</coordinates></Point></Placemark></Document></kml>"
    )
    (tmp_path / "b.kml").write_text(kml)
    (tmp_path / "c.topojson").write_text(
        '{"type":"Topology","crs":{"type":"link","properties":{"href":"' + url + '/c"}},'
        '"objects":{"a":{"type":"GeometryCollection","geometries":'
        '[{"type":"Point","coordinates":[1,2],"properties":{"a":1}}]}},"arcs":[]}'
    )
    for pattern in ("*.gml", "*.kml", "*.topojson"):
        try:
            read(tmp_path, feed(file=pattern))
        except QuarantinedError as error:
            assert "can't be read" in error.found  # noqa: PT017
    assert asked == []


def test_reader_that_dies_is_a_clear_error(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame().to_file(tmp_path / "a.gpkg")
    script = tmp_path / "dies.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(module, "_PROCESS", script)
    with pytest.raises(QuarantinedError, match=r"a\.gpkg: the reader ended with -11"):
        read(tmp_path, feed(file="*.gpkg"))


def test_reader_that_never_ends_is_stopped(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame().to_file(tmp_path / "a.gpkg")
    script = tmp_path / "sleeps.py"
    script.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(module, "_PROCESS", script)
    monkeypatch.setattr(module, "READER_SECONDS", 0.5)
    with pytest.raises(QuarantinedError, match=r"did not end in 0\.5 s"):
        read(tmp_path, feed(file="*.gpkg"))


def test_reader_is_given_no_secrets(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame().to_file(tmp_path / "a.gpkg")
    script = tmp_path / "tells.py"
    script.write_text(
        "import json, os\nprint(json.dumps({'error': ' '.join(sorted(os.environ))}))\n"
    )
    monkeypatch.setattr(module, "_PROCESS", script)
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    with pytest.raises(QuarantinedError) as caught:
        read(tmp_path, feed(file="*.gpkg"))
    assert "GDAL_SKIP" in caught.value.found
    assert "DATABASE_PASSWORD" in os.environ
    assert "DATABASE_PASSWORD" not in caught.value.found


def test_reader_that_wants_too_much_memory_is_a_clear_error(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame().to_file(tmp_path / "a.gpkg")
    monkeypatch.setattr(module, "READER_MEMORY_BYTES", 64 << 20)
    with pytest.raises(QuarantinedError, match=r"a\.gpkg: "):
        read(tmp_path, feed(file="*.gpkg"))


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".shp", ".gml", ".dxf", ".topojson"])
def test_damaged_file_is_refused_and_named(tmp_path: Path, feed: MakeFeed, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"<a>\x00 no such thing")
    with pytest.raises(QuarantinedError, match=f"a{suffix}: ") as caught:
        read(tmp_path, feed(file=f"*{suffix}"))
    assert caught.value.expected
    assert str(tmp_path) not in str(caught.value)
