"""The signature of a package: a signed statement over its manifest, in ``signature.json``."""

import datetime as dt
from pathlib import Path
from typing import Protocol

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package.folder import check_files
from cityframe.products.package.manifest import SIGNATURE_FILE, PackageManifest, read_manifest
from cityframe.products.signature.signed import SignedStatement
from cityframe.products.signature.standing import TrustedKey
from cityframe.products.signature.statement import PackageStatement, Statement
from cityframe.products.signature.trust import TrustStore


class Signer(Protocol):
    """A key that signs; `cityframe.products.signature` has it."""

    def sign(self, statement: Statement, /) -> SignedStatement:
        """Return the statement with the signature of the key."""


def package_statement(manifest: PackageManifest) -> PackageStatement:
    """Return what is signed: the manifest's digest and where the package leads from and to."""
    return PackageStatement(
        manifest_digest=manifest.digest,
        kind=manifest.kind.value,
        release=manifest.release.number,
        parent_digest=manifest.parent.digest if manifest.parent else None,
        release_digest=manifest.release.digest,
    )


def write_signature(folder: Path, manifest: PackageManifest, key: Signer) -> None:
    """Write ``signature.json`` beside the manifest."""
    key.sign(package_statement(manifest)).write(folder / SIGNATURE_FILE)


def sign_package(folder: Path, key: Signer) -> PackageManifest:
    """Sign a package that was built without a key.

    Raises
    ------
    IntegrityError
        If it is not whole.
    DeclarationError
        If it is signed.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    write_signature(folder, manifest, key)
    return manifest


def check_signature(
    folder: Path, manifest: PackageManifest, trust: TrustStore, *, at: dt.datetime | None = None
) -> TrustedKey:
    """Check that a key in force has signed this manifest, and return it.

    Parameters
    ----------
    at : datetime, optional
        The time, with offset, at which the key must not be expired; see `TrustStore.check`.

    Raises
    ------
    IntegrityError
        If there is no signature, it is about another package, or no key in force has signed.
    """
    path = folder / SIGNATURE_FILE
    try:
        signed = SignedStatement.read(path)
    except DeclarationError as error:
        raise IntegrityError(
            where=str(path),
            found="no signature",
            expected="the publisher's signature",
            remedy="get the signed package from the publisher",
        ) from error
    signer = trust.check(signed, release=manifest.release.number, expected=PackageStatement, at=at)
    found, expected = signed.body_as(PackageStatement), package_statement(manifest)
    if found != expected:
        raise IntegrityError(
            where=str(path),
            found=f"a signature over the manifest {found.manifest_digest}",
            expected=expected.manifest_digest,
            remedy="these are files of two packages: get this one again",
        )
    return signer
