from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries, Numbers, Positions
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.lines import match_lines
from cityframe.core.matching.local_shift import CELL_M
from cityframe.core.matching.place import match_place
from cityframe.core.matching.points import match_points
from cityframe.core.matching.polygons import match_polygons
from cityframe.core.matching.tiles import ahead, match_in_tiles

TOLERANCE = Tolerance(0.25)

Match = Callable[[Geometries, Geometries], pd.DataFrame]


def by_place(before: Geometries, after: Geometries) -> pd.DataFrame:
    pairs = match_place(before, after, TOLERANCE)
    return pairs.rename(columns={"incoming": "after", "current": "before"})


def by_overlap(before: Geometries, after: Geometries) -> pd.DataFrame:
    """Link what meets; a link knows how many features its whole group has."""
    first, second = shapely.STRtree(after).query(before, predicate="intersects")
    links = pd.DataFrame({"before": first, "after": second})
    correspondence = Correspondence.of(links.assign(score=1.0, margin=1.0, is_sure=True))
    sizes = correspondence.groups()[["before_count", "after_count"]].sum(axis=1)
    return correspondence.links.assign(size=correspondence.links["group"].map(sizes))


def whole(match: Match, before: Geometries, after: Geometries) -> pd.DataFrame:
    links = match(before, after).drop(columns="group", errors="ignore")
    return links.sort_values(["before", "after"], ignore_index=True)[sorted(links)]


class GeometrySide:
    """Geometries in memory."""

    def __init__(self, geometry: Geometries) -> None:
        self._geometry = geometry
        self.boxes: Numbers = shapely.bounds(geometry).reshape(-1, 4)

    def rows(self, positions: Positions) -> Geometries:
        return self._geometry[positions]


def tiled(match: Match, before: Geometries, after: Geometries, **options: Any) -> pd.DataFrame:
    links = match_in_tiles(match, GeometrySide(before), GeometrySide(after), **options)
    return links[sorted(links)]


@st.composite
def boxes(draw: st.DrawFn) -> Geometries:
    corner = st.tuples(st.integers(-40, 40), st.integers(-40, 40))
    side = st.sampled_from([0.5, 1.0, 2.0, 2.5, 30.0])
    drawn = draw(st.lists(st.tuples(corner, side, side), max_size=30))
    geometry = np.empty(len(drawn) + 1, dtype=object)
    geometry[1:] = [shapely.box(x, y, x + width, y + height) for (x, y), width, height in drawn]
    return geometry


@settings(max_examples=25, deadline=None)
@given(boxes(), boxes(), st.sampled_from([3.0, 10.0, 100.0]))
def test_tiles_give_what_the_whole_gives(
    before: Geometries, after: Geometries, tile_m: float
) -> None:
    near = before.copy()
    near[1:] = shapely.transform(before[1:], lambda xy: xy + 0.2)
    for match, other in ((by_place, near), (by_place, after), (by_overlap, after)):
        pd.testing.assert_frame_equal(
            tiled(match, before, other, tile_m=tile_m, halo_m=1.5),
            whole(match, before, other),
            check_dtype=False,
        )


def surveys(seed: int, kind: str, count: int, side_m: float) -> tuple[Geometries, Geometries]:
    """Return two surveys of one place, displaced against each other; some is gone, some is new."""
    random = np.random.default_rng(seed)
    at = np.round(random.random((count, 1, 2)) * side_m, 3)
    if kind == "points":
        shape = np.zeros((1, 2))
    elif kind == "lines":
        turn = np.stack([random.random((count, 1)) - 0.5, random.random((count, 1)) - 0.5], axis=2)
        shape = np.concatenate([np.zeros((count, 1, 2)), turn * 20, turn * 40 + 1], axis=1)
    else:
        size = 5 + 10 * random.random((count, 1, 1))
        shape = size * np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    old = at + shape
    new = old + np.array([0.6, 0.3]) + random.normal(0, 0.1, old.shape)
    make: Any = {"points": lambda xy: shapely.points(xy[:, 0]), "lines": shapely.linestrings}.get(
        kind, shapely.polygons
    )
    return make(old[random.random(count) < 0.9]), make(new[random.random(count) < 0.9])


# how far each looks: its grid of shifts in so many rounds, and competitors of competitors
LOOKS: dict[str, tuple[Any, int, float, float, float]] = {
    "polygons": (match_polygons, 400, 6000.0, 2000.0, 2 * CELL_M + 30),
    "lines": (match_lines, 150, 1500.0, 500.0, 200.0),
    "points": (match_points, 300, 300.0, 100.0, 30.0),
}


