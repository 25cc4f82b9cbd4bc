"""Parquet and GeoParquet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from cityframe.config.source import Feed
from cityframe.connectors import parquet as module
from cityframe.connectors.contents import contents
from cityframe.connectors.parquet import read_parquet
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

MakeFeed = Callable[..., Feed]


def read(folder: Path, feed: Feed) -> SourceTable:
    return read_parquet(contents(folder)[0], feed)


def geo_table(geometry: list[bytes | None], **geo: Any) -> pa.Table:
    column = {"encoding": "WKB", "geometry_types": [], **geo}
    meta = {"version": "1.1.0", "primary_column": "geom", "columns": {"geom": column}}
    table = pa.table({"n": pa.array(range(len(geometry))), "geom": pa.array(geometry, pa.binary())})
    return table.replace_schema_metadata({"geo": json.dumps(meta)})


def test_table_keeps_its_types(tmp_path: Path, feed: MakeFeed) -> None:
    table = pa.table({"n": pa.array([1, None], pa.int32()), "街道": ["南京路", None]})
    pq.write_table(table, tmp_path / "a.parquet")
    result = read(tmp_path, feed())
    assert {name: str(kind) for name, kind in result.frame.dtypes.items()} == {
        "n": "Int64",
        "街道": "str",
    }
    assert result.geometry is None
    assert result.crs is None


@pytest.mark.parametrize("crs", ["EPSG:4547", "EPSG:4326", None])
def test_what_geopandas_writes_comes_back(tmp_path: Path, feed: MakeFeed, crs: str | None) -> None:
    points = [shapely.Point(1, 2, 3), None]
    frame = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=points, crs=crs)
    frame.to_parquet(tmp_path / "a.geoparquet")
    result = read(tmp_path, feed())
    assert result.crs == crs
    assert result.geometry is not None
    assert [one and one.wkt for one in result.geometry] == ["POINT Z (1 2 3)", None]
    assert list(result.frame.columns) == ["name"]


def test_missing_crs_means_longitude_and_latitude(tmp_path: Path, feed: MakeFeed) -> None:
    pq.write_table(geo_table([shapely.Point(1, 2).wkb]), tmp_path / "a.parquet")
    assert read(tmp_path, feed()).crs == "EPSG:4326"


def test_bad_geometry_is_told_and_the_others_stay(tmp_path: Path, feed: MakeFeed) -> None:
    pq.write_table(geo_table([shapely.Point(1, 2).wkb, b"\x01\x01", None]), tmp_path / "a.parquet")
    result = read(tmp_path, feed())
    assert result.geometry is not None
    assert [one and one.wkt for one in result.geometry] == ["POINT (1 2)", None, None]
    assert list(result.defects) == [1]
    assert "unreadable geometry" in result.defects[1]


@pytest.mark.parametrize(
    ("geo", "found"),
    [
        ({"encoding": "point"}, "geometry encoding 'point'"),
        ({"crs": {"type": "x"}}, "a CRS that can't be read"),
    ],
)
def test_geometry_that_is_not_understood_is_refused(
    tmp_path: Path, feed: MakeFeed, geo: dict[str, Any], found: str
) -> None:
    pq.write_table(geo_table([None], **geo), tmp_path / "a.parquet")
    with pytest.raises(QuarantinedError, match=found):
        read(tmp_path, feed())


@pytest.mark.parametrize("meta", ["{", "[]", '{"primary_column": "x"}'])
def test_damaged_metadata_are_refused(tmp_path: Path, feed: MakeFeed, meta: str) -> None:
    table = geo_table([None]).replace_schema_metadata({"geo": meta})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(QuarantinedError, match="damaged GeoParquet metadata"):
        read(tmp_path, feed())


def test_geometry_column_that_is_not_there_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    table = geo_table([None])
    table = table.drop_columns(["geom"]).replace_schema_metadata(table.schema.metadata)
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(QuarantinedError, match="no column 'geom'"):
        read(tmp_path, feed())


def test_damaged_file_is_refused(tmp_path: Path, feed: MakeFeed) -> None:
    pd.DataFrame({"a": range(1000)}).to_parquet(tmp_path / "a.parquet")
    body = (tmp_path / "a.parquet").read_bytes()
    for damaged in (b"", b"PAR1", body[:-20], body[:40] + bytes(200) + body[240:]):
        (tmp_path / "a.parquet").write_bytes(damaged)
        with pytest.raises(QuarantinedError, match=r"a\.parquet: a damaged Parquet file"):
            read(tmp_path, feed())


def test_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"a": range(10_000)}).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(QuarantinedError, match=r"\d+ bytes unpacked, expected at most 1000"):
        read(tmp_path, feed())


def test_table_of_a_parquet_file_is_an_error_of_the_declaration(
    tmp_path: Path, feed: MakeFeed
) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DeclarationError, match="has one table"):
        read(tmp_path, feed(table="x"))
