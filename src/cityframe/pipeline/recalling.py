"""Recall: a signed withdrawal of a release, which subscribers must acknowledge."""

import datetime as dt
from pathlib import Path
from typing import Any

from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City
from cityframe.pipeline.decisions import require_approver
from cityframe.products.signature import RecallStatement, SigningKey, moment_text

RECALLED = "recalled"


def recall(
    city: City,
    number: int,
    *,
    who: str,
    why: str,
    replaced_by: int | None,
    at: dt.datetime,
) -> Path:
    """Withdraw a release: write a signed statement and say so in the ledger.

    The framework itself does not change; roll back as well where it should. Releases made from
    now on name the recall, and their packages are refused by subscribers who have not
    acknowledged it.

    Parameters
    ----------
    city : City
        The city.
    number : int
        The release that is withdrawn.
    who, why : str
        An approver, and the reason.
    replaced_by : int or None
        The release to use instead.
    at : datetime
        When.

    Returns
    -------
    Path
        The statement, to be sent to every subscriber.

    Raises
    ------
    DeclarationError
        If there is no such release, no signing key, it was recalled before, or what replaces it
        is itself or was recalled.
    GateClosedError
        If it is nobody who approves cycles, or no reason is given.
    """
    require_approver(city, who, why, what=f"recall of release {number}")
    made = city.framework.release(number)
    if replaced_by is not None:
        _check_replacement(city, number, replaced_by)
    path = city.workspace.store / "recalls" / f"recall-{number:04d}.json"
    if city.ledger.last(what=RECALLED, subject=str(number)) is not None:
        raise DeclarationError(
            where=str(path), found=f"release {number} was recalled before", remedy="send that one"
        )
    try:
        statement = RecallStatement(
            release=number,
            release_digest=made.digest,
            reason=why,
            replaced_by=replaced_by,
            issued_at=moment_text(at),
        )
    except ValueError as error:
        raise DeclarationError(
            where=f"recall of release {number}",
            found=f"the reason {why!r}",
            expected="1 to 1000 printable characters",
        ) from error
    signed = signing_key(city).sign(statement)
    # a file without an entry was left by a run that was killed: nobody has been told of it
    path.unlink(missing_ok=True)
    signed.write(path)
    body = {"release": number, "digest": made.digest, "why": why, "statement": signed.digest}
    city.ledger.append(RECALLED, str(number), body, who=who, at=at)
    return path


def _check_replacement(city: City, number: int, replaced_by: int) -> None:
    city.framework.release(replaced_by)
    if replaced_by in {number, *(one["release"] for one in recalls(city))}:
        raise DeclarationError(
            where=f"recall of release {number}",
            found=f"release {replaced_by} in its place, which is recalled",
            expected="a release that holds",
            remedy="name another with --replaced-by, or none",
        )


def recalls(city: City) -> list[dict[str, Any]]:
    """Return ``release, digest`` of the releases recalled so far, for evidence and packages."""
    return [
        {"release": int(one.body["release"]), "digest": str(one.body["digest"])}
        for one in city.ledger.entries(what=RECALLED)
    ]


def signing_key(city: City) -> SigningKey:
    """Return the key that the workspace names.

    Raises
    ------
    DeclarationError
        If it names none.
    """
    if city.workspace.signing_key is None:
        raise DeclarationError(
            where=str(city.workspace.root / "cityframe.yaml"),
            found="no signing_key",
            expected="the path of a private key",
            remedy="make one with `cityframe key new` and set the variable that signing_key names",
        )
    return SigningKey.read(city.workspace.signing_key)
