"""Stores of older layouts are migrated, whole; unknown ones are refused."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.model.release import Release
from cityframe.store import contract
from cityframe.store.framework import Framework, open_framework
from cityframe.store.fsck import fsck
from cityframe.store.layout import head_layout, migrate, prepare

FIRST_LAYOUT = """
PRAGMA application_id = 1196444487;
PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL,
    definition TEXT NOT NULL, description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES ('CGCS2000', 4547, 'EPSG', 4547, 'PROJCS["x"]', '');
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
    identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME, min_x DOUBLE,
    min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER);
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL,
    m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name));
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
    definition TEXT NOT NULL, scope TEXT NOT NULL);
CREATE TABLE cf_release (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, created_at TEXT NOT NULL,
    cycle TEXT NOT NULL UNIQUE, candidate TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
    evidence TEXT NOT NULL);
CREATE TABLE cf_release_layer (release INTEGER NOT NULL, layer TEXT NOT NULL,
    count INTEGER NOT NULL, digest TEXT NOT NULL, sum BLOB NOT NULL, changes TEXT NOT NULL,
    PRIMARY KEY (release, layer));
CREATE TABLE cf_layer (name TEXT PRIMARY KEY, contract TEXT NOT NULL);
CREATE TABLE buildings_history (fid INTEGER PRIMARY KEY, uid TEXT NOT NULL,
    valid_from DATETIME NOT NULL, valid_to DATETIME, release_from INTEGER NOT NULL,
    release_to INTEGER, digest BLOB NOT NULL, delivery TEXT NOT NULL, record INTEGER, change TEXT,
    has_new_attributes BOOLEAN NOT NULL, number TEXT, floors INTEGER, height_m REAL,
    is_listed BOOLEAN, built DATE, surveyed_at DATETIME, geom POLYGON,
    UNIQUE (uid, release_from, valid_from));
CREATE INDEX buildings_history_closed ON buildings_history (release_to)
    WHERE release_to IS NOT NULL;
CREATE INDEX buildings_history_opened ON buildings_history (release_from);
CREATE VIEW buildings AS SELECT fid AS OGC_FID, uid, valid_from, release_from, delivery, number,
    floors, height_m, is_listed, built, surveyed_at, geom FROM buildings_history
    WHERE release_to IS NULL AND valid_to IS NULL;
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES
    ('buildings', 'features', 'buildings', 4547),
    ('buildings_history', 'features', 'buildings_history', 4547);
INSERT INTO gpkg_geometry_columns VALUES ('buildings', 'geom', 'POLYGON', 4547, 0, 0),
    ('buildings_history', 'geom', 'POLYGON', 4547, 0, 0);