@settings(max_examples=2, deadline=None)
@pytest.mark.parametrize("kind", LOOKS)
@given(seed=st.integers(0, 2**32))
def test_matchers_by_shape_link_in_tiles_what_they_link_as_a_whole(kind: str, seed: int) -> None:
    matcher, count, side_m, tile_m, halo_m = LOOKS[kind]
    before, after = surveys(seed, kind, count, side_m)

    def match(one: Geometries, other: Geometries) -> pd.DataFrame:
        found: Correspondence = matcher(one, other, TOLERANCE, reach_m=3.0)
        return found.links

    expected = whole(match, before, after)
    assert len(expected) > count // 2
    links = tiled(match, before, after, tile_m=tile_m, halo_m=halo_m)
    pd.testing.assert_frame_equal(links, expected, check_dtype=False)


def chain(count: int) -> tuple[Geometries, Geometries]:
    x = np.arange(count, dtype=float)
    return shapely.box(x, 0, x + 0.7, 1), shapely.box(x + 0.5, 0, x + 1.2, 1)


def test_a_group_that_runs_through_many_tiles_is_matched_as_one() -> None:
    before, after = chain(120)
    links = tiled(by_overlap, before, after, tile_m=10, halo_m=1)
    assert len(links) == 239
    assert set(links["size"]) == {240}


def test_a_tile_sees_little_more_than_itself() -> None:
    x, y = (axis.ravel() * 2.0 for axis in np.meshgrid(np.arange(60), np.arange(60)))
    side = shapely.box(x, y, x + 1, y + 1)
    seen: list[int] = []

    def match(before: Geometries, after: Geometries) -> pd.DataFrame:
        seen.append(len(before))
        return by_place(before, after)

    tiled(match, side, side, tile_m=30, halo_m=2)
    assert len(seen) == 16
    assert max(seen) <= 22**2


def test_a_river_does_not_widen_the_view_of_the_houses() -> None:
    x = np.arange(100) * 4.0
    houses, river = shapely.box(x, 0, x + 1, 1), shapely.box(0, -1, 400, -0.5)
    side = np.append(houses, river)
    seen: list[int] = []

    def match(before: Geometries, after: Geometries) -> pd.DataFrame:
        seen.append(len(before))
        return by_place(before, after)

    assert len(tiled(match, side, side, tile_m=40, halo_m=2)) == 101
    assert sorted(seen)[-2:] == [13, 101]


def test_nothing_on_a_side_gives_no_links() -> None:
    nothing = np.array([None, shapely.Polygon()], dtype=object)
    some = np.array([shapely.box(0, 0, 1, 1)])
    for one, other in ((nothing, some), (some, nothing), (nothing, nothing)):
        links = tiled(by_place, one, other, tile_m=10, halo_m=1)
        assert len(links) == 0
        assert {"before", "after"} <= set(links)


def test_threads_give_what_one_gives_and_few_tiles_are_held() -> None:
    before, after = chain(30)
    expected = tiled(by_overlap, before, after, tile_m=5, halo_m=1)
    with ThreadPoolExecutor(2) as pool:
        run = ahead(pool.submit, 3)
        found = tiled(by_overlap, before, after, tile_m=5, halo_m=1, run=run)
        pd.testing.assert_frame_equal(found, expected)
        made = 0

        def jobs() -> Iterator[int]:
            nonlocal made
            while made < 20:
                made += 1
                yield made

        for taken, outcome in enumerate(run(lambda job: job, jobs()), start=1):
            assert outcome == taken
            assert made <= taken + 3


def test_tiles_on_a_cluster_of_two_workers() -> None:
    distributed = pytest.importorskip("distributed")
    random = np.random.default_rng(3)
    xy = random.random((300, 2)) * 200
    before, after = shapely.points(xy), shapely.points(xy + random.normal(0, 0.2, xy.shape))

    def match(one: Geometries, other: Geometries) -> pd.DataFrame:
        # a function of this test goes to the workers whole: they can't import the test
        pairs = match_place(one, other, TOLERANCE)
        return pairs.rename(columns={"incoming": "after", "current": "before"})

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1",
            dashboard_address=None, worker_dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        run = ahead(partial(client.submit, pure=False), 4)
        options: dict[str, Any] = {"tile_m": 50, "halo_m": 1.5}
        found = tiled(match, before, after, run=run, **options)
    pd.testing.assert_frame_equal(found, tiled(match, before, after, **options))
    assert len(found) > 200
