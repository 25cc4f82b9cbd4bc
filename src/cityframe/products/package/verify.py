"""Verify a package: its manifest, its files, its rows, and where it leads from its base."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package.archive import opened
from cityframe.products.package.build import check_content
from cityframe.products.package.changes import read_changes, unproved_uids
from cityframe.products.package.folder import check_files
from cityframe.products.package.manifest import (
    LINEAGE_FILE,
    MANIFEST_FILE,
    REDACTIONS_FILE,
    LayerState,
    PackagedLayer,
    PackageKind,
    PackageManifest,
    read_manifest,
)
from cityframe.products.package.merge import merged
from cityframe.products.package.records import (
    read_lineage,
    read_quality,
    read_redactions,
)
from cityframe.products.package.rows import check_equal, digested_frames
from cityframe.products.package.signing import check_signature
from cityframe.products.package.tally import RowCounter
from cityframe.products.signature.standing import TrustedKey
from cityframe.products.signature.trust import TrustStore


@dataclass(frozen=True)
class VerifyResult:
    """A package that holds what it claims.

    Attributes
    ----------
    base : PackageManifest or None
        The full package that the change was proved against: applied it gives the release, and
        its inverse gives the base back.
    rows : int
        Rows that were digested again, over all layers, in each format.
    signer : TrustedKey or None
        The trusted key that signed the package; None if no keys were given.
    """

    manifest: PackageManifest
    base: PackageManifest | None
    rows: int
    signer: TrustedKey | None


def verify(
    package: Path,
    *,
    base: Path | None = None,
    digest: str | None = None,
    trust: TrustStore | None = None,
    at: dt.datetime | None = None,
) -> VerifyResult:
    """Verify a package, and a change package against its base.

    Parameters
    ----------
    package : Path
        The package: a folder or a zip.
    base : Path, optional
        For a change package: the full package of the release that it starts from.
    digest : str, optional
        The manifest's digest as the publisher made it known.
    trust : TrustStore, optional
        The keys that the subscriber trusts: the package must be signed by one in force. With
        neither, a package that was forged whole can't be told from a true one.
    at : datetime, optional
        The present, with offset, for a package that is taken in: an expired key is refused.
        Without it no key is too old, so a package from an archive can still be verified.

    Returns
    -------
    VerifyResult
        The manifests that hold.

    Raises
    ------
    IntegrityError
        At the first thing that is not what the manifest says: signature, file, row, digest, base,
        result.
    DeclarationError
        If a base is given for a full package, or there is no such package.
    """
    with opened(package) as folder:
        manifest = read_manifest(folder)
        _check_announced(folder, manifest, digest)
        # the signature comes first: what nobody signed is not read any further
        signer = None if trust is None else check_signature(folder, manifest, trust, at=at)
        check_parts(folder, manifest)
        check_content(folder, manifest)
        base_manifest = None
        if base is not None:
            with opened(base) as base_folder:
                base_manifest = _prove(folder, manifest, base_folder)
    return VerifyResult(
        manifest=manifest,
        base=base_manifest,
        rows=sum(layer.rows for layer in manifest.layers)
        * (len(manifest.formats) if manifest.kind is PackageKind.FULL else 1),
        signer=signer,
    )


def open_package(folder: Path) -> PackageManifest:
    """Read the manifest of a package and check its parts, but neither signature nor rows.

    Raises
    ------
    IntegrityError
        If a file is missing, too many, damaged or not what the manifest says.
    """
    manifest = read_manifest(folder)
    check_parts(folder, manifest)
    return manifest


def check_parts(folder: Path, manifest: PackageManifest) -> None:
    """Check a package's files, and that its records are about its layers and release.

    Raises
    ------
    IntegrityError
        If a file is missing, too many, damaged or not what the manifest says.
    """
    check_files(folder, manifest)
    read_quality(folder)
    layers = {layer.contract.name for layer in manifest.layers}
    # an inverse takes back the events of the release that it starts from
    last = max(one.number for one in (manifest.release, manifest.parent) if one)
    is_change = manifest.kind is PackageKind.CHANGE
    for event in read_lineage(folder):
        is_due = event.release == last if is_change else event.release <= last
        if event.layer not in layers or not is_due:
            raise IntegrityError(
                where=f"{folder / LINEAGE_FILE} uid {event.parent}",
                found=f"an event of layer {event.layer} in release {event.release}",
                expected="events of the package's layers and release",
            )
    for redaction in read_redactions(folder):
        if redaction.layer not in layers:
            raise IntegrityError(
                where=f"{folder / REDACTIONS_FILE} uid {redaction.uid}",
                found=f"a redaction in layer {redaction.layer}",
                expected="redactions in the package's layers",
            )


def _check_announced(folder: Path, manifest: PackageManifest, digest: str | None) -> None:
    if digest is not None and manifest.digest != digest:
        raise IntegrityError(
            where=str(folder / MANIFEST_FILE),
            found=f"digest {manifest.digest}",
            expected=digest,
            remedy="this is not the package that was announced: ask the publisher",
        )


def check_base(change: PackageManifest, base: PackageManifest, where: Path) -> None:
    """Check that a change package starts from this full package.

    Raises
    ------
    IntegrityError
        If it starts from another release, or another state of a layer.
    DeclarationError
        If the packages are not a change and a full one.
    """
    if change.parent is None or base.kind is not PackageKind.FULL:
        raise DeclarationError(
            where=str(where),
            found=f"a {change.kind} package on a {base.kind} one",
            expected="a change package on a full one",
        )
    if base.release.number != change.parent.number:
        raise IntegrityError(
            where=str(where),
            found=f"release {base.release.number}",
            expected=f"release {change.parent.number}, from which the change starts",
            remedy="apply the packages in order, none left out and none twice",
        )
    compared: list[tuple[str, object, object]] = [
        ("release digest", base.release.digest, change.parent.digest)
    ]
    before = {layer.contract.name: layer.before for layer in change.layers if layer.before}
    after = {layer.contract.name: layer.after for layer in base.layers}
    compared.append(("layers", sorted(after), sorted(before)))
    for name, state in before.items():
        if name not in after:
            continue
        compared.append((f"layer {name}", after[name], state))
        contract = next(one.contract for one in base.layers if one.contract.name == name)
        changed = next(one for one in change.layers if one.contract.name == name)
        compared.append((f"contract of {name}", contract, changed.former_contract))
    check_equal(str(where), compared)


def _prove(folder: Path, manifest: PackageManifest, base: Path) -> PackageManifest:
    """Prove a change against its base, layer by layer."""
    base_manifest = open_package(base)
    check_base(manifest, base_manifest, base)
    for layer in manifest.layers:
        _prove_change(folder, manifest, base, base_manifest, layer)
    return base_manifest


def _prove_change(
    folder: Path,
    manifest: PackageManifest,
    base: Path,
    base_manifest: PackageManifest,
    layer: PackagedLayer,
) -> None:
    """Lay a layer's change over the base; compare the result and the base with the manifests."""
    name = layer.contract.name
    where = f"{base} layer {name}"
    before, after = RowCounter(where), RowCounter(f"{where}, changed")
    frames = digested_frames(base, base_manifest, name)
    changes = read_changes(folder, manifest, name)
    unproved = unproved_uids(read_redactions(folder), name)
    for step in merged(frames, changes, layer, where, unproved):
        before.add(step.before, step.before["digest"].to_numpy())
        after.add(step.after, step.after["digest"].to_numpy())
    nothing = LayerState(count=0, digest=RowCounter(where).total().state.digest)
    tally = before.total()
    compared: list[tuple[str, object, object]] = [
        ("state after", after.total().state, layer.after or nothing)
    ]
    if (base_layer := base_manifest.layer(name)) is not None:
        compared.append(("state", tally.state, base_layer.after))
        compared.append(("rows digest", tally.rows_digest, base_layer.rows_digest))
    check_equal(where, compared)
