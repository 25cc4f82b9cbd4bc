"""Of what the new features are parts, wholes or successors: lineage that names don't tell.

Names (uid, id, key) say which feature a record is; shapes say where the others come from. Looked at
are features that go, records that are new, and matched pairs that were reshaped: a part that keeps
the number of the whole is a split all the same. Of a group that covers itself both ways:

=====  ======
group  event
=====  ======
1:n    split
n:1    merged
=====  ======

Of any other group each link tells for itself: from a feature that goes to a new one `replaced`, to
one that stays `merged`; from one that stays to a new one `split`. A link that shares less than
`LEAST_PART` of both tells nothing. Nothing here changes a match.
"""

import numpy as np
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Flags
from cityframe.core.matching.correspondence import Correspondence, components
from cityframe.core.matching.shapes import dimension, match_shapes
from cityframe.model.layer import GeometryType
from cityframe.model.lineage import LineageKind
from cityframe.reconcile.shapes import EVENT_COLUMNS, Sides, no_events, with_groups

LEAST_PART = 0.05
"""Less of a feature is no part of another: the least overlap that makes two polygons a link."""


def descent(
    sides: Sides,
    is_new: Flags,
    kind: GeometryType,
    tolerance: Tolerance,
    reach_m: float | None = None,
) -> pd.DataFrame:
    """Return the events that shapes tell about named features.

    Parameters
    ----------
    sides : Sides
        Features that go (``is_gone``) and those reshaped, before; records that are new and those
        that reshape, after. The reshaped ones stand in the same order at the end of both sides.
    is_new : ndarray of bool
        Which of the incoming ones are new.

    Returns
    -------
    DataFrame
        `EVENT_COLUMNS`.
    """
    has_both = len(sides.before) and len(sides.after)
    if dimension(kind) == 0 or not has_both or not (sides.is_gone.any() or is_new.any()):
        return no_events()
    found = match_shapes(sides.before, sides.after, kind, tolerance, reach_m=reach_m)
    sure = found.links[found.links["is_sure"]]
    own = int((~is_new).sum())
    links = sides.links(Correspondence.of(_with_own(sure, own, sides)), kind, tolerance)
    is_part = (links["of_before"] >= LEAST_PART) | (links["of_after"] >= LEAST_PART)
    links = links[is_part | ~(links["is_gone"] | is_new[links["after"]])]
    if links.empty:
        return no_events()
    links = links.assign(group=components(links["before"].to_numpy(), links["after"].to_numpy()))
    groups = with_groups(links).assign(is_new=is_new[links["after"]])
    event = np.select(
        [
            groups["is_covered"] & (groups["befores"] == 1) & (groups["afters"] > 1),
            groups["is_covered"] & (groups["afters"] == 1) & (groups["befores"] > 1),
            groups["is_gone"] & groups["is_new"],
            groups["is_gone"],
            groups["is_new"],
        ],
        [
            LineageKind.SPLIT.value, LineageKind.MERGED.value, LineageKind.REPLACED.value,
            LineageKind.MERGED.value, LineageKind.SPLIT.value,
        ],
        default="",
    )  # fmt: skip
    told = (groups["is_gone"] | groups["is_new"]).to_numpy()
    events = groups.assign(event=event, share=groups["of_before"])[told]
    return events[list(EVENT_COLUMNS)]


def _with_own(links: pd.DataFrame, own: int, sides: Sides) -> pd.DataFrame:
    """Return the links with each reshaped feature linked to its record, whatever its shape."""
    columns = ["before", "after", "score", "margin", "is_sure"]
    pairs = pd.DataFrame(
        {
            "before": np.arange(len(sides.before) - own, len(sides.before)),
            "after": np.arange(len(sides.after) - own, len(sides.after)),
            "score": 1.0,
            "margin": 1.0,
            "is_sure": True,
        }
    )
    both = pd.concat([links[columns], pairs], ignore_index=True)
    return both.drop_duplicates(["before", "after"])
