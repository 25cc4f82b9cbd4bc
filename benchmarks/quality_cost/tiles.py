"""A layer that need not fit into memory, in tiles from a file; and a sample of it untiled."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from store_cost.measure import Meter, run

from cityframe.model.finding import Scope
from cityframe.rules.check import check_layer
from cityframe.rules.checking.execution import Threads
from cityframe.rules.checking.row_source import GeoParquetRows
from cityframe.rules.checking.tile_check import check_tiles
from cityframe.rules.compiled import CompiledRules, compile_rules
from quality_cost.city import CELL_M, City, city
from quality_cost.layers import AS_OF, default_rules
from quality_cost.lines import Line

BLOCK = 250_000
SAMPLE_BLOCKS = 2
SAMPLE_TILE_ROWS = 60_000


def measured(features: int) -> Iterator[Line]:
    """Check generated parcels in tiles, and a sample both ways."""
    with tempfile.TemporaryDirectory(prefix="cityframe-tiles-") as folder:
        path = Path(folder) / "parcels.parquet"
        blocks = max(1, features // BLOCK)
        run(write_parcels, path, blocks)
        outcome = run(check_in_tiles, path)
        what = f"{blocks * BLOCK:,} parcels in tiles of 200,000"
        yield Line("tiles", what, outcome.cost, found=outcome.value)
        sample = run(compare_sample, path)
        yield Line("tiles", f"{SAMPLE_BLOCKS * BLOCK:,} of them: tiled is untiled", sample.cost,
                   found=sample.value)  # fmt: skip


def write_parcels(meter: Meter, path: Path, blocks: int) -> None:
    """Write blocks of parcels, each north of the one before, a row group each."""
    del meter
    writer = None
    for number in range(blocks):
        table = _block(number)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=BLOCK // 8)
    if writer is not None:
        writer.close()


def check_in_tiles(meter: Meter, path: Path) -> int:
    """Check the file in tiles; return how many findings there are."""
    rules, made = _rules()
    counts: list[int] = []
    with meter("tiles"):
        check_tiles(
            rules, scope=Scope.CANDIDATE, layer="parcels",
            rows=GeoParquetRows(path, made.layers["parcels"]), as_of=AS_OF,
            write=lambda findings: counts.append(len(findings)),
        )  # fmt: skip
    return sum(counts)


def compare_sample(meter: Meter, path: Path) -> int:
    """Check the first blocks in small tiles and untiled; the findings are the same."""
    rules, made = _rules()
    layer = made.layers["parcels"]
    part = path.with_name("sample.parquet")
    with pq.ParquetFile(path) as file:
        groups = list(range(SAMPLE_BLOCKS * 8))
        pq.write_table(file.read_row_groups(groups), part, row_group_size=BLOCK // 8)
    rows = GeoParquetRows(part, layer)
    parts: list[gpd.GeoDataFrame] = []
    with meter("sample in tiles"):
        check_tiles(
            rules, scope=Scope.CANDIDATE, layer="parcels", rows=rows, as_of=AS_OF,
            write=parts.append, execution=Threads(tile_rows=SAMPLE_TILE_ROWS),
        )  # fmt: skip
    frame = rows.rows(np.arange(len(rows.boxes)))
    with meter("sample untiled"):
        whole = check_layer(
            rules, scope=Scope.CANDIDATE, layer="parcels", frame=frame, as_of=AS_OF,
            other={"parcels": frame}.__getitem__, execution=Threads(tile_rows=len(frame)),
        )  # fmt: skip
    found = pd.concat(parts).sort_values(["rule", "finding_id"]).reset_index(drop=True)
    wanted = whole.findings[whole.findings["rule"].isin(set(found["rule"]))]
    wanted = wanted.sort_values(["rule", "finding_id"]).reset_index(drop=True)
    if not found["finding_id"].equals(wanted["finding_id"]) or not found["found"].equals(
        wanted["found"]
    ):
        message = f"{len(found)} findings in tiles, {len(wanted)} untiled"
        raise RuntimeError(message)
    return len(found)


def _rules() -> tuple[CompiledRules, City]:
    """Return the default rules of parcels that need no more than a tile."""
    made = city(100, 10, 10)
    rules = default_rules(made)
    local = tuple(
        one
        for one in rules.rules
        if one.layer.name == "parcels" and one.kind.reach in ("feature", "neighbourhood")
    )
    return compile_rules([one.rule for one in local], made.layers, {}), made


def _block(number: int) -> pa.Table:
    """Return a block of parcels as a table of GeoParquet with a column of bounding boxes."""
    frame = city(BLOCK, 1, 1, seed=number).frames["parcels"]
    north = np.array([0.0, number * (CELL_M * BLOCK**0.5 + 100.0)])
    frame["geometry"] = shapely.transform(np.asarray(frame.geometry), lambda xy: xy + north)
    frame["uid"] = pd.Series([f"{number:04d}-{uid}" for uid in frame["uid"]], dtype="str")
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        frame.to_parquet(file.name, write_covering_bbox=True)
        return pq.read_table(file.name)
