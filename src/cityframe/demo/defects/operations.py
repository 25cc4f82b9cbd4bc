"""Records of partial deliveries and of change logs that ask for what can't be done."""

import numpy as np
import pandas as pd

from cityframe.demo.changes.draft import Draft
from cityframe.demo.truth import TrueDefect

NO_KEY = ""
"""Key of a record that names no feature."""


def spoil_operations(draft: Draft) -> None:
    """Spoil operations on points of interest and entries of the housing register."""
    _unknown_operations(draft)
    _unknown_targets(draft)
    _register_entries(draft)


def _unknown_operations(draft: Draft) -> None:
    rule = "intake.unknown-operation"
    rows = draft.pick_some("pois", draft.due(rule), draft.settled("pois"))
    draft.delivered["pois"] = draft.delivered["pois"].assign(operation=None)
    draft.delivered["pois"]["operation"] = draft.delivered["pois"]["operation"].astype(object)
    draft.deliver("pois", rows, "operation", "封存")
    draft.note_defects(
        TrueDefect(rule, "pois", (key,), "an operation that nobody declared", True)
        for key in draft.keys("pois", rows)
    )


def _unknown_targets(draft: Draft) -> None:
    rule = "reconcile.unknown-target"
    rows = draft.pick_some("pois", draft.due(rule), draft.settled("pois"))
    if not len(rows):
        return
    keys = [f"P{9 * 10**15 + 1000 * draft.delivery + int(row)}" for row in rows]
    strange = draft.delivered["pois"].loc[rows].assign(poi_id=keys, operation="update")
    draft.deliver_more("pois", strange)
    draft.note_defects(
        TrueDefect(rule, "pois", (key,), "an update of what is not there", True) for key in keys
    )


def _register_entries(draft: Draft) -> None:
    entries: list[pd.DataFrame] = []
    for rule, column, value, note in (
        ("buildings.households", "households", -3, "fewer than no households"),
        ("intake.unknown-code", "safety_grade", "Z", "a grade that is not there"),
        ("intake.unmatched-join", "building_id", "无此楼栋", "a building that is not there"),
    ):
        rows = draft.pick_some(
            "buildings", draft.due(f"{rule} housing"), draft.settled("buildings")
        )
        entry = draft.things["buildings"].iloc[rows].copy()
        entry[column] = np.full(len(rows), value, dtype=object)
        entries.append(pd.DataFrame(entry))
        keys = [NO_KEY] * len(rows) if column == "building_id" else draft.keys("buildings", rows)
        draft.note_defects(TrueDefect(rule, "buildings", (key,), note, True) for key in keys)
    draft.delivered["housing"] = pd.concat(entries)
