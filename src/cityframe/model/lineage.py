"""What happens among features: how new ones descend from those that were."""

from collections.abc import Mapping
from enum import StrEnum

from cityframe.model.text import Title


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


LINEAGE_TITLES: Mapping[LineageKind, Title] = {
    LineageKind.SPLIT: Title("拆分", "split"),
    LineageKind.MERGED: Title("合并", "merged"),
    LineageKind.REPLACED: Title("取代", "replaced"),
    LineageKind.REMOVED: Title("删除", "removed"),
}
"""What people call them."""
