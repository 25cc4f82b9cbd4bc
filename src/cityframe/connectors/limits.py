"""Limits of what a delivery may hold; beyond them it is hostile or broken, and refused."""

from cityframe.errors import QuarantinedError

MAX_ARCHIVE_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 8 << 30
MAX_RATIO = 200
RATIO_FREE_BYTES = 16 << 20
"""Up to this unpacked size a member may be compressed to any ratio."""
MAX_COLUMNS = 10_000
MAX_FIELD_CHARACTERS = 64 << 20
"""Longest single value of a text table; a polygon of a million vertices as text fits."""
READER_MEMORY_BYTES = 8 << 30
READER_SECONDS = 1800


def check_column_count(count: int, where: str) -> None:
    """Refuse a table with too many columns.

    Raises
    ------
    QuarantinedError
        If there are more than `MAX_COLUMNS`.
    """
    if count > MAX_COLUMNS:
        raise QuarantinedError(
            found=f"{count} columns",
            where=where,
            expected=f"at most {MAX_COLUMNS}",
            remedy="have the source deliver one value a row",
        )
