"""Where the rows of a layer come from: a frame in memory, or a file that is read tile by tile."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from cityframe.core.frames import with_column_types
from cityframe.errors import DeclarationError
from cityframe.model.layer import GeometryType, Layer
from cityframe.rules.checking.boxes import Boxes
from cityframe.rules.context import Geometries, Positions, geometries
from cityframe.rules.shared_property import shared_property


class RowSource(Protocol):
    """Gives the place of all rows first, and then any of the rows."""

    @property
    def boxes(self) -> Boxes:
        """Bounding box of each row, in the order of the layer."""

    def rows(self, positions: Positions) -> gpd.GeoDataFrame:
        """Return rows, ascending positions, as a layer frame; safe under threads."""

    def shapes(self, positions: Positions) -> Geometries:
        """Return geometries with the bounding boxes of the rows."""


class FrameRows:
    """The rows of a frame."""

    def __init__(self, frame: gpd.GeoDataFrame) -> None:
        self._frame = frame
        self._geometry = geometries(frame)

    @shared_property
    def boxes(self) -> Boxes:
        """Bounding boxes."""
        return np.asarray(shapely.bounds(self._geometry), dtype=np.float64).reshape(-1, 4)

    def rows(self, positions: Positions) -> gpd.GeoDataFrame:
        """Return rows of the frame."""
        return self._frame.iloc[positions].reset_index(drop=True)

    def shapes(self, positions: Positions) -> Geometries:
        """Return the rows' geometries."""
        return self._geometry[positions]


class GeoParquetRows:
    """The rows of a GeoParquet file; in memory are the bounding boxes, 32 bytes a row.

    Rows are read by row group: a file in spatial order reads each group about once, one in any
    other order reads most of the file for each tile.

    Parameters
    ----------
    layer : Layer
        Its contract; the file has its attributes and any system columns, WKB, and may have a column
        of bounding boxes (GeoParquet 1.1 ``covering``), without which all geometries are read once.

    Raises
    ------
    DeclarationError
        If the file has no geometry but the layer does.
    """

    def __init__(self, path: Path, layer: Layer) -> None:
        self._path, self._layer = path, layer
        with pq.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
            sizes = [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._geometry, self._covering = self._places((schema.metadata or {}).get(b"geo"))
        self._columns = [
            name for name in schema.names if self._covering is None or name != self._covering[0][0]
        ]

    def _places(self, geo: bytes | None) -> tuple[str, list[list[str]] | None]:
        """Return the name of the geometry column, and the paths of the columns of the boxes."""
        if self._layer.geometry is GeometryType.NONE:
            return "", None
        if geo is None:
            raise DeclarationError(
                found=f"no geometry in {self._path.name}",
                where=self._layer.name,
                expected="a GeoParquet file",
                remedy="write the layer as GeoParquet",
            )
        said: dict[str, Any] = json.loads(geo)
        name: str = said["primary_column"]
        covering = said["columns"][name].get("covering", {}).get("bbox")
        sides = ("xmin", "ymin", "xmax", "ymax")
        return name, None if covering is None else [covering[side] for side in sides]

    @shared_property
    def boxes(self) -> Boxes:
        """Bounding boxes, read when first asked for."""
        if not self._geometry:
            return np.full((int(self._starts[-1]), 4), np.nan)
        parts = [np.empty((0, 4))]
        with pq.ParquetFile(self._path) as file:
            for group in range(len(self._starts) - 1):
                if self._covering is None:
                    wkb = file.read_row_group(group, [self._geometry])[self._geometry]
                    parts.append(shapely.bounds(shapely.from_wkb(wkb.to_numpy())))
                else:
                    names = [".".join(path) for path in self._covering]
                    parts.append(_sides(file.read_row_group(group, names), self._covering))
        return np.concatenate(parts)

    def rows(self, positions: Positions) -> gpd.GeoDataFrame:
        """Read rows from the row groups that hold them."""
        group_of = np.searchsorted(self._starts, positions, side="right") - 1
        with pq.ParquetFile(self._path) as file:
            parts = [file.schema_arrow.empty_table().select(self._columns)]
            for group in np.unique(group_of):
                inside = positions[group_of == group] - self._starts[group]
                parts.append(file.read_row_group(int(group), self._columns).take(inside))
        return self._frame(pa.concat_tables(parts))

    def _frame(self, table: pa.Table) -> gpd.GeoDataFrame:
        layer = self._layer
        if not self._geometry:
            none = gpd.GeoSeries([None] * table.num_rows, crs=layer.crs)
            return with_column_types(gpd.GeoDataFrame(table.to_pandas(), geometry=none), layer)
        wkb = table[self._geometry].to_numpy()
        attributes = table.drop_columns([self._geometry]).to_pandas()
        shapes = gpd.GeoSeries(shapely.from_wkb(wkb), crs=layer.crs)
        return with_column_types(gpd.GeoDataFrame(attributes, geometry=shapes), layer)

    def shapes(self, positions: Positions) -> Geometries:
        """Return the bounding boxes as polygons."""
        return np.asarray(shapely.box(*self.boxes[positions].T), dtype=object)


def _sides(table: pa.Table, paths: Sequence[Sequence[str]]) -> Boxes:
    """Return the boxes of a table with the columns of a covering."""
    sides = []
    for path in paths:
        column = table[path[0]].combine_chunks()
        for name in path[1:]:
            column = pc.struct_field(column, name)  # null where the whole box is
        sides.append(column.to_numpy(zero_copy_only=False).astype(np.float64))
    return np.stack(sides, axis=1)
