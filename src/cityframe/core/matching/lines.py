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
from cityframe.core.displacement import Flags, Geometries, Numbers, Positions
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
class _Entries:
    """The lines along one side's samples: of each row the pair of lines, and what it costs."""

    companions: Companions
    pair: Positions
    cost_m: Numbers


@dataclass(frozen=True)
class _Contest:
    """Both sides' entries; of each pair of lines their positions and the length of the shorter."""

    here: _Entries
    there: _Entries
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
    may_be = np.ones(len(known), dtype=bool)
    if evidence.exact is not None:
        may_be = ~Statements.of(*evidence.exact).contradict(before, after)
    unlike = np.zeros(len(known))
    if evidence.names is not None:
        unlike = np.nan_to_num(1 - name_similarity(*evidence.names, before, after))
    entries = tuple(
        _entries(found, pair, may_be, unlike * CONTRADICTION * reach)
        for found, pair in zip((here, there), np.split(row, [len(codes[0])]), strict=True)
    )
    shorter = np.minimum(lengths[0][before], lengths[1][after])
    return _Contest(entries[0], entries[1], before, after, shorter)


def _entries(found: Companions, pair: Positions, may_be: Flags, penalty: Numbers) -> _Entries:
    kept = found.only(may_be[pair])
    pair = pair[may_be[pair]]
    return _Entries(kept, pair, kept.distance_m + penalty[pair])


def _round(
    contest: _Contest, support: Numbers, reach: float, tolerance: Tolerance
) -> tuple[Shares, Shares]:
    penalty = (1 - support) * CONTRADICTION * reach
    here, there = (
        compete(
            side.companions,
            side.cost_m + penalty[side.pair],
            side.pair,
            len(support),
            reach_m=reach,
            sigma_m=tolerance.sigma_m,
        )
        for side in (contest.here, contest.there)
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
