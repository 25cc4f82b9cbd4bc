"""Apply a change package to a full one: ``full(N) = apply(change(N), full(N-1))``."""

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd

from cityframe.products.package.archive import opened
from cityframe.products.package.build import write_package
from cityframe.products.package.changes import check_changes, read_changes, unproved_uids
from cityframe.products.package.content import PackageHead
from cityframe.products.package.layer_files import FullTable
from cityframe.products.package.manifest import PackagedLayer, PackageKind, PackageManifest
from cityframe.products.package.merge import merged
from cityframe.products.package.records import (
    LineageEvent,
    lineage_events,
    read_lineage,
    read_quality,
    read_redactions,
)
from cityframe.products.package.rows import cleared, digested_frames
from cityframe.products.package.verify import check_base, open_package


def apply_change(full: Path, change: Path, into: Path) -> PackageManifest:
    """Make the full package of the release that a change package leads to.

    The result has the bytes of the publisher's own full package, if both were built by the same
    version of cityframe and its libraries; but it is not signed.

    Parameters
    ----------
    full : Path
        The full package of the release that the change starts from: a folder or a zip.
    change : Path
        The change package: a folder or a zip.
    into : Path
        The new full package, a folder, in the formats of ``full``; it must not exist, or be the
        same.

    Raises
    ------
    IntegrityError
        If a package is not what it claims, the base is another one, or the result does not have
        the digests that the change promises.
    """
    with opened(full) as full_folder, opened(change) as change_folder:
        base = open_package(full_folder)
        manifest = open_package(change_folder)
        check_base(manifest, base, full_folder)
        check_changes(change_folder, manifest)
        head = PackageHead(
            kind=PackageKind.FULL,
            inverse=manifest.inverse,
            release=manifest.release,
            parent=None,
            title=manifest.title,
            remarks=manifest.remarks,
            formats=base.formats,
            recalls=manifest.recalls,
            lineage=_lineage(full_folder, change_folder, manifest),
            redactions=read_redactions(change_folder),
            quality=read_quality(change_folder),
        )
        tables = [
            FullTable(
                layer=layer.contract,
                frames=_changed(full_folder, base, change_folder, manifest, layer),
                after=layer.after,
                changes=layer.changes,
            )
            for layer in manifest.layers
            if layer.after is not None
        ]
        return write_package(into, head, tables, key=None)


def _lineage(full: Path, change: Path, manifest: PackageManifest) -> tuple[LineageEvent, ...]:
    """Return the events up to the release: an inverse takes back those of the change."""
    former, events = read_lineage(full), read_lineage(change)
    if manifest.inverse:
        return tuple(event for event in former if event not in set(events))
    return lineage_events([*former, *events])


def _changed(
    full_folder: Path,
    base: PackageManifest,
    change_folder: Path,
    change: PackageManifest,
    layer: PackagedLayer,
) -> Iterator[gpd.GeoDataFrame]:
    name = layer.contract.name
    redactions = read_redactions(change_folder)
    steps = merged(
        digested_frames(full_folder, base, name),
        read_changes(change_folder, change, name),
        layer,
        f"{full_folder} layer {name}",
        unproved_uids(redactions, name),
    )
    for step in steps:
        yield cleared(step.after, name, redactions)
