"""Real deliveries with the quirks that their publishers left in them."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
import pytest
import shapely

from cityframe.conform import Conformed
from cityframe.errors import DeclarationError

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

pytestmark = pytest.mark.city

POI_COLUMNS = {
    "poi_id": "poi_id",
    "address_id": {"column": "address_id", "nulls": ["NULL"]},
    "kind": "poi_type",
    "name": "Point_of_interest_name",
}
POI_FEED = {"columns": POI_COLUMNS, "ignore": ["(No column name)"], "geometry": {"none": True}}


@pytest.fixture(scope="module")
def cambridge(real_data: Path) -> Callable[[str], bytes]:
    def member(name: str) -> bytes:
        path = real_data / "epochs" / "cambridge_ma" / "cambridge_2014-02-13.zip"
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)

    return member


def text_frame(content: bytes, encoding: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype="str", keep_default_na=False, encoding=encoding)


def feature_frame(path: Path | bytes) -> tuple[pd.DataFrame, Any, str | None]:
    meta, _, geometry, values = pyogrio.raw.read(path)
    columns = dict(zip(meta["fields"], values, strict=True))
    return pd.DataFrame(columns), shapely.from_wkb(geometry), meta["crs"]


# City of Cambridge


@pytest.fixture(scope="module")
def pois(make_layer: Make) -> Any:
    return make_layer(
        {"poi_id": "integer", "address_id": "integer", "kind": "string", "name": "string"},
        key="poi_id",
    )


def test_points_of_interest_with_a_nameless_column(
    run: Run, make_table: Make, cambridge: Make, pois: Any
) -> None:
    content = cambridge("Master_Address_Points_of_Interest.csv")
    table = make_table(text_frame(content, "utf-8-sig"), file="pois.csv")
    outcome = run(table, POI_FEED, pois)
    assert outcome.records == len(outcome.frame) == 777
    assert outcome.findings.empty
    assert outcome.frame["address_id"].isna().sum() == 3
    strict = run(table, {**POI_FEED, "ignore": []}, pois)
    assert strict.quarantine_reasons == (
        "intake.unknown-column: pois.csv: columns that are not declared: '(No column name)'",
    )


def test_byte_order_mark_in_a_header_is_named(
    run: Run, make_table: Make, cambridge: Make, pois: Any, found: Found
) -> None:
    content = cambridge("Master_Address_Points_of_Interest.csv")
    header = content.decode("utf-8").splitlines()[0].split(",")  # a reader that leaves the mark in
    frame = text_frame(content, "utf-8-sig").set_axis(header, axis=1)
    (text,) = found(run(make_table(frame, file="pois.csv"), POI_FEED, pois), "missing-column")
    assert "'poi_id' (differs from '\\ufeffpoi_id' in case, white space or byte order mark" in text


def test_addresses_that_stand_many_times_are_merged(
    run: Run, make_layer: Make, make_table: Make, cambridge: Make
) -> None:
    content = cambridge("Master_Address_Database_with_MapLot_and_BldgID.csv")
    frame = text_frame(content, "utf-8-sig")
    names = {name: name.lower() for name in frame.columns}
    layer = make_layer(dict.fromkeys(names.values(), "string"), key="address_id")
    feed = {
        "columns": {ours: theirs for theirs, ours in names.items()},
        "geometry": {"none": True},
        "duplicates": {"exact": "merge", "key": "return"},
    }
    outcome = run(make_table(frame), feed, layer)
    merged = int(frame.duplicated().sum())
    fates = outcome.fates["fate"].value_counts()
    assert outcome.records == 56167
    assert merged == 32815
    assert fates["merged"] >= merged  # trimmed and in NFC, a few more say the same
    assert outcome.frame["source_key"].is_unique


def test_hydrants_in_place_with_missing_and_shared_keys(
    run: Run, make_layer: Make, make_table: Make, cambridge: Make, found: Found
) -> None:
    frame, geometry, crs = feature_frame(cambridge("INFRA_Hydrants.geojson"))
    layer = make_layer(
        {"number": "string", "kind": "integer", "rotation": "real", "is_enabled": "boolean"},
        geometry="Point", crs="EPSG:26986", key="number",
    )  # fmt: skip
    feed = {
        "columns": {"number": "HYDRANT_ID", "kind": "SUBTYPE", "rotation": "ROTATION",
                    "is_enabled": "ENABLED"},
        "ignore": [name for name in frame.columns
                   if name not in ("HYDRANT_ID", "SUBTYPE", "ROTATION", "ENABLED")],
    }  # fmt: skip
    source = {"crs": "EPSG:4326", "equivalent_crs": ["EPSG:26986"]}
    table = make_table(frame, geometry=geometry, crs=crs)
    outcome = run(table, feed, layer, **source)
    assert outcome.records == 1860
    assert len(found(outcome, "missing-key")) == 26
    assert (
        found(outcome, "duplicate-key")
        == ["key '9204' stands several times: records 147, 1800"] * 2
    )
    assert outcome.findings.geometry.notna().all()
    west, south, east, north = outcome.frame.total_bounds
    assert 228_000 < west < east < 236_500  # the city in Massachusetts Mainland, metres
    assert 898_500 < south < north < 906_500


# formats of OpenAddresses: one town, many coordinate systems


LAKE = (-122.36, 37.75, -122.20, 37.85)  # where the records lie, longitude and latitude


@pytest.fixture(scope="module")
def lake(make_layer: Make) -> Any:
    return make_layer({"number": "string", "street": "string"}, geometry="Point", crs="EPSG:26943")


@pytest.fixture(scope="module")
def files(real_data: Path) -> Path:
    return real_data / "tables" / "formats_openaddresses"


def lake_feed(columns: dict[str, str], frame: pd.DataFrame, **feed: Any) -> dict[str, Any]:
    ignored = [name for name in frame.columns if name not in columns.values()]
    return {"columns": columns, "ignore": ignored, "duplicates": {"exact": "merge"}, **feed}


def test_shapefile_with_its_projection(run: Run, make_table: Make, files: Path, lake: Any) -> None:
    frame, geometry, crs = feature_frame(files / "lake-man-epsg26943.shp")
    feed = lake_feed({"number": "NUMBER", "street": "STRNAME"}, frame)
    table = make_table(frame, geometry=geometry, crs=crs, file="lake-man-epsg26943.shp")
    outcome = run(table, feed, lake, crs="EPSG:26943")
    assert outcome.findings.empty
    assert outcome.records == len(geometry) > 0
    wrong = run(table, feed, lake, crs="EPSG:4269")
    assert wrong.quarantine_reasons[0].startswith(
        "intake.crs: lake-man-epsg26943.shp states EPSG:26943"
    )


def test_shapefile_without_projection_takes_the_declared_one(
    run: Run, make_table: Make, files: Path, lake: Any
) -> None:
    frame, geometry, crs = feature_frame(files / "lake-man-epsg26943-noprj.shp")
    assert crs is None
    feed = lake_feed({"number": "NUMBER", "street": "STRNAME"}, frame)
    table = make_table(frame, geometry=geometry, crs=crs)
    outcome = run(table, feed, lake, crs="EPSG:26943")
    assert outcome.findings.empty
    assert len(outcome.frame) > 0


def test_table_in_an_older_datum_is_refused_until_the_bureau_decides(
    run: Run, make_table: Make, files: Path, lake: Any
) -> None:
    frame = text_frame((files / "lake-man-3740.csv").read_bytes(), "utf-8")
    feed = lake_feed(
        {"number": "number", "street": "street"},
        frame.drop(columns=["lon", "lat"]),
        geometry={"x": "lon", "y": "lat"},
    )
    with pytest.raises(DeclarationError, match=r"accuracy 0.05 m, grid us_noaa_cnhpgn.tif; or"):
        run(make_table(frame), feed, lake, crs="EPSG:3740")
    outcome = run(make_table(frame), feed, lake, crs="EPSG:3740", equivalent_crs=["EPSG:4269"])
    assert outcome.frame["street"].tolist()[0] == "PZ ESPAÑA"
    placed = outcome.frame.to_crs("EPSG:4269")
    west, south, east, north = placed.total_bounds
    assert LAKE[0] < west < east < LAKE[2]
    assert LAKE[1] < south < north < LAKE[3]


def test_table_with_well_known_text_and_heights(
    run: Run, make_table: Make, files: Path, lake: Any, found: Found
) -> None:
    frame = text_frame((files / "lake-man-split2.csv").read_bytes(), "utf-8")
    feed = lake_feed(
        {"number": "HNUM", "street": "STNAME"},
        frame.drop(columns=["oa:geom"]),
        geometry={"wkt": "oa:geom"},
    )
    outcome = run(make_table(frame), feed, lake, crs="EPSG:4269")
    assert found(outcome, "dropped-geometry") == [
        f"heights of {outcome.records} geometries are left out"
    ]
    assert not outcome.frame.geometry.has_z.any()


# Chinese text


def test_centroids_of_chinese_districts_in_their_zone(
    run: Run, make_layer: Make, make_table: Make, real_data: Path
) -> None:
    path = real_data / "tables" / "chinese_addresses" / "cpca_adcodes_centroids.csv"
    frame = text_frame(path.read_bytes(), "utf-8-sig")
    layer = make_layer(
        {"adcode": "string", "name": "string"}, geometry="Point", crs="EPSG:4547", key="adcode"
    )
    feed = {
        "columns": {"adcode": "adcode", "name": "name"},
        "geometry": {"x": "longitude", "y": "latitude"},
    }
    wuhan = frame[frame["adcode"].str.startswith("4201")].reset_index(drop=True)
    outcome = run(make_table(wuhan), feed, layer)
    assert outcome.findings.empty
    assert "江岸区" in outcome.frame["name"].tolist()
    country = run(make_table(frame), feed, layer)
    assert country.quarantine_reasons[0].startswith("intake.coordinates: coordinates lie outside")


def test_company_addresses_keep_their_text(
    run: Run, make_layer: Make, make_table: Make, real_data: Path
) -> None:
    path = real_data / "tables" / "chinese_addresses" / "cpca_company_addresses.csv"
    frame = text_frame(path.read_bytes(), "utf-8-sig")
    layer = make_layer({"address": "string", "staff": "string"})
    feed = {
        "columns": {"address": "原始地址", "staff": "规模"},
        "geometry": {"none": True},
        "duplicates": {"exact": "merge"},
    }
    outcome = run(make_table(frame), feed, layer)
    assert outcome.records > 10_000
    assert set(outcome.fates["fate"]) <= {"merged", "returned"}
    kept = outcome.frame["address"].iloc[0]
    assert kept == frame["原始地址"].iloc[0].strip()
