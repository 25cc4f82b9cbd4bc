"""What happens to one feature between two states of the framework."""

from enum import StrEnum


class ChangeKind(StrEnum):
    """Kind of a change.

    ==========  ====================================================================
    new         no counterpart before
    removed     no counterpart after
    moved       the geometry agrees within tolerance after the best translation
    reshaped    the geometry differs beyond tolerance and translation
    attributes  the geometry agrees within tolerance; an attribute differs
    ==========  ====================================================================

    A moved or reshaped feature may have new attributes too: an independent flag says so.
    """

    NEW = "new"
    REMOVED = "removed"
    MOVED = "moved"
    RESHAPED = "reshaped"
    ATTRIBUTES = "attributes"


CHANGE_COLUMNS = ("uid", "change", "has_new_attributes", "delivery", "record", "valid_from")
"""System columns of a change table; the layer's attributes and the geometry follow."""