CREATE VIRTUAL TABLE rtree_buildings_history_geom USING rtree(id, minx, maxx, miny, maxy);
"""
INSERT = "INSERT INTO buildings_history VALUES (?,?,?,?,?,?,x'00',?,?,?,0,?,?,?,?,?,?,?)"
T1, T2 = "2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z"


def blob(x: float) -> bytes:
    box = shapely.box(500000 + x, 3e6, 500010 + x, 3e6 + 10)
    return b"GP\x00\x01" + (4547).to_bytes(4, "little") + shapely.to_wkb(box, byte_order=1)


def row(fid: int, uid: str, times: tuple[object, ...], change: str | None, floors: int) -> tuple:
    values = (f"甲{uid}", floors, 3.0 * floors, None, "1999-12-31", "2020-01-01T08:00:00.250Z")
    return (fid, uid, *times, "survey.0", fid, change, *values, blob(20.0 * fid))


@pytest.fixture
def old_store(tmp_path: Path, buildings: Layer) -> Path:
    """A store of the first layout: release 2 changed u1 and removed u2."""
    path = tmp_path / "store" / "framework.gpkg"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_LAYOUT)
    connection.executemany(
        INSERT,
        [
            row(1, "u1", (T1, None, 1, 2), "new", 1),
            row(2, "u2", (T1, None, 1, 2), "new", 2),
            row(3, "u3", (T1, None, 1, None), "new", 3),
            row(4, "u1", (T1, T2, 2, None), None, 1),
            row(5, "u2", (T1, T2, 2, None), None, 2),
            row(6, "u1", (T2, None, 2, None), "attributes", 9),
        ],
    )
    for fid in range(1, 7):
        bounds = (500000 + 20.0 * fid, 500010 + 20.0 * fid, 3e6, 3e6 + 10)
        connection.execute(
            "INSERT INTO rtree_buildings_history_geom VALUES (?, ?, ?, ?, ?)", (fid, *bounds)
        )
    for number, (count, changes) in enumerate(
        [(3, {"new": 3}), (2, {"attributes": 1, "removed": 1})], start=1
    ):
        connection.execute(
            "INSERT INTO cf_release VALUES (?, 'cycle', ?, ?, 'c', ?, '{}')",
            (number, f"2020-0{number}-10T00:00:00+00:00", f"cycle-{number}", f"digest {number}"),
        )
        connection.execute(
            "INSERT INTO cf_release_layer VALUES (?, 'buildings', ?, 'd', x'00', ?)",
            (number, count, json.dumps(changes)),
        )
    connection.execute("INSERT INTO cf_layer VALUES ('buildings', ?)", (contract.write(buildings),))
    connection.commit()
    connection.close()
    return path.parent


def test_a_store_of_the_first_layout_is_refused_with_the_remedy(old_store: Path) -> None:
    with pytest.raises(DeclarationError, match=r"layout 0001.*cityframe migrate"):
        open_framework(old_store).releases()


def test_migration_keeps_each_release_and_proves_it(old_store: Path, buildings: Layer) -> None:
    framework = open_framework(old_store)
    assert migrate(framework.home) == ("0001", head_layout())
    framework = open_framework(old_store)
    expected = {1: {"u1": 1, "u2": 2, "u3": 3}, 2: {"u1": 9, "u3": 3}}
    for number, floors in expected.items():
        rows = framework.as_of(buildings, number)
        assert dict(zip(rows["uid"], rows["floors"].tolist(), strict=True)) == floors
        made = framework.release(number)
        digest = layer_digest(layer_sum(row_digests(rows, buildings)), len(rows))
        assert made.layers[0].digest == digest
        assert made.evidence["former_digest"] == f"digest {number}"
    assert framework.release(2).parent == framework.release(1).digest
    assert [one["parent"] for one in framework.lineage()] == ["u2"]
    assert migrate(framework.home) == (head_layout(), head_layout())


def test_a_migrated_store_has_the_tables_of_a_new_one(old_store: Path, tmp_path: Path,
    buildings: Layer) -> None:  # fmt: skip
    migrate(open_framework(old_store).home)
    migrated = columns_of(old_store / "framework.gpkg")
    fresh = open_framework(tmp_path / "fresh")
    fresh.home.path.parent.mkdir()
    prepare(fresh.home)
    with fresh.home.transaction() as connection:
        fresh.home.create_layer(connection, buildings)
        fresh.home.index_layer(connection, buildings)
    assert migrated == columns_of(tmp_path / "fresh" / "framework.gpkg")


def columns_of(path: Path) -> dict[str, object]:
    """Names and types of columns, names of indexes and triggers, by table."""
    connection = sqlite3.connect(path)
    found: dict[str, object] = {}
    query = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    for kind, name in connection.execute(query).fetchall():
        if kind == "table" and not name.startswith(("gpkg_", "rtree_")):
            columns = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
            found[name] = sorted((one[1], one[2], bool(one[5])) for one in columns)
        elif kind in ("index", "trigger"):
            found[f"{kind} {name}"] = True
    connection.close()
    return found


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_a_migrated_store_takes_the_next_release(
    old_store: Path, release: Callable[..., Release], framework: Framework, buildings: Layer
) -> None:
    assert framework.label == str(old_store / "framework.gpkg")
    migrate(framework.home)
    release([("u3", "attributes", 60, 33)], valid_from="2020-03-01")
    rows = framework.as_of(buildings, 3)
    assert dict(zip(rows["uid"], rows["floors"].tolist(), strict=True)) == {"u1": 9, "u3": 33}


def test_a_store_of_a_newer_layout_is_refused(
    framework: Framework, release: Callable[..., Release]
) -> None:
    release([("u1", "new", 0, 1)])
    with framework.home.transaction() as connection:
        connection.exec_driver_sql("UPDATE cf_layout SET version_num = '9999'")
    with pytest.raises(DeclarationError, match=r"layout 9999.*a newer cityframe"):
        Framework(framework.home).releases()


def test_a_store_of_the_second_layout_gets_bridge_and_provenance(
    framework: Framework, release: Callable[..., Release]
) -> None:
    release([("u1", "new", 0, 1), ("u2", "new", 20, 2)])
    release([("u1", "attributes", 0, 9)], valid_from="2020-02-01")
    digests = [one.digest for one in framework.releases()]
    fresh = reconciliation_tables(framework)
    with framework.home.transaction() as connection:
        # what the third layout adds
        connection.exec_driver_sql("DROP TABLE cf_bridge")
        connection.exec_driver_sql("DROP TABLE cf_provenance")
        connection.exec_driver_sql("UPDATE cf_layout SET version_num = '0002'")
    old = Framework(framework.home)
    with pytest.raises(DeclarationError, match=r"layout 0002.*cityframe migrate"):
        old.releases()
    assert migrate(framework.home) == ("0002", head_layout())
    migrated = Framework(framework.home)
    assert reconciliation_tables(migrated) == fresh
    assert [one.digest for one in migrated.releases()] == digests
    release([("u3", "new", 40, 3)], valid_from="2020-03-01")
    assert fsck(migrated).damages == ()


def reconciliation_tables(framework: Framework) -> dict[str, object]:
    """Names and types of the columns of bridge and provenance, and their indexes."""
    inspected = sa.inspect(framework.home.engine)
    return {
        table: (
            [
                (one["name"], str(one["type"]), one["nullable"])
                for one in inspected.get_columns(table)
            ],
            sorted(
                (
                    str(one["name"]),
                    one["column_names"],
                    bool(one["unique"]),
                    sorted(str(text) for text in one["dialect_options"].values()),
                )
                for one in inspected.get_indexes(table)
            ),
        )
        for table in ("cf_bridge", "cf_provenance")
    }
