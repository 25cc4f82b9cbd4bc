"""Persistent identifiers of features: opaque, never reused, the same when a step is run again."""

import base64
import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence

UID_LENGTH = 20

_HASH_BYTES = 15
_CROCKFORD = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)


def feature_uid(node: str, layer: str, feature: str, life: int = 0) -> str:
    """Return the identifier of a feature.

    It depends on no cycle and no delivery: what was returned keeps its uid when it comes again.

    Parameters
    ----------
    node, layer : str
        Name of the city among those that exchange with it, and of the layer.
    feature : str
        What names the feature: its key, its source's id, or the digest of its content.
    life : int
        How many features of that name came before it.

    Returns
    -------
    str
        20 characters of Crockford's base 32 (no I, L, O, U): the first 100 bits of a BLAKE2b hash.
        All have one length, so none is the beginning of another. Among 10^9 features the chance
        that two share one is below 10^-12.
    """
    return _uids(node, layer, [(feature, life)])[0]


def mint(
    node: str,
    layer: str,
    features: Sequence[str],
    is_known: Callable[[Sequence[str]], Collection[str]],
) -> list[str]:
    """Return an identifier for each new feature that no feature ever had.

    Parameters
    ----------
    features : sequence of str
        What names each feature; a name may stand twice.
    is_known : callable
        Gives those of some uids that the framework ever knew.

    Returns
    -------
    list of str
        In the order of the features; those of one name get its first lives that are free.
    """
    uids, taken, tried = [""] * len(features), set[str](), dict.fromkeys(features, 0)
    waiting: Sequence[int] = range(len(features))
    while waiting:
        named = []
        for place in waiting:
            life = tried[features[place]]
            named.append((features[place], life))
            tried[features[place]] = life + 1
        minted = _uids(node, layer, named)
        known, again = frozenset(is_known(minted)), []
        for place, uid in zip(waiting, minted, strict=True):
            if uid in known or uid in taken:
                again.append(place)
            else:
                taken.add(uid)
                uids[place] = uid
        waiting = again
    return uids


def _uids(node: str, layer: str, named: Iterable[tuple[str, int]]) -> list[str]:
    """Return the identifiers of names and lives."""
    begin = _with_length(node) + _with_length(layer)
    hashed = [
        hashlib.blake2b(
            begin + _with_length(feature) + _with_length(str(life)),
            digest_size=_HASH_BYTES,
            person=b"cityframe.uid.2",
        ).digest()
        for feature, life in named
    ]
    # all at once: whole groups of five bytes, so that none runs into the next
    text = base64.b32encode(b"".join(hashed)).translate(_CROCKFORD).decode()
    width = _HASH_BYTES * 8 // 5
    return [text[start : start + UID_LENGTH] for start in range(0, len(text), width)]


def _with_length(part: str) -> bytes:
    # the length first, so that no two lists of parts run together to the same bytes
    encoded = part.encode()
    return len(encoded).to_bytes(4, "little") + encoded
