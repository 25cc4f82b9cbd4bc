"""What a subscriber's own rows add up to: one scan of a layer's table."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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


def prove_rows(
    batches: Iterable[pa.RecordBatch],
    layer: Layer,
    *,
    watched: Iterable[str] = (),
    kept: Mapping[str, KeptDigest] | None = None,
) -> LayerProof:
    """Add up rows.

    Parameters
    ----------
    batches : iterable of RecordBatch
        ``uid``, the attributes and ``geom`` (WKB), in any order of rows; read once.
    watched : iterable of str
        Uids of which the row digest is wanted.
    kept : mapping of str to KeptDigest, optional
        Redacted rows by uid.
    """
    special = kept or {}
    wanted = pa.array([*watched, *special], pa.string())
    count, total, uid_sum = 0, 0, 0
    found: dict[str, bytes] = {}
    still_kept: dict[str, KeptDigest] = {}
    for batch in batches:
        uids: list[str] = batch.column("uid").to_numpy(zero_copy_only=False).tolist()
        digests: list[bytes] = row_digests_of(batch, layer).to_numpy(zero_copy_only=False).tolist()
        for place in np.flatnonzero(pc.is_in(batch.column("uid"), value_set=wanted)):
            uid, values = uids[place], digests[place].hex()
            one = special.get(uid)
            if one is not None and one.cleared in ("", values):
                still_kept[uid] = KeptDigest(kept=one.kept, cleared=values)
                digests[place] = bytes.fromhex(one.kept)
            found[uid] = digests[place]
        count += len(digests)
        total = (total + layer_sum(digests)) % _LAYER_MODULUS
        uid_sum = (uid_sum + uid_sum_of(uids, digests)) % UID_MODULUS
    state = LayerState(count=count, digest=layer_digest(total, count))
    return LayerProof(state=state, uid_sum=uid_sum, digests=found, kept=still_kept)


def prove_layer(
    session: Session,
    table: LayerTable,
    *,
    watched: Iterable[str] = (),
    kept: Mapping[str, KeptDigest] | None = None,
) -> LayerProof:
    """Add up the rows of a layer's table, as the transaction sees them; see `prove_rows`."""
    return prove_rows(session.rows(table), table.layer, watched=watched, kept=kept)


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
