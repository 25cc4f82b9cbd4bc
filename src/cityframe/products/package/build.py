"""Build full and change packages of a release."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from cityframe import __version__
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import LayerVersion, Release
from cityframe.model.text import Title
from cityframe.products.package.content import LayerContent, LayerDelta, PackageHead
from cityframe.products.package.folder import describe_files, new_folder
from cityframe.products.package.geopackage import (
    append_to_geopackage,
    check_moments,
    finish_geopackage,
)
from cityframe.products.package.geoparquet import geoparquet_batches, write_geoparquet
from cityframe.products.package.manifest import (
    MANIFEST_FILE,
    NOTES_FILES,
    QUALITY_FILE,
    LayerState,
    PackagedLayer,
    PackagedRelease,
    PackageFormat,
    PackageKind,
    PackageManifest,
    ParentRelease,
    canonical_json,
    data_path,
)
from cityframe.products.package.notes import release_notes
from cityframe.products.package.rows import check_rows
from cityframe.products.package.table import AFTER, BEFORE
from cityframe.products.package.tally import RowCounter, known_digests

ALL_FORMATS = (PackageFormat.GEOPARQUET, PackageFormat.GPKG)
NO_REMARKS = Title(zh="", en="")
QualityRecord = bytes | Mapping[str, Any]
"""Report, rule-set digest, decisions and waivers: a JSON object; bytes are written as they are."""


@dataclass(frozen=True)
class LayerTable:
    """The rows of one layer of a package, in the order of the file, and what they stand for."""

    layer: Layer
    frames: Iterable[gpd.GeoDataFrame]
    before: LayerState | None
    after: LayerState
    changes: Mapping[ChangeKind, int]


def build_full(
    folder: Path,
    release: Release,
    layers: Sequence[LayerContent],
    *,
    title: Title,
    quality: QualityRecord,
    remarks: Title = NO_REMARKS,
    formats: Sequence[PackageFormat | str] = ALL_FORMATS,
) -> PackageManifest:
    """Build a full package: all features of all layers of a release.

    The same release builds the same bytes. The rows are digested again from the files written,
    in each format, before the folder gets its name.

    Parameters
    ----------
    folder : Path
        The package; it must not exist, or be this package.
    release : Release
        The release, with all its layers.
    layers : sequence of LayerContent
        One for each layer of the release.
    title : Title
        Name of the framework (of the city).
    quality : bytes or mapping
        The quality record, a JSON object.
    remarks : Title
        Text for the release notes, Markdown.
    formats : sequence of PackageFormat
        At least one.

    Raises
    ------
    DeclarationError
        If the layers are not those of the release, or a column or the CRS is not the contract's.
    IntegrityError
        If the rows do not give the release's counts and digests, or another package stands there.
    """
    versions = _versions(release, [one.layer for one in layers])
    tables = [
        LayerTable(
            layer=content.layer,
            frames=content.batches() if callable(content.batches) else content.batches,
            before=None,
            after=_state(versions[content.layer.name]),
            changes=_kinds(versions[content.layer.name]),
        )
        for content in layers
    ]
    head = PackageHead(
        kind=PackageKind.FULL,
        release=_packaged(release),
        parent=None,
        title=title,
        remarks=remarks,
        formats=_formats(formats),
    )
    return write_package(folder, head, tables, quality)


def build_change(
    folder: Path,
    release: Release,
    parent: Release,
    deltas: Sequence[LayerDelta],
    *,
    title: Title,
    quality: QualityRecord,
    remarks: Title = NO_REMARKS,
    formats: Sequence[PackageFormat | str] = ALL_FORMATS,
) -> PackageManifest:
    """Build a change package: what leads from the parent to a release.

    Parameters
    ----------
    release, parent : Release
        Neighbours, each with all its layers.
    deltas : sequence of LayerDelta
        One for each layer of the release; both frames are empty for a layer without changes.

    Others as in `build_full`.

    Raises
    ------
    DeclarationError, IntegrityError
        As `build_full`; also if the releases are not neighbours, a layer of the parent is gone,
        or the rows are not the changes that the release names.
    """
    if parent.number != release.number - 1:
        raise DeclarationError(
            where=f"release {release.number}",
            found=f"parent {parent.number}",
            expected=f"release {release.number - 1}",
        )
    versions = _versions(release, [one.layer for one in deltas])
    before = {version.layer: _state(version) for version in parent.layers}
    if gone := before.keys() - versions.keys():
        raise DeclarationError(
            where=f"release {release.number}",
            found=f"no layer {', '.join(sorted(gone))}, which release {parent.number} has",
            expected="a layer that is empty rather than gone",
        )
    tables = [
        LayerTable(
            layer=delta.layer,
            frames=[_change_frame(delta)],
            before=before.get(delta.layer.name),
            after=_state(versions[delta.layer.name]),
            changes=_kinds(versions[delta.layer.name]),
        )
        for delta in deltas
    ]
    head = PackageHead(
        kind=PackageKind.CHANGE,
        release=_packaged(release),
        parent=ParentRelease(number=parent.number, digest=parent.digest),
        title=title,
        remarks=remarks,
        formats=_formats(formats),
    )
    return write_package(folder, head, tables, quality)


def write_package(
    folder: Path, head: PackageHead, tables: Sequence[LayerTable], quality: QualityRecord
) -> PackageManifest:
    """Write a package from its head and tables, whole or not at all, and check what was written."""
    with new_folder(folder) as temporary:
        layers = [
            _write_layer(temporary, head, table)
            for table in sorted(tables, key=lambda table: table.layer.name)
        ]
        for path in temporary.glob("*.gpkg"):
            finish_geopackage(path, head.release.created_at)
        (temporary / QUALITY_FILE).write_bytes(_quality_bytes(quality))
        for language, text in release_notes(head, layers).items():
            (temporary / NOTES_FILES[language]).write_text(text, encoding="utf-8", newline="\n")
        manifest = PackageManifest(
            tool_version=__version__,
            kind=head.kind,
            title=head.title,
            remarks=head.remarks,
            parent=head.parent,
            release=head.release,
            formats=head.formats,
            layers=tuple(layers),
            files=describe_files(temporary),
        ).sealed()
        (temporary / MANIFEST_FILE).write_text(manifest.text(), encoding="utf-8", newline="\n")
        check_rows(temporary, manifest)
    return manifest


def _write_layer(folder: Path, head: PackageHead, table: LayerTable) -> PackagedLayer:
    layer, kind = table.layer, head.kind
    counter = RowCounter(layer, kind, f"release {head.release.number} layer {layer.name}")
    parquet = folder / data_path(kind, PackageFormat.GEOPARQUET, layer.name)
    frames = _counted(table, counter)
    if PackageFormat.GPKG in head.formats:
        frames = _with_checked_moments(frames, layer)
    write_geoparquet(parquet, frames, layer, kind)
    if PackageFormat.GPKG in head.formats:
        geopackage = folder / data_path(kind, PackageFormat.GPKG, layer.name)
        append_to_geopackage(geopackage, geoparquet_batches(parquet), layer, kind)
    if PackageFormat.GEOPARQUET not in head.formats:
        parquet.unlink()
    tally = counter.total()
    found: object = tally.state if kind is PackageKind.FULL else tally.changes
    expected: object = table.after if kind is PackageKind.FULL else dict(table.changes)
    if found != expected:
        raise IntegrityError(
            where=f"release {head.release.number} layer {layer.name}",
            found=f"rows that give {found}",
            expected=f"{expected}, as released",
            remedy="check the store",
        )
    return PackagedLayer(
        contract=layer,
        before=table.before,
        after=table.after,
        changes=dict(table.changes),
        rows=tally.rows,
        rows_digest=tally.rows_digest,
    )


def _counted(table: LayerTable, counter: RowCounter) -> Iterator[gpd.GeoDataFrame]:
    for frame in table.frames:
        counter.add(frame, known_digests(frame, table.layer))
        yield frame


def _with_checked_moments(
    frames: Iterable[gpd.GeoDataFrame], layer: Layer
) -> Iterator[gpd.GeoDataFrame]:
    for frame in frames:
        check_moments(frame, layer)
        yield frame


def _change_frame(delta: LayerDelta) -> gpd.GeoDataFrame:
    """Return both sides as one frame: sorted by uid, each row before its row after."""
    name = delta.layer.name
    kinds = dict(zip(delta.removed["uid"], delta.removed["change"], strict=True))
    added_kinds = [kinds.get(uid, ChangeKind.NEW.value) for uid in delta.added["uid"]]
    removed_only = ~delta.removed["uid"].isin(delta.added["uid"])
    wrong = removed_only != (delta.removed["change"] == ChangeKind.REMOVED)
    if wrong.any():
        row = delta.removed.loc[wrong].iloc[0]
        raise IntegrityError(
            where=f"layer {name} uid {row['uid']}",
            found=f"change {row['change']!r} "
            f"{'without' if row['change'] != ChangeKind.REMOVED else 'with'} a row after",
            expected="a row after for all but removed features",
        )
    sides = [
        delta.removed.assign(side=BEFORE),
        delta.added.assign(side=AFTER, change=added_kinds),
    ]
    filled = [side for side in sides if len(side)] or sides[:1]
    both = pd.concat([_with_digest(side, delta.layer) for side in filled], ignore_index=True)
    ordered = both.sort_values("uid", kind="stable", ignore_index=True)
    return gpd.GeoDataFrame(ordered, geometry="geometry", crs=delta.layer.crs)


def _with_digest(side: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    return side.assign(digest=known_digests(side, layer))


def _versions(release: Release, layers: Sequence[Layer]) -> dict[str, LayerVersion]:
    versions = {version.layer: version for version in release.layers}
    names = [layer.name for layer in layers]
    if sorted(names) != sorted(versions):
        raise DeclarationError(
            where=f"release {release.number}",
            found=f"layers {', '.join(sorted(names)) or 'none'}",
            expected=f"each layer of the release once: {', '.join(sorted(versions)) or 'none'}",
        )
    return versions


def _state(version: LayerVersion) -> LayerState:
    return LayerState(count=version.count, digest=version.digest)


def _kinds(version: LayerVersion) -> dict[ChangeKind, int]:
    return {ChangeKind(kind): count for kind, count in sorted(version.changes.items()) if count}


def _packaged(release: Release) -> PackagedRelease:
    return PackagedRelease(
        number=release.number,
        kind=release.kind,
        created_at=release.created_at,
        cycle=release.cycle,
        digest=release.digest,
    )


def _formats(formats: Sequence[PackageFormat | str]) -> tuple[PackageFormat, ...]:
    return tuple(sorted({PackageFormat(format_) for format_ in formats}))


def _quality_bytes(quality: QualityRecord) -> bytes:
    if isinstance(quality, bytes):
        try:
            data = json.loads(quality)
        except ValueError as error:
            raise DeclarationError(
                where=QUALITY_FILE, found=f"no JSON: {error}", expected="a JSON object"
            ) from error
        if not isinstance(data, dict):
            raise DeclarationError(
                where=QUALITY_FILE, found=type(data).__name__, expected="a JSON object"
            )
        return quality
    return canonical_json(dict(quality)).encode()
