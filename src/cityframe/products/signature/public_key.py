"""A public key: the half that everyone may have, with its name and its identifier."""

import base64
import binascii
import datetime as dt
import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, model_validator

from cityframe.products.signature.document import Part, Text, json_text, read_part, write_new

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


def _moment(text: str) -> str:
    if not _MOMENT.fullmatch(text):
        message = "a time as in 2026-01-31T08:00:00+08:00"
        raise ValueError(message)
    dt.datetime.fromisoformat(text)
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""A time of RFC 3339 with its offset, as text."""


def moment_text(at: dt.datetime) -> str:
    """Return a time, which must have an offset, as `Moment` in UTC to the second."""
    return at.astimezone(dt.UTC).isoformat(timespec="seconds")


def key_id(public_bytes: bytes) -> str:
    """Return the identifier of a raw public key: 128 bits of its SHA-256, 32 hexadecimal digits.

    So wide that two people who compare it by telephone have compared the key.
    """
    return hashlib.sha256(public_bytes).hexdigest()[:32]


def base64_bytes(text: str, size: int) -> bytes:
    """Return the bytes of a base64 text.

    Raises
    ------
    ValueError
        If it is not the one base64 form of ``size`` bytes.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = "base64"
        raise ValueError(message) from error
    if len(content) != size or base64.b64encode(content).decode() != text:
        message = f"base64 of {size} bytes"
        raise ValueError(message)
    return content


class PublicKey(Part):
    """The file ``FILE.pub`` that a publisher gives to subscribers.

    Attributes
    ----------
    name : str
        Whose key it is, for people.
    id : str
        `key_id` of the key.
    public_key : str
        The 32 bytes of RFC 8032, base64.
    valid_until : str or None
        From this time on the key signs nothing new.
    """

    format: Literal["cityframe-public-key"] = "cityframe-public-key"
    format_version: Literal[1] = 1
    name: Text
    id: KeyId
    algorithm: Literal["Ed25519"] = "Ed25519"
    public_key: str
    created_at: Moment
    valid_until: Moment | None = None

    @model_validator(mode="after")
    def _has_its_id(self) -> Self:
        if key_id(self.raw) != self.id:
            message = f"id {self.id} is not that of the key, {key_id(self.raw)}"
            raise ValueError(message)
        return self

    @property
    def raw(self) -> bytes:
        """The 32 bytes of the key."""
        return base64_bytes(self.public_key, PUBLIC_KEY_BYTES)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether a signature over a message is by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def is_expired(self, at: dt.datetime) -> bool:
        """Return whether the key has passed its last day at a time (with offset)."""
        return self.valid_until is not None and at >= dt.datetime.fromisoformat(self.valid_until)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``FILE.pub``.

        Raises
        ------
        DeclarationError
            If there is no such file.
        IntegrityError
            If it is no public key, or its id is that of another key.
        """
        return read_part(path, cls, "a public key of cityframe")

    def write(self, path: Path) -> None:
        """Write ``FILE.pub``; it must not be there yet."""
        write_new(path, json_text(self.model_dump(mode="json")).encode())
