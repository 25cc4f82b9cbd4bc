"""Ids that people shorten: as much of one as no other begins with."""

from collections.abc import Sequence

from cityframe.errors import DeclarationError

_EXAMPLES = 5


def require_one(where: str, ids: Sequence[str], remedy: str) -> None:
    """Refuse a prefix that no id, or more than one, begins with.

    Raises
    ------
    DeclarationError
        With some of the ids.
    """
    if len(ids) == 1:
        return
    more = f" and {len(ids) - _EXAMPLES} more" if len(ids) > _EXAMPLES else ""
    raise DeclarationError(
        where=where,
        found=f"{', '.join(ids[:_EXAMPLES])}{more}" if ids else "no such one",
        expected="the id of one, or as much of it as no other begins with",
        remedy=remedy,
    )
