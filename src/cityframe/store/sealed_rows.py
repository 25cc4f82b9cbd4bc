"""The rows that a release opened or closed, held against the hash that it keeps of them."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from cityframe.core.digest import ROW_DIGEST_BYTES

Seals = npt.NDArray[np.bytes_]
_SEAL = f"S{ROW_DIGEST_BYTES}"
# hashing this many bytes takes about a second
_MOST_BYTES = 1_000_000_000


def as_seals(values: Iterable[bytes]) -> Seals:
    """Return seals as an array; one that is too short or long is no seal and is cut or filled."""
    body = b"".join(one[:ROW_DIGEST_BYTES].ljust(ROW_DIGEST_BYTES, b"\0") for one in values)
    return np.frombuffer(body, dtype=_SEAL)


def set_digest(seals: Seals) -> str:
    """Return what `cityframe.store.seal.sealed_set` does, of an array."""
    return hashlib.blake2b(np.sort(seals).tobytes(), digest_size=32).hexdigest()


def odd_rows(stated: str, present: Sequence[bytes], absent: Sequence[bytes]) -> list[bytes] | None:
    """Return the one row (by its seal) that is too much or missing in a set, or one of each.

    Parameters
    ----------
    stated : str
        The digest of the set as it should be.
    present : sequence of bytes
        The set as it is, which has another digest.
    absent : sequence of bytes
        Rows that may belong to it.

    Returns
    -------
    list of bytes or None
        None if no single row explains the difference, or looking would take too long.
    """
    size = (len(present) + 1) * ROW_DIGEST_BYTES
    if (len(present) + len(absent)) * size > _MOST_BYTES:
        return None
    ordered = sorted(present)
    for place, one in enumerate(ordered):
        if _digest(ordered[:place] + ordered[place + 1 :]) == stated:
            return [one]
    for one in absent:
        if _digest(sorted([*ordered, one])) == stated:
            return [one]
    if len(absent) * len(present) * size > _MOST_BYTES:
        return None
    for place, gone in enumerate(ordered):
        rest = ordered[:place] + ordered[place + 1 :]
        for one in absent:
            if _digest(sorted([*rest, one])) == stated:
                return [gone, one]
    return None


def _digest(ordered: Sequence[bytes]) -> str:
    return hashlib.blake2b(b"".join(ordered), digest_size=32).hexdigest()
