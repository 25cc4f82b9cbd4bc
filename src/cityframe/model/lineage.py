"""What happens among features: how new ones descend from those that were."""

from enum import StrEnum


class LineageKind(StrEnum):
    """Kind of a lineage event.

    ========  ===================================================================
    split     one feature becomes several, which together cover it
    merged    several become one, which covers them together
    replaced  another feature takes the place: little overlap, or another name
    removed   it ends without a successor (a tombstone)
    ========  ===================================================================
    """

    SPLIT = "split"
    MERGED = "merged"
    REPLACED = "replaced"
    REMOVED = "removed"
