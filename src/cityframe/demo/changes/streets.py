"""What happens to roads: opened, closed, realigned, resurfaced."""

import numpy as np
import shapely

from cityframe.demo.arrays import Ints
from cityframe.demo.changes.draft import Draft
from cityframe.model.change import ChangeKind

RATES = {
    "new": 0.02,
    "removed": 0.002,
    "reshaped": 0.003,
    "reshaped with new attributes": 0.001,
    "attributes": 0.005,
}
"""Shares of the roads; of those not built yet for ``new``, of those that can close for
``removed``."""

_REALIGNED_M = 4.0


def change_roads(draft: Draft) -> None:
    """Open, close, realign and resurface roads."""
    rows = draft.pick("roads", "new", draft.unbuilt("roads"), RATES["new"])
    draft.set("roads", rows, "is_alive", values=True)
    draft.note("roads", rows, ChangeKind.NEW)
    can_close = draft.settled("roads") & draft.things["roads"]["can_close"].to_numpy(dtype=bool)
    rows = draft.pick("roads", "removed", can_close, RATES["removed"])
    draft.set("roads", rows, "is_alive", values=False)
    draft.note("roads", rows, ChangeKind.REMOVED)
    for what in ("reshaped", "reshaped with new attributes"):
        rows = draft.pick("roads", what, draft.settled("roads"), RATES[what])
        _realign(draft, rows)
        surfaced = _resurface(draft, rows) if what != "reshaped" else ()
        draft.note("roads", rows, ChangeKind.RESHAPED, surfaced)
    rows = draft.pick("roads", "attributes", draft.settled("roads"), RATES["attributes"])
    for one, alter in zip(np.array_split(rows, 2), (_resurface, _widen), strict=True):
        draft.note("roads", one, ChangeKind.ATTRIBUTES, alter(draft, one))


def _realign(draft: Draft, rows: Ints) -> None:
    """Displace the vertices between the ends sideways."""
    lines = draft.get("roads", rows, "geometry")
    xy = shapely.get_coordinates(lines).reshape(len(rows), -1, 2)
    step = xy[:, -1] - xy[:, 0]
    aside = np.column_stack([-step[:, 1], step[:, 0]]) / np.hypot(*step.T)[:, None]
    xy[:, 1:-1] += _REALIGNED_M * aside[:, None, :]
    draft.set("roads", rows, "geometry", shapely.linestrings(np.round(xy, 3)))


def _resurface(draft: Draft, rows: Ints) -> tuple[str, ...]:
    is_asphalt = draft.get("roads", rows, "surface") == "asphalt"
    draft.set("roads", rows, "surface", np.where(is_asphalt, "concrete", "asphalt"))
    return ("surface",)


def _widen(draft: Draft, rows: Ints) -> tuple[str, ...]:
    width = draft.get("roads", rows, "width_m").astype(float)
    lanes = draft.get("roads", rows, "lanes").astype(int)
    draft.set("roads", rows, "width_m", width + 1.5)
    draft.set("roads", rows, "lanes", lanes + 1)
    return ("lanes", "width_m")
