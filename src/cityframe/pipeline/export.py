"""Export one layer as a release knew it."""

import datetime as dt
import tempfile
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from cityframe.core.frames import with_plain_dates
from cityframe.errors import DeclarationError
from cityframe.model.layer import GeometryType, Layer
from cityframe.pipeline.city import City
from cityframe.store.home import Bbox

DRIVERS = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".shp": "ESRI Shapefile",
    ".csv": "CSV",
    ".parquet": "",
}


def export_layer(
    city: City,
    number: int,
    *,
    layer: str,
    to: Path,
    valid_at: dt.datetime | None = None,
    bbox: Bbox | None = None,
) -> int:
    """Write a layer to a file and return the number of features.

    Parameters
    ----------
    city : City
        The city.
    number : int
        The release: what was known then.
    layer : str
        The layer's name.
    to : Path
        A new file; its ending says the format.
    valid_at : datetime, optional
        What was so in the world then.
    bbox : tuple of float, optional
        (xmin, ymin, xmax, ymax) in the layer's CRS.

    Raises
    ------
    DeclarationError
        If the release or layer is unknown, the format is, or the file exists.
    """
    driver = DRIVERS.get(to.suffix.lower())
    if driver is None:
        raise DeclarationError(
            where=str(to), found=f"format {to.suffix!r}", expected=f"one of {', '.join(DRIVERS)}"
        )
    if to.exists():
        raise DeclarationError(
            where=str(to), found="a file already", remedy="remove it or name another"
        )
    city.framework.release(number)
    contract = city.framework.contract(layer)
    frame = city.framework.as_of(contract, number, valid_at=valid_at, bbox=bbox)
    frame = with_plain_dates(frame.drop(columns="digest"), contract)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".export-") as folder:
        _write(frame, contract, Path(folder) / to.name, driver)
        # a shapefile has several files; the one that was asked for comes last
        for part in sorted(Path(folder).iterdir(), key=lambda path: path.name == to.name):
            part.replace(to.parent / part.name)
    return len(frame)


def _write(frame: gpd.GeoDataFrame, contract: Layer, path: Path, driver: str) -> None:
    if not driver:
        frame.to_parquet(path)
    elif driver == "CSV" or contract.geometry is GeometryType.NONE:
        table = pd.DataFrame(frame.drop(columns="geometry"))
        if contract.geometry is not GeometryType.NONE:
            table["wkt"] = frame.geometry.to_wkt()
        pyogrio.write_dataframe(table, path, layer=contract.name, driver=driver)
    else:
        if driver == "GeoJSON":
            frame = frame.to_crs("EPSG:4326")
        options = {"geometry_type": contract.geometry.value} if frame.empty else {}
        pyogrio.write_dataframe(frame, path, layer=contract.name, driver=driver, **options)
