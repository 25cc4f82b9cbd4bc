"""Write findings: as plain rows, as GeoJSON, as a GeoPackage for the map."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from cityframe.core.findings import concat_findings
from cityframe.model.finding import FINDING_COLUMNS

LON_LAT = "OGC:CRS84"
"""WGS84 in the order of the web: longitude, latitude."""

DEGREE_DIGITS = 8
"""Decimals of a degree in GeoJSON: a millimetre."""

TABLES = {
    "points": (0, "MultiPoint"),
    "lines": (1, "MultiLineString"),
    "polygons": (2, "MultiPolygon"),
}
"""Tables of the GeoPackage with the dimension and type of their places."""

NO_PLACE_TABLE = "without_place"


def finding_rows(findings: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return findings as rows that `json` can write.

    Parameters
    ----------
    findings : GeoDataFrame, n rows
        Columns `FINDING_COLUMNS`, in the CRS of its layer.

    Returns
    -------
    list of dict, n
        The columns of `FINDING_COLUMNS`; ``record`` is an integer or None, ``geometry`` a GeoJSON
        geometry in longitude and latitude or None.
    """
    names = [name for name in FINDING_COLUMNS if name != "geometry"]
    table = findings[names].astype(object)
    table = table.where(table.notna(), None)
    rows: list[dict[str, Any]] = table.to_dict("records")
    for row, place in zip(rows, _lon_lat(findings), strict=True):
        row["geometry"] = place
    return rows


def geojson(parts: Sequence[gpd.GeoDataFrame]) -> dict[str, Any]:
    """Return the findings of many layers as one GeoJSON feature collection (RFC 7946).

    Parameters
    ----------
    parts : sequence of GeoDataFrame
        Findings frames, each in the CRS of its layer.
    """
    rows = [row for part in parts for row in finding_rows(part)]
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": row["finding_id"],
                "geometry": row.pop("geometry"),
                "properties": row,
            }
            for row in rows
        ],
    }


def write_geojson(parts: Sequence[gpd.GeoDataFrame], path: Path) -> None:
    """Write the findings of many layers to one GeoJSON file; an existing one is replaced."""
    path.write_text(json.dumps(geojson(parts), ensure_ascii=False), encoding="utf-8")


def write_geopackage(parts: Sequence[gpd.GeoDataFrame], path: Path) -> None:
    """Write the findings of many layers to one GeoPackage; an existing one is replaced.

    Parameters
    ----------
    parts : sequence of GeoDataFrame
        Findings frames, each in the CRS of its layer.
    path : Path
        The tables are ``points``, ``lines``, ``polygons`` (as multi-part geometries) and
        ``without_place``; each is there, even if it is empty. The places are in the layers' common
        CRS, else in longitude and latitude.
    """
    path.unlink(missing_ok=True)
    crs = _common_crs(parts)
    every = concat_findings([part.to_crs(crs) for part in parts], crs)
    dimension = shapely.get_dimensions(np.asarray(every["geometry"], dtype=object))
    for table, (each, geometry_type) in TABLES.items():
        pyogrio.write_dataframe(
            every[dimension == each],
            path,
            layer=table,
            geometry_type=geometry_type,
            promote_to_multi=True,
        )
    without = pd.DataFrame(every[dimension < 0].drop(columns="geometry"))
    pyogrio.write_dataframe(without, path, layer=NO_PLACE_TABLE)


def _common_crs(parts: Sequence[gpd.GeoDataFrame]) -> Any:
    """Return the CRS of all parts, or longitude and latitude if they differ."""
    first = parts[0].crs if parts else LON_LAT
    return first if all(part.crs == first for part in parts) else LON_LAT


def _lon_lat(findings: gpd.GeoDataFrame) -> list[dict[str, Any] | None]:
    """Return the places as GeoJSON geometries in longitude and latitude."""
    places = np.asarray(findings.to_crs(LON_LAT)["geometry"], dtype=object)
    rounded = shapely.transform(places, lambda xy: np.round(xy, DEGREE_DIGITS))
    return [None if text is None else json.loads(text) for text in shapely.to_geojson(rounded)]
