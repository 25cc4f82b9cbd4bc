"""Build full and change packages of a release."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cityframe import __version__
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import LayerVersion, Release
from cityframe.model.text import Title
from cityframe.products.package.change_table import change_table
from cityframe.products.package.changes import check_changes
from cityframe.products.package.content import LayerContent, LayerDelta, PackageHead
from cityframe.products.package.folder import describe_files, new_folder
from cityframe.products.package.geopackage import finish_geopackage
from cityframe.products.package.layer_files import (
    ChangeTable,
    FullTable,
    write_change_layer,
    write_full_layer,
)
from cityframe.products.package.manifest import (
    LINEAGE_FILE,
    MANIFEST_FILE,
    NOTES_FILES,
    QUALITY_FILE,
    REDACTIONS_FILE,
    LayerState,
    PackagedLayer,
    PackagedRelease,
    PackageFormat,
    PackageKind,
    PackageManifest,
    Recall,
    canonical_json,
    chain_digest,
    check_contracts,
)
from cityframe.products.package.notes import release_notes
from cityframe.products.package.records import (
    LineageEvent,
    Redaction,
    lineage_events,
    records_text,
    redactions_of,
)
from cityframe.products.package.rows import check_rows
from cityframe.products.package.signing import Signer, write_signature

ALL_FORMATS = (PackageFormat.GEOPARQUET, PackageFormat.GPKG)
NO_REMARKS = Title(zh="", en="")
QualityRecord = bytes | Mapping[str, Any]
"""Report, rule-set digest, decisions and waivers: a JSON object; bytes are written as they are."""
Records = Sequence[Mapping[str, Any]]


def build_full(
    folder: Path,
    release: Release,
    layers: Sequence[LayerContent],
    *,
    chain: Mapping[str, Any],
    title: Title,
    quality: QualityRecord,
    remarks: Title = NO_REMARKS,
    formats: Sequence[PackageFormat | str] = ALL_FORMATS,
    lineage: Records = (),
    redactions: Records = (),
    recalls: Records = (),
    key: Signer | None = None,
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
    chain : mapping
        What the release's chain digest is made of, JSON-ready: with ``parent`` (chain digest) and
        ``layers`` (each with ``layer``, ``count``, ``digest``).
    title : Title
        Name of the framework (of the city).
    quality : bytes or mapping
        The quality record, a JSON object.
    remarks : Title
        Text for the release notes, Markdown.
    formats : sequence of PackageFormat
        At least one.
    lineage : sequence of mapping
        All events up to the release: ``release, layer, event, parent, child, share``.
    redactions : sequence of mapping
        All redactions so far: ``layer, uid, attributes, decision, digest``.
    recalls : sequence of mapping
        Releases withdrawn so far: ``release, digest``.
    key : Signer, optional
        Signs the package.

    Raises
    ------
    DeclarationError
        If the layers are not those of the release, or a column or the CRS is not the contract's.
    IntegrityError
        If the rows do not give the release's counts and digests, the chain not its digest, or
        another package stands there.
    """
    versions = _versions(release, [one.layer for one in layers])
    tables = [
        FullTable(
            layer=content.layer,
            frames=content.batches() if callable(content.batches) else content.batches,
            after=_state(versions[content.layer.name]),
            changes=_kinds(versions[content.layer.name]),
        )
        for content in layers
    ]
    head = PackageHead(
        kind=PackageKind.FULL,
        inverse=False,
        release=_packaged(release, chain),
        parent=None,
        title=title,
        remarks=remarks,
        formats=_formats(formats),
        recalls=_recalls(recalls),
        lineage=lineage_events(lineage),
        redactions=redactions_of(redactions),
        quality=_quality_bytes(quality),
    )
    return write_package(folder, head, tables, key)


