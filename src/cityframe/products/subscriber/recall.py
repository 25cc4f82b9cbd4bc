"""Acknowledge a publisher's recall: noted in the database, answered with a signature."""

import datetime as dt

from cityframe.products.signature import (
    AcknowledgementStatement,
    RecallStatement,
    SignedStatement,
    TrustStore,
)
from cityframe.products.signature.public_key import moment_text
from cityframe.products.subscriber.connect import open_session
from cityframe.products.subscriber.receipt import Answer
from cityframe.products.subscriber.state import AcknowledgedRecall, read_state, write_state


def acknowledge(
    database: str, recall: SignedStatement, trust: TrustStore, *, answer: Answer, at: dt.datetime
) -> SignedStatement:
    """Note that a recall was read, and answer with a signed acknowledgement.

    One that was acknowledged before is answered again; the note stays as it is.

    Parameters
    ----------
    recall : SignedStatement
        The publisher's statement.
    at : datetime
        The present, with offset.

    Raises
    ------
    IntegrityError
        If the statement is no recall, or not signed by a key that is trusted for its release and
        not expired.
    DeclarationError
        If the database has no subscription, or the file of the answer is there already.
    """
    body = recall.body_as(RecallStatement)
    trust.check(recall, release=body.release, expected=RecallStatement, at=at)
    answer.check()
    with open_session(database) as session:
        state = read_state(session)
        if all(one.statement != recall.digest for one in state.recalls):
            noted = AcknowledgedRecall(
                statement=recall.digest,
                release=body.release,
                release_digest=body.release_digest,
                reason=body.reason,
                acknowledged_at=moment_text(at),
            )
            write_state(session, state.model_copy(update={"recalls": (*state.recalls, noted)}))
    signed = answer.key.sign(
        AcknowledgementStatement(
            recall=recall.digest,
            subscriber=answer.subscriber,
            acknowledged_at=moment_text(at),
        )
    )
    signed.write(answer.path)
    return signed
