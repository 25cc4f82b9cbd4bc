"""What became of each record of a delivery."""

from enum import StrEnum


class Fate(StrEnum):
    """The one fate of a record; the totals of a delivery balance.

    ==========  =========================================================
    published   it changed the framework in a release
    merged      it said the same as another record of the delivery
    unchanged   the framework already said so
    waived      published with an accepted finding
    returned    sent back to the source; the finding says why
    superseded  a later record or delivery replaced it before release
    waiting     held: a person, a guard or a later cycle must decide
    ==========  =========================================================
    """

    PUBLISHED = "published"
    MERGED = "merged"
    UNCHANGED = "unchanged"
    WAIVED = "waived"
    RETURNED = "returned"
    SUPERSEDED = "superseded"
    WAITING = "waiting"


FATE_COLUMNS = ("layer", "record", "source_key", "uid", "fate", "reason")
"""Columns of a fate table: one row a record of the delivery and layer."""
