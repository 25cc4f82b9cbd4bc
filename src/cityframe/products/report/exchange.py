"""The findings for other programs: a GeoPackage with their exact places, and GeoJSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import Transformer

from cityframe.model.finding import FINDING_COLUMNS
from cityframe.products.report.columns import GeometryArray
from cityframe.products.report.listing import Listing

COLUMNS = (*(name for name in FINDING_COLUMNS if name != "geometry"), "is_waived")
_DIMENSIONS = (
    ("point", 0, "MultiPoint"),
    ("line", 1, "MultiLineString"),
    ("polygon", 2, "MultiPolygon"),
)
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
    """
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
                    pyogrio.write_dataframe(
                        frame,
                        path,
                        layer=f"findings_{name}{suffix}",
                        driver="GPKG",
                        geometry_type=geometry_type,
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
