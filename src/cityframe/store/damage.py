"""What `cityframe fsck` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing in the store that is not what it should be.

    Attributes
    ----------
    where : str
        Table, file or entry, for people.
    found, expected : str
        What is there, and what should be.
    layer, uid : str
        The feature; empty where none can be named.
    fid : int or None
        The row of the layer's history.
    release : int or None
        The release whose proof fails, or in which the row was opened.
    """

    where: str
    found: str
    expected: str = ""
    layer: str = ""
    uid: str = ""
    fid: int | None = None
    release: int | None = None
