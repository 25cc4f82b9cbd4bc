"""Which lines of two sides are the same street, river or pipe.

1. The local displacement of the two layers is undone (`line_shift`).
2. Both sides are sampled; each sample finds the lines of the other side that run along it, within
   reach and parallel (`line_pairs`). Which way a line was drawn does not matter.
3. The lines along a sample compete for it, by what they cost: their distance, and half the reach
   for a wholly different name and for ends that meet other lines (`line_nodes`). What meets is
   known only when pairs are, so this is done in rounds.
4. A pair is a link if each has won most of the shorter one from the other. The parts of a line that
   was cut have each won a stretch of it, and it has won them: a group 1:n. A new line
   beside an old one has won nothing from it, for the old one's counterpart is nearer.

Nothing refers to the order of the sides: exchanged, the same links come out.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries, Numbers, Positions
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.line_nodes import Ends, neighbour_support
from cityframe.core.matching.line_pairs import Companions, Shares, companions, compete
from cityframe.core.matching.line_samples import sample_lines
from cityframe.core.matching.line_shift import aligned
from cityframe.core.matching.names import name_similarity
from cityframe.core.matching.vetoes import Statements

LEAST_REACH_M = 25.0
"""Half of what is plausible for one feature (`place.PLAUSIBLE_M`): redrawn within its street."""

LEAST_SCORE = 0.5
"""Most of the shorter line."""

LEAST_MARGIN = 0.1
"""A rival that comes within a tenth leaves the pair to a person."""

CONTRADICTION = 0.5
"""What a wholly different name, or wholly different neighbours, costs, in reaches: it outweighs
half the distance at which lines may still be one, no more."""

ROUNDS = 3
"""How often the neighbours are heard: as many lines away as one pair can decide another."""


def match_lines(
    before: Geometries,
    after: Geometries,
    tolerance: Tolerance,
    *,
    evidence: Evidence = NO_EVIDENCE,
    reach_m: float | None = None,
) -> Correspondence:
    """Find the lines that are the same, or parts of the same.

    Parameters
    ----------
    before, after : ndarray of geometries, n and m
        Lines or multilines in one projected CRS in metres; null and empty ones match nothing.
    tolerance : Tolerance
        Differences below its σd do not tell two rivals apart.
    evidence : Evidence
        Names, and values that must not differ.
    reach_m : float, optional
        How far apart, once the local displacement is undone, two lines may be; by default 3 σd, at
        least `LEAST_REACH_M`.

    Returns
    -------
    Correspondence
        ``score``: the share of the shorter line that each has won from the other, less where they
        are far apart, down to a half at the reach. ``margin``: how far the rivals stay behind, or
        how far the score is above `LEAST_SCORE`, whichever is less. Below `LEAST_MARGIN` a link is
        not sure. A line can have links only to those that are among the nearest
        `line_pairs.NEIGHBOURS` samples of one of its samples.
    """
    reach = max(tolerance.limit_m, LEAST_REACH_M) if reach_m is None else reach_m
    compared = aligned(before, after, reach)
    ends = (Ends.of(before, compared[0]), Ends.of(after, compared[1]))
    contest = _contest(compared, evidence, reach)
    shares = _round(contest, np.ones(len(contest.before)), reach, tolerance)
    for _ in range(ROUNDS):
        near_m = np.minimum(shares[0].near_m, shares[1].near_m)
        support = neighbour_support(contest.before, contest.after, near_m / contest.shorter_m, ends)
        shares = _round(contest, support, reach, tolerance)
    return _links(contest, shares, reach)


@dataclass(frozen=True)
class _Contest:
    """Both sides' samples with the lines along them, and the pairs of lines that occur.

    ``cost_m`` and ``pair`` belong to the rows of ``companions``, of the before and the after side;
    ``before``, ``after`` and ``shorter_m`` (length of the shorter line) to the pairs.
    """

    companions: tuple[Companions, Companions]
    cost_m: tuple[Numbers, Numbers]
    pair: tuple[Positions, Positions]
    before: Positions
    after: Positions
    shorter_m: Numbers


def _contest(compared: tuple[Geometries, Geometries], evidence: Evidence, reach: float) -> _Contest:
    samples = [sample_lines(side, reach / 2) for side in compared]
    lengths = [
        np.bincount(one.owner, one.length_m, minlength=len(side))
        for one, side in zip(samples, compared, strict=True)
    ]
    here = companions(samples[0], samples[1], compared[1], reach)
    there = companions(samples[1], samples[0], compared[0], reach)
    width = max(len(compared[1]), 1)
    codes = here.own * width + here.other, there.other * width + there.own
    known, row = np.unique(np.concatenate(codes), return_inverse=True)
    before, after = np.divmod(known, width)
    against = _contradiction(evidence, before, after)
    pair = row[: len(codes[0])], row[len(codes[0]) :]
    cost = tuple(
        found.distance_m + against[at] * reach
        for found, at in zip((here, there), pair, strict=True)
    )
    shorter = np.minimum(lengths[0][before], lengths[1][after])
    return _Contest((here, there), (cost[0], cost[1]), pair, before, after, shorter)


def _contradiction(evidence: Evidence, before: Positions, after: Positions) -> Numbers:
    """Return what names and vetoes cost each pair, in reaches."""
    against = np.zeros(len(before))
    if evidence.names is not None:
        alike = name_similarity(*evidence.names, before, after)
        against += CONTRADICTION * np.nan_to_num(1 - alike)
    if evidence.exact is not None:
        against[Statements.of(*evidence.exact).contradict(before, after)] = np.inf
    return against


def _round(
    contest: _Contest, support: Numbers, reach: float, tolerance: Tolerance
) -> tuple[Shares, Shares]:
    penalty = (1 - support) * CONTRADICTION * reach
    here, there = (
        compete(
            found,
            cost + penalty[pair],
            pair,
            len(contest.before),
            reach_m=reach,
            sigma_m=tolerance.sigma_m,
        )
        for found, cost, pair in zip(contest.companions, contest.cost_m, contest.pair, strict=True)
    )
    return here, there


def _links(contest: _Contest, shares: tuple[Shares, Shares], reach: float) -> Correspondence:
    won = [side.won_m for side in shares]
    share = np.minimum(*won) / contest.shorter_m
    linked = np.flatnonzero(share >= LEAST_SCORE)
    here, there = ({name: value[linked] for name, value in vars(side).items()} for side in shares)
    mean_square = (here["square_m3"] + there["square_m3"]) / (here["won_m"] + there["won_m"])
    score = np.minimum(share[linked], 1.0) / (1 + mean_square / reach**2)
    closeness = np.maximum(here["rival_m"] / here["won_m"], there["rival_m"] / there["won_m"])
    margin = np.minimum(score * (1 - closeness), share[linked] - LEAST_SCORE)
    links = pd.DataFrame(
        {
            "before": contest.before[linked],
            "after": contest.after[linked],
            "score": score,
            "margin": margin,
            "is_sure": margin >= LEAST_MARGIN,
        }
    )
    return Correspondence.of(links)
