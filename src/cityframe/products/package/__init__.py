"""Update packages: what a subscriber applies and verifies.

A *full* package holds all layers of a release, a *change* package what leads from the release
before to it; ``full(N) = apply(change(N), full(N-1))``, byte for byte. The form on disk is
specified in ``docs/formats/package.md``.
"""

from cityframe.products.package.apply import apply_change
from cityframe.products.package.build import build_change, build_full
from cityframe.products.package.content import LayerContent, LayerDelta
from cityframe.products.package.manifest import (
    PackageFormat,
    PackageKind,
    PackageManifest,
    read_manifest,
)
from cityframe.products.package.verify import VerifyResult, verify

__all__ = [
    "LayerContent",
    "LayerDelta",
    "PackageFormat",
    "PackageKind",
    "PackageManifest",
    "VerifyResult",
    "apply_change",
    "build_change",
    "build_full",
    "read_manifest",
    "verify",
]
