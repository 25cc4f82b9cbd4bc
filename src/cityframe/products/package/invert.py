"""The inverse of a change package: what leads back."""

from pathlib import Path

from cityframe.errors import DeclarationError
from cityframe.model.change import ChangeKind
from cityframe.products.package.archive import opened
from cityframe.products.package.build import write_package
from cityframe.products.package.changes import check_changes, read_changes
from cityframe.products.package.content import PackageHead
from cityframe.products.package.layer_files import ChangeTable
from cityframe.products.package.manifest import (
    PackagedLayer,
    PackageFormat,
    PackageKind,
    PackageManifest,
)
from cityframe.products.package.overlay import swapped
from cityframe.products.package.records import read_lineage, read_quality, read_redactions
from cityframe.products.package.signing import Signer
from cityframe.products.package.verify import open_package

_OTHER = {ChangeKind.NEW: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.NEW}


def invert(change: Path, into: Path, *, key: Signer | None = None) -> PackageManifest:
    """Make the change package that undoes another one; it holds GeoParquet only.

    Its lineage are the events that it takes back; quality record and redactions are those of the
    change.

    Parameters
    ----------
    change : Path
        The change package: a folder or a zip.
    into : Path
        The inverse, a folder; it must not exist, or be the same.
    key : Signer, optional
        Signs the inverse; without one it is not signed.

    Raises
    ------
    IntegrityError
        If the package is not what it claims, or a redaction withholds values before.
    DeclarationError
        If it is a full package.
    """
    with opened(change) as folder:
        manifest = open_package(folder)
        if manifest.parent is None:
            raise DeclarationError(
                where=str(change), found="a full package", expected="a change package"
            )
        check_changes(folder, manifest)
        head = PackageHead(
            kind=PackageKind.CHANGE,
            inverse=not manifest.inverse,
            release=manifest.parent,
            parent=manifest.release,
            title=manifest.title,
            remarks=manifest.remarks,
            formats=(PackageFormat.GEOPARQUET,),
            recalls=manifest.recalls,
            lineage=read_lineage(folder),
            redactions=read_redactions(folder),
            quality=read_quality(folder),
        )
        tables = [_inverse(folder, manifest, layer) for layer in manifest.layers]
        return write_package(into, head, tables, key)


def _inverse(folder: Path, manifest: PackageManifest, layer: PackagedLayer) -> ChangeTable:
    changes = {_OTHER.get(kind, kind): count for kind, count in layer.changes.items()}
    return ChangeTable(
        layer=layer.former_contract,
        layer_before=layer.contract if layer.contract_before is not None else None,
        rows=swapped(read_changes(folder, manifest, layer.contract.name)),
        sides=None,
        before=layer.after,
        after=layer.before,
        changes=dict(sorted(changes.items())),
    )
