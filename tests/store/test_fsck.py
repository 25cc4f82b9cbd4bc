"""A sound store has no damage; each damage is found, and the feature named."""

import datetime as dt
import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cityframe.core.digest import row_digests_of
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import write_restoring_candidate
from cityframe.store.commit import commit
from cityframe.store.damage import Damage
from cityframe.store.framework import Framework, open_framework
from cityframe.store.fsck import fsck
from cityframe.store.geopackage_home import GeoPackageHome
from cityframe.store.history_query import as_schema
from cityframe.store.redaction import plan_redaction, redact
from cityframe.store.seal import sealed_columns, seals
from cityframe.store.tables import history_table

Make = Callable[..., Release]
NOON = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The GeoPackage of `store`, once it was made."""
    return {}


@pytest.fixture
def store(
    framework: Framework, release: Make, tmp_path: Path, files: dict[str, bytes]
) -> Framework:
    """Eight releases: new, changed, removed, future, past, rolled back, redacted, due."""
    if isinstance(framework.home, GeoPackageHome):
        if not files:
            fill(framework, release, tmp_path)
            files["framework.gpkg"] = Path(framework.label).read_bytes()
        Path(framework.label).parent.mkdir(exist_ok=True)
        Path(framework.label).write_bytes(files["framework.gpkg"])
    else:
        fill(framework, release, tmp_path)
    return framework


def fill(framework: Framework, release: Make, tmp_path: Path) -> None:
    release([("u1", "new", 0, 1), ("u2", "new", 20, 2), ("u3", "new", 40, 3)])
    release([("u1", "attributes", 0, 5), ("u2", "removed", 20, 2)], valid_from="2020-02-01")
    release([("u4", "new", 60, 4), ("u3", "reshaped", 41, 3)], valid_from="2020-03-01")
    release([("u1", "attributes", 0, 8)], valid_from="2020-05-01")
    release([("u5", "new", 80, 1)], valid_from="2020-01-15", valid_to="2020-02-15")
    restoring = write_restoring_candidate(tmp_path / "back", framework, 2)
    commit(
        framework,
        restoring,
        framework.contracts(),
        kind=ReleaseKind.ROLLBACK,
        cycle="back",
        evidence={"restores": 2},
        at=NOON,
    )
    plan = plan_redaction(framework, "buildings", ["u1", "u5"], ["number", "height_m"])
    redact(framework, plan, decision="d", evidence={"decisions": []}, at=NOON)
    release([("u6", "new", 90, 4)], valid_from="2020-08-01")


def test_a_sound_store_has_no_damage(store: Framework) -> None:
    found = fsck(store)
    assert found.damages == ()
    assert found.releases == 8
    assert found.rows["buildings"] > 10


def test_each_release_can_be_checked_alone(store: Framework) -> None:
    assert [fsck(store, release=number, quick=True).damages for number in range(1, 9)] == [()] * 8


@pytest.fixture
def harm(store: Framework) -> Callable[..., tuple[Damage, ...]]:
    """Change the store behind its back, with all that guards it taken off; return what is found."""
    home = store.home
    is_sqlite = home.engine.dialect.name == "sqlite"

    def do(statement: str, parameters: dict[str, Any] | None = None) -> tuple[Damage, ...]:
        with home.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            if is_sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
                names = connection.exec_driver_sql(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                ).scalars()
                for name in list(names):
                    connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
                connection.exec_driver_sql("DROP INDEX IF EXISTS buildings_history_uid")
            else:
                connection.exec_driver_sql("SET session_replication_role = replica")
                connection.exec_driver_sql(
                    "ALTER TABLE buildings_history DROP CONSTRAINT IF EXISTS "
                    "buildings_history_check, DROP CONSTRAINT IF EXISTS buildings_history_check1"
                )
            connection.execute(sa.text(statement), parameters or {})
        return fsck(store, quick=True).damages

    return do


def flipped(value: Any, rng: random.Random) -> Any:
    """Return a stored value with one byte of it another."""
    if isinstance(value, str):
        place = rng.randrange(len(value))
        return value[:place] + chr(ord(value[place]) ^ rng.choice([1, 2, 4])) + value[place + 1 :]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << rng.randrange(0, 24))
    if isinstance(value, float):
        body = bytearray(struct.pack("<d", value))
        body[rng.randrange(0, 7)] ^= 1 << rng.randrange(8)
        return struct.unpack("<d", body)[0]
    if isinstance(value, dt.datetime | dt.date):
        return value + dt.timedelta(days=1 << rng.randrange(6))
    body = bytearray(value)
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def stored_values(store: Framework, layer: Layer) -> Iterator[tuple[int, str, str, Any]]:
    """Yield fid, uid, column and value of all that is stored of a layer and not null."""
    table = history_table(layer)
    with store.home.engine.connect() as connection:
        rows = connection.exec_driver_sql(f'SELECT * FROM "{table.name}" ORDER BY fid').mappings()
        for row in list(rows):
            for name, value in row.items():
                if name != "fid" and value is not None:
                    yield row["fid"], row["uid"], name, value


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_byte_in_any_column_is_found_and_its_feature_named(
    store: Framework, buildings: Layer, harm: Callable[..., tuple[Damage, ...]], seed: int
) -> None:
    rng = random.Random(seed)
    values = list(stored_values(store, buildings))
    for column in sorted({name for _, _, name, _ in values}):
        fid, uid, _, value = rng.choice([one for one in values if one[2] == column])
        is_text = isinstance(value, str)
        if column == "geom" and is_text:
            wrong: Any = flipped_shape(value, rng)
        else:
            wrong = flipped(value, rng)
        statement = f'UPDATE buildings_history SET "{column}" = :value WHERE fid = :fid'
        found = harm(statement, {"value": wrong, "fid": fid})
        assert [one for one in found if one.fid == fid], (column, value, wrong, found)
        if column != "uid":
            assert uid in {one.uid for one in found if one.fid == fid}, (column, value, wrong)
        assert harm(statement, {"value": value, "fid": fid}) == (), column


def flipped_shape(value: str, rng: random.Random) -> str:
    """Return a geometry of PostGIS (EWKB in hexadecimal) with a bit of one coordinate flipped."""
    body = bytearray.fromhex(value)
    # the second point: the ring stays closed
    body[1 + 4 + 4 + 4 + 4 + 16 + rng.randrange(16)] ^= 1 << rng.randrange(4)
    return body.hex()


def fids_of(store: Framework, uid: str, condition: str = "true") -> list[int]:
    with store.home.engine.connect() as connection:
        query = f"SELECT fid FROM buildings_history WHERE uid = :uid AND {condition} ORDER BY fid"
        return list(connection.execute(sa.text(query), {"uid": uid}).scalars())


def test_a_row_that_was_deleted_shows_in_every_release_that_had_it(
    store: Framework, harm: Callable[..., tuple[Damage, ...]]
) -> None:
    fid = fids_of(store, "u3", "release_from = 1")[0]
    found = harm("DELETE FROM buildings_history WHERE fid = :fid", {"fid": fid})
    assert {one.release for one in found if one.where.endswith("opened")} == {1}
    assert {one.release for one in found if one.where == "cf_release_layer"} >= {1, 2}
    if store.home.engine.dialect.name == "sqlite":
        assert fid in {one.fid for one in found if one.where.startswith("rtree")}


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_a_row_that_was_added_is_named(
    store: Framework, buildings: Layer, harm: Callable[..., tuple[Damage, ...]]
) -> None:
    columns = [column.name for column in history_table(buildings).columns if column.name != "fid"]
    names = ", ".join(columns)
    fid = fids_of(store, "u6")[0]
    # a copy of a sound row, its own seal and all, in a release that did not open it
    found = harm(
        f"INSERT INTO buildings_history (fid, {names}) SELECT 999, {names} "
        "FROM buildings_history WHERE fid = :fid",
        {"fid": fid},
    )
    assert (999, "u6") in {(one.fid, one.uid) for one in found}
    assert any("known and so at one time" in one.found for one in found)
    assert any(one.where == "cf_release_layer" and one.release == 8 for one in found)


def test_two_rows_with_their_contents_swapped_are_both_named(
    store: Framework, harm: Callable[..., tuple[Damage, ...]]
) -> None:
    left, right = fids_of(store, "u3")[0], fids_of(store, "u6")[0]
    uids = "CASE fid WHEN :left THEN 'u6' ELSE 'u3' END"
    found = harm(
        f"UPDATE buildings_history SET uid = {uids} WHERE fid IN (:left, :right)",
        {"left": left, "right": right},
    )
    assert {left, right} <= {one.fid for one in found}


@pytest.mark.parametrize("wrong", ["NULL", "release_to + 1", "999"])
def test_a_wrong_end_of_knowledge_is_found_though_no_seal_is_over_it(
    store: Framework, harm: Callable[..., tuple[Damage, ...]], wrong: str
) -> None:
    fid = fids_of(store, "u2", "release_to = 2")[0]
    found = harm(f"UPDATE buildings_history SET release_to = {wrong} WHERE fid = {fid}")
    assert "u2" in {one.uid for one in found if one.fid == fid}


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("kind", "'rollback'"), ("created_at", "'2020-01-01T00:00:01+00:00'"),
        ("valid_at", "'2020-02-01T00:00:01Z'"), ("cycle", "'another'"), ("candidate", "'ff'"),
        ("parent", "'ff'"), ("digest", "'ff'"), ("evidence", "'{\"decisions\":[\"no\"]}'"),
        ("evidence", "'{'"),
    ],
)  # fmt: skip
def test_a_release_that_was_altered_is_named(
    store: Framework, harm: Callable[..., tuple[Damage, ...]], column: str, wrong: str
) -> None:
    found = harm(f"UPDATE cf_release SET {column} = {wrong} WHERE number = 2".replace(":", "\\:"))
    assert 2 in {one.release for one in found if one.where.startswith("cf_release.")}


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE cf_release_layer SET count = count + 1 WHERE release = 3", "cf_release_layer"),
        ("UPDATE cf_release_layer SET changes = '{}'", "cf_release_layer.changes"),
        ("UPDATE cf_release_layer SET opened = closed", "cf_release_layer.opened"),
        ("DELETE FROM cf_release_layer WHERE release = 3", "cf_release.digest"),
        ("DELETE FROM cf_release WHERE number = 3", "cf_release"),
        ("UPDATE cf_contract SET contract = replace(contract, '.25', '.3')", "cf_release.digest"),
        ("UPDATE cf_contract SET contract = 'x'", "cf_contract"),
        ("DELETE FROM cf_lineage WHERE parent = 'u2'", "cf_lineage"),
        ("UPDATE cf_lineage SET parent = 'nobody' WHERE parent = 'u2'", "cf_lineage.parent"),
        ("DELETE FROM cf_due WHERE uid = 'u1'", "buildings_history.valid_from"),
        ("DELETE FROM cf_redaction WHERE uid = 'u5'", "cf_redaction"),
        ("UPDATE cf_redaction SET attributes = '[]' WHERE uid = 'u5'", "cf_redaction"),
        ("UPDATE cf_redaction SET digest_before = seal_before WHERE uid = 'u5'", "cf_redaction"),
        ("UPDATE cf_redaction SET seal_before = digest_before WHERE uid = 'u1'", "cf_redaction"),
        ("UPDATE cf_redaction SET row = 1000 WHERE uid = 'u5'", "cf_redaction"),
    ],
)  # fmt: skip
def test_whatever_else_is_altered_is_found(
    store: Framework, harm: Callable[..., tuple[Damage, ...]], statement: str, where: str
) -> None:
    found = harm(statement)
    assert where in {one.where for one in found}


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM rtree_buildings_history_geom WHERE id = {fid}",
        "UPDATE rtree_buildings_history_geom SET maxx = maxx + 5 WHERE id = {fid}",
        "UPDATE buildings_history SET built = '1999-12-31 ' WHERE fid = {fid}",
        "UPDATE buildings_history SET valid_from = '2020-03-01 00:00:00Z' WHERE fid = {fid}",
        "UPDATE buildings_history SET floors = CAST('3' AS BLOB) WHERE fid = {fid}",
        "UPDATE buildings_history SET has_new_attributes = 7 WHERE fid = {fid}",
        "UPDATE buildings_history SET number = CAST(x'e794ff' AS TEXT) WHERE fid = {fid}",
    ],
)
def test_what_a_kind_reader_would_forgive_is_damage(
    store: Framework, harm: Callable[..., tuple[Damage, ...]], statement: str
) -> None:
    fid = fids_of(store, "u3")[-1]
    found = harm(statement.format(fid=fid).replace(":", "\\:"))
    assert ("u3", fid) in {(one.uid, one.fid) for one in found}


def test_a_forged_row_is_found_by_the_release_that_opened_it(
    store: Framework, buildings: Layer, harm: Callable[..., tuple[Damage, ...]]
) -> None:
    fid = fids_of(store, "u3", "release_from = 1")[0]
    names = ["fid", *sealed_columns(buildings), *buildings.attribute_names]
    chosen = history_table(buildings).c.fid == fid
    row = as_schema(store.history_rows(buildings, names, chosen), names, buildings)
    place = row.column_names.index("floors")
    row = row.set_column(place, "floors", [[77]])
    digests = row_digests_of(row, buildings).cast("binary")
    row = row.set_column(row.column_names.index("digest"), "digest", digests)
    found = harm(
        "UPDATE buildings_history SET floors = 77, digest = :digest, seal = :seal WHERE fid = :fid",
        {"digest": digests[0].as_py(), "seal": seals(row, buildings)[0].as_py(), "fid": fid},
    )
    assert {one.release for one in found if one.where == "cf_release_layer.opened"} == {1}
    assert 1 in {one.release for one in found if one.where == "cf_release_layer"}


def contents(path: Path) -> dict[str, list[str]] | str:
    """Return all rows of a GeoPackage that fsck answers for, as SQLite has them."""
    tables = (
        "cf_release", "cf_release_layer", "cf_contract", "cf_lineage", "cf_due", "cf_redaction",
        "buildings_history", "rtree_buildings_history_geom",
    )  # fmt: skip
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        try:
            return {
                name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))
                for name in tables
            }
        except sqlite3.DatabaseError as error:
            return str(error)


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_a_flipped_byte_in_the_file_is_found_wherever_it_says_something(
    store: Framework, tmp_path: Path
) -> None:
    whole = Path(store.label).read_bytes()
    truth = contents(Path(store.label))
    rng = random.Random(3)
    found = 0
    # most zeros are room in pages
    for place in rng.sample([at for at, byte in enumerate(whole) if byte], 40):
        body = bytearray(whole)
        body[place] ^= 1 << rng.randrange(8)
        path = tmp_path / str(place) / "framework.gpkg"
        path.parent.mkdir()
        path.write_bytes(body)
        differs = contents(path) != truth
        is_damaged = bool(fsck(open_framework(path.parent)).damages)
        assert is_damaged or not differs, place
        found += is_damaged
    assert found > 10
