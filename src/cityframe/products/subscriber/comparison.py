"""Compare a database with the full package of the release that it stands at."""

from dataclasses import dataclass
from pathlib import Path

from cityframe.errors import DeclarationError
from cityframe.products.package.manifest import PackageKind
from cityframe.products.signature import TrustStore
from cityframe.products.subscriber.chain import check_kind
from cityframe.products.subscriber.connect import open_session
from cityframe.products.subscriber.proof import RowDigests
from cityframe.products.subscriber.received import received
from cityframe.products.subscriber.state import read_state


@dataclass(frozen=True)
class LayerDifference:
    """What differs in one layer; uids, sorted.

    Attributes
    ----------
    missing : tuple of str
        Features of the package that the database lacks.
    added : tuple of str
        Features of the database that the package lacks.
    altered : tuple of str
        Features whose values or geometry differ.
    """

    missing: tuple[str, ...]
    added: tuple[str, ...]
    altered: tuple[str, ...]


def compare(database: str, full_package: Path, trust: TrustStore) -> dict[str, LayerDifference]:
    """Find the features that were changed by hand; layers without any are left out.

    A uid and a digest for each feature are in memory. Nothing is taken in, so the package's key may
    have expired since.

    Raises
    ------
    DeclarationError
        If the package is of another release than the database stands at.
    IntegrityError, SourceUnreachableError
        See `cityframe.products.subscriber.subscribe`.
    """
    differences = {}
    with received(full_package, trust) as package, open_session(database) as session:
        check_kind(package.manifest, PackageKind.FULL, package.where)
        state = read_state(session)
        if package.manifest.release.digest != state.current.release_digest:
            raise DeclarationError(
                where=package.where,
                found=f"release {package.manifest.release.number}",
                expected=f"release {state.current.release}, at which the database stands",
            )
        tables = state.tables()
        for layer in package.manifest.layers:
            name, contract = layer.contract.name, layer.contract
            # a row that was added by hand may have no uid: hence the key of the order
            expected = _by_uid(
                RowDigests(package.rows(layer), contract, package.kept_digests(name))
            )
            rows = session.rows(tables[name])
            found = _by_uid(RowDigests(rows, contract, state.redacted.get(name)))
            difference = LayerDifference(
                missing=tuple(sorted(expected.keys() - found.keys(), key=str)),
                added=tuple(sorted(found.keys() - expected.keys(), key=str)),
                altered=tuple(
                    sorted(
                        uid for uid in expected.keys() & found.keys() if expected[uid] != found[uid]
                    )
                ),
            )
            if difference != LayerDifference((), (), ()):
                differences[name] = difference
    return differences


def _by_uid(rows: RowDigests) -> dict[str, bytes]:
    return {
        uid: digest for uids, digests in rows for uid, digest in zip(uids, digests, strict=True)
    }
