"""Apply a change package to a full one: ``full(N) = apply(change(N), full(N-1))``."""

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd

from cityframe.products.package.build import LayerTable, write_package
from cityframe.products.package.content import PackageHead
from cityframe.products.package.manifest import (
    QUALITY_FILE,
    PackagedLayer,
    PackageKind,
    PackageManifest,
)
from cityframe.products.package.merge import merged
from cityframe.products.package.rows import check_rows
from cityframe.products.package.verify import base_frames, change_frame, check_base, open_package


def apply_change(full_folder: Path, change_folder: Path, into: Path) -> PackageManifest:
    """Make the full package of the release that a change package leads to.

    The result has the bytes of the publisher's own full package, if both were built by the same
    version of cityframe and its libraries.

    Parameters
    ----------
    full_folder : Path
        The full package of the release that the change starts from.
    change_folder : Path
        The change package.
    into : Path
        The new full package, in the formats of ``full_folder``; it must not exist, or be the same.

    Raises
    ------
    IntegrityError
        If a package is not what it claims, the base is another one, or the result does not have
        the digests that the change promises.
    """
    base = open_package(full_folder)
    change = open_package(change_folder)
    check_base(change, base, full_folder)
    check_rows(change_folder, change)
    head = PackageHead(
        kind=PackageKind.FULL,
        release=change.release,
        parent=None,
        title=change.title,
        remarks=change.remarks,
        formats=base.formats,
    )
    tables = [
        LayerTable(
            layer=layer.contract,
            frames=_changed(full_folder, base, change_folder, change, layer),
            before=None,
            after=layer.after,
            changes=layer.changes,
        )
        for layer in change.layers
    ]
    quality = (change_folder / QUALITY_FILE).read_bytes()
    return write_package(into, head, tables, quality)


def _changed(
    full_folder: Path,
    base: PackageManifest,
    change_folder: Path,
    change: PackageManifest,
    layer: PackagedLayer,
) -> Iterator[gpd.GeoDataFrame]:
    name = layer.contract.name
    frames = base_frames(full_folder, base, name)
    delta = change_frame(change_folder, change, layer)
    for step in merged(frames, delta, layer.contract, f"{full_folder} layer {name}"):
        yield step.after
