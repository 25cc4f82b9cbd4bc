import dataclasses
import json
import sqlite3
from contextlib import closing

import geopandas as gpd
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest

from cityframe.core.digest import row_digests
from cityframe.core.frames import with_column_types
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.text import Title
from cityframe.products.package import (
    LayerContent,
    LayerDelta,
    apply_change,
    build_change,
    build_full,
    invert,
)

TITLE = Title(zh="示范市", en="Demo City")


def head(town, number=1):
    return {"title": TITLE, "quality": {"report": "r"}, "chain": town.chains[number - 1]}


def test_full_package_holds_the_rows_of_the_release_in_both_formats(tmp_path, town):
    town.build_full(tmp_path / "full", 2)
    for layer in town.layers.values():
        expected = town.content(layer.name, 2)
        if layer.geometry.value == "none":
            parquet = pd.read_parquet(tmp_path / "full" / f"{layer.name}.parquet")
        else:
            parquet = gpd.read_parquet(tmp_path / "full" / f"{layer.name}.parquet")
            assert parquet.crs == expected.crs
            assert parquet.geometry.geom_equals_exact(expected.geometry, 0).sum() == (
                expected.geometry.notna().sum()
            )
        geopackage = pyogrio.read_dataframe(tmp_path / "full" / "framework.gpkg", layer=layer.name)
        assert list(parquet["uid"]) == list(geopackage["uid"]) == list(expected["uid"])
        for found in (parquet, geopackage):
            typed = with_column_types(found, layer)
            for name in layer.attribute_names:
                pd.testing.assert_series_equal(typed[name], expected[name])


def test_geopackage_declares_types_crs_and_the_time_of_the_release(tmp_path, town):
    town.build_full(tmp_path / "full", 2)
    with closing(sqlite3.connect(tmp_path / "full" / "framework.gpkg")) as connection:
        contents = connection.execute(
            "SELECT table_name, data_type, last_change, srs_id FROM gpkg_contents ORDER BY 1"
        ).fetchall()
        columns = {
            name: kind
            for _, name, kind, *_ in connection.execute("PRAGMA table_info(buildings)").fetchall()
        }
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    moment = "2026-11-02T08:00:00.000Z"
    assert contents == [
        ("buildings", "features", moment, 4547),
        ("permits", "attributes", moment, 0),
        ("pipes", "features", moment, 4547),
    ]
    assert columns == {
        "fid": "INTEGER", "geom": "POLYGON", "uid": "TEXT", "valid_from": "DATETIME",
        "delivery": "TEXT", "record": "INTEGER", "basis": "TEXT",
        "name": "TEXT", "floors": "INTEGER", "height_m": "REAL", "is_listed": "BOOLEAN",
        "built": "DATE", "surveyed_at": "DATETIME",
    }  # fmt: skip


def test_geoparquet_metadata_follows_version_1_1(tmp_path, town):
    town.build_full(tmp_path / "full", 1)
    buildings = json.loads(pq.read_metadata(tmp_path / "full/buildings.parquet").metadata[b"geo"])
    pipes = json.loads(pq.read_metadata(tmp_path / "full/pipes.parquet").metadata[b"geo"])
    column = buildings["columns"]["geometry"]
    assert buildings["version"] == "1.1.0"
    assert buildings["primary_column"] == "geometry"
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["bbox"] == [500_000, 3_400_000, 500_510, 3_400_010]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 4547}
    assert pipes["columns"]["geometry"]["geometry_types"] == ["LineString Z"]
    assert b"geo" not in pq.read_metadata(tmp_path / "full/permits.parquet").metadata


def test_change_package_holds_both_sides_of_each_change(tmp_path, town):
    town.build_change(tmp_path / "change", 2)
    rows = pyogrio.read_dataframe(tmp_path / "change" / "changes.gpkg", layer="buildings")
    assert list(rows[["uid", "side", "change"]].itertuples(index=False, name=None)) == [
        ("b00", "before", "removed"),
        ("b01", "before", "reshaped"),
        ("b01", "after", "reshaped"),
        ("b02", "before", "attributes"),
        ("b02", "after", "attributes"),
        ("b49", "after", "new"),
        ("b99", "after", "new"),
    ]
    assert list(rows["name"][3:5]) == ["教学楼", "图书馆"]


def test_built_twice_on_two_days_gives_the_same_bytes(tmp_path, town, same_bytes):
    town.build_full(tmp_path / "one", 2)
    town.build_change(tmp_path / "change_one", 2)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2031-05-06T07:08:09.123Z"})
    try:
        town.build_full(tmp_path / "two", 2)
        town.build_change(tmp_path / "change_two", 2)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    assert same_bytes(tmp_path / "one", tmp_path / "two") == []
    assert same_bytes(tmp_path / "change_one", tmp_path / "change_two") == []


