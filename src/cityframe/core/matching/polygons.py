"""Which polygons of two surveys are the same: buildings, parcels and other areas.

1. Candidates: boxes within reach. What all features around are displaced by is undone
   (`local_shift`).
2. A pair overlaps if it shares `MIN_OVERLAP` of the smaller polygon and the accuracy of the surveys
   does not explain it: it shares half, or deeper than 2 σd, or the smaller one is itself so
   shallow (up to 3 σd) that more can't be asked.
3. Competition: a pair is dropped if both polygons share more ground with others; where it is a
   near tie (`TIE`) the pair is a question.
4. Touching blocks as one: a polygon too shallow to be told by overlap (up to 3 σd deep), still
   without counterpart, goes with the counterpart of what it touches on its own side.

With a scorer its probability stands for 2 and 4. The rules look at both sides alike: exchanging
them exchanges the ends of each link and changes no more.
"""

import numpy as np
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries, Numbers
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.learned import Scorer
from cityframe.core.matching.local_shift import local_shift, moved
from cityframe.core.matching.pair_features import pair_features
from cityframe.core.matching.shape_evidence import (
    MIN_OVERLAP,
    NEARLY_TOUCHING_M,
    Polygons,
    hosts,
    near_pairs,
    overlaps,
)
from cityframe.core.matching.vetoes import Statements

HALF = 0.5
"""A pair that shares half of the smaller polygon is one, whatever the accuracy; a scorer's pair is
one from this probability on."""

SURE_OVERLAP = 0.2
"""An overlap of less than a fifth of the smaller polygon is a question: of judged buildings that
share so little, one pair in eight is none."""

TIE = 0.9
"""What shares this much of the ground that the best rival shares is nearly as good."""

TOUCHING_M = 0.1
"""Polygons of one side that lie no further apart touch: what a snap would close. Up to
`NEARLY_TOUCHING_M` they may be meant to, a question: of judged buildings beside a linked one, all
that touch go with it, and two in three of those that nearly do."""

UNSURE_BAND = 0.35
"""A scorer's probability as near as this to `HALF` is a question: from 0.15 to 0.85."""

_LINK = ["before", "after", "score", "margin", "is_sure"]


def match_polygons(
    before: Geometries,
    after: Geometries,
    tolerance: Tolerance,
    *,
    evidence: Evidence = NO_EVIDENCE,
    reach_m: float | None = None,
    scorer: Scorer | None = None,
) -> Correspondence:
    """Find which polygons of two surveys correspond.

    Parameters
    ----------
    before, after : ndarray of geometries, n and m
        (Multi)polygons in one projected CRS in metres. What is null, empty or without area matches
        nothing; what is invalid is made valid first.
    tolerance : Tolerance
        What the accuracies of the two surveys explain.
    evidence : Evidence
        Pairs that differ in ``exact`` are none; names say nothing of areas.
    reach_m : float, optional
        How far apart the boxes of a pair may lie, in metres; the tolerance's limit by default.
        The largest local shift that can be undone.
    scorer : Scorer, optional
        Tells pairs in place of the rules.

    Returns
    -------
    Correspondence
        ``score`` is the share of the smaller polygon that is common ground, of an attached polygon
        half the score of the link that it goes with, or the scorer's probability.
    """
    # the rules ask how deep an overlap is of those only that share less than half
    depth_below = HALF if scorer is None else np.inf
    old, new, table = _measured(before, after, tolerance, evidence, reach_m, depth_below)
    if scorer is None:
        links = _overlap_links(old, new, table, tolerance)
        attached = _attached_links(old, new, table, links, tolerance)
        links = pd.concat([links, *attached], ignore_index=True)
    else:
        probability = scorer.score(pair_features(old, new, table))
        links = _scored_links(table, probability)
    return Correspondence.of(
        links.assign(
            before=old.position[links["before"].to_numpy(dtype=np.intp)],
            after=new.position[links["after"].to_numpy(dtype=np.intp)],
        )
    )


def candidate_features(
    before: Geometries, after: Geometries, tolerance: Tolerance, *, reach_m: float | None = None
) -> pd.DataFrame:
    """Return ``before``, ``after`` (positions) and the features of each pair within reach."""
    old, new, table = _measured(before, after, tolerance, NO_EVIDENCE, reach_m)
    ends = {
        "before": old.position[table["before"].to_numpy()],
        "after": new.position[table["after"].to_numpy()],
    }
    return pd.concat([pd.DataFrame(ends), pair_features(old, new, table)], axis=1)


