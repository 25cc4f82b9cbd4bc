"""A trust store: which keys may sign what, and the signed statements that led there."""

import datetime as dt
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from cityframe.errors import DeclarationError, IntegrityError, SourceUnreachableError
from cityframe.products.signature.document import Part, json_text, read_part, replace_whole
from cityframe.products.signature.key_change import (
    Keys,
    apply_statement,
    require_signature,
    signer_refused,
    trust_by_hand,
    unknown_signer,
)
from cityframe.products.signature.public_key import Moment, PublicKey, moment_text
from cityframe.products.signature.signed import SignedStatement
from cityframe.products.signature.standing import KeyStatus, Role, TrustedKey
from cityframe.products.signature.statement import Statement


class TrustedByHand(Part):
    """A person vouched for a key."""

    trusted: PublicKey
    role: Annotated[Role, Field(strict=False)]
    from_release: Annotated[int, Field(ge=1)]
    at: Moment

    def after(self, keys: Keys) -> Keys:
        """Return the keys after this."""
        return trust_by_hand(
            keys,
            self.trusted,
            role=self.role,
            from_release=self.from_release,
            at=dt.datetime.fromisoformat(self.at),
        )


class Applied(Part):
    """A rotation or revocation was applied."""

    applied: SignedStatement
    at: Moment

    def after(self, keys: Keys) -> Keys:
        """Return the keys after this."""
        return apply_statement(keys, self.applied, dt.datetime.fromisoformat(self.at))


class _TrustFile(Part):
    format: Literal["cityframe-trust"] = "cityframe-trust"
    format_version: Literal[1] = 1
    keys: list[dict[str, Any]]
    history: tuple[TrustedByHand | Applied, ...] = Field(strict=False)