def test_bytes_do_not_depend_on_how_the_rows_were_batched(
    tmp_path, new_town, make_permit, same_bytes
):
    town = new_town()
    town.commit(permits={f"d{n:05d}": make_permit(f"holder {n}") for n in range(70_000)})
    release = town.releases[0]
    build_full(tmp_path / "one", release, town.contents(1, batch_rows=9_999), **head(town))
    build_full(tmp_path / "two", release, town.contents(1, batch_rows=70_000), **head(town))
    assert same_bytes(tmp_path / "one", tmp_path / "two") == []
    metadata = pq.read_metadata(tmp_path / "one" / "permits.parquet")
    groups = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    assert groups == [65536, 4464]


def test_batches_may_come_from_a_function_and_without_digests(tmp_path, town, same_bytes):
    town.build_full(tmp_path / "one", 1)
    lazily = [
        LayerContent(layer, lambda name=layer.name: iter([town.content(name, 1)]))
        for layer in town.layers.values()
    ]
    build_full(
        tmp_path / "two", town.releases[0], lazily,
        title=Title(zh="示范市空间框架", en="Framework of Demo City"),
        quality=(tmp_path / "one" / "quality.json").read_bytes(), chain=town.chains[0],
    )  # fmt: skip
    assert same_bytes(tmp_path / "one", tmp_path / "two") == []


@pytest.mark.parametrize(
    ("formats", "names"),
    [
        (["gpkg"], ["framework.gpkg"]),
        (["geoparquet"], ["buildings.parquet", "permits.parquet", "pipes.parquet"]),
    ],
)
def test_only_the_wanted_formats_are_in_the_package(tmp_path, town, formats, names):
    manifest = town.build_full(tmp_path / "full", 1, formats=formats)
    others = {
        "manifest.json", "quality.json", "lineage.json", "redactions.json",
        "NOTES.zh.md", "NOTES.en.md",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "full").iterdir()} == others | set(names)
    assert manifest.formats == tuple(formats)


def test_rows_that_do_not_give_the_released_digest_are_refused(tmp_path, town):
    contents = town.contents(1)
    frame = town.content("buildings", 1)
    frame.loc[3, "floors"] = 7
    contents[0] = LayerContent(contents[0].layer, [frame])
    with pytest.raises(IntegrityError, match="release 1 layer buildings: rows that give"):
        build_full(tmp_path / "full", town.releases[0], contents, **head(town))
    assert list(tmp_path.iterdir()) == []


def test_a_stored_digest_that_its_row_does_not_give_is_refused(tmp_path, town):
    contents = town.contents(1)
    frame = town.content("buildings", 1)
    frame["digest"] = row_digests(frame, contents[0].layer)
    frame.loc[3, "floors"] = 7
    contents[0] = LayerContent(contents[0].layer, [frame])
    with pytest.raises(IntegrityError, match=r"buildings\.parquet layer buildings: rows digest"):
        build_full(tmp_path / "full", town.releases[0], contents, **head(town))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("order", [[1, 0], [0, 0]])
def test_rows_out_of_order_or_twice_are_refused(tmp_path, town, order):
    contents = town.contents(1)
    frame = town.content("buildings", 1)
    contents[0] = LayerContent(contents[0].layer, [frame.iloc[[place]] for place in order])
    with pytest.raises(IntegrityError, match="uid b00: a row out of order, or a uid that stands"):
        build_full(tmp_path / "full", town.releases[0], contents, **head(town))


def test_layers_other_than_those_of_the_release_are_refused(tmp_path, town):
    with pytest.raises(DeclarationError, match="each layer of the release once"):
        build_full(tmp_path / "full", town.releases[0], town.contents(1)[:2], **head(town))


def test_rows_in_another_crs_or_without_a_column_are_refused(tmp_path, town):
    contents = town.contents(1)
    frame = town.content("buildings", 1)
    for wrong, message in (
        (frame.set_crs("EPSG:4549", allow_override=True), "expected EPSG:4547"),
        (frame.drop(columns="floors"), "no column 'floors'"),
    ):
        contents[0] = LayerContent(
            contents[0].layer, [wrong.assign(digest=row_digests(frame, contents[0].layer))]
        )
        with pytest.raises(DeclarationError, match=message):
            build_full(tmp_path / "full", town.releases[0], contents, **head(town))


def test_a_build_that_fails_half_way_leaves_nothing(tmp_path, town):
    contents = town.contents(1)

    def broken():
        yield town.content("permits", 1).iloc[:1]
        raise OSError("disk gone")

    contents[2] = LayerContent(contents[2].layer, broken)
    with pytest.raises(OSError, match="disk gone"):
        build_full(tmp_path / "full", town.releases[0], contents, **head(town))
    assert list(tmp_path.iterdir()) == []


def test_building_again_keeps_the_package_that_is_there(tmp_path, town):
    first = town.build_full(tmp_path / "full", 1)
    before = (tmp_path / "full" / "framework.gpkg").stat()
    assert town.build_full(tmp_path / "full", 1) == first
    assert (tmp_path / "full" / "framework.gpkg").stat().st_ino == before.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_another_package_in_its_place_is_not_overwritten(tmp_path, town):
    town.build_full(tmp_path / "full", 1)
    text = (tmp_path / "full" / "manifest.json").read_bytes()
    with pytest.raises(IntegrityError, match="a folder that is not this package"):
        town.build_full(tmp_path / "full", 2)
    assert (tmp_path / "full" / "manifest.json").read_bytes() == text