def _measured(
    before: Geometries,
    after: Geometries,
    tolerance: Tolerance,
    evidence: Evidence,
    reach_m: float | None,
    depth_below: float = np.inf,
) -> tuple[Polygons, Polygons, pd.DataFrame]:
    """Return the sides, their local shift undone, and the overlap of the pairs within reach."""
    reach = tolerance.limit_m if reach_m is None else reach_m
    old, new = Polygons.of(before), Polygons.of(after)
    first, second = near_pairs(old, new, reach)
    if evidence.exact is not None:
        stated = Statements.of(*evidence.exact)
        allowed = ~stated.contradict(old.position[first], new.position[second])
        first, second = first[allowed], second[allowed]
    pairs = first, second
    shift = local_shift(old.geometry, new.geometry, pairs, reach)
    # half of it on each side: neither is the true one
    old = old.at(moved(old.geometry, shift[0] / 2))
    new = new.at(moved(new.geometry, -shift[1] / 2))
    return old, new, overlaps(old, new, pairs, depth_below=depth_below)


def _overlap_links(
    old: Polygons, new: Polygons, table: pd.DataFrame, tolerance: Tolerance
) -> pd.DataFrame:
    found = table[(table["share"] >= MIN_OVERLAP) & ~table["is_outdone"]]
    shallower = np.minimum(old.depth_m[found["before"]], new.depth_m[found["after"]])
    found = found[
        (found["share"] >= HALF)
        | (found["overlap_depth_m"] > tolerance.rms_m)
        | (shallower <= tolerance.limit_m)
    ]
    standing = _standing(found)
    links, dropped = found[standing >= TIE], found[standing < TIE]
    is_best = standing[standing >= TIE] >= 1
    rival = np.fmax(*(_best_share(dropped, links, end) for end in ("before", "after")))
    share = links["share"].to_numpy()
    return pd.DataFrame(
        {
            "before": links["before"],
            "after": links["after"],
            "score": share,
            "margin": np.maximum(share - np.fmax(rival, MIN_OVERLAP), 0.0),
            "is_sure": (share >= SURE_OVERLAP) & is_best,
        }
    )


def _attached_links(
    old: Polygons,
    new: Polygons,
    table: pd.DataFrame,
    links: pd.DataFrame,
    tolerance: Tolerance,
) -> list[pd.DataFrame]:
    """Return links of shallow polygons without one: with what their neighbour is linked to."""
    found = []
    for side, end, other in ((old, "before", "after"), (new, "after", "before")):
        alone = ~np.isin(table[end], links[end]) & (side.depth_m[table[end]] <= tolerance.limit_m)
        lone = table[alone]
        beside = hosts(side, lone, links, end, other)
        beside["distance_m"] = shapely.distance(
            old.geometry[beside["before"]], new.geometry[beside["after"]]
        )
        beside = beside[beside["distance_m"] <= tolerance.limit_m]
        # the nearest counterpart; of several at hand the one shared most with, then the larger
        size = (new if end == "before" else old).area_m2[beside[other]]
        nearest = (
            beside.assign(size=size)
            .sort_values(
                [end, "distance_m", "share", "size", other],
                ascending=[True, True, False, False, True],
            )
            .drop_duplicates(end)
        )
        score = nearest["score"] / 2
        found.append(
            nearest.assign(
                score=score,
                margin=score * (1 - nearest["gap_m"] / NEARLY_TOUCHING_M),
                is_sure=nearest["is_sure"] & (nearest["gap_m"] <= TOUCHING_M),
            )[_LINK]
        )
    return found


def _scored_links(table: pd.DataFrame, probability: Numbers) -> pd.DataFrame:
    found = table.assign(score=probability)[probability > HALF - UNSURE_BAND]
    standing = np.where(found["share"] < MIN_OVERLAP, 1.0, _standing(found))
    margin = (found["score"] - HALF).abs()
    is_sure = (margin > UNSURE_BAND) & (standing >= 1)
    return found.assign(margin=margin, is_sure=is_sure)[standing >= TIE][_LINK]


def _standing(pairs: pd.DataFrame) -> Numbers:
    """Return the ground that a pair shares over the most that a pair of one of its ends shares.

    Of its two ends the one where it stands better counts: 1 for the best of either.
    """
    first, second = (
        pairs.groupby(end)["overlap_m2"].transform("max") for end in ("before", "after")
    )
    standing: Numbers = (pairs["overlap_m2"] / np.minimum(first, second)).to_numpy()
    return standing


def _best_share(among: pd.DataFrame, of: pd.DataFrame, end: str) -> Numbers:
    """Return the best share of a pair among some at the end of each pair; NaN without one."""
    best = among.groupby(end)["share"].max()
    share: Numbers = best.reindex(of[end]).to_numpy(dtype=np.float64)
    return share
