"""Read a package's rows in any of its formats and hold them against the manifest."""

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pyogrio.errors
import shapely

from cityframe.core.digest import row_digests
from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.products.package.geopackage import check_geopackage, read_geopackage
from cityframe.products.package.geoparquet import read_geoparquet
from cityframe.products.package.manifest import (
    PackagedLayer,
    PackageFormat,
    PackageKind,
    PackageManifest,
    data_path,
)
from cityframe.products.package.tally import RowCounter

_READERS = {
    PackageFormat.GPKG: read_geopackage,
    PackageFormat.GEOPARQUET: read_geoparquet,
}
_UNREADABLE = (
    pa.ArrowException,
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FieldError,
    shapely.errors.ShapelyError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
)


def layer_frames(
    folder: Path, manifest: PackageManifest, layer: PackagedLayer, format_: PackageFormat
) -> Iterator[gpd.GeoDataFrame]:
    """Read a layer's rows in batches: system columns, attributes, geometry.

    Raises
    ------
    IntegrityError
        If the file can't be read as what it should be.
    """
    path = folder / data_path(manifest.kind, format_, layer.contract.name)
    try:
        if format_ is PackageFormat.GPKG:
            check_geopackage(path, [one.contract.name for one in manifest.layers])
        yield from _READERS[format_](path, layer.contract, manifest.kind)
    except _UNREADABLE as error:
        raise IntegrityError(
            where=f"{path} layer {layer.contract.name}",
            found=f"can't be read: {error}",
            expected="the rows of the layer",
            remedy="get the package again from the publisher",
        ) from error


def check_rows(folder: Path, manifest: PackageManifest) -> None:
    """Recompute the digests of all rows, in each format, and compare them with the manifest.

    Raises
    ------
    IntegrityError
        If a count, a digest, an order or a kind of change is not what the manifest says.
    """
    for format_ in manifest.formats:
        for layer in manifest.layers:
            name = layer.contract.name
            where = f"{folder / data_path(manifest.kind, format_, name)} layer {name}"
            counter = RowCounter(layer.contract, manifest.kind, where)
            for frame in layer_frames(folder, manifest, layer, format_):
                counter.add(frame, row_digests(frame, layer.contract))
            tally = counter.total()
            compared: list[tuple[str, object, object]] = [
                ("rows", tally.rows, layer.rows),
                ("rows digest", tally.rows_digest, layer.rows_digest),
            ]
            if manifest.kind is PackageKind.FULL:
                compared.append(("state", tally.state, layer.after))
            else:
                compared.append(("changes", tally.changes, layer.changes))
                compared.append(("features", _features_after(layer), layer.after.count))
            check_equal(where, compared)


def _features_after(layer: PackagedLayer) -> int:
    gained = layer.changes.get(ChangeKind.NEW, 0) - layer.changes.get(ChangeKind.REMOVED, 0)
    return gained + (layer.before.count if layer.before else 0)


def check_equal(where: str, compared: list[tuple[str, object, object]]) -> None:
    """Raise `IntegrityError` at the first of (what, found, expected) that differs."""
    for what, found, expected in compared:
        if found != expected:
            raise IntegrityError(
                where=where,
                found=f"{what} {found}",
                expected=str(expected),
                remedy="get the package again from the publisher",
            )
