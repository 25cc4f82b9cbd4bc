"""A statement with its signatures, as it stands in a file."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, field_validator

from cityframe.errors import IntegrityError
from cityframe.products.signature.canonical import canonical_bytes
from cityframe.products.signature.document import (
    Part,
    as_part,
    json_text,
    parse_part,
    read_part,
    write_new,
)
from cityframe.products.signature.public_key import SIGNATURE_BYTES, KeyId, base64_bytes
from cityframe.products.signature.statement import STATEMENTS, Statement

DOMAIN = b"cityframe-statement-v1\n"
"""Stands before the statement, so that no signature made for another purpose fits."""

StatementT = TypeVar("StatementT", bound=Statement)


class Signature(Part):
    """One signature: the id of the key that made it, and its 64 bytes, base64."""

    key: KeyId
    algorithm: Literal["Ed25519"] = "Ed25519"
    signature: str

    @field_validator("signature")
    @classmethod
    def _is_base64(cls, text: str) -> str:
        base64_bytes(text, SIGNATURE_BYTES)
        return text

    @classmethod
    def of(cls, key: str, content: bytes) -> Self:
        """Return the signature of a key from its 64 bytes."""
        return cls(key=key, signature=base64.b64encode(content).decode())

    @property
    def raw(self) -> bytes:
        """The 64 bytes of the signature."""
        return base64_bytes(self.signature, SIGNATURE_BYTES)


class SignedStatement(Part):
    """A statement and the signatures over it.

    That it can be read proves nothing yet: `TrustStore.check` does.

    Attributes
    ----------
    statement : dict
        As it stood in the file.
    signatures : tuple of Signature
        Sorted by key, one a key.
    """

    statement: dict[str, Any]
    signatures: tuple[Signature, ...] = Field(min_length=1, strict=False)

    @field_validator("statement")
    @classmethod
    def _has_canonical_form(cls, statement: dict[str, Any]) -> dict[str, Any]:
        canonical_bytes(statement)
        return statement

    @field_validator("signatures")
    @classmethod
    def _one_a_key(cls, signatures: tuple[Signature, ...]) -> tuple[Signature, ...]:
        keys = [one.key for one in signatures]
        if keys != sorted(set(keys)):
            message = "signatures sorted by key, one a key"
            raise ValueError(message)
        return signatures

    @property
    def claimed_type(self) -> str:
        """The type that the statement gives itself; empty if it gives none."""
        found = self.statement.get("type")
        return found if isinstance(found, str) else ""

    @property
    def signers(self) -> tuple[str, ...]:
        """The ids of the keys that are said to have signed."""
        return tuple(one.key for one in self.signatures)

    @property
    def digest(self) -> str:
        """SHA-256 of the statement in canonical form, hexadecimal; without the signatures."""
        return hashlib.sha256(canonical_bytes(self.statement)).hexdigest()

    def message(self) -> bytes:
        """Return the bytes that are signed."""
        return signed_message(self.statement)

    def body(self) -> Statement:
        """Return the statement as its type; proves nothing about its signatures.

        Raises
        ------
        IntegrityError
            If the type is not known, or the statement does not fit it.
        """
        kind = STATEMENTS.get(self.claimed_type)
        if kind is None:
            raise IntegrityError(
                where="signed statement",
                found=f"type {self.statement.get('type')!r}",
                expected=f"one of {', '.join(sorted(STATEMENTS))}",
                remedy="get it again, or a newer cityframe",
            )
        what = f"a statement of type {self.claimed_type}, format version 1"
        body = as_part(self.statement, kind, what, where="signed statement")
        if canonical_bytes(body.statement()) != canonical_bytes(self.statement):
            # a field left out, or true where 1 should stand
            raise IntegrityError(
                where="signed statement", found="another form of its fields", expected=what
            )
        return body

    def body_as(self, kind: type[StatementT]) -> StatementT:
        """Return the statement as the type that it must be; proves nothing about its signatures.

        Raises
        ------
        IntegrityError
            If it is of another type, or does not fit it.
        """
        body = self.body()
        if not isinstance(body, kind):
            raise IntegrityError(
                where="signed statement",
                found=f"type {self.claimed_type}",
                expected=str(kind.model_fields["type"].default),
                remedy="these are two files mixed up: get the right one",
            )
        return body

    def text(self) -> str:
        """Return the text of the file; equal for equal statements and signatures."""
        return json_text(self.model_dump(mode="json"))

    def write(self, path: Path) -> None:
        """Write a file that is not there yet.

        Raises
        ------
        DeclarationError
            If it is there, or can't be written.
        """
        write_new(path, self.text().encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises
        ------
        DeclarationError
            If there is no such file.
        IntegrityError
            If it is no signed statement.
        """
        return read_part(path, cls, "a signed statement")

    @classmethod
    def parse(cls, content: bytes, *, where: str = "signed statement") -> Self:
        """Read bytes; ``where`` names their place in errors.

        Raises
        ------
        IntegrityError
            If they are no signed statement.
        """
        return parse_part(content, cls, "a signed statement", where=where)


def signed_message(statement: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed for a statement; ValueError if it has no canonical form."""
    return DOMAIN + canonical_bytes(statement)