def test_a_damaged_package_in_its_place_is_told(tmp_path, town):
    town.build_full(tmp_path / "full", 1)
    (tmp_path / "full" / "pipes.parquet").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"pipes\.parquet: 0 bytes"):
        town.build_full(tmp_path / "full", 1)


def test_moments_finer_than_a_geopackage_holds_are_refused_for_it_alone(
    tmp_path, new_town, make_building
):
    for moment, message in (
        ("2026-01-01T00:00:00.000001Z", r"2026-01-01 00:00:00\.000001"),
        ("1969-12-31T23:59:59.999Z", r"1969-12-31 23:59:59\.999"),
    ):
        town = new_town()
        town.commit(buildings={"b1": make_building(surveyed_at=pd.Timestamp(moment))})
        with pytest.raises(DeclarationError, match=message):
            town.build_full(tmp_path / moment, 1)
        assert town.build_full(tmp_path / moment, 1, formats=["geoparquet"]).layers[0].rows == 1


def test_whole_seconds_before_1970_and_extreme_values_survive(tmp_path, new_town, make_building):
    town = new_town()
    town.commit(
        buildings={
            "b1": make_building(
                surveyed_at=pd.Timestamp("1911-10-10T00:00:01Z"),
                built=pd.Timestamp("1420-01-01"),
                floors=-(2**62) - 1,
                height_m=float("inf"),
                name="",
            ),
            "b2": make_building(height_m=-0.0, name="é𠮷\n'\";--"),
        }
    )
    assert town.build_full(tmp_path / "full", 1).layers[0].rows == 2


def test_releases_that_are_not_neighbours_are_refused(tmp_path, town):
    third = town.commit(permits={"d2": None})
    with pytest.raises(DeclarationError, match="parent 1, expected release 2"):
        build_change(tmp_path / "change", third, town.releases[0], town.deltas(3), **head(town, 3))


def test_a_layer_may_come_but_not_go(tmp_path, town, new_town, make_permit, same_bytes):
    layers = list(town.layers.values())
    grown = new_town(layers[2:])
    grown.commit(permits={"d1": make_permit("a")})
    grown.layers = town.layers
    grown.commit(permits={"d2": make_permit("b")})
    grown.build_full(tmp_path / "full1", 1)
    grown.build_full(tmp_path / "full2", 2)
    manifest = grown.build_change(tmp_path / "change2", 2)
    assert manifest.layer("buildings").before is None
    apply_change(tmp_path / "full1", tmp_path / "change2", tmp_path / "applied2")
    assert same_bytes(tmp_path / "full2", tmp_path / "applied2") == []
    invert(tmp_path / "change2", tmp_path / "inverse2")
    applied = apply_change(tmp_path / "full2", tmp_path / "inverse2", tmp_path / "applied1")
    assert [layer.contract.name for layer in applied.layers] == ["permits"]

    release, parent = grown.releases[1], town.releases[0]
    shrunk = dataclasses.replace(release, layers=release.layers[1:])
    with pytest.raises(DeclarationError, match="no layer buildings, which release 1 has"):
        build_change(tmp_path / "shrunk", shrunk, parent, grown.deltas(2)[1:], **head(grown, 2))


def test_rows_that_are_not_the_released_changes_are_refused(tmp_path, town):
    first, second = town.releases
    deltas = town.deltas(2)
    one = deltas[0]
    deltas[0] = LayerDelta(one.layer, one.removed, one.added[one.added["uid"] != "b99"])
    with pytest.raises(IntegrityError, match="layer buildings: rows that give"):
        build_change(tmp_path / "change", second, first, deltas, **head(town, 2))
    deltas[0] = LayerDelta(one.layer, one.removed, one.added[one.added["uid"] != "b01"])
    with pytest.raises(IntegrityError, match="uid b01: change 'reshaped' without a row after"):
        build_change(tmp_path / "change", second, first, deltas, **head(town, 2))


@pytest.mark.parametrize("quality", [b"not json", b"[1]"])
def test_a_quality_record_that_is_no_json_object_is_refused(tmp_path, town, quality):
    with pytest.raises(DeclarationError, match=r"quality\.json"):
        town.build_full(tmp_path / "full", 1, quality=quality)


def test_notes_tell_the_totals_in_both_languages(tmp_path, town):
    remarks = Title(zh="本期更新了**校区**。", en="This update covers the *campus*.")
    town.build_change(tmp_path / "change", 2, remarks=remarks)
    chinese = (tmp_path / "change" / "NOTES.zh.md").read_text(encoding="utf-8")
    english = (tmp_path / "change" / "NOTES.en.md").read_text(encoding="utf-8")
    assert "# 示范市空间框架 · 版本 2 · 增量更新包" in chinese
    assert "| 建筑物 | 15 | 2 | 1 | 0 | 1 | 1 |" in chinese
    assert "| Total | 18 | 2 | 2 | 0 | 1 | 1 |" in english
    assert remarks.zh in chinese
    assert remarks.en in english
    assert f"Base release: 1 `{town.releases[0].digest}`" in english
