"""Shapefiles in GBK and GeoPackages, written stretch by stretch."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely

from cityframe.demo.feeds.columns import FIELD_NOTES, Feed
from cityframe.demo.layout.plan import CRS

ArrowArray: TypeAlias = "pa.Array[Any]"

ENCODING = "GBK"
_DATE_OF_DBF = slice(1, 4)
_FIXED_TIME = (2024, 1, 1, 0, 0, 0)


def source_table(rows: pd.DataFrame, feed: Feed) -> dict[str, ArrowArray]:
    """Return the columns of a feed as Arrow arrays, in the source's words."""
    arrays: dict[str, ArrowArray] = {}
    for attribute, name in feed.columns.items():
        column = rows[attribute]
        words = feed.words.get(attribute)
        if words is not None:
            # a code without a word is a defect: it stands as it is
            column = column.map(words).astype(object).where(column.isin(words), column)
        if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
            arrays[name] = pa.array(column.to_numpy().astype("datetime64[D]"))
        else:
            arrays[name] = pa.array(column, from_pandas=True)
    return arrays


def write_vector(
    path: Path, rows: pd.DataFrame, feed: Feed, geometry_type: str, *, is_first: bool
) -> None:
    """Write rows to a shapefile (``.shp``) or to a layer of a GeoPackage, or append them."""
    if not is_first and not len(rows):
        return
    geometry = rows["geometry"].to_numpy()
    wkb = pa.array(shapely.to_wkb(geometry, flavor="iso"), type=pa.binary())
    is_shapefile = path.suffix == ".shp"
    notes = FIELD_NOTES if feed.layer == "buildings" else {}
    extra = {name: pa.array([text] * len(rows), pa.string()) for name, text in notes.items()}
    # no spatial index, and text columns as wide as they need: like what surveys hand over
    options = {"RESIZE": "YES"} if is_shapefile else {"SPATIAL_INDEX": "NO"}
    pyogrio.write_arrow(
        pa.table({**source_table(rows, feed), **extra, "geometry": wkb}),
        path,
        layer=feed.table,
        driver="ESRI Shapefile" if is_shapefile else "GPKG",
        geometry_name="geometry",
        geometry_type=geometry_type,
        crs=CRS,
        encoding=ENCODING if is_shapefile else None,
        append=not is_first,
        layer_options=options if is_first else None,
    )


def pack_shapefiles(folder: Path, target: Path, names: Sequence[str]) -> None:
    """Move shapefiles into an archive: without the ``.cpg`` that tells their encoding."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            for suffix in (".shp", ".shx", ".dbf", ".prj"):
                path = folder / f"{name}{suffix}"
                if suffix == ".dbf":
                    _fix_date(path)
                entry = zipfile.ZipInfo(path.name, _FIXED_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.file_size = path.stat().st_size
                with path.open("rb") as source, archive.open(entry, "w") as sink:
                    while chunk := source.read(1 << 20):
                        sink.write(chunk)
                path.unlink()
            (folder / f"{name}.cpg").unlink()


def _fix_date(path: Path) -> None:
    """Put a fixed day into the header where GDAL writes today."""
    with path.open("r+b") as file:
        file.seek(_DATE_OF_DBF.start)
        file.write(bytes([_FIXED_TIME[0] - 1900, *_FIXED_TIME[1:3]]))


@contextmanager
def fixed_clock() -> Iterator[None]:
    """Let GDAL write a fixed time into the GeoPackages made inside, so that bytes repeat."""
    name = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: "2024-01-01T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})
