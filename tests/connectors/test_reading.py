"""The read half on real deliveries."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely

from cityframe.config.source import Feed, Source
from cityframe.connectors import read_tables
from cityframe.errors import DeclarationError, QuarantinedError

MakeFeed = Callable[..., Feed]
MakeSource = Callable[..., Source]
city = pytest.mark.city


def test_file_that_is_not_there_gives_no_table(
    tmp_path: Path, source: MakeSource, feed: MakeFeed
) -> None:
    assert read_tables(tmp_path, source(), feed(file="roads.*")) == []


def test_table_that_is_not_there_is_refused_unless_missing_means_unchanged(
    data: Path, source: MakeSource, feed: MakeFeed
) -> None:
    files = data / "layers" / "santboi_giswater"
    wanted = feed(file="*.gpkg", table="ws_pump")
    with pytest.raises(QuarantinedError, match=r"santboi_base_water\.gpkg: no table 'ws_pump'"):
        read_tables(files, source(), wanted)
    assert read_tables(files, source(delivery="layers-changed-only"), wanted) == []


@city
def test_layers_of_a_city_are_read_from_its_zip(
    data: Path, source: MakeSource, feed: MakeFeed, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").symlink_to(data / "epochs/cambridge_ma/cambridge_2014-02-13.zip")
    (lines,) = read_tables(tmp_path, source(), feed(file="TRANS_Centerlines.geojson"))
    assert lines.file == "a.zip/TRANS_Centerlines.geojson"
    assert len(lines.frame) == 2610
    assert lines.geometry is not None
    assert lines.defects == {}
    assert {one.geom_type for one in lines.geometry} <= {"LineString", "MultiLineString"}
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        raw = json.loads(archive.read("TRANS_Centerlines.geojson"))["features"]
    names = {name for one in raw for name in one["properties"]}
    assert set(lines.frame.columns) == {*names, "id"}
    assert lines.frame["id"].to_list() == [one["id"] for one in raw]
    for name in names:
        column, given = lines.frame[name], [one["properties"].get(name) for one in raw]
        assert column.isna().to_list() == [one is None for one in given]
        assert all(
            one == two
            for one, two, null in zip(column, given, column.isna(), strict=True)
            if not null
        )
    (addresses,) = read_tables(tmp_path, source(), feed(file="Master_Address_Database*"))
    assert len(addresses.frame) == 56167
    assert read_tables(tmp_path, source(), feed(file="PARCELS.geojson")) == []


@city
def test_one_point_in_many_formats_is_one_point(
    data: Path, source: MakeSource, feed: MakeFeed
) -> None:
    files = data / "tables" / "formats_openaddresses"
    expected = None
    for pattern, crs in (
        ("lake-man.gpkg", "EPSG:4326"),
        ("lake-man-gml.gml", None),
        ("lake-man-split.shp", "EPSG:4326"),
        ("lake-man-merge-postcode2.shp", None),
    ):
        (table,) = read_tables(files, source(), feed(file=pattern))
        assert table.crs == crs
        assert table.geometry is not None
        points = shapely.get_coordinates(table.geometry).round(9).tolist()
        expected = expected or points
        assert points == expected
    (projected,) = read_tables(files, source(), feed(file="lake-man-epsg26943.shp"))
    assert projected.crs == "EPSG:26943"
    (without,) = read_tables(files, source(), feed(file="lake-man-epsg26943-noprj.shp"))
    assert without.crs is None


@city
def test_leading_zeros_and_letters_of_text_formats_stay(
    data: Path, source: MakeSource, feed: MakeFeed
) -> None:
    files = data / "tables" / "formats_openaddresses"
    (gml,) = read_tables(files, source(), feed(file="*.gml"))
    assert set(map(str, gml.frame.dtypes)) == {"str"}
    (csv,) = read_tables(files, source(), feed(file="lake-man-3740.csv"))
    assert csv.frame["street"][0] == "PZ ESPAÑA"
    (shape,) = read_tables(files, source(), feed(file="lake-man-utf8.shp"))
    assert "PZ ESPAÑA" in set(shape.frame.astype("str").to_numpy().ravel())


@city
def test_departmental_tables_of_mixed_encodings(
    data: Path, source: MakeSource, feed: MakeFeed
) -> None:
    files = data / "tables" / "edinburgh"
    with pytest.raises(QuarantinedError, match=r"Businesses__2013-10-22\.csv: .*set encoding"):
        read_tables(files, source(), feed(file="Businesses*"))
    (businesses,) = read_tables(files, source(), feed(file="Businesses*", encoding="cp850"))
    assert len(businesses.frame) == 7123
    others = [path for path in files.glob("*.csv") if not path.name.startswith("Businesses")]
    for path in others:
        (table,) = read_tables(files, source(), feed(file=path.name.replace("[", "?")))
        assert table.encoding == "utf-8"
        assert len(table.frame) > 0


@city
def test_dutch_buildings_come_as_two_files(data: Path, source: MakeSource, feed: MakeFeed) -> None:
    files = data / "epochs" / "otterlo_doesburg_nl"
    tables = read_tables(files, source(), feed(file="*.xml"))
    assert [len(one.frame) for one in tables] == [10_000, 3_098]
    assert {one.crs for one in tables} == {"EPSG:28992"}
    assert tables[0].frame["voorkomenIdentificatie"].dtype == "Int64"
    assert str(tables[0].frame["tijdstipRegistratie"].dtype) == "datetime64[us]"
    assert tables[0].geometry is not None
    assert tables[0].geometry[0].has_z is False


@city
def test_every_bad_file_is_read_or_refused_with_its_name(
    data: Path, source: MakeSource, feed: MakeFeed
) -> None:
    read = 0
    refused: list[str] = []
    told: list[bool] = []
    for path in sorted((data / "bad" / "geojson_invalid_chrieke").rglob("*.geojson")):
        try:
            (table,) = read_tables(path.parent, source(), feed(file=path.name))
        except QuarantinedError as error:
            refused.append(path.stem)
            told.append(path.name in error.where and error.expected != "")
        else:
            assert table.geometry is not None
            assert len(table.frame) == len(table.geometry)
            read += 1
    assert read == 67
    assert refused == [
        "invalid_featurecollection_features_is_object",
        "invalid_featurecollection_no_features_member",
        "invalid_featurecollection_nulltype",
        "invalid_featurecollection_type_lowercase",
        "invalid_featurecollection_unknown_type",
        "invalid_geometry_missing_type",
        "invalid_geometry_wrong_geometry_type",
    ]
    assert all(told)


@city
def test_bad_shapefiles_are_read_or_refused_with_their_name(
    data: Path, source: MakeSource, feed: MakeFeed, tmp_path: Path
) -> None:
    (tmp_path / "bad.zip").symlink_to(data / "bad" / "gdal_autotest_shp.zip")
    for name, count in (("buggymultipoly", 1), ("arcm_with_m", 2), ("multipatch", 1), ("empty", 0)):
        (table,) = read_tables(tmp_path, source(), feed(file=f"{name}.shp"))
        assert len(table.frame) == count
    (measured,) = read_tables(tmp_path, source(), feed(file="testpointzm.shp"))
    assert measured.geometry is not None
    assert measured.geometry[0].wkt == "POINT ZM (1 2 3 4)"
    (patch,) = read_tables(tmp_path, source(), feed(file="multipatch.shp"))
    assert list(patch.defects) == [0]
    (unclosed,) = read_tables(tmp_path, source(), feed(file="polygonm_without_m.shp"))
    assert list(unclosed.defects) == [0, 1]
    (chinese,) = read_tables(tmp_path, source(), feed(file="chinese.dbf"))
    assert chinese.frame.to_dict("list") == {"中国": ["中国"]}
    with pytest.raises(QuarantinedError, match=r"departs\.shp: text that is neither"):
        read_tables(tmp_path, source(), feed(file="departs.shp"))


@city
def test_geometry_of_all_bundled_layers_is_read(
    data: Path, source: MakeSource, feed: MakeFeed
) -> None:
    files = data / "layers"
    for pattern, name, count in (
        ("santboi_base_water.gpkg", "ws_arc", 269),
        ("bubenec.gpkg", "plots", 407),
        ("dutch_addresses_28992.gpkg", "", 2481),
    ):
        (table,) = read_tables(files, source(), feed(file=pattern, table=name))
        assert len(table.frame) == count
        assert table.geometry is not None
        assert not shapely.is_missing(table.geometry).any()
    with pytest.raises(DeclarationError, match="4 layers and no table declared"):
        read_tables(files, source(), feed(file="bubenec.gpkg"))
