"""What happens to the boundaries: every second delivery has some, the others none at all."""

import numpy as np
import pandas as pd

from cityframe.demo.changes.draft import Draft
from cityframe.demo.truth import TrueDefect
from cityframe.model.change import ChangeKind

EXCHANGE_DELIVERY = 2
"""The delivery with which a block goes from one street to another."""


def has_boundaries(delivery: int) -> bool:
    """Return whether a delivery holds the boundaries."""
    return delivery == 1 or delivery % 2 == 0


def change_boundaries(draft: Draft) -> None:
    """Rename a street, and once move the border between two; one record has a wrong parent."""
    draft.begin_delivery()
    if draft.delivery == 1 or not has_boundaries(draft.delivery):
        return
    table = draft.things["boundaries"]
    if draft.delivery == EXCHANGE_DELIVERY:
        rows = np.flatnonzero(table["alternative"].notna())
        draft.set("boundaries", rows, "geometry", draft.get("boundaries", rows, "alternative"))
        draft.touch("boundaries", rows)
        draft.note("boundaries", rows, ChangeKind.RESHAPED)
    streets = draft.settled("boundaries") & (table["level"] == "street").to_numpy()
    rows = draft.pick_some("boundaries", 1, streets)
    draft.set("boundaries", rows, "name", [f"新城{draft.delivery}街道"] * len(rows))
    draft.note("boundaries", rows, ChangeKind.ATTRIBUTES, ("name",))
    streets = draft.settled("boundaries") & (table["level"] == "street").to_numpy()
    rows = draft.pick_some("boundaries", 1, streets)
    draft.begin_delivery()
    draft.deliver("boundaries", rows, "parent_code", "429999")
    draft.note_defects(
        TrueDefect(
            "boundaries.hierarchy", "boundaries", (key,), "a district that is not there", True
        )
        for key in draft.keys("boundaries", rows)
    )


def boundary_draft(table: pd.DataFrame, like: Draft) -> Draft:
    """Return a draft of the boundaries beside that of a stretch."""
    return Draft(
        things={"boundaries": table}, delivery=like.delivery, day=like.day, random=like.random,
        quotas=like.quotas, share=like.share, city_bounds=like.city_bounds,
    )  # fmt: skip
