import json
import shutil
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package import verify


def refused(folder, message, **options):
    with pytest.raises(IntegrityError, match=message) as caught:
        verify(folder, **options)
    assert caught.value.where
    assert caught.value.found
    assert caught.value.expected
    return caught.value


def rewrite_parquet(path, edit):
    table = pq.read_table(path)
    metadata = pq.read_metadata(path).metadata
    edited = edit(table).replace_schema_metadata({b"geo": metadata[b"geo"]})
    pq.write_table(edited, path)


def with_value(table, column, row, value):
    values = table.column(column).to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    field = table.schema.field(column)
    return table.set_column(place, field, pa.array(values, type=field.type))


def test_whole_packages_hold(folders):
    full = verify(folders / "full2")
    assert full.base is None
    assert full.rows == 2 * (15 + 1 + 2)
    change = verify(folders / "change2", base=folders / "full1")
    assert change.base.release.number == 1
    assert change.manifest.release.number == 2
    assert change.rows == 5 + 1


def test_the_announced_digest_is_compared(folders):
    digest = verify(folders / "full1").manifest.digest
    assert verify(folders / "full1", digest=digest).manifest.digest == digest
    refused(folders / "full2", "is not the package that was announced", digest=digest)


@pytest.mark.parametrize("name", ["framework.gpkg", "pipes.parquet", "NOTES.zh.md", "quality.json"])
def test_a_missing_file_is_refused(folders, name):
    (folders / "full1" / name).unlink()
    refused(folders / "full1", f"{name}: no such file, expected a file")


@pytest.mark.parametrize("name", ["extra.txt", ".hidden", "other.parquet"])
def test_an_extra_file_is_refused(folders, name):
    (folders / "full1" / name).write_text("x")
    refused(folders / "full1", f"{name}: a file that the manifest does not name")


def test_a_link_in_place_of_a_file_is_refused(folders):
    moved = folders / "elsewhere.parquet"
    (folders / "full1" / "pipes.parquet").rename(moved)
    (folders / "full1" / "pipes.parquet").symlink_to(moved)
    refused(folders / "full1", r"pipes\.parquet: a folder or a link")


def test_a_truncated_file_is_refused(folders):
    path = folders / "full1" / "framework.gpkg"
    path.write_bytes(path.read_bytes()[:-1])
    refused(folders / "full1", r"framework\.gpkg: \d+ bytes")


def test_an_altered_byte_is_refused(folders):
    path = folders / "full1" / "framework.gpkg"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    refused(folders / "full1", r"framework\.gpkg: SHA-256")


def test_a_file_swapped_with_that_of_another_release_is_refused(folders, reseal):
    shutil.copy(folders / "full2" / "buildings.parquet", folders / "full1" / "buildings.parquet")
    refused(folders / "full1", r"buildings\.parquet: ")
    reseal(folders / "full1")
    refused(folders / "full1", r"buildings\.parquet layer buildings: rows 15, expected 14")


def test_a_geometry_altered_in_the_geopackage_is_refused_though_resealed(folders, reseal):
    path = folders / "full1" / "framework.gpkg"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (blob,) = connection.execute("SELECT geom FROM buildings WHERE uid = 'b03'").fetchone()
    content = bytearray(blob)
    content[8 + 32 + 13 + 16 + 4] ^= 1  # a middle byte of the second x, behind the headers
    altered = path.read_bytes().replace(blob, bytes(content))
    assert altered != path.read_bytes()
    path.write_bytes(altered)
    reseal(folders / "full1")
    refused(folders / "full1", r"framework\.gpkg layer buildings: rows digest")


def test_a_geometry_altered_in_the_geoparquet_is_refused_though_resealed(folders, reseal):
    path = folders / "full1" / "buildings.parquet"

    def edit(table):
        wkb = bytearray(table.column("geometry")[3].as_py())
        wkb[13 + 16 + 4] ^= 1
        return with_value(table, "geometry", 3, bytes(wkb))

    rewrite_parquet(path, edit)
    reseal(folders / "full1")
    refused(folders / "full1", r"buildings\.parquet layer buildings: rows digest")


@pytest.mark.parametrize(
    ("column", "value"),
    [("name", "校"), ("uid", "b02x"), ("valid_from", None), ("floors", None)],
)
def test_any_altered_value_is_refused_though_resealed(folders, reseal, column, value):
    path = folders / "full1" / "buildings.parquet"
    rewrite_parquet(path, lambda table: with_value(table, column, 2, value))
    reseal(folders / "full1")
    refused(folders / "full1", r"buildings\.parquet layer buildings")


def test_two_swapped_identifiers_are_refused_though_resealed(folders, reseal):
    path = folders / "full1" / "buildings.parquet"

    def edit(table):
        rows = table.column_names.index("floors")
        rest = table.take([1, 0, *range(2, table.num_rows)])
        assert rows
        return rest.set_column(0, table.schema.field("uid"), table.column("uid"))

    rewrite_parquet(path, edit)
    reseal(folders / "full1")
    refused(folders / "full1", "layer buildings: rows digest")


def test_another_table_or_column_is_refused_though_resealed(folders, reseal):
    path = folders / "full1" / "framework.gpkg"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE permits ADD COLUMN secret TEXT")
    reseal(folders / "full1")
    refused(folders / "full1", r"table permits: columns .*, holder, secret")

    path = folders / "full2" / "buildings.parquet"
    rewrite_parquet(path, lambda table: table.drop_columns("floors"))
    reseal(folders / "full2")
    refused(folders / "full2", r"buildings\.parquet: columns")


