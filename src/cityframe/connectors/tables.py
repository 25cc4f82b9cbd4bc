"""Which table of a file a feed means."""

from collections.abc import Sequence

from cityframe.errors import DeclarationError


def chosen_table(names: Sequence[str], wanted: str, *, where: str, what: str) -> str | None:
    """Return the table that is wanted, or the only one; None if the wanted one is not there.

    Raises
    ------
    DeclarationError
        If none is named and there are several.
    """
    if wanted:
        return wanted if wanted in names else None
    if len(names) == 1:
        return names[0]
    raise DeclarationError(
        found=f"{len(names)} {what}s and no table declared",
        where=where,
        expected=f"one of {', '.join(names) or 'none there'}",
        remedy="set table in the feed",
    )
