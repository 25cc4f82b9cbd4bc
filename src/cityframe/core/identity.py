"""Persistent identifiers of features: opaque, never reused, the same when a step is run again."""

import base64
import hashlib
from collections.abc import Callable, Collection, Sequence

UID_LENGTH = 20

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
    hashed = hashlib.blake2b(digest_size=15, person=b"cityframe.uid.2")
    for part in (node, layer, feature, str(life)):
        encoded = part.encode()
        # the length first, so that no two lists of parts run together to the same bytes
        hashed.update(len(encoded).to_bytes(4, "little") + encoded)
    text = base64.b32encode(hashed.digest()).translate(_CROCKFORD)
    return text[:UID_LENGTH].decode()


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
        Each the first life that is free, in the order of the features.
    """
    uids = [feature_uid(node, layer, feature) for feature in features]
    lives = [0] * len(uids)
    taken = set(is_known(uids)) if uids else set()
    while again := _met_before(uids, taken):
        for place in again:
            lives[place] += 1
            uids[place] = feature_uid(node, layer, features[place], lives[place])
        taken |= set(is_known([uids[place] for place in again]))
    return uids


def _met_before(uids: Sequence[str], taken: Collection[str]) -> list[int]:
    """Return the places of uids that are taken, or that stand further in front."""
    seen: set[str] = set()
    again = []
    for place, uid in enumerate(uids):
        if uid in taken or uid in seen:
            again.append(place)
        seen.add(uid)
    return again
