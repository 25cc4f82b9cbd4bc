"""Update packages: what a subscriber applies and verifies.

A *full* package holds all layers of a release, a *change* package what leads from the release
before to it; ``full(N) = apply(change(N), full(N-1))``, byte for byte. The form on disk is
specified in ``docs/formats/package.md``.
"""

from cityframe.products.package.apply import apply_change
from cityframe.products.package.archive import opened, pack
from cityframe.products.package.build import build_change, build_full
from cityframe.products.package.changes import read_changes, unproved_uids
from cityframe.products.package.content import LayerContent, LayerDelta
from cityframe.products.package.invert import invert
from cityframe.products.package.manifest import (
    PackagedLayer,
    PackageFormat,
    PackageKind,
    PackageManifest,
    chain_digest,
    read_manifest,
)
from cityframe.products.package.overlay import overlay, swapped
from cityframe.products.package.records import (
    LineageEvent,
    Redaction,
    read_lineage,
    read_redactions,
)
from cityframe.products.package.signing import check_signature, package_statement, sign_package
from cityframe.products.package.verify import VerifyResult, open_package, verify

__all__ = [
    "LayerContent",
    "LayerDelta",
    "LineageEvent",
    "PackageFormat",
    "PackageKind",
    "PackageManifest",
    "PackagedLayer",
    "Redaction",
    "VerifyResult",
    "apply_change",
    "build_change",
    "build_full",
    "chain_digest",
    "check_signature",
    "invert",
    "open_package",
    "opened",
    "overlay",
    "pack",
    "package_statement",
    "read_changes",
    "read_lineage",
    "read_manifest",
    "read_redactions",
    "sign_package",
    "swapped",
    "unproved_uids",
    "verify",
]
