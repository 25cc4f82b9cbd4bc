"""The cases of the cost table: each yields lines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from quality_cost.lines import Line
from store_cost.measure import Meter, median, run

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.identical import match_identical
from cityframe.core.matching.labels import UNMATCHED
from cityframe.core.matching.place import match_place
from cityframe.core.matching.polygons import match_polygons
from cityframe.core.three_way import merge_values
from reconcile_cost.layers import reconciled
from reconcile_cost.polygons import (
    LAYER,
    Geometries,
    Numbers,
    changed,
    jittered,
    layer_rings,
    polygons,
    redrawn,
)
from reconcile_cost.tiles import tiled

TOLERANCE = Tolerance.between(0.25, 0.25)
SHARE = 0.018
REACH_M = 5.0
ATTRIBUTES = 12
MERGE_SHARE = 0.01
_LIMITS = {"changed": 1.2, "jittered": 2.5, "shape": 10.0}
_WHAT = {
    "changed": "1.8 % changed, no keys",
    "jittered": "all jittered within tolerance, no keys",
    "shape": "all by shape",
}
_LATER: dict[str, Callable[[Numbers], Numbers]] = {
    "changed": lambda ring: changed(ring, SHARE, 1),
    "jittered": lambda ring: jittered(ring, 1),
    "shape": lambda ring: redrawn(ring, 1),
}


@dataclass(frozen=True)
class Bench:
    """What was asked for on the command line."""

    rows: int
    repeats: int
    in_order: bool
    threads: int


def matched(case: str) -> Callable[[Bench], Iterator[Line]]:
    """Return the case of matching two sides."""

    def lines(bench: Bench) -> Iterator[Line]:
        laps = [run(match_sides, case, bench) for _ in range(bench.repeats)]
        baseline, cost = (
            median([lap for outcome in laps for lap in outcome.laps[name]])
            for name in ("baseline", "matching")
        )
        yield Line(case, "baseline: tree and intersects", baseline)
        ratio = cost.cpu_s / baseline.cpu_s
        yield Line(case, _WHAT[case], cost, ratio, "x", _LIMITS[case])
        yield Line(case, "peak memory", value=cost.peak_gib, unit="GiB", limit=4.0)
        yield Line(case, f"matched: {laps[0].value:,}")

    return lines


def match_sides(meter: Meter, case: str, bench: Bench) -> int:
    """Match generated polygons with a later survey; return how many have a counterpart."""
    ring = layer_rings(bench.rows)
    later = _LATER[case](ring)
    if not bench.in_order:
        later = later[np.random.default_rng(2).permutation(len(later))]
    before, after = polygons(ring), polygons(later)
    del ring, later
    # a tree keeps boxes with the geometries; each side of the comparison makes its own
    with meter("matching"):
        found = by_shape(before, after) if case == "shape" else by_all(before, after)
    with meter("baseline"):
        shapely.STRtree(before).query(after, predicate="intersects")
    return found


def by_all(before: Geometries, after: Geometries) -> int:
    """Match by the passes that need no key, each on what the one before left."""
    position = match_identical(before, after, LAYER)
    old, new = _left(position, len(before))
    pairs = match_place(before[old], after[new], TOLERANCE)
    sure = pairs[~pairs["is_ambiguous"]]
    position[new[sure["incoming"]]] = old[sure["current"]]
    old, new = _left(position, len(before))
    links = match_polygons(before[old], after[new], TOLERANCE, reach_m=REACH_M).links
    return int((position != UNMATCHED).sum()) + links["after"].nunique()


def by_shape(before: Geometries, after: Geometries) -> int:
    """Match by shape alone."""
    return match_polygons(before, after, TOLERANCE, reach_m=REACH_M).links["after"].nunique()


def merged(bench: Bench) -> Iterator[Line]:
    """Yield the cost of a three-way merge."""
    laps = [run(merge_rows, bench.rows).cost for _ in range(bench.repeats)]
    cost, what = median(laps), f"three ways, {ATTRIBUTES} attributes, 1 % changed"
    yield Line("merge", what, cost, cost.cpu_s, "CPU s", 1.0 * bench.rows / 1_000_000)


def merge_rows(meter: Meter, rows: int) -> int:
    """Merge three sides of which 1 % differ; return how many values are taken over."""
    random = np.random.default_rng(3)
    values = [random.integers(0, 1000, rows) for _ in range(ATTRIBUTES)]
    base = pd.DataFrame({f"a{at}": values[at].astype(str) for at in range(ATTRIBUTES)})
    digests = random.bytes(16 * rows)
    base_digest = np.frombuffer(digests, dtype="S16").astype(object)
    current, incoming = base.copy(), base.copy()
    sides = [base_digest, base_digest.copy(), base_digest.copy()]
    for frame, digest, seed in ((current, sides[1], 4), (incoming, sides[2], 5)):
        touched = np.random.default_rng(seed).choice(rows, int(MERGE_SHARE * rows), replace=False)
        frame.loc[touched, ["a0", "a5"]] = "another"
        digest[touched] = b"another" + bytes([seed])
    with meter("merge"):
        differs = np.flatnonzero(sides[1] != sides[2])
        three = [side.iloc[differs] for side in (base, current, incoming)]
        columns = [merge_values(*(side[name] for side in three)) for name in base]
    return sum(int(column.is_taken().sum()) for column in columns)


def _left(position: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    is_free = np.ones(count, dtype=bool)
    is_free[position[position != UNMATCHED]] = False
    return np.flatnonzero(is_free), np.flatnonzero(position == UNMATCHED)


def tiles(bench: Bench) -> Iterator[Line]:
    """Yield the cost of matching in tiles from files, and a sample both ways."""
    yield from tiled(bench.rows, bench.threads)


def layer(bench: Bench) -> Iterator[Line]:
    """Yield the cost of a whole delivery."""
    yield from reconciled(bench.rows)


CASES: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "changed": matched("changed"),
    "jittered": matched("jittered"),
    "shape": matched("shape"),
    "merge": merged,
    "layer": layer,
    "tiles": tiles,
}