@dataclass(frozen=True)
class TrustStore:
    """The keys of ``trust.json``; a change gives a new store.

    Attributes
    ----------
    keys : mapping of str to TrustedKey
        By id; they follow from the history alone.
    """

    history: tuple[TrustedByHand | Applied, ...] = ()
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        keys: Keys = {}
        for event in self.history:
            keys = event.after(keys)
        object.__setattr__(self, "keys", keys)

    def trust(
        self,
        public: PublicKey,
        *,
        at: dt.datetime,
        role: Role = Role.PUBLISHER,
        from_release: int = 1,
    ) -> Self:
        """Trust a key by hand; a key that is trusted already stays as it is.

        Parameters
        ----------
        at : datetime
            The present, with offset.
        from_release : int
            The first release whose package it may sign.

        Raises
        ------
        IntegrityError
            If its id is known with another key, name, role or first release, or it was replaced
            or revoked.
        """
        known = self.keys.get(public.id)
        if (
            known is not None
            and known.status is KeyStatus.TRUSTED
            and (known.key, known.role, known.from_release) == (public, role, from_release)
        ):
            return self
        event = TrustedByHand(
            trusted=public, role=role, from_release=from_release, at=moment_text(at)
        )
        return type(self)((*self.history, event))

    def apply(self, signed: SignedStatement, *, at: dt.datetime) -> Self:
        """Apply a rotation or revocation; one that was applied before changes nothing.

        Raises
        ------
        IntegrityError
            If it is of another type, not signed as it must be, or its signer may not say so.
        """
        digest = signed.digest
        for event in self.history:
            if isinstance(event, Applied) and event.applied.digest == digest:
                return self
        return type(self)((*self.history, Applied(applied=signed, at=moment_text(at))))

    def check(
        self,
        signed: SignedStatement,
        *,
        release: int,
        expected: type[Statement] | None = None,
        at: dt.datetime | None = None,
    ) -> TrustedKey:
        """Prove who signed a statement, and that they might.

        One good signature is enough; others may be by keys that are not known here. A signature
        that a known key did not make is refused, whatever stands beside it.

        Parameters
        ----------
        release : int
            The release that the statement must be about.
        expected : type of Statement, optional
            The type that it must have; any but the two about keys if it is not given.
        at : datetime, optional
            The time, with offset, at which the key must not be expired: the present for what is
            taken in now. Without it no key is too old.

        Returns
        -------
        TrustedKey
            The signer.

        Raises
        ------
        IntegrityError
            If the statement was altered, is of another type or about another release, or its
            signer is unknown, revoked, replaced, not yet in force or expired.
        """
        body = signed.body() if expected is None else signed.body_as(expected)
        if body.is_about_keys:
            raise IntegrityError(
                where=f"{signed.claimed_type} statement",
                found="a statement about keys",
                expected="a statement about a release",
                remedy="cityframe key apply takes it in",
            )
        if body.about not in (None, release):
            raise IntegrityError(
                where=f"{signed.claimed_type} statement",
                found=f"it is about release {body.about}",
                expected=f"release {release}",
                remedy="these are two files mixed up: get the right one",
            )
        return self._good_signer(signed, body, release, at)

    def _good_signer(
        self, signed: SignedStatement, body: Statement, release: int, at: dt.datetime | None
    ) -> TrustedKey:
        good: list[TrustedKey] = []
        refused: list[IntegrityError] = []
        for signer in signed.signers:
            known = self.keys.get(signer)
            if known is None:
                continue
            require_signature(signed, known.key)
            why = known.refusal(body, release, at)
            if why:
                refused.append(signer_refused(signed, known, why))
            else:
                good.append(known)
        if good:
            return good[0]
        raise refused[0] if refused else unknown_signer(signed, signed.signers[0])

    def text(self) -> str:
        """Return the text of the file."""
        return json_text(
            {
                "format": "cityframe-trust",
                "format_version": 1,
                "keys": self._key_bodies(),
                "history": [event.model_dump(mode="json") for event in self.history],
            }
        )

    def _key_bodies(self) -> list[dict[str, Any]]:
        return [self.keys[key].body() for key in sorted(self.keys)]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``trust.json`` and follow its history again.

        Raises
        ------
        DeclarationError
            If there is none.
        IntegrityError
            If it is not a trust store, or its keys are not what its history leads to.
        """
        found = read_part(path, _TrustFile, "a trust store; cityframe key trust makes one")
        try:
            store = cls(found.history)
        except IntegrityError as error:
            raise IntegrityError(
                where=str(path),
                found=f"a history that does not hold: {error}",
                remedy="restore the file, or trust the publisher's key anew in another",
            ) from error
        if found.keys != store._key_bodies():
            raise IntegrityError(
                where=str(path),
                found="keys that its history does not lead to",
                expected="a file that cityframe wrote",
                remedy="restore the file, or trust the publisher's key anew in another",
            )
        return store

    def write(self, path: Path) -> None:
        """Write the file whole, in the place of the former one."""
        replace_whole(path, self.text().encode())


def change_trust(
    path: Path, change: Callable[[TrustStore], TrustStore], *, may_be_new: bool = False
) -> tuple[TrustStore, bool]:
    """Read a trust store, change it and write it, while no other process does.

    Returns
    -------
    tuple of TrustStore and bool
        The store as it is now, and whether it changed.

    Raises
    ------
    DeclarationError
        If there is none and it may not be new.
    IntegrityError
        What reading and changing raise; the file is then as it was.
    SourceUnreachableError
        If another process is changing it.
    """
    with _alone(path, may_be_new=may_be_new):
        is_new = may_be_new and not path.exists()
        before = TrustStore() if is_new else TrustStore.read(path)
        after = change(before)
        if after != before:
            after.write(path)
    return after, after != before


@contextmanager
def _alone(path: Path, *, may_be_new: bool) -> Iterator[None]:
    # the folder is locked, not the file: that is another one after each change
    try:
        if may_be_new:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise DeclarationError(
            where=str(path),
            found=error.strerror or str(error),
            expected="the trust store's folder",
        ) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SourceUnreachableError(
            where=str(path),
            found="another process is changing the trust store",
            remedy="try again when that has ended",
        ) from error
