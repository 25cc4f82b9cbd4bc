"""A package as it came: opened, verified, and signed by a key that is trusted."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cityframe.core.arrow_rows import row_schema, to_arrow
from cityframe.products.package import opened, read_changes, verify
from cityframe.products.package.manifest import PackagedLayer, PackageManifest
from cityframe.products.package.records import Redaction, read_redactions
from cityframe.products.package.rows import layer_frames
from cityframe.products.signature import TrustStore
from cityframe.products.subscriber.proof import KeptDigest


@dataclass(frozen=True)
class Received:
    """A package that may be applied.

    Attributes
    ----------
    where : str
        The package, for messages.
    key_id : str
        The trusted key that signed it; empty if that was not asked for.
    """

    folder: Path
    where: str
    manifest: PackageManifest
    key_id: str
    redactions: tuple[Redaction, ...]

    def changes(self, layer: PackagedLayer) -> pa.Table:
        """Return the change table of a layer."""
        return read_changes(self.folder, self.manifest, layer.contract.name)

    def rows(self, layer: PackagedLayer) -> Iterator[pa.RecordBatch]:
        """Read a layer of a full package: ``uid``, ``valid_from``, attributes, ``geom``."""
        system = ("uid", "valid_from")
        # so that a layer without features has its columns, too
        yield pa.RecordBatch.from_pylist([], schema=row_schema(layer.contract, system))
        for frame in layer_frames(self.folder, self.manifest, layer, self.manifest.formats[0]):
            yield from to_arrow(frame, layer.contract, system).combine_chunks().to_batches()

    def kept_digests(self, layer: str) -> dict[str, KeptDigest]:
        """Return the redacted rows of a layer that give their digests no more."""
        return {
            one.uid: KeptDigest(kept=one.digest)
            for one in self.redactions
            if one.layer == layer and one.digest
        }


@contextmanager
def received(
    package: Path, trust: TrustStore | None, at: dt.datetime | None = None
) -> Iterator[Received]:
    """Open a package, a folder or a zip, and verify all of it.

    Parameters
    ----------
    trust : TrustStore or None
        The keys that are trusted; None for a package that is known by its digest.
    at : datetime, optional
        The present, with offset, for a package that is taken in: its key must not be expired.

    Raises
    ------
    IntegrityError
        If it is not what it claims, or not signed by a key that is trusted for its release.
    """
    with opened(package) as folder:
        verified = verify(folder, trust=trust, at=at)
        yield Received(
            folder=folder,
            where=str(package),
            manifest=verified.manifest,
            key_id=verified.signer.id if verified.signer else "",
            redactions=read_redactions(folder),
        )
