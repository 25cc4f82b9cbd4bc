"""Which points of two sides are the same hydrant, place or address.

A pair costs its distance, and the reach if the names have nothing in common; with names on both
sides, the mean of the two. Number, unit or floor that differ forbid it; where one side alone has
them, it costs a little. Pairs compete: one that costs least to both its points, by a margin, is a
link. What is left competes again, so that a point that is taken is no rival any more. What then
stands level is a question, never a guess: nothing is assigned to make the whole come out even.

Nothing refers to the order of the sides: exchanged, the same links come out.
"""

import numpy as np
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries, Numbers, Positions
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.names import Names
from cityframe.core.matching.point_pairs import near_pairs, places
from cityframe.core.matching.vetoes import Statements

LEAST_REACH_M = 50.0
"""What is plausible for one feature (`place.PLAUSIBLE_M`)."""

LEAST_SCORE = 0.5
"""Half the reach without names; the reach with equal names; other names at the very place."""

LEAST_MARGIN = 0.1
"""A rival that comes within a tenth leaves the pair to a person."""

SILENCE = 0.1
"""What a number costs that only one side has, in reaches, where others agree: 12 is 12 rather than
12A, but may be. Of several columns each counts for its share."""

ROUNDS = 4
"""How often what is left competes again: a link may free one that was in its shadow."""


def match_points(
    before: Geometries,
    after: Geometries,
    tolerance: Tolerance,
    *,
    evidence: Evidence = NO_EVIDENCE,
    reach_m: float | None = None,
) -> Correspondence:
    """Find the points that are the same.

    Parameters
    ----------
    before, after : ndarray of geometries, n and m
        Points in one projected CRS in metres (of other geometries, the centroids); null and empty
        ones match nothing.
    tolerance : Tolerance
        Differences below its σd do not tell two rivals apart.
    evidence : Evidence
        Names, and values that must not differ.
    reach_m : float, optional
        How far apart the points of a pair may be; by default 3 σd, at least `LEAST_REACH_M`.

    Returns
    -------
    Correspondence
        Sure links are 1:1. ``score``: 1 - cost / reach. ``margin``: how far the best rival of the
        two points stays behind (an unseen one in a crowd of more than
        `point_pairs.NEIGHBOURS` too), or how far the score is above `LEAST_SCORE`, whichever is
        less. Links that are not sure join points that cost each other least, or nearly.
    """
    reach = max(tolerance.limit_m, LEAST_REACH_M) if reach_m is None else reach_m
    pairs = _candidates((places(before), places(after)), evidence, reach)
    links = _links(pairs, reach, tolerance.sigma_m)
    return Correspondence.of(links)


def _candidates(xy: tuple[Numbers, Numbers], evidence: Evidence, reach: float) -> pd.DataFrame:
    """Return ``before``, ``after``, ``cost_m``, ``unseen_m`` of the pairs that may be one."""
    names = None if evidence.names is None else Names.of(*evidence.names)
    statements = None if evidence.exact is None else Statements.of(*evidence.exact)
    said = _said(names, statements, (len(xy[0]), len(xy[1])))
    tables = []
    for own in (0, 1):
        columns = ("before", "after") if own == 0 else ("after", "before")
        for found in near_pairs(xy[own], xy[1 - own], (said[own], said[1 - own]), reach):
            sides = (found.point, found.partner) if own == 0 else (found.partner, found.point)
            cost, unseen = found.distance_m, found.unseen_m
            if names is not None:
                alike = names.similarity(*sides)
                is_named = ~np.isnan(alike)
                cost = np.where(is_named, (cost + (1 - np.nan_to_num(alike)) * reach) / 2, cost)
                unseen = np.where(is_named, unseen / 2, unseen)
            if statements is not None:
                cost = cost + SILENCE * reach * statements.silence(*sides)
                cost[statements.contradict(*sides)] = np.inf
            may_be = cost <= (1 - LEAST_SCORE) * reach
            table = {columns[0]: found.point, columns[1]: found.partner}
            tables.append(pd.DataFrame({**table, "cost_m": cost, "unseen_m": unseen})[may_be])
    empty = {"before": np.intp, "after": np.intp, "cost_m": float, "unseen_m": float}
    pairs = pd.concat(tables) if tables else pd.DataFrame(columns=list(empty)).astype(empty)
    return pairs.groupby(["before", "after"], as_index=False).min()


def _said(
    names: Names | None, statements: Statements | None, counts: tuple[int, int]
) -> tuple[Positions, Positions]:
    """Return a number for all that each point says, -1 without a name."""
    if names is None:
        return np.full(counts[0], -1), np.full(counts[1], -1)
    code = np.concatenate([names.before, names.after])
    columns = {"name": code}
    if statements is not None:
        both = zip(statements.before.T, statements.after.T, strict=True)
        columns |= {str(nth): np.concatenate(sides) for nth, sides in enumerate(both)}
    number = pd.DataFrame(columns).groupby(list(columns), sort=False).ngroup().to_numpy()
    said = np.where(code < 0, -1, number)
    return said[: counts[0]], said[counts[0] :]


def _links(pairs: pd.DataFrame, reach: float, sigma_m: float) -> pd.DataFrame:
    """Take out the sure pairs, round by round; what is level in the end is not sure."""
    found = []
    for _ in range(ROUNDS):
        pairs = _rated(pairs, reach, sigma_m)
        sure = pairs[pairs["margin"] >= LEAST_MARGIN]
        found.append(sure.assign(is_sure=True))
        is_free = ~pairs["before"].isin(sure["before"]) & ~pairs["after"].isin(sure["after"])
        pairs = pairs[is_free]
        if not len(sure):
            break
    rest = _rated(pairs, reach, sigma_m).assign(is_sure=False)
    links = pd.concat([*found, rest[rest["margin"] > -LEAST_MARGIN]], ignore_index=True)
    return links.assign(margin=links["margin"].clip(lower=0.0))


def _rated(pairs: pd.DataFrame, reach: float, sigma_m: float) -> pd.DataFrame:
    """Return pairs with ``score`` and ``margin``; below 0, another is better for one of them."""
    cost = pairs["cost_m"].to_numpy()
    rival = np.minimum(pairs["unseen_m"].to_numpy(), reach)
    for side in ("before", "after"):
        rival = np.minimum(rival, _least_of_others(pairs[side].to_numpy(), cost))
    score = 1 - cost / reach
    behind = score * (1 - (cost + sigma_m) / (rival + sigma_m))
    return pairs.assign(score=score, margin=np.minimum(behind, score - LEAST_SCORE))


def _least_of_others(point: Positions, cost: Numbers) -> Numbers:
    """Return the least cost of each point's other pairs, infinite if it has none."""
    order = np.lexsort((cost, point))
    sorted_point, sorted_cost = point[order], cost[order]
    is_first = np.append(True, sorted_point[1:] != sorted_point[:-1])[: len(point)]
    start = np.maximum.accumulate(np.where(is_first, np.arange(len(point)), 0))
    following = np.append(sorted_cost[1:], np.inf)[: len(point)]
    has_more = np.append(~is_first[1:], False)[: len(point)]
    least = np.empty(len(point))
    least[order] = np.where(is_first, np.where(has_more, following, np.inf), sorted_cost[start])
    return least
