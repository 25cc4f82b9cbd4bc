"""Verify a package: its manifest, its files, its rows, and where it leads from its base."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd

from cityframe.core.frames import empty_frame
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package.folder import check_files
from cityframe.products.package.manifest import (
    MANIFEST_FILE,
    QUALITY_FILE,
    PackagedLayer,
    PackageKind,
    PackageManifest,
    read_manifest,
)
from cityframe.products.package.merge import merged
from cityframe.products.package.rows import check_equal, check_rows, layer_frames
from cityframe.products.package.tally import RowCounter


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
    """

    manifest: PackageManifest
    base: PackageManifest | None
    rows: int


def verify(folder: Path, *, base: Path | None = None, digest: str | None = None) -> VerifyResult:
    """Verify a package, and a change package against its base.

    Parameters
    ----------
    folder : Path
        The package.
    base : Path, optional
        For a change package: the full package of the release that it starts from.
    digest : str, optional
        The manifest's digest as the publisher made it known. Without it a package that was
        forged whole, manifest included, can't be told from a true one.

    Returns
    -------
    VerifyResult
        The manifests that hold.

    Raises
    ------
    IntegrityError
        At the first thing that is not what the manifest says: file, row, digest, base, result.
    DeclarationError
        If a base is given for a full package.
    """
    manifest = open_package(folder, digest=digest)
    check_rows(folder, manifest)
    base_manifest = None
    if base is not None:
        base_manifest = open_package(base)
        check_base(manifest, base_manifest, base)
        for layer in manifest.layers:
            _prove_change(folder, manifest, base, base_manifest, layer)
    return VerifyResult(
        manifest=manifest,
        base=base_manifest,
        rows=sum(layer.rows for layer in manifest.layers) * len(manifest.formats),
    )


def open_package(folder: Path, *, digest: str | None = None) -> PackageManifest:
    """Read the manifest of a package and check its files, but not yet the rows in them.

    Raises
    ------
    IntegrityError
        If a file is missing, too many, damaged or not what the manifest says.
    """
    manifest = read_manifest(folder)
    if digest is not None and manifest.digest != digest:
        raise IntegrityError(
            where=str(folder / MANIFEST_FILE),
            found=f"digest {manifest.digest}",
            expected=digest,
            remedy="this is not the package that was announced: ask the publisher",
        )
    check_files(folder, manifest)
    quality = folder / QUALITY_FILE
    try:
        is_object = isinstance(json.loads(quality.read_bytes()), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise IntegrityError(where=str(quality), found="no JSON object", expected="a JSON object")
    return manifest


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
        changed = next(one.contract for one in change.layers if one.contract.name == name)
        compared.append((f"contract of {name}", contract, changed))
    check_equal(str(where), compared)


def base_frames(folder: Path, manifest: PackageManifest, name: str) -> Iterator[gpd.GeoDataFrame]:
    """Read a layer of a full package in batches; nothing if it has no such layer."""
    layer = manifest.layer(name)
    if layer is not None:
        yield from layer_frames(folder, manifest, layer, manifest.formats[0])


def change_frame(folder: Path, manifest: PackageManifest, layer: PackagedLayer) -> gpd.GeoDataFrame:
    """Read a layer's whole table of a change package."""
    frames = list(layer_frames(folder, manifest, layer, manifest.formats[0]))
    if not frames:
        empty = empty_frame(layer.contract, ("change", "uid", "valid_from"))
        return empty.assign(side=pd.Series(dtype="str"))
    whole = pd.concat(frames, ignore_index=True)
    return gpd.GeoDataFrame(whole, geometry="geometry", crs=layer.contract.crs)


def _prove_change(
    folder: Path,
    manifest: PackageManifest,
    base: Path,
    base_manifest: PackageManifest,
    layer: PackagedLayer,
) -> None:
    """Apply a layer's change to the base; compare the result and the base with the manifests."""
    name = layer.contract.name
    where = f"{base} layer {name}"
    before = RowCounter(layer.contract, PackageKind.FULL, where)
    after = RowCounter(layer.contract, PackageKind.FULL, f"{where}, changed")
    frames = base_frames(base, base_manifest, name)
    for step in merged(frames, change_frame(folder, manifest, layer), layer.contract, where):
        before.add(step.before, step.before["digest"].to_numpy())
        after.add(step.after, step.after["digest"].to_numpy())
    tally = before.total()
    compared: list[tuple[str, object, object]] = [("state after", after.total().state, layer.after)]
    if (base_layer := base_manifest.layer(name)) is not None:
        compared.append(("state", tally.state, base_layer.after))
        compared.append(("rows digest", tally.rows_digest, base_layer.rows_digest))
    check_equal(where, compared)
