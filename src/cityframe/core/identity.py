"""Persistent identifiers of features: opaque, never reused, the same when a step is run again."""

import base64
import hashlib

UID_LENGTH = 20

_CROCKFORD = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)


def new_uid(layer: str, cycle: str, delivery: str, feature: str) -> str:
    """Return the identifier of a feature that is new in a cycle.

    Parameters
    ----------
    layer, cycle, delivery : str
        Names of the layer and the cycle, id of the delivery that brings the feature.
    feature : str
        What names the feature inside the delivery: its key, or its table and record number.

    Returns
    -------
    str
        20 characters of Crockford's base 32 (no I, L, O, U): the first 100 bits of a BLAKE2b hash.
        All have one length, so none is the beginning of another. Among 10^9 features the chance
        that two share one is below 10^-12.
    """
    hashed = hashlib.blake2b(digest_size=15, person=b"cityframe.uid")
    for part in (layer, cycle, delivery, feature):
        encoded = part.encode()
        # the length first, so that no two lists of parts run together to the same bytes
        hashed.update(len(encoded).to_bytes(4, "little") + encoded)
    text = base64.b32encode(hashed.digest()).translate(_CROCKFORD)
    return text[:UID_LENGTH].decode()