def build_change(
    folder: Path,
    release: Release,
    parent: Release,
    deltas: Sequence[LayerDelta],
    *,
    chain: Mapping[str, Any],
    title: Title,
    quality: QualityRecord,
    remarks: Title = NO_REMARKS,
    formats: Sequence[PackageFormat | str] = ALL_FORMATS,
    lineage: Records = (),
    redactions: Records = (),
    recalls: Records = (),
    key: Signer | None = None,
) -> PackageManifest:
    """Build a change package: what leads from the parent to a release.

    Parameters
    ----------
    release, parent : Release
        Neighbours, each with all its layers.
    deltas : sequence of LayerDelta
        One for each layer of the release; both frames are empty for a layer without changes.
    formats : sequence of PackageFormat
        GeoParquet is always among them: it is the form that counts.
    lineage : sequence of mapping
        The events of this release.

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
    wanted = _formats([*formats, PackageFormat.GEOPARQUET])
    head = PackageHead(
        kind=PackageKind.CHANGE,
        inverse=False,
        release=_packaged(release, chain),
        parent=_packaged(parent, None),
        title=title,
        remarks=remarks,
        formats=wanted,
        recalls=_recalls(recalls),
        lineage=lineage_events(lineage),
        redactions=redactions_of(redactions),
        quality=_quality_bytes(quality),
    )
    with_sides = PackageFormat.GPKG in wanted
    return write_package(folder, head, _change_tables(release, parent, deltas, with_sides), key)


def _change_tables(
    release: Release, parent: Release, deltas: Sequence[LayerDelta], with_sides: bool
) -> list[ChangeTable]:
    versions = _versions(release, [one.layer for one in deltas])
    before = {version.layer: _state(version) for version in parent.layers}
    if gone := before.keys() - versions.keys():
        raise DeclarationError(
            where=f"release {release.number}",
            found=f"no layer {', '.join(sorted(gone))}, which release {parent.number} has",
            expected="a layer that is empty rather than gone",
        )
    for delta in deltas:
        _check_schema_change(delta)
    return [
        ChangeTable(
            layer=delta.layer,
            layer_before=delta.layer_before if delta.layer_before != delta.layer else None,
            rows=change_table(delta),
            sides=delta if with_sides else None,
            before=before.get(delta.layer.name),
            after=_state(versions[delta.layer.name]),
            changes=_kinds(versions[delta.layer.name]),
        )
        for delta in deltas
    ]


def _check_schema_change(delta: LayerDelta) -> None:
    try:
        check_contracts(delta.layer_before or delta.layer, delta.layer)
    except ValueError as error:
        raise DeclarationError(
            where=f"layer {delta.layer.name}",
            found="a contract that can't follow the one before",
            expected=str(error),
            remedy="give the layer a new name",
        ) from error


def write_package(
    folder: Path,
    head: PackageHead,
    tables: Iterable[FullTable | ChangeTable],
    key: Signer | None,
) -> PackageManifest:
    """Write a package from its head and tables, whole or not at all, and check what was written.

    Raises
    ------
    IntegrityError
        If what was written is not what was released, or another package stands there.
    """
    with new_folder(folder) as temporary:
        layers = [
            write_change_layer(temporary, head, table)
            if isinstance(table, ChangeTable)
            else write_full_layer(temporary, head, table)
            for table in sorted(tables, key=lambda table: table.layer.name)
        ]
        for path in temporary.glob("*.gpkg"):
            finish_geopackage(path, head.release.created_at)
        _write_records(temporary, head)
        for language, text in release_notes(head, layers).items():
            _write_text(temporary / NOTES_FILES[language], text)
        manifest = _manifest(temporary, head, layers)
        _write_text(temporary / MANIFEST_FILE, manifest.text())
        if key is not None:
            write_signature(temporary, manifest, key)
        check_content(temporary, manifest)
    return manifest


def _manifest(folder: Path, head: PackageHead, layers: Sequence[PackagedLayer]) -> PackageManifest:
    try:
        manifest = PackageManifest(
            tool_version=__version__,
            kind=head.kind,
            inverse=head.inverse,
            title=head.title,
            remarks=head.remarks,
            parent=head.parent,
            release=head.release,
            recalls=head.recalls,
            formats=head.formats,
            layers=tuple(layers),
            files=describe_files(folder),
        )
    except ValidationError as error:
        raise IntegrityError(
            where=f"release {head.release.number}",
            found="a release that is not sound",
            expected=error.errors()[0]["msg"].removeprefix("Value error, "),
            remedy="check the store",
        ) from error
    return manifest.sealed()


def check_content(folder: Path, manifest: PackageManifest) -> None:
    """Check the rows of a package against its manifest.

    Raises
    ------
    IntegrityError
        If a row, a count or a digest is not what the manifest says.
    """
    if manifest.kind is PackageKind.FULL:
        check_rows(folder, manifest)
    else:
        check_changes(folder, manifest)


def _write_records(folder: Path, head: PackageHead) -> None:
    (folder / QUALITY_FILE).write_bytes(head.quality)
    records: list[tuple[str, Iterable[LineageEvent | Redaction]]] = [
        (LINEAGE_FILE, head.lineage),
        (REDACTIONS_FILE, head.redactions),
    ]
    for name, rows in records:
        _write_text(folder / name, records_text(rows))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


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


def _packaged(release: Release, chain: Mapping[str, Any] | None) -> PackagedRelease:
    if chain is not None and (found := chain_digest(chain)) != release.digest:
        raise IntegrityError(
            where=f"release {release.number}",
            found=f"a chain that gives the digest {found}",
            expected=release.digest,
            remedy="check the store",
        )
    return PackagedRelease(
        number=release.number,
        kind=release.kind,
        created_at=release.created_at,
        valid_at=release.valid_at,
        cycle=release.cycle,
        digest=release.digest,
        seal=None if chain is None else dict(chain),
    )


def _formats(formats: Sequence[PackageFormat | str]) -> tuple[PackageFormat, ...]:
    return tuple(sorted({PackageFormat(one) for one in formats}))


def _recalls(recalls: Records) -> tuple[Recall, ...]:
    try:
        found = [Recall.model_validate(dict(one)) for one in recalls]
    except ValidationError as error:
        raise DeclarationError(
            where="recalls", found=str(error.errors()[0]["msg"]), expected="release and digest"
        ) from error
    return tuple(sorted(found, key=lambda one: (one.release, one.digest)))


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
