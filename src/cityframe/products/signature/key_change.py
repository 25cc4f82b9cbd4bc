"""How the keys of a trust store change: by hand, by a rotation, by a revocation. No I/O.

===========  ==========================  =====================================================
status       a rotation from release N   a revocation from release R
===========  ==========================  =====================================================
trusted      replaced; a new key is      revoked; a key that came by a rotation of this one
             trusted from N on           from a release >= R falls whole, and so do its own
replaced     refused                     revoked; the same
revoked      refused                     the earlier release of the two counts
===========  ==========================  =====================================================

No statement leads back to an earlier status. A key that revokes one that it came from stays, and
so do the keys between: a publisher with one line of keys can revoke a lost one with its successor.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

from cityframe.errors import IntegrityError
from cityframe.products.signature.public_key import PublicKey, moment_text
from cityframe.products.signature.signed import SignedStatement
from cityframe.products.signature.standing import KeyStatus, Role, TrustedKey
from cityframe.products.signature.statement import RevocationStatement, RotationStatement

Keys = Mapping[str, TrustedKey]
"""All keys that a store knows, by id."""


def trust_by_hand(
    keys: Keys, public: PublicKey, *, role: Role, from_release: int, at: dt.datetime
) -> Keys:
    """Take in a key that a person vouches for.

    Raises
    ------
    IntegrityError
        If the id is known, whatever its status; or known with another key.
    """
    known = keys.get(public.id)
    if known is not None:
        _refuse_other_key(known, public)
        raise IntegrityError(
            where=f"key {public.id}",
            found=f"it is in the trust store, {known.status.value}",
            expected="a key that is not known",
            remedy="one that is trusted keeps its name, role and first release; one that was"
            " replaced or revoked does not come back",
        )
    trusted = TrustedKey(key=public, role=role, since=moment_text(at), from_release=from_release)
    return {**keys, public.id: trusted}


def apply_statement(keys: Keys, signed: SignedStatement, at: dt.datetime) -> Keys:
    """Take in a rotation or revocation.

    Parameters
    ----------
    at : datetime
        When it is taken in, with offset; a signer that is expired then is refused.

    Raises
    ------
    IntegrityError
        If it is of another type, not signed as it must be, or its signer may not say so.
    """
    body = signed.body()
    if isinstance(body, RotationStatement):
        return _rotated(keys, signed, body, at)
    if isinstance(body, RevocationStatement):
        return _revoked(keys, signed, body, at)
    raise IntegrityError(
        where="statement about keys",
        found=f"type {body.type}",
        expected="key-rotation or key-revocation",
    )


def require_signature(signed: SignedStatement, public: PublicKey) -> None:
    """Prove that a key signed a statement.

    Raises
    ------
    IntegrityError
        If it has no signature by the key, or one that the key did not make.
    """
    where = f"{signed.claimed_type} statement"
    for one in signed.signatures:
        if one.key == public.id:
            if public.has_signed(signed.message(), one.raw):
                return
            raise IntegrityError(
                where=where,
                found=f"a signature that key {public.id} ({public.name}) did not make over it",
                expected="the statement as it was signed",
                remedy="it was altered or forged: get it again from who signed it",
            )
    raise IntegrityError(
        where=where,
        found=f"signed by {', '.join(signed.signers)}",
        expected=f"a signature by key {public.id} ({public.name})",
    )


def unknown_signer(signed: SignedStatement, key: str) -> IntegrityError:
    """Return the error for a signer that the trust store does not know."""
    return IntegrityError(
        where=f"{signed.claimed_type} statement",
        found=f"signed by key {key}, which is not in the trust store",
        expected="a key that is trusted here",
        remedy="apply the rotation that introduced it; or compare its id with the publisher's by"
        " another way, then cityframe key trust",
    )


def signer_refused(signed: SignedStatement, key: TrustedKey, why: str) -> IntegrityError:
    """Return the error for a signer that may not sign this."""
    return IntegrityError(
        where=f"{signed.claimed_type} statement",
        found=f"signed by key {key.id} ({key.name}), which {why}",
        expected="a key that may sign it",
        remedy="ask the publisher for a statement signed with a key in force",
    )


def _rotated(keys: Keys, signed: SignedStatement, body: RotationStatement, at: dt.datetime) -> Keys:
    old = _signer_in_force(keys, signed, body.old, at)
    require_signature(signed, old.key)
    require_signature(signed, body.new)
    _require_signers(signed, body.old, body.new.id)
    if body.from_release < old.from_release:
        raise signer_refused(signed, old, f"stands for releases from {old.from_release} on")
    new = keys.get(body.new.id)
    if new is None:
        new = TrustedKey(
            key=body.new,
            role=old.role,
            since=moment_text(at),
            from_release=body.from_release,
            introduced_by=old.id,
        )
    else:
        _refuse_other_key(new, body.new)
        if new.status is not KeyStatus.TRUSTED or new.role is not old.role:
            raise IntegrityError(
                where=f"{signed.claimed_type} statement",
                found=f"the new key {new.id} is known, {new.status.value}, of a {new.role.value}",
                expected=f"a new key, or a trusted one of a {old.role.value}",
                remedy="a key that was replaced or revoked does not come back: make a new one",
            )
    return {**keys, old.id: replace(old, to_release=body.from_release), new.id: new}


def _revoked(
    keys: Keys, signed: SignedStatement, body: RevocationStatement, at: dt.datetime
) -> Keys:
    signer = _signer_in_force(keys, signed, signed.signers[0], at)
    require_signature(signed, signer.key)
    _require_signers(signed, signer.id)
    if body.key not in keys:
        raise IntegrityError(
            where=f"{signed.claimed_type} statement",
            found=f"it revokes key {body.key}, which is not in the trust store",
            expected="a key that is known here",
            remedy="apply statements in the order they were made; a key that never was trusted"
            " needs no revocation",
        )
    if signer.role is not Role.PUBLISHER and signer.id != body.key:
        raise signer_refused(signed, signer, "belongs to a subscriber, who may revoke itself only")
    return _without(keys, body.key, body.from_release, body.reason, spared=_line(keys, signer))


def _without(
    keys: Keys, key: str, from_release: int, reason: str, *, spared: frozenset[str]
) -> Keys:
    known = keys[key]
    first = min(from_release, known.revoked_from or from_release)
    left: Keys = {**keys, key: replace(known, revoked_from=first, reason=reason)}
    for child in keys.values():
        is_void = child.introduced_by == key and child.from_release >= from_release
        if is_void and child.id not in spared:
            # its rotation is void, so it never had a say: about no release at all
            why = f"came by a rotation of {key}, which is void"
            left = _without(left, child.id, 1, why, spared=spared)
    return left


def _line(keys: Keys, key: TrustedKey) -> frozenset[str]:
    """Return a key and those that it came from: a key may revoke these and stay."""
    line = {key.id}
    while key.introduced_by is not None:
        key = keys[key.introduced_by]
        line.add(key.id)
    return frozenset(line)


def _signer_in_force(keys: Keys, signed: SignedStatement, key: str, at: dt.datetime) -> TrustedKey:
    known = keys.get(key)
    if known is None:
        raise unknown_signer(signed, key)
    why = known.refusal_over_keys(at)
    if why:
        raise signer_refused(signed, known, why)
    return known


def _require_signers(signed: SignedStatement, *keys: str) -> None:
    if set(signed.signers) != set(keys):
        raise IntegrityError(
            where=f"{signed.claimed_type} statement",
            found=f"signed by {', '.join(signed.signers)}",
            expected=f"signed by {' and '.join(keys)} alone",
        )


def _refuse_other_key(known: TrustedKey, public: PublicKey) -> None:
    if known.key.raw != public.raw:
        raise IntegrityError(
            where=f"key {public.id}",
            found="another key of the same id",
            expected=f"the key of {known.name}",
            remedy="somebody made these two keys to be mixed up: trust neither",
        )
