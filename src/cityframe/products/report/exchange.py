"""The findings for other programs: a GeoPackage with their exact places, and GeoJSON."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import Transformer

from cityframe.model.finding import FINDING_COLUMNS
from cityframe.products.report.columns import GeometryArray
from cityframe.products.report.field_titles import FIELD_TITLES, both
from cityframe.products.report.listing import Listing
from cityframe.products.report.qgis_style import STYLE_NAME, style_qml

COLUMNS = (
    *(name for name in FINDING_COLUMNS if name != "geometry"), "is_waived", "is_fixed",
)  # fmt: skip
_DIMENSIONS = (
    ("point", 0, "MultiPoint"),
    ("line", 1, "MultiLineString"),
    ("polygon", 2, "MultiPolygon"),
)
_SCHEMA_EXTENSION = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT,
  extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT,
  title TEXT, description TEXT, mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL,
  constraint_type TEXT NOT NULL, value TEXT, min NUMERIC, min_is_inclusive BOOLEAN,
  max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
INSERT INTO gpkg_extensions VALUES
  ('gpkg_data_columns', NULL, 'gpkg_schema',
   'http://www.geopackage.org/spec121/#extension_schema', 'read-write'),
  ('gpkg_data_column_constraints', NULL, 'gpkg_schema',
   'http://www.geopackage.org/spec121/#extension_schema', 'read-write');
"""
_DEGREE_DECIMALS = 8  # about a millimetre


def write_geopackage(path: Path, listing: Listing, *, written_at: str) -> None:
    """Write the findings into a new GeoPackage, in the CRS of their layers.

    Parameters
    ----------
    path : Path
        File to write; must not exist.
    written_at : str
        ISO 8601 in UTC: what the file says of its last change, so that equal findings give equal
        bytes.

    Notes
    -----
    Tables ``findings_point``, ``findings_line``, ``findings_polygon`` (multi-part) and
    ``findings`` for those without a place; a table without rows is left out, but for
    ``findings``. Where layers have several CRSs, a spatial table's name ends in the code
    (``findings_point_epsg_4547``). Of a mixed collection, the parts of highest dimension stand.
    ``layer_styles`` has the style with which QGIS shows each spatial table, and
    ``gpkg_data_columns`` the titles of the columns in both languages.
    """
    styles: dict[str, str] = {}
    table, geometry = listing.table, listing.geometry
    dimension = shapely.get_dimensions(geometry)
    placed = ~shapely.is_missing(geometry)
    codes = list(dict.fromkeys(table.loc[placed, "crs"]))
    with _date_of_files(written_at):
        rows = table.loc[~placed, list(COLUMNS)]
        pyogrio.write_dataframe(rows, path, layer="findings", driver="GPKG")
        for code in codes:
            suffix = f"_{code.lower().replace(':', '_')}" if len(codes) > 1 else ""
            for name, wanted, geometry_type in _DIMENSIONS:
                chosen = placed & (dimension == wanted) & (table["crs"] == code).to_numpy()
                if chosen.any():
                    frame = gpd.GeoDataFrame(
                        table.loc[chosen, list(COLUMNS)],
                        geometry=_multi(geometry[chosen], wanted),
                        crs=code,
                    )
                    layer = f"findings_{name}{suffix}"
                    styles[layer] = style_qml(name)
                    pyogrio.write_dataframe(
                        frame, path, layer=layer, driver="GPKG", geometry_type=geometry_type
                    )
        _write_styles(path, styles, written_at)
    _write_titles(path, ["findings", *styles])


def _write_styles(path: Path, styles: dict[str, str], written_at: str) -> None:
    # the table as QGIS itself makes it when a style is saved to the database
    if not styles:
        return
    rows = pd.DataFrame(
        {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": list(styles),
            "f_geometry_column": "geom",
            "styleName": STYLE_NAME,
            "styleQML": list(styles.values()),
            "styleSLD": "",
            "useAsDefault": True,
            "description": "缺陷类别 defect class",
            "owner": "",
            "ui": "",
            "update_time": pd.Timestamp(written_at).tz_convert("UTC").floor("s"),
        }
    )
    pyogrio.write_dataframe(
        rows, path, layer="layer_styles", driver="GPKG", layer_options={"FID": "id"}
    )


def _write_titles(path: Path, tables: list[str]) -> None:
    """Write the titles of the columns by GeoPackage's schema extension."""
    titles = [
        (table, name, both(FIELD_TITLES[name]), both(FIELD_TITLES[name]))
        for table in tables
        for name in COLUMNS
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SCHEMA_EXTENSION)
        connection.executemany(
            "INSERT INTO gpkg_data_columns (table_name, column_name, name, title)"
            " VALUES (?, ?, ?, ?)",
            titles,
        )


def geojson_bytes(listing: Listing) -> bytes:
    """Return the findings as GeoJSON (RFC 7946): WGS 84, longitude first, 8 decimals.

    For looking at, not for measuring: between a national datum and WGS 84 the best published
    transformation is taken, and none where the two count as equal (CGCS2000). The exact places
    are in the GeoPackage.
    """
    plain = listing.table[list(COLUMNS)].astype({"record": "object"})
    plain = plain.where(plain.notna(), None)
    names = list(plain.columns)
    geometry = shapely.to_geojson(_geographic(listing))
    lines = [
        '{"type":"Feature","properties":'
        + json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
        + f',"geometry":{place or "null"}}}'
        for row, place in zip(plain.itertuples(index=False, name=None), geometry, strict=True)
    ]
    body = ",\n".join(lines)
    return f'{{"type":"FeatureCollection","features":[\n{body}\n]}}\n'.encode()


def _geographic(listing: Listing) -> GeometryArray:
    result = np.empty(len(listing.geometry), dtype=object)
    for code in listing.table["crs"].unique():
        chosen = (listing.table["crs"] == code).to_numpy()
        transformer = Transformer.from_crs(code, "EPSG:4326", always_xy=True)

        def to_degrees(
            coordinates: np.ndarray[tuple[int, int], np.dtype[np.float64]],
            transformer: Transformer = transformer,
        ) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
            x, y = transformer.transform(coordinates[:, 0], coordinates[:, 1])
            return np.round(np.column_stack([x, y]), _DEGREE_DECIMALS)

        result[chosen] = shapely.transform(shapely.force_2d(listing.geometry[chosen]), to_degrees)
    return result


def _multi(geometry: GeometryArray, dimension: int) -> GeometryArray:
    parts, owner = shapely.get_parts(geometry, return_index=True)
    nested = shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT
    while nested.any():
        inner, place = shapely.get_parts(parts[nested], return_index=True)
        owner = np.concatenate([owner[~nested], owner[nested][place]])
        parts = np.concatenate([parts[~nested], inner])
        nested = shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT
    kept = shapely.get_dimensions(parts) == dimension
    order = np.argsort(owner[kept], kind="stable")
    collect = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[dimension]
    result: GeometryArray = collect(parts[kept][order], indices=owner[kept][order])
    return result


@contextmanager
def _date_of_files(written_at: str) -> Iterator[None]:
    # GDAL stamps a GeoPackage with the clock unless this option says otherwise
    option = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(option)
    stamp = pd.Timestamp(written_at).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%S.000Z")
    pyogrio.set_gdal_config_options({option: stamp})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({option: before})
