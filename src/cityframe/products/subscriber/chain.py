"""Whether a package follows on what a database stands at."""

from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.products.package.manifest import PackageKind, PackageManifest
from cityframe.products.subscriber.state import Subscription


def check_kind(manifest: PackageManifest, kind: PackageKind, where: str) -> None:
    """Check that a package is of a kind, and the publisher's own.

    Raises
    ------
    DeclarationError
        If it is of the other kind, or an inverse.
    """
    if manifest.kind is not kind or manifest.inverse:
        raise DeclarationError(
            where=where,
            found=f"the inverse of a {manifest.kind} package"
            if manifest.inverse
            else f"a {manifest.kind} package",
            expected=f"a {kind} package as it was published",
            remedy="to go back, undo the package that was applied"
            if manifest.inverse
            else "subscribe with a full package, apply change packages",
        )


def check_follows(manifest: PackageManifest, state: Subscription, where: str) -> None:
    """Check that a change package leads on from what stands here.

    Raises
    ------
    DeclarationError
        If it was applied already, or packages between are missing.
    IntegrityError
        If it starts from another release of the same number.
    """
    parent, current = manifest.parent, state.current
    if parent is None:
        raise DeclarationError(where=where, found="a full package", expected="a change package")
    if any(one.release_digest == manifest.release.digest for one in state.packages):
        raise DeclarationError(
            where=where,
            found=f"release {manifest.release.number}, which has been applied already",
            expected=f"the change to release {current.release + 1}",
            remedy="nothing is to be done for this package",
        )
    if parent.number > current.release:
        missing = ", ".join(str(one) for one in range(current.release + 1, parent.number + 1))
        raise DeclarationError(
            where=where,
            found=f"a change from release {parent.number}, but this database is at release "
            f"{current.release}",
            expected=f"the change to release {current.release + 1}",
            remedy=f"apply first, in order, the changes to: {missing}",
        )
    if (parent.number, parent.digest) != (current.release, current.release_digest):
        raise IntegrityError(
            where=where,
            found=f"a change from release {parent.number}, {parent.digest}",
            expected=f"a change from release {current.release}, {current.release_digest}",
            remedy="this package is of another framework, or of a history that was withdrawn: "
            "ask the publisher",
        )


def check_undoes(manifest: PackageManifest, state: Subscription, where: str) -> None:
    """Check that a change package is the one that was applied last.

    Raises
    ------
    DeclarationError
        If it is another one.
    GateClosedError
        If it redacted values: what was cleared does not come back.
    """
    if manifest.digest != state.current.package_digest:
        raise DeclarationError(
            where=where,
            found=f"the package of release {manifest.release.number}, {manifest.digest}",
            expected=f"the package that was applied last: release {state.current.release}, "
            f"{state.current.package_digest}",
            remedy="undo the packages one by one, the last one first",
        )
    if state.current.redactions:
        raise GateClosedError(
            where=where,
            found="a package that redacted values",
            expected="one that can be undone",
            remedy="what was cleared by a decision does not come back; apply later packages",
        )
    if len(state.packages) == 1:
        raise DeclarationError(
            where=where, found="the first package", expected="a change package after it"
        )


def check_recalls(manifest: PackageManifest, state: Subscription, where: str) -> None:
    """Check that all recalls that the publisher names have been acknowledged.

    Raises
    ------
    GateClosedError
        If one has not.
    """
    known = {(one.release, one.release_digest) for one in state.recalls}
    open_ones = [one for one in manifest.recalls if (one.release, one.digest) not in known]
    if open_ones:
        numbers = ", ".join(str(one.release) for one in open_ones)
        raise GateClosedError(
            where=where,
            found=f"recall of release {numbers}, not acknowledged here",
            expected="each recall acknowledged",
            remedy="read the publisher's recall and acknowledge it, then apply again",
        )


def check_contracts(manifest: PackageManifest, state: Subscription, where: str) -> None:
    """Check that a change starts from the layers and contracts that stand here.

    Raises
    ------
    IntegrityError
        If it does not.
    """
    expected = {layer.name: layer for layer in state.layers}
    found = {
        layer.contract.name: layer.former_contract
        for layer in manifest.layers
        if layer.before is not None
    }
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise IntegrityError(
                where=f"{where} layer {name}",
                found="a change from another contract" if name in found else "no such layer",
                expected="the contract that was applied" if name in expected else "no such layer",
                remedy="get the package again from the publisher",
            )
