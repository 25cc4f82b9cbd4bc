"""A private key: made once, kept in a file that only its owner may read, and used to sign."""

import base64
import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cityframe.errors import DeclarationError
from cityframe.products.signature.document import MAX_BYTES, write_new
from cityframe.products.signature.public_key import PublicKey, key_id, moment_text
from cityframe.products.signature.signed import Signature, SignedStatement, signed_message
from cityframe.products.signature.statement import RotationStatement, Statement

PASSPHRASE_VARIABLE = "CITYFRAME_KEY_PASSPHRASE"  # noqa: S105  the name, not the secret

_OTHERS = 0o077


@dataclass(frozen=True)
class SigningKey:
    """A private key of Ed25519.

    Attributes
    ----------
    id : str
        See `key_id`.
    """

    _private: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        """The identifier of the key."""
        return key_id(self.public_bytes)

    @property
    def public_bytes(self) -> bytes:
        """The 32 bytes of the public half."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, statement: Mapping[str, Any] | Statement) -> SignedStatement:
        """Sign a statement; equal statements give equal bytes.

        Raises
        ------
        DeclarationError
            If it has no canonical form.
        """
        said = statement.statement() if isinstance(statement, Statement) else dict(statement)
        return SignedStatement(statement=said, signatures=(self._signature(said),))

    def cosign(self, signed: SignedStatement) -> SignedStatement:
        """Add a signature to a statement that others have signed."""
        others = [one for one in signed.signatures if one.key != self.id]
        all_of_them = [*others, self._signature(signed.statement)]
        return SignedStatement(
            statement=signed.statement,
            signatures=tuple(sorted(all_of_them, key=lambda one: one.key)),
        )

    def _signature(self, statement: Mapping[str, Any]) -> Signature:
        try:
            message = signed_message(statement)
        except ValueError as error:
            raise DeclarationError(
                where="statement", found=str(error), expected="a statement with a canonical form"
            ) from error
        return Signature.of(self.id, self._private.sign(message))

    @classmethod
    def create(
        cls, path: Path, *, name: str, at: dt.datetime, valid_until: dt.datetime | None = None
    ) -> PublicKey:
        """Make a key: the private half at ``path`` (mode 0600), the public one at ``path.pub``.

        The private half is encrypted if the environment has `PASSPHRASE_VARIABLE`.

        Parameters
        ----------
        at : datetime
            The present, with offset.

        Raises
        ------
        DeclarationError
            If one of the files is there already, or the name is empty or not printable.
        """
        key = cls(Ed25519PrivateKey.generate())
        if valid_until is not None and valid_until <= at:
            raise DeclarationError(
                where="valid until", found=moment_text(valid_until), expected="a time to come"
            )
        try:
            public = PublicKey(
                name=name,
                id=key.id,
                public_key=base64.b64encode(key.public_bytes).decode(),
                created_at=moment_text(at),
                valid_until=moment_text(valid_until) if valid_until else None,
            )
        except ValueError as error:
            raise DeclarationError(
                where="name", found=repr(name), expected="1 to 1000 printable characters"
            ) from error
        write_new(path, key._pem(), mode=0o600)
        try:
            public.write(public_path(path))
        except DeclarationError:
            path.unlink()
            raise
        return public

    def _pem(self) -> bytes:
        passphrase = _passphrase()
        encryption: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption()
        )
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a private key.

        Raises
        ------
        DeclarationError
            If it is not there, others may read it, it is no Ed25519 key in PEM, or its
            passphrase is missing or wrong.
        """
        content = _read_private(path)
        try:
            private = serialization.load_pem_private_key(content, _passphrase_for(content, path))
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise DeclarationError(
                where=str(path),
                found="a file that can't be read as a key",
                expected="a private key in PEM (PKCS 8)",
                remedy=f"if it is encrypted, see that {PASSPHRASE_VARIABLE} is right",
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise DeclarationError(
                where=str(path), found="a private key of another kind", expected="Ed25519"
            )
        return cls(private)


def public_path(path: Path) -> Path:
    """Return where the public half of a private key's file stands."""
    return path.with_name(f"{path.name}.pub")


def sign_rotation(
    old: SigningKey, new: SigningKey, new_public: PublicKey, from_release: int
) -> SignedStatement:
    """Let a new key take the place of an old one; both sign.

    Raises
    ------
    DeclarationError
        If ``new_public`` is not the public half of ``new``, or both keys are one.
    """
    if new.public_bytes != new_public.raw:
        raise DeclarationError(
            where=f"public key {new_public.id}",
            found="the public half of another key",
            expected=f"that of {new.id}",
            remedy="keep FILE and FILE.pub together",
        )
    try:
        body = RotationStatement(old=old.id, new=new_public, from_release=from_release)
    except ValueError as error:
        raise DeclarationError(
            where="key rotation",
            found=f"key {old.id} to {new.id} from release {from_release}",
            expected="two different keys, and a release from 1 on",
        ) from error
    return new.cosign(old.sign(body))


def _passphrase() -> bytes | None:
    return os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None


def _passphrase_for(content: bytes, path: Path) -> bytes | None:
    # a passphrase in the environment may be meant for another key than an open one
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in content:
        return None
    passphrase = _passphrase()
    if passphrase is None:
        raise DeclarationError(
            where=str(path),
            found="an encrypted key and no passphrase",
            remedy=f"set {PASSPHRASE_VARIABLE} in the environment",
        )
    return passphrase


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & _OTHERS:
                raise DeclarationError(
                    where=str(path),
                    found=f"mode {mode:04o}: others than its owner may use this key",
                    expected="0600",
                    remedy=f"chmod 600 {path}, and think whether it was read: then revoke it",
                )
            return file.read(MAX_BYTES)
    except OSError as error:
        raise DeclarationError(
            where=str(path), found=error.strerror or "no file", expected="a private key"
        ) from error
