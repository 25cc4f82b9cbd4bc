"""The states of a cycle."""

from enum import StrEnum


class CycleState(StrEnum):
    """State of one cycle, in the order of its life.

    A cycle that is returned in review or abandoned has ended.
    """

    PLANNED = "planned"
    COLLECTING = "collecting"
    FROZEN = "frozen"
    IN_REVIEW = "in-review"
    APPROVED = "approved"
    RELEASED = "released"
    PUBLISHED = "published"
    RETURNED = "returned"
    ABANDONED = "abandoned"
