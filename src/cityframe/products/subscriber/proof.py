"""What a subscriber's own rows add up to: one scan of a layer's table."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.digest import LAYER_SUM_BYTES, layer_digest, layer_sum, row_digests_of
from cityframe.model.layer import Layer
from cityframe.products.package.manifest import LayerState
from cityframe.products.subscriber.database import Session
from cityframe.products.subscriber.mapping import LayerTable

_LAYER_MODULUS = 1 << (8 * LAYER_SUM_BYTES)
UID_MODULUS = 1 << 128


@dataclass(frozen=True)
class KeptDigest:
    """The digest that a redacted row has in the layer's digest, and that of its cleared values.

    Both in hexadecimal. Redaction leaves the layer's digest as it was, so the row counts with
    ``kept`` as long as its values give ``cleared``; an empty ``cleared`` takes them as they are.
    """

    kept: str
    cleared: str = ""


@dataclass(frozen=True)
class LayerProof:
    """What the rows of a layer add up to.

    Attributes
    ----------
    state : LayerState
        Count and layer digest.
    uid_sum : int
        Sum over each row's digest together with its uid: two rows that changed places show here,
        and not in the layer digest.
    digests : mapping of str to bytes
        Row digest of each watched uid that is there, as it counts.
    kept : mapping of str to KeptDigest
        The redacted rows that count with their kept digest, with what their values give.
    """

    state: LayerState
    uid_sum: int
    digests: dict[str, bytes]
    kept: dict[str, KeptDigest]


class RowDigests:
    """The digests of rows as they count, batch by batch.

    Parameters
    ----------
    batches : iterable of RecordBatch
        ``uid``, the attributes and ``geom`` (WKB), in any order of rows; read once.
    kept : mapping of str to KeptDigest, optional
        Redacted rows by uid.

    Attributes
    ----------
    still_kept : dict of str to KeptDigest
        Those of ``kept`` that were met and count with their kept digest, with what their values
        give.
    """

    def __init__(
        self,
        batches: Iterable[pa.RecordBatch],
        layer: Layer,
        kept: Mapping[str, KeptDigest] | None = None,
    ) -> None:
        self._batches = batches
        self._layer = layer
        self._kept = kept or {}
        self.still_kept: dict[str, KeptDigest] = {}

    def __iter__(self) -> Iterator[tuple[list[str], list[bytes]]]:
        """Give the uids and digests of each batch."""
        special = pa.array(list(self._kept), pa.string())
        for batch in self._batches:
            column = batch.column("uid")
            uids: list[str] = column.to_numpy(zero_copy_only=False).tolist()
            found = row_digests_of(batch, self._layer)
            digests: list[bytes] = found.to_numpy(zero_copy_only=False).tolist()
            for place in np.flatnonzero(pc.is_in(column, value_set=special)):
                digests[place] = self._as_it_counts(uids[place], digests[place])
            yield uids, digests

    def _as_it_counts(self, uid: str, digest: bytes) -> bytes:
        one = self._kept[uid]
        if one.cleared not in ("", digest.hex()):
            return digest
        self.still_kept[uid] = KeptDigest(kept=one.kept, cleared=digest.hex())
        return bytes.fromhex(one.kept)


def prove_rows(rows: RowDigests, *, watched: Iterable[str] = ()) -> LayerProof:
    """Add up rows.

    Parameters
    ----------
    watched : iterable of str
        Uids of which the row digest is wanted.
    """
    wanted = set(watched)
    count, total, uid_sum = 0, 0, 0
    found: dict[str, bytes] = {}
    for uids, digests in rows:
        if wanted:
            pairs = zip(uids, digests, strict=True)
            found.update((uid, digest) for uid, digest in pairs if uid in wanted)
        count += len(digests)
        total = (total + layer_sum(digests)) % _LAYER_MODULUS
        uid_sum = (uid_sum + uid_sum_of(uids, digests)) % UID_MODULUS
    state = LayerState(count=count, digest=layer_digest(total, count))
    return LayerProof(state=state, uid_sum=uid_sum, digests=found, kept=rows.still_kept)


def prove_layer(
    session: Session,
    table: LayerTable,
    *,
    watched: Iterable[str] = (),
    kept: Mapping[str, KeptDigest] | None = None,
) -> LayerProof:
    """Add up the rows of a layer's table, as the transaction sees them; see `prove_rows`."""
    return prove_rows(RowDigests(session.rows(table), table.layer, kept), watched=watched)


def uid_sum_of(uids: Sequence[str], digests: Sequence[bytes]) -> int:
    """Return the sum over rows' digests together with their uids, modulo `UID_MODULUS`.

    It is kept beside the data to find mistakes; it is not wide enough against a forger.
    """
    blake2b = hashlib.blake2b
    hashed = b"".join(
        blake2b(f"{uid}\0".encode() + digest, digest_size=16).digest()
        for uid, digest in zip(uids, digests, strict=True)
    )
    parts = np.frombuffer(hashed, dtype="<u4").reshape(len(uids), 4).sum(axis=0, dtype=np.uint64)
    return sum(int(value) << (32 * place) for place, value in enumerate(parts)) % UID_MODULUS
