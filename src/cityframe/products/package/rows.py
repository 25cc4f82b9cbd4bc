"""Read a full package's rows in any of its formats and hold them against the manifest."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pyogrio.errors
import shapely

from cityframe.core.digest import row_digests
from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer
from cityframe.products.package.geopackage import check_geopackage, read_geopackage
from cityframe.products.package.geoparquet import read_geoparquet
from cityframe.products.package.manifest import (
    PackagedLayer,
    PackageFormat,
    PackageManifest,
    data_path,
)
from cityframe.products.package.records import Redaction, read_redactions
from cityframe.products.package.tally import Digests, RowCounter

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
    """Read a layer's rows of a full package in batches: system columns, attributes, geometry.

    Raises
    ------
    IntegrityError
        If the file can't be read as what it should be.
    """
    path = folder / data_path(manifest.kind, format_, layer.contract.name)
    try:
        if format_ is PackageFormat.GPKG:
            check_geopackage(path, [one.contract.name for one in manifest.layers])
        yield from _READERS[format_](path, layer.contract)
    except _UNREADABLE as error:
        raise IntegrityError(
            where=f"{path} layer {layer.contract.name}",
            found=f"can't be read: {error}",
            expected="the rows of the layer",
            remedy="get the package again from the publisher",
        ) from error


def digested_frames(
    folder: Path, manifest: PackageManifest, name: str
) -> Iterator[gpd.GeoDataFrame]:
    """Read a layer of a full package in batches with ``digest``; nothing if it has no such layer.

    Raises
    ------
    IntegrityError
        If the file can't be read as what it should be.
    """
    layer = manifest.layer(name)
    if layer is None:
        return
    redactions = read_redactions(folder)
    for frame in layer_frames(folder, manifest, layer, manifest.formats[0]):
        yield frame.assign(digest=proved_digests(frame, layer.contract, redactions))


def proved_digests(
    frame: gpd.GeoDataFrame, layer: Layer, redactions: Iterable[Redaction]
) -> Digests:
    """Return the digests that rows give; for a redacted row the one that its redaction states."""
    digests = row_digests(frame, layer)
    stated = {
        one.uid: bytes.fromhex(one.digest)
        for one in redactions
        if one.layer == layer.name and one.digest is not None
    }
    if stated:
        for place in frame.index[frame["uid"].isin(list(stated))]:
            digests[place] = stated[frame["uid"][place]]
    return digests


def check_rows(folder: Path, manifest: PackageManifest) -> None:
    """Recompute the digests of all rows of a full package, in each format.

    Raises
    ------
    IntegrityError
        If a count, a digest or an order is not what the manifest says, or a redacted value is
        there.
    """
    redactions = read_redactions(folder)
    for format_ in manifest.formats:
        for layer in manifest.layers:
            name = layer.contract.name
            where = f"{folder / data_path(manifest.kind, format_, name)} layer {name}"
            counter = RowCounter(where)
            for frame in layer_frames(folder, manifest, layer, format_):
                check_cleared(frame, name, redactions, where)
                counter.add(frame, proved_digests(frame, layer.contract, redactions))
            tally = counter.total()
            check_equal(
                where,
                [
                    ("rows", tally.rows, layer.rows),
                    ("rows digest", tally.rows_digest, layer.rows_digest),
                    ("state", tally.state, layer.after),
                ],
            )


def check_cleared(
    frame: gpd.GeoDataFrame, layer: str, redactions: Iterable[Redaction], where: str
) -> None:
    """Check that redacted values are not there.

    Raises
    ------
    IntegrityError
        If one is.
    """
    for one in redactions:
        if one.layer != layer:
            continue
        for name in one.attributes:
            if name in frame.columns and frame.loc[frame["uid"] == one.uid, name].notna().any():
                raise IntegrityError(
                    where=f"{where} uid {one.uid}",
                    found=f"a value of {name}",
                    expected=f"none: decision {one.decision} cleared it",
                )


def cleared(
    frame: gpd.GeoDataFrame, layer: str, redactions: Iterable[Redaction]
) -> gpd.GeoDataFrame:
    """Return rows without the values that redactions clear; their digests stay."""
    ours = [one for one in redactions if one.layer == layer]
    touched = frame["uid"].isin([one.uid for one in ours])
    if not touched.any():
        return frame
    result = frame.copy()
    for one in ours:
        for name in one.attributes:
            if name in result.columns:
                result.loc[result["uid"] == one.uid, name] = None
    return result


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
