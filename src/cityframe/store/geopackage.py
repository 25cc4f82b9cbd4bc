"""The GeoPackage form of the store: the tables that make a SQLite file one (OGC 12-128r19)."""

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
import sqlalchemy as sa

from cityframe.model.layer import GeometryType, Layer
from cityframe.store.tables import history_name, history_table

_APPLICATION_ID = 0x47504B47
_USER_VERSION = 10300
_SCAFFOLD = (
    """CREATE TABLE IF NOT EXISTS gpkg_spatial_ref_sys (
        srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
        organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL,
        definition TEXT NOT NULL, description TEXT)""",
    """CREATE TABLE IF NOT EXISTS gpkg_contents (
        table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
        description TEXT DEFAULT '', last_change DATETIME NOT NULL
            DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
        srs_id INTEGER REFERENCES gpkg_spatial_ref_sys (srs_id))""",
    """CREATE TABLE IF NOT EXISTS gpkg_geometry_columns (
        table_name TEXT NOT NULL REFERENCES gpkg_contents (table_name),
        column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
        srs_id INTEGER NOT NULL REFERENCES gpkg_spatial_ref_sys (srs_id),
        z TINYINT NOT NULL, m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name))""",
    """CREATE TABLE IF NOT EXISTS gpkg_extensions (
        table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
        definition TEXT NOT NULL, scope TEXT NOT NULL,
        UNIQUE (table_name, column_name, extension_name))""",
    """INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES
        ('Undefined cartesian SRS', -1, 'NONE', -1, 'undefined', ''),
        ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', '')""",
)


def create_scaffold(connection: sa.Connection) -> None:
    """Make a SQLite file a GeoPackage."""
    connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {_USER_VERSION}")
    for statement in _SCAFFOLD:
        connection.exec_driver_sql(statement)
    _register_crs(connection, "EPSG:4326")


def create_layer(connection: sa.Connection, layer: Layer) -> None:
    """Create a layer's history table, spatial index and current view, and register them."""
    table = history_table(layer)
    table.create(connection)
    has_geometry = layer.geometry is not GeometryType.NONE
    names = ["uid", "valid_from", "release_from", "delivery", *layer.attribute_names]
    columns = ", ".join(f'"{name}"' for name in [*names, *(["geom"] if has_geometry else [])])
    connection.exec_driver_sql(
        f'CREATE VIEW "{layer.name}" AS SELECT fid AS OGC_FID, {columns} '
        f'FROM "{table.name}" WHERE release_to IS NULL AND valid_to IS NULL'
    )
    srs_id = _register_crs(connection, layer.crs)
    for name, title in ((layer.name, layer.title.en), (table.name, f"{layer.title.en}, history")):
        connection.exec_driver_sql(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
            "VALUES (?, ?, ?, ?, ?)",
            (name, "features" if has_geometry else "attributes", name, title, srs_id),
        )
        if has_geometry:
            connection.exec_driver_sql(
                "INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, ?, 0)",
                (name, layer.geometry.value.upper(), srs_id, int(layer.has_z)),
            )
    if has_geometry:
        # written by the commit itself; GDAL's triggers would call functions only GDAL has
        connection.exec_driver_sql(
            f'CREATE VIRTUAL TABLE "{spatial_index(layer)}" USING rtree(id, minx, maxx, miny, maxy)'
        )
        connection.exec_driver_sql(
            "INSERT INTO gpkg_extensions VALUES (?, 'geom', 'gpkg_rtree_index', "
            "'http://www.geopackage.org/spec120/#extension_rtree', 'write-only')",
            (table.name,),
        )


def spatial_index(layer: Layer) -> str:
    """Return the name of the R-tree over a layer's history."""
    return f"rtree_{history_name(layer.name)}_geom"


def update_extent(connection: sa.Connection, layer: Layer, when: str) -> None:
    """Write a layer's extent and time of change into the contents table."""
    connection.exec_driver_sql(
        "UPDATE gpkg_contents SET last_change = ? WHERE table_name IN (?, ?)",
        (when, layer.name, history_name(layer.name)),
    )
    if layer.geometry is GeometryType.NONE:
        return
    connection.exec_driver_sql(
        f"UPDATE gpkg_contents SET (min_x, max_x, min_y, max_y) = "
        f'(SELECT min(minx), max(maxx), min(miny), max(maxy) FROM "{spatial_index(layer)}") '
        "WHERE table_name IN (?, ?)",
        (layer.name, history_name(layer.name)),
    )


def geometry_from_blobs(blobs: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Decode GeoPackage geometry blobs; null stays null."""
    wkb = [None if blob is None else blob[_header_length(blob) :] for blob in blobs]
    result: npt.NDArray[np.object_] = shapely.from_wkb(np.array(wkb, dtype=object))
    return result


def _header_length(blob: bytes) -> int:
    envelope = (blob[3] >> 1) & 0x07
    return 8 + (0, 32, 48, 48, 64)[envelope]


def _register_crs(connection: sa.Connection, crs: str) -> int:
    known = pyproj.CRS(crs)
    organisation, code = crs.split(":")
    srs_id = int(code)
    connection.exec_driver_sql(
        "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, '')",
        (known.name, srs_id, organisation, srs_id, known.to_wkt("WKT1_GDAL")),
    )
    return srs_id
