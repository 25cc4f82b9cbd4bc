"""What a subscriber answers: signed receipts and acknowledgements, written whole or not at all."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package.manifest import LayerState
from cityframe.products.signature import (
    LayerCount,
    ReceiptStatement,
    SignedStatement,
    SigningKey,
)
from cityframe.products.signature.document import Text
from cityframe.products.signature.public_key import moment_text
from cityframe.products.subscriber.connect import open_session
from cityframe.products.subscriber.database import Session
from cityframe.products.subscriber.proof import prove_layer
from cityframe.products.subscriber.state import Subscription, read_state


@dataclass(frozen=True)
class Answer:
    """How a subscriber signs what it answers.

    Attributes
    ----------
    subscriber : str
        Who the subscriber is, for people.
    key : SigningKey
        The subscriber's own key.
    path : Path
        The file to write; it must not be there yet.
    """

    subscriber: str
    key: SigningKey
    path: Path

    def check(self) -> None:
        """Refuse a file that is there already, or a name that can't be signed, before any change.

        Raises
        ------
        DeclarationError
            If the answer could not be written in the end.
        """
        try:
            TypeAdapter(Text).validate_python(self.subscriber)
        except ValidationError as error:
            raise DeclarationError(
                where="subscriber",
                found=repr(self.subscriber),
                expected="1 to 1000 printable characters",
            ) from error
        if self.path.exists():
            raise DeclarationError(
                where=str(self.path),
                found="a file that stands there already",
                remedy="give another name; nothing is overwritten",
            )


def sign_receipt(
    answer: Answer, state: Subscription, layers: dict[str, LayerState], at: dt.datetime
) -> SignedStatement:
    """Sign that a package was applied and what stands here now, and write it."""
    signed = answer.key.sign(
        ReceiptStatement(
            subscriber=answer.subscriber,
            manifest_digest=state.current.package_digest,
            release=state.current.release,
            layers={
                name: LayerCount(count=layer.count, digest=layer.digest)
                for name, layer in layers.items()
            },
            applied_at=moment_text(at),
        )
    )
    signed.write(answer.path)
    return signed


def receipt_of(database: str, answer: Answer, *, at: dt.datetime) -> SignedStatement:
    """Compute the digests of a database again and sign a receipt for what it stands at.

    For a receipt that was lost, or could not be written when the package was applied.

    Parameters
    ----------
    at : datetime
        The present, with offset.

    Raises
    ------
    IntegrityError
        If the rows were changed since the package was applied.
    DeclarationError, SourceUnreachableError
        See `cityframe.products.subscriber.connect.open_session`.
    """
    answer.check()
    with open_session(database) as session:
        state = read_state(session)
        layers = prove_state(session, state)
    return sign_receipt(answer, state, layers, at)


def prove_state(session: Session, state: Subscription) -> dict[str, LayerState]:
    """Compute the layers' digests from the rows; the state says what they must be.

    Raises
    ------
    IntegrityError
        If a row was changed.
    """
    tables = state.tables()
    session.lock(table.name for table in tables.values())
    found = {}
    for name, table in tables.items():
        proof = prove_layer(session, table, kept=state.redacted.get(name, {}))
        if f"{proof.uid_sum:032x}" != state.uid_sums[name]:
            raise IntegrityError(
                where=f"{session.where} table {table.name}",
                found="rows that were changed since the last package",
                expected=f"release {state.current.release} as it was applied",
                remedy="undo what was changed by hand",
            )
        found[name] = proof.state
    return found
