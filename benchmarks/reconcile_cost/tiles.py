"""Two layers that need not fit into memory, matched in tiles from files; a sample untiled."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from quality_cost.lines import Line
from store_cost.measure import Meter, run

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.local_shift import CELL_M
from cityframe.core.matching.polygons import match_polygons
from cityframe.core.matching.tiles import ahead, match_in_tiles
from reconcile_cost.polygons import Geometries, Numbers, polygons, redrawn, rings

BLOCK = 50_000
SAMPLE_BLOCKS = 6
SAMPLE_TILE_M = 1500.0
TILE_M = 5000.0
TOLERANCE = Tolerance.between(0.25, 0.25)
REACH_M = 5.0
HALO_M = 2 * CELL_M + REACH_M + 20.0
"""What the local shift looks at, and the size of a building."""


class GeoParquetSide:
    """The geometries of a GeoParquet file; in memory are their boxes, 32 bytes each."""

    def __init__(self, path: Path, groups: int | None = None) -> None:
        self._file = pq.ParquetFile(path)
        counts = self._file.metadata
        self._groups = range(counts.num_row_groups if groups is None else groups)
        sizes = [counts.row_group(group).num_rows for group in self._groups]
        self._starts = np.append(0, np.cumsum(sizes))
        self.boxes: Numbers = np.concatenate(
            [shapely.bounds(shapely.from_wkb(self._wkb(group))) for group in self._groups]
        )

    def rows(self, positions: npt.NDArray[np.intp]) -> Geometries:
        """Read the geometries at ascending positions, by row group."""
        group_of = np.searchsorted(self._starts, positions, side="right") - 1
        parts = [np.empty(0, dtype=object)]
        for group in np.unique(group_of):
            inside = positions[group_of == group] - self._starts[group]
            parts.append(shapely.from_wkb(self._wkb(int(group))[inside]))
        return np.concatenate(parts)

    def _wkb(self, group: int) -> npt.NDArray[np.object_]:
        return self._file.read_row_group(group, ["geometry"])["geometry"].to_numpy()


def tiled(rows: int, threads: int) -> Iterator[Line]:
    """Match generated polygons with others drawn anew, in tiles, and a sample both ways."""
    with tempfile.TemporaryDirectory(prefix="cityframe-tiles-") as folder:
        paths = Path(folder) / "before.parquet", Path(folder) / "after.parquet"
        blocks = max(SAMPLE_BLOCKS, rows // BLOCK)
        run(write_layers, *paths, blocks)
        outcome = run(match_files, *paths, threads)
        what = f"{blocks * BLOCK:,} in tiles of 5 km, {threads} threads"
        yield Line("tiles", what, outcome.cost, outcome.cost.peak_gib, "GiB", 4.0)
        yield Line("tiles", f"links: {outcome.value:,}")
        sample = run(compare_sample, *paths)
        what = f"{SAMPLE_BLOCKS * BLOCK:,} of them: tiled is untiled"
        yield Line("tiles", what, sample.cost)


def write_layers(meter: Meter, before: Path, after: Path, blocks: int) -> None:
    """Write both layers, a row group a block; each block lies north of the one before."""
    del meter
    schema = pa.schema({"geometry": pa.binary()})
    with pq.ParquetWriter(before, schema) as old, pq.ParquetWriter(after, schema) as new:
        for block in range(blocks):
            ring = rings(block * BLOCK, BLOCK)
            for file, drawn in ((old, ring), (new, redrawn(ring, block))):
                wkb = shapely.to_wkb(polygons(drawn))
                file.write_table(pa.table({"geometry": wkb}, schema=schema))


def match_files(meter: Meter, before: Path, after: Path, threads: int) -> int:
    """Match two files in tiles; return how many links there are."""
    with meter("tiles"), ThreadPoolExecutor(threads) as pool:
        links = match_in_tiles(
            by_shape, GeoParquetSide(before), GeoParquetSide(after),
            tile_m=TILE_M, halo_m=HALO_M, run=ahead(pool.submit, threads + 1),
        )  # fmt: skip
    return len(links)


def compare_sample(meter: Meter, before: Path, after: Path) -> None:
    """Match the first blocks in small tiles and untiled; the links are the same."""
    sides = GeoParquetSide(before, SAMPLE_BLOCKS), GeoParquetSide(after, SAMPLE_BLOCKS)
    with meter("sample in tiles"):
        found = match_in_tiles(by_shape, *sides, tile_m=SAMPLE_TILE_M, halo_m=HALO_M)
    whole = by_shape(*(side.rows(np.arange(len(side.boxes))) for side in sides))
    pd.testing.assert_frame_equal(found, whole)


def by_shape(before: Geometries, after: Geometries) -> pd.DataFrame:
    """Return the links by shape, without groups."""
    return match_polygons(before, after, TOLERANCE, reach_m=REACH_M).links.drop(columns="group")
