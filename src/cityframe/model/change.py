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


CHANGE_COLUMNS = (
    "uid", "change", "has_new_attributes", "delivery", "record", "basis", "valid_from", "valid_to",
)  # fmt: skip
"""System columns of a change table; the layer's attributes and the geometry follow.

Such a row says: from ``valid_from`` until ``valid_to`` (null: on and on) the feature was this, or,
if it is removed, was not there. ``basis`` is what let it in: the pass of the reconciliation, a
question's answer, a decision. Of several rows of a feature a later one wins where they overlap.
"""
