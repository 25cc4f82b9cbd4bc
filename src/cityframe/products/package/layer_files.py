"""Write one layer's files of a package, and say what they hold."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa

from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.products.package.change_file import write_changes
from cityframe.products.package.content import LayerDelta, PackageHead
from cityframe.products.package.geopackage import append_to_geopackage, check_moments
from cityframe.products.package.geoparquet import geoparquet_batches, write_geoparquet
from cityframe.products.package.manifest import LayerState, PackagedLayer, PackageFormat, data_path
from cityframe.products.package.table import compute, table_schema, to_batch, with_provenance
from cityframe.products.package.tally import RowCounter, known_digests

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class FullTable:
    """The rows of one layer of a full package, in the order of the file."""

    layer: Layer
    frames: Iterable[gpd.GeoDataFrame]
    after: LayerState
    changes: Mapping[ChangeKind, int]


@dataclass(frozen=True)
class ChangeTable:
    """The changes of one layer; ``sides`` has the whole rows for a GeoPackage, if one is wanted."""

    layer: Layer
    layer_before: Layer | None
    rows: pa.Table
    sides: LayerDelta | None
    before: LayerState | None
    after: LayerState | None
    changes: Mapping[ChangeKind, int]


def write_full_layer(folder: Path, head: PackageHead, table: FullTable) -> PackagedLayer:
    """Write a layer of a full package in all its formats.

    Raises
    ------
    IntegrityError
        If the rows, by the digests that they bring, are not those that were released.
    """
    layer = table.layer
    where = f"release {head.release.number} layer {layer.name}"
    counter = RowCounter(where)
    parquet = folder / data_path(head.kind, PackageFormat.GEOPARQUET, layer.name)
    frames = _counted(table, counter)
    if PackageFormat.GPKG in head.formats:
        frames = _with_checked_moments(frames, layer)
    write_geoparquet(parquet, frames, layer)
    if PackageFormat.GPKG in head.formats:
        geopackage = folder / data_path(head.kind, PackageFormat.GPKG, layer.name)
        append_to_geopackage(geopackage, geoparquet_batches(parquet), layer, with_sides=False)
    if PackageFormat.GEOPARQUET not in head.formats:
        parquet.unlink()
    tally = counter.total()
    _check_released(where, tally.state, table.after)
    return PackagedLayer(
        contract=layer,
        contract_before=None,
        before=None,
        after=table.after,
        changes=dict(table.changes),
        rows=tally.rows,
        rows_digest=tally.rows_digest,
    )


def write_change_layer(folder: Path, head: PackageHead, table: ChangeTable) -> PackagedLayer:
    """Write a layer's changes, and both sides of them into the GeoPackage if one is wanted.

    Raises
    ------
    IntegrityError
        If the rows are not the changes that were released.
    """
    layer = table.layer
    kinds = {
        ChangeKind(one["values"]): one["counts"]
        for one in compute.value_counts(table.rows["change"]).to_pylist()
    }
    where = f"release {head.release.number} layer {layer.name}"
    _check_released(where, dict(sorted(kinds.items())), dict(table.changes))
    packaged = PackagedLayer(
        contract=layer,
        contract_before=table.layer_before,
        before=table.before,
        after=table.after,
        changes=dict(table.changes),
        rows=len(table.rows),
        rows_digest=None,
    )
    path = folder / data_path(head.kind, PackageFormat.GEOPARQUET, layer.name)
    write_changes(path, table.rows, packaged.wide_contract)
    if table.sides is not None:
        geopackage = folder / data_path(head.kind, PackageFormat.GPKG, layer.name)
        _write_sides(geopackage, table.sides, packaged)
    return packaged


def _write_sides(path: Path, delta: LayerDelta, packaged: PackagedLayer) -> None:
    """Write the rows before and after: sorted by uid, each row before its row after."""
    wide = packaged.wide_contract
    kinds = dict(zip(delta.removed["uid"], delta.removed["change"], strict=True))
    added_kinds = [kinds.get(uid, ChangeKind.NEW.value) for uid in delta.added["uid"]]
    schema = table_schema(wide, with_sides=True)
    tables = []
    for frame, side, changes, contract in (
        (delta.removed, BEFORE, delta.removed["change"], packaged.former_contract),
        (delta.added, AFTER, added_kinds, packaged.contract),
    ):
        check_moments(frame, contract)
        rows = with_provenance(frame).assign(side=side, change=pd.Series(changes, dtype="str"))
        own = to_batch(rows, contract, table_schema(contract, with_sides=True))
        tables.append(pa.Table.from_batches([own]))
    both = pa.concat_tables(tables, promote_options="default").select(schema.names)
    batches = both.sort_by([("uid", "ascending"), ("side", "descending")]).cast(schema).to_batches()
    append_to_geopackage(path, batches, wide, with_sides=True)


def _counted(table: FullTable, counter: RowCounter) -> Iterator[gpd.GeoDataFrame]:
    for frame in table.frames:
        known = with_provenance(frame)
        counter.add(known, known_digests(known, table.layer))
        yield known


def _with_checked_moments(
    frames: Iterable[gpd.GeoDataFrame], layer: Layer
) -> Iterator[gpd.GeoDataFrame]:
    for frame in frames:
        check_moments(frame, layer)
        yield frame


def _check_released(where: str, found: object, expected: object) -> None:
    if found != expected:
        raise IntegrityError(
            where=where,
            found=f"rows that give {found}",
            expected=f"{expected}, as released",
            remedy="check the store",
        )
