"""What makes a SQLite file a GeoPackage (OGC 12-128r19): its own tables and geometry blobs."""

import struct
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import sqlalchemy as sa

from cityframe.core.arrow_rows import GEOMETRY
from cityframe.model.layer import GeometryType, Layer
from cityframe.store.tables import history_name, srid_of

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


def register(connection: sa.Connection, layer: Layer, table: str, title: str) -> None:
    """Enter a table or view of a layer's features into the GeoPackage's contents."""
    has_geometry = layer.geometry is not GeometryType.NONE
    srs_id = _register_crs(connection, layer.crs)
    connection.exec_driver_sql(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
        "VALUES (?, ?, ?, ?, ?)",
        (table, "features" if has_geometry else "attributes", table, title, srs_id),
    )
    if has_geometry:
        connection.exec_driver_sql(
            "INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, ?, 0)",
            (table, layer.geometry.value.upper(), srs_id, int(layer.has_z)),
        )


def unregister(connection: sa.Connection, table: str) -> None:
    """Take a table or view out of the contents."""
    for name in ("gpkg_geometry_columns", "gpkg_contents"):
        connection.exec_driver_sql(f"DELETE FROM {name} WHERE table_name = ?", (table,))


def create_spatial_index(connection: sa.Connection, layer: Layer) -> None:
    """Create an empty R-tree over a layer's history.

    The commit writes it; GDAL's triggers would call functions that only GDAL has.
    """
    connection.exec_driver_sql(
        f'CREATE VIRTUAL TABLE "{spatial_index(layer)}" USING rtree(id, minx, maxx, miny, maxy)'
    )
    connection.exec_driver_sql(
        "INSERT INTO gpkg_extensions VALUES (?, 'geom', 'gpkg_rtree_index', "
        "'http://www.geopackage.org/spec120/#extension_rtree', 'write-only')",
        (history_name(layer.name),),
    )


def spatial_index(layer: Layer) -> str:
    """Return the name of the R-tree over a layer's history."""
    return f"rtree_{history_name(layer.name)}_geom"


def update_extent(connection: sa.Connection, layer: Layer, when: str) -> None:
    """Write a layer's extent and time of change into the contents table."""
    names = (layer.name, history_name(layer.name))
    connection.exec_driver_sql(
        "UPDATE gpkg_contents SET last_change = ? WHERE table_name IN (?, ?)", (when, *names)
    )
    if layer.geometry is GeometryType.NONE:
        return
    # the root of the R-tree bounds all; min() and max() over its rows would read each of them
    root: Any = connection.exec_driver_sql(
        f'SELECT data FROM "{spatial_index(layer)}_node" WHERE nodeno = 1'
    ).scalar()
    bounds = _node_bounds(bytes(root))
    if bounds is not None:
        connection.exec_driver_sql(
            "UPDATE gpkg_contents SET min_x = ?, max_x = ?, min_y = ?, max_y = ? "
            "WHERE table_name IN (?, ?)",
            (*bounds, *names),
        )


def geometry_blobs(rows: pa.Table, layer: Layer) -> pa.Table:
    """Return rows with their WKB as GeoPackage's blobs: a header without envelope before it."""
    place = rows.column_names.index(GEOMETRY)
    header = struct.pack("<2sBBi", b"GP", 0, 1, srid_of(layer))
    blobs = pc.binary_replace_slice(rows.column(place), start=0, stop=0, replacement=header)
    return rows.set_column(place, GEOMETRY, blobs)


def _node_bounds(node: bytes) -> tuple[float, float, float, float] | None:
    """Return (minx, maxx, miny, maxy) of a node of SQLite's R-tree (its documented form)."""
    (cells,) = struct.unpack_from(">H", node, 2)
    if not cells:
        return None
    found = [struct.unpack_from(">4f", node, 4 + 24 * cell + 8) for cell in range(cells)]
    minx, maxx, miny, maxy = zip(*found, strict=True)
    return min(minx), max(maxx), min(miny), max(maxy)


def _register_crs(connection: sa.Connection, crs: str) -> int:
    known = pyproj.CRS(crs)
    organisation, code = crs.split(":")
    srs_id = int(code)
    connection.exec_driver_sql(
        "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, '')",
        (known.name, srs_id, organisation, srs_id, known.to_wkt("WKT1_GDAL")),
    )
    return srs_id
