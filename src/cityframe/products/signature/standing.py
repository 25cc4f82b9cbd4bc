"""What a key may sign: its role, the releases it stands for, and why it is refused."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cityframe.products.signature.public_key import PublicKey
from cityframe.products.signature.statement import (
    AcknowledgementStatement,
    PackageStatement,
    ReceiptStatement,
    Statement,
)


class Role(StrEnum):
    """Whose key it is: who sends packages, or who answers for having applied them."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class KeyStatus(StrEnum):
    """Where a key is in its life."""

    TRUSTED = "trusted"
    REPLACED = "replaced"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key that a trust store knows, with its standing.

    Attributes
    ----------
    since : str
        When this store came to know it.
    from_release : int
        The first release whose package it may sign.
    to_release : int or None
        The first release that its successor stands for; None while it has none.
    revoked_from : int or None
        What it signed about this release and later ones is void.
    introduced_by : str or None
        The id of the key that it replaced; None if it was trusted by hand.
    reason : str
        Why it was revoked; else empty.
    """

    key: PublicKey
    role: Role
    since: str
    from_release: int
    to_release: int | None = None
    revoked_from: int | None = None
    introduced_by: str | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """The identifier of the key."""
        return self.key.id

    @property
    def name(self) -> str:
        """Whose key it is."""
        return self.key.name

    @property
    def status(self) -> KeyStatus:
        """Where the key is in its life; that it expired is not told here, it depends on a time."""
        if self.revoked_from is not None:
            return KeyStatus.REVOKED
        return KeyStatus.TRUSTED if self.to_release is None else KeyStatus.REPLACED

    def refusal(self, body: Statement, release: int, at: dt.datetime | None) -> str:
        """Return why the key may not sign a statement about a release; empty if it may.

        Parameters
        ----------
        at : datetime or None
            The time for which it must not be expired; None asks for no time.
        """
        answers = isinstance(body, ReceiptStatement | AcknowledgementStatement)
        if self.role is Role.SUBSCRIBER and not answers:
            return "belongs to a subscriber, who signs receipts and acknowledgements only"
        if self.revoked_from is not None and release >= self.revoked_from:
            return f"was revoked from release {self.revoked_from} on: {self.reason}"
        if self.to_release is not None and release >= self.to_release:
            return f"was replaced from release {self.to_release} on"
        if isinstance(body, PackageStatement) and release < self.from_release:
            return f"signs packages from release {self.from_release} on"
        return self._expiry(at)

    def refusal_over_keys(self, at: dt.datetime) -> str:
        """Return why the key may not sign about keys at a time; empty if it may.

        Only a key in force may: one that was replaced or revoked has no say any more, whatever
        release a statement names, or a thief of it would only have to name an early one.
        """
        if self.status is KeyStatus.REVOKED:
            return f"was revoked from release {self.revoked_from} on: {self.reason}"
        if self.status is KeyStatus.REPLACED:
            return f"was replaced from release {self.to_release} on"
        return self._expiry(at)

    def body(self) -> dict[str, Any]:
        """Return the key and its standing, JSON-ready."""
        return {
            "key": self.key.model_dump(mode="json"),
            "role": self.role.value,
            "status": self.status.value,
            "since": self.since,
            "from_release": self.from_release,
            "to_release": self.to_release,
            "revoked_from": self.revoked_from,
            "introduced_by": self.introduced_by,
            "reason": self.reason,
        }

    def _expiry(self, at: dt.datetime | None) -> str:
        if at is not None and self.key.is_expired(at):
            return f"was valid until {self.key.valid_until}"
        return ""
