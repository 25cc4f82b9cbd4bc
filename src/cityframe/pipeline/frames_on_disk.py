"""How steps leave frames for the next step: GeoParquet, whole or not at all."""

from pathlib import Path

import geopandas as gpd
import pandas as pd

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Layer
from cityframe.pipeline.city import replaced_whole
from cityframe.store.pruned import require_kept


def write_frame(path: Path, frame: gpd.GeoDataFrame) -> None:
    """Write a frame with geometry."""
    with replaced_whole(path) as temporary:
        frame.reset_index(drop=True).to_parquet(temporary, compression="zstd")


def read_frame(path: Path, layer: Layer | None = None) -> gpd.GeoDataFrame:
    """Read a frame with geometry; with the column types of a layer's contract if it is given.

    Raises
    ------
    PrunedError
        If it was pruned.
    """
    if not path.exists():
        require_kept(path.parent)
    frame = gpd.read_parquet(path)
    return frame if layer is None else with_column_types(frame, layer)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table without geometry."""
    with replaced_whole(path) as temporary:
        table.reset_index(drop=True).to_parquet(temporary, compression="zstd")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table without geometry."""
    return pd.read_parquet(path)