def test_another_crs_in_the_file_is_refused_though_resealed(folders, reseal):
    path = folders / "full1" / "pipes.parquet"
    table = pq.read_table(path)
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    geo["columns"]["geometry"]["crs"]["id"]["code"] = 4548
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    reseal(folders / "full1")
    refused(folders / "full1", r"pipes\.parquet: CRS")


@pytest.mark.parametrize("name", ["framework.gpkg", "pipes.parquet"])
def test_a_file_that_is_no_data_at_all_is_refused_though_resealed(folders, reseal, name):
    (folders / "full1" / name).write_bytes(b"PAR1 not really")
    reseal(folders / "full1")
    refused(folders / "full1", name)


def test_a_truncated_geopackage_is_refused_though_resealed(folders, reseal):
    path = folders / "full1" / "framework.gpkg"
    path.write_bytes(path.read_bytes()[: 4096 * 5])
    reseal(folders / "full1")
    refused(folders / "full1", r"framework\.gpkg")


def test_an_altered_manifest_is_refused(folders):
    path = folders / "full1" / "manifest.json"
    path.write_text(path.read_text().replace("quarterly-1", "quarterly-9"))
    refused(folders / "full1", r"manifest\.json: digest")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["layers"][0].update(rows=13), "rows 14, expected 13"),
        (lambda data: data["layers"][0]["after"].update(count=13), "state count=14"),
        (lambda data: data["layers"][0]["after"].update(digest="0" * 32), "state count=14"),
        (lambda data: data["layers"][0].update(rows_digest="0" * 32), "rows digest"),
        (lambda data: data["layers"][0]["contract"].update(precision_m=0.01), "rows digest"),
        (lambda data: data.update(kind="change"), "a parent in a change package"),
        (lambda data: data.update(format_version=1), "format_version"),
        (lambda data: data.update(extra=1), "extra"),
        (lambda data: data["layers"][0]["contract"].update(extra=1), "contract.extra"),
        (lambda data: data["layers"].reverse(), "layers sorted by name"),
        (lambda data: data["formats"].reverse(), "formats sorted"),
        (lambda data: data["formats"].pop(), "files"),
        (lambda data: data["files"][0].update(path="../../etc/passwd"), "files"),
    ],
)
def test_a_manifest_altered_and_resealed_is_refused(folders, reseal, edit, message):
    reseal(folders / "full1", edit)
    refused(folders / "full1", message)


def test_a_manifest_in_another_form_is_refused(folders):
    path = folders / "full1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    refused(folders / "full1", "canonical form")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[]", b"nonsense"])
def test_a_manifest_that_is_none_is_refused(folders, content):
    (folders / "full1" / "manifest.json").write_bytes(content)
    refused(folders / "full1", r"manifest\.json")


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    refused(tmp_path, "no manifest")


def test_a_quality_record_replaced_and_resealed_by_no_json_is_refused(folders, reseal):
    (folders / "full1" / "quality.json").write_bytes(b"[]")
    reseal(folders / "full1")
    refused(folders / "full1", r"quality\.json: no JSON object")


# change packages and their bases


def test_a_base_of_another_release_is_a_gap(folders, town):
    town.commit(permits={"d2": None})
    town.build_change(folders / "change3", 3)
    error = refused(folders / "change3", "release 1, expected release 2", base=folders / "full1")
    assert "in order" in error.remedy
    refused(folders / "change2", "release 2, expected release 1", base=folders / "full2")


def test_a_base_with_another_history_is_refused(folders, town, new_town, make_building):
    other = new_town()
    other.commit(buildings={"b1": make_building()})
    other.build_full(folders / "other1", 1)
    refused(folders / "change2", "release digest", base=folders / "other1")


def test_a_base_altered_and_resealed_is_refused(folders, reseal, town):
    # a forged base that is sound in itself, and says to be the right release
    forged = folders / "forged"
    town.build_full(forged, 2)
    release = json.loads((folders / "full1" / "manifest.json").read_text())["release"]

    def take_its_place(data):
        data["release"] = {**release, "seal": None}
        data["inverse"] = True

    reseal(forged, take_its_place)
    refused(folders / "change2", "layer buildings", base=forged)


def test_rows_of_the_base_are_digested_again(folders, reseal):
    path = folders / "full1" / "buildings.parquet"
    rewrite_parquet(path, lambda table: with_value(table, "floors", 9, 99))
    reseal(folders / "full1")
    refused(folders / "change2", "full1 layer buildings: state", base=folders / "full1")


def test_a_row_before_that_the_base_does_not_have_is_refused(folders, reseal):
    path = folders / "full1" / "buildings.parquet"
    rewrite_parquet(path, lambda table: with_value(table, "floors", 1, 99))
    reseal(folders / "full1")
    refused(folders / "change2", "uid b01: another content", base=folders / "full1")


def test_a_base_for_a_full_package_is_a_mistake(folders):
    with pytest.raises(DeclarationError, match="a full package on a full one"):
        verify(folders / "full2", base=folders / "full1")


def test_a_change_promising_another_result_is_refused(folders, reseal):
    reseal(
        folders / "change2",
        lambda data: data["layers"][0]["after"].update(digest="0" * 32),
    )
    verify(folders / "change2")
    refused(folders / "change2", "state after", base=folders / "full1")
