"""GeoJSON: types, ids, Z, features that can't be read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely

from cityframe.config.source import Feed
from cityframe.connectors import geojson as module
from cityframe.connectors.contents import contents
from cityframe.connectors.geojson import read_geojson
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

MakeFeed = Callable[..., Feed]
POINT = {"type": "Point", "coordinates": [1, 2]}


def feature(properties: Any, geometry: Any = POINT, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties, **members}


def read(tmp_path: Path, feed: Feed, body: Any, encoding: str = "utf-8") -> SourceTable:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    (tmp_path / "a.geojson").write_bytes(text.encode(encoding))
    return read_geojson(contents(tmp_path)[0], feed)


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", **members, "features": list(features)}


def test_values_keep_the_types_of_json(tmp_path: Path, feed: MakeFeed) -> None:
    table = read(
        tmp_path,
        feed(),
        collection(
            feature({"n": 2**53 + 1, "r": 1.5, "b": True, "t": "", "d": "2014/02/13", "no": "06"}),
            feature({"n": None, "r": 2, "b": None, "t": "x", "o": {"a": [1]}, "no": 7}),
        ),
    )
    assert {name: str(kind) for name, kind in table.frame.dtypes.items()} == {
        "n": "Int64", "r": "float64", "b": "boolean", "t": "str", "d": "str", "no": "str",
        "o": "str",
    }  # fmt: skip
    assert table.frame["n"][0] == 2**53 + 1
    assert table.frame["t"].to_list() == ["", "x"]
    assert table.frame["d"][0] == "2014/02/13"
    assert table.frame["no"].to_list() == ["06", "7"]
    assert table.frame["o"][1] == '{"a": [1]}'
    assert table.frame["o"].isna().to_list() == [True, False]


def test_types_are_those_of_all_features_not_of_the_first_chunk(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 2)
    values = [1, 2, 3, "4a", None]
    table = read(
        tmp_path, feed(), collection(*(feature({"v": v, f"c{i}": i}) for i, v in enumerate(values)))
    )
    assert table.frame["v"].to_list()[:4] == ["1", "2", "3", "4a"]
    assert table.frame["c4"].to_list()[4] == 4
    assert table.frame["c4"].isna().sum() == 4


@pytest.mark.parametrize(
    ("ids", "values"), [([5, 5, None], [5, 5, None]), (["a", 1, None], ["a", "1", None])]
)
def test_ids_are_kept_as_they_are(
    tmp_path: Path, feed: MakeFeed, ids: list[Any], values: list[Any]
) -> None:
    table = read(tmp_path, feed(), collection(*(feature({"a": 1}, id=one) for one in ids)))
    column = table.frame["id"]
    assert [None if is_null else one for one, is_null in zip(column, column.isna())] == values  # noqa: B905


def test_property_called_id_stands_before_the_member(tmp_path: Path, feed: MakeFeed) -> None:
    table = read(tmp_path, feed(), collection(feature({"id": "mine"}, id=7)))
    assert table.frame.to_dict("list") == {"id": ["mine"]}
    assert "id" not in read(tmp_path, feed(), collection(feature({"a": 1}))).frame


def test_heights_and_empty_geometries_are_kept(tmp_path: Path, feed: MakeFeed) -> None:
    table = read(
        tmp_path,
        feed(),
        collection(
            feature({}, {"type": "Point", "coordinates": [1, 2, 3.5]}),
            feature({}, {"type": "Polygon", "coordinates": []}),
            feature({}, None),
        ),
    )
    assert table.geometry is not None
    assert [None if one is None else one.wkt for one in table.geometry] == [
        "POINT Z (1 2 3.5)",
        "POLYGON EMPTY",
        None,
    ]
    assert table.defects == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (feature({"a": 2}, {"type": "Point", "coordinates": [1, 2, 3, 4]}), "more than three"),
        (feature({"a": 2}, {"type": "Point", "coordinates": ["x", 2]}), "must be number"),
        (feature({"a": 2}, {"type": "Circle", "coordinates": [1, 2]}), "Unknown geometry type"),
        (feature({"a": 2}, {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}),
         "do not form a closed"),
        (feature({"a": 2}, {"type": "Point", "coordinates": [float("nan"), 2]}), "invalid literal"),
        (feature({"a": 2}, "POINT (1 2)"), "with string"),
        (feature([1]), "properties are not an object"),
        (None, "not a GeoJSON feature"),
        ({"type": "Feature", "properties": {"a": 2}}, "no member geometry"),
    ],
)  # fmt: skip
def test_one_bad_feature_does_not_lose_the_others(
    tmp_path: Path, feed: MakeFeed, bad: Any, reason: str
) -> None:
    table = read(tmp_path, feed(), collection(feature({"a": 1}), bad, feature({"a": 3})))
    assert table.geometry is not None
    assert len(table.frame) == len(table.geometry) == 3
    assert table.frame["a"].to_list()[::2] == [1, 3]
    assert shapely.is_missing(table.geometry[[0, 2]]).sum() == 0
    assert list(table.defects) == [1]
    assert reason in table.defects[1]


@pytest.mark.parametrize(
    ("crs", "code"),
    [
        (None, None),
        ("urn:ogc:def:crs:EPSG::4547", "EPSG:4547"),
        ("urn:ogc:def:crs:EPSG:6.9:4547", "EPSG:4547"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
        ("http://www.opengis.net/def/crs/EPSG/0/4547", "EPSG:4547"),
        ("epsg:4547", "EPSG:4547"),
        ("local grid of the bureau", "local grid of the bureau"),
    ],
)
def test_crs_is_what_the_file_says(
    tmp_path: Path, feed: MakeFeed, crs: str | None, code: str | None
) -> None:
    members = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    assert read(tmp_path, feed(), collection(feature({}), **members)).crs == code


def test_member_after_the_features_is_seen(tmp_path: Path, feed: MakeFeed) -> None:
    body = (
        '{"type":"FeatureCollection","features":[ ],'
        '"crs":{"type":"name","properties":{"name":"EPSG:4547"}}}'
    )
    assert read(tmp_path, feed(), body).crs == "EPSG:4547"


@pytest.mark.parametrize("body", [feature({"a": 1}), POINT])
def test_single_feature_and_bare_geometry_are_one_record(
    tmp_path: Path, feed: MakeFeed, body: Any
) -> None:
    table = read(tmp_path, feed(), body)
    assert table.geometry is not None
    assert [one.wkt for one in table.geometry] == ["POINT (1 2)"]


def test_byte_order_mark_and_gbk_are_read(tmp_path: Path, feed: MakeFeed) -> None:
    body = collection(feature({"名称": "人民广场"}))
    assert read(tmp_path, feed(), body, "utf-8-sig").frame["名称"][0] == "人民广场"
    table = read(tmp_path, feed(encoding="GBK"), body, "gbk")
    assert (table.frame["名称"][0], table.encoding) == ("人民广场", "gb18030")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("", "no JSON"),
        ("[]", "no JSON"),
        ('{"type":"FeatureCollection","features":[{"type":"Fea', "no JSON"),
        ('{"type":"FeatureCollection","features":[]} x', "no JSON"),
        ('{"type":"FeatureCollection","features":{}}', "JSON of type 'FeatureCollection'"),
        ('{"type":"Topology"}', "JSON of type 'Topology'"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "no JSON"),
        ('{"type":"FeatureCollection","features":[1' + "0" * 5000 + "]}", "no JSON"),
        (json.dumps(collection(feature({"a": "\ud800"}))), "half a character"),
    ],
)
def test_what_is_no_geojson_is_refused(
    tmp_path: Path, feed: MakeFeed, body: str, found: str
) -> None:
    with pytest.raises(QuarantinedError, match=f"a.geojson.*{found}"):
        read(tmp_path, feed(), body)


def test_error_names_the_line(tmp_path: Path, feed: MakeFeed) -> None:
    body = '{"type":"FeatureCollection",\n"features":[\n{"type":"Feature",}]}'
    with pytest.raises(QuarantinedError, match=r"a\.geojson:3: "):
        read(tmp_path, feed(), body)


def test_too_many_columns_are_refused(tmp_path: Path, feed: MakeFeed) -> None:
    body = collection(feature({f"c{number}": 1 for number in range(10_001)}))
    with pytest.raises(QuarantinedError, match="10001 columns"):
        read(tmp_path, feed(), body)


def test_ring_of_very_many_vertices_is_read(tmp_path: Path, feed: MakeFeed) -> None:
    ring = [[number, number % 7] for number in range(300_000)]
    body = collection(feature({}, {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}))
    table = read(tmp_path, feed(), body)
    assert table.geometry is not None
    assert shapely.get_num_coordinates(table.geometry[0]) == 300_001


def test_table_of_a_geojson_file_is_an_error_of_the_declaration(
    tmp_path: Path, feed: MakeFeed
) -> None:
    with pytest.raises(DeclarationError, match="has one table"):
        read(tmp_path, feed(table="x"), collection())
