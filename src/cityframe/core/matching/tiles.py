"""Match two sides tile by tile: bounded memory, several tiles at a time, the outcome of the whole.

A tile owns the features of the first side whose box begins in its square of a fixed grid, and sees
all features of both sides around them. A group of links that comes nearer to the rim of what is
seen than the matcher looks could be another beyond it: it is matched again in a wider view, until
no group does.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from cityframe.core.displacement import Flags, Numbers, Positions
from cityframe.core.matching.correspondence import components

Rows = TypeVar("Rows", covariant=True)
Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Applies a function to jobs and gives the outcomes in their order, as `map` does."""
_Job = tuple[Callable[[Any, Any], pd.DataFrame], Any, Any]

_VIEW_HALOS = 2
"""A view reaches twice as far as the matcher looks: what a tile owns is then linked with features
around which all is seen as well, and only groups that go on from there are matched again."""


class Side(Protocol[Rows]):
    """One of the two sides: where its features are, and any of them on demand."""

    @property
    def boxes(self) -> Numbers:
        """Bounding boxes in metres, n × 4; NaN where there is no geometry."""

    def rows(self, positions: Positions) -> Rows:
        """Return what the matcher takes of the features at ascending positions."""


@dataclass(frozen=True)
class _Tile:
    """Features of the first side that are still to be matched, and how far around is looked."""

    owned: Positions
    view: Numbers


def match_in_tiles(
    match: Callable[[Rows, Rows], pd.DataFrame],
    before: Side[Rows],
    after: Side[Rows],
    *,
    tile_m: float,
    halo_m: float,
    run: Run = map,
) -> pd.DataFrame:
    """Match two sides in tiles; the links are those of the two sides as a whole.

    Parameters
    ----------
    match : callable
        Takes rows of both sides and returns their links: ``before`` and ``after``, positions
        among these rows, and any other columns but ``group``, which is left out. Whether and how
        two features are linked may depend on what lies within ``halo_m`` of the boxes of those
        that they are linked with, directly or through others.
    tile_m : float
        Side of a tile, in metres, anchored at the origin of the CRS.
    halo_m : float
        How far around the features of a group the matcher looks, in metres.
    run : callable
        Runs the tiles; `ahead` gives one for threads and for a cluster.

    Returns
    -------
    DataFrame, k rows
        The links by the positions on the two sides, sorted by ``before`` and ``after``;
        `cityframe.core.matching.correspondence.Correspondence.of` gives the groups.
    """
    grids = _Grid(before.boxes, tile_m), _Grid(after.boxes, tile_m)
    extent = _around(np.concatenate([before.boxes, after.boxes]))
    todo, found, width_m = grids[0].tiles(_VIEW_HALOS * halo_m), [], halo_m
    while todo:
        wider, width_m = [], width_m * _VIEW_HALOS
        for tile, links in _links_by_tile(todo, match, (before, after), grids, run):
            reach = _reach(links, tile.owned, grids)
            seen = np.column_stack(
                [
                    np.maximum(reach[:, :2] - halo_m, extent[:2]),
                    np.minimum(reach[:, 2:] + halo_m, extent[2:]),
                ]
            )
            is_open = ~_is_inside(seen, tile.view)
            found.append(links[links["before"].isin(tile.owned[~is_open])])
            if is_open.any():
                wider.append(_Tile(tile.owned[is_open], _grown(_around(reach[is_open]), width_m)))
        todo = wider
    if not found:
        # the columns are the matcher's to say
        nothing = np.empty(0, dtype=np.intp)
        return _matched((match, before.rows(nothing), after.rows(nothing)))
    return pd.concat(found).sort_values(["before", "after"], ignore_index=True)


def ahead(submit: Callable[..., Any], waiting: int) -> Run:
    """Return what runs jobs in threads or on a cluster, a few ahead of the outcome that is due.

    Parameters
    ----------
    submit : callable
        ``submit`` of an executor of `concurrent.futures`, or of a Dask client (then the matcher
        must be importable by the workers): takes function and job, returns a future.
    waiting : int
        Most jobs that are sent and not yet taken back; it bounds the memory.
    """

    def run(function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        sent = deque[Any]()
        for job in jobs:
            if len(sent) >= waiting:
                yield sent.popleft().result()
            sent.append(submit(function, job))
        while sent:
            yield sent.popleft().result()

    return run


class _Grid:
    """The features of one side, sorted by the square that the lower left of their box lies in."""

    def __init__(self, boxes: Numbers, tile_m: float) -> None:
        self.boxes, self._tile_m = boxes, tile_m
        self.placed = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        cells = np.floor(boxes[self.placed, :2] / tile_m).astype(np.int64)
        is_small = (boxes[self.placed, 2:] - boxes[self.placed, :2] <= tile_m).all(axis=1)
        self._large = self.placed[~is_small]
        order = np.lexsort(cells[is_small].T)
        self._small = self.placed[is_small][order]
        self._column, row = cells[is_small][order].T
        self._rows, self._row_starts = np.unique(row, return_index=True)
        self._row_ends = np.append(self._row_starts[1:], len(row))

    def tiles(self, width_m: float) -> list[_Tile]:
        """Return the tiles; a view reaches so far around what a tile owns.

        A feature much larger than others has a view of its own, or all would look as far as it.
        """
        boxes = self.boxes[self.placed]
        x, y = np.floor(boxes[:, :2] / self._tile_m).T
        is_large = (boxes[:, 2:] - boxes[:, :2] > self._tile_m / 2).any(axis=1)
        own = np.where(is_large, np.cumsum(is_large), 0)
        return [
            _Tile(self.placed[at], _grown(_around(boxes[at]), width_m))
            for at in pd.DataFrame({"y": y, "x": x, "own": own})
            .groupby(["y", "x", "own"])
            .indices.values()
        ]

    def meeting(self, view: Numbers) -> Positions:
        """Return the positions of the features whose box meets a view, ascending."""
        west, south, east, north = np.floor(view / self._tile_m)
        parts = [self._large]
        # a small box begins no more than one square before the view
        first, last = np.searchsorted(self._rows, [south - 1, north + 1])
        for start, end in zip(
            self._row_starts[first:last], self._row_ends[first:last], strict=True
        ):
            columns = self._column[start:end]
            low, high = np.searchsorted(columns, [west - 1, east + 1])
            parts.append(self._small[start + low : start + high])
        near = np.concatenate(parts)
        return np.sort(near[_meets(self.boxes[near], view)])


def _links_by_tile(
    tiles: list[_Tile],
    match: Callable[[Rows, Rows], pd.DataFrame],
    sides: tuple[Side[Rows], Side[Rows]],
    grids: tuple[_Grid, _Grid],
    run: Run,
) -> Iterator[tuple[_Tile, pd.DataFrame]]:
    """Match tiles; yield each with its links by the positions on the two sides."""
    sent = deque[list[Positions]]()

    def jobs() -> Iterator[_Job]:
        for tile in tiles:
            sent.append([grid.meeting(tile.view) for grid in grids])
            old, new = (side.rows(at) for side, at in zip(sides, sent[-1], strict=True))
            yield match, old, new

    for tile, links in zip(tiles, run(_matched, jobs()), strict=True):
        old, new = sent.popleft()
        yield tile, links.assign(before=old[links["before"]], after=new[links["after"]])


def _matched(job: _Job) -> pd.DataFrame:
    match, old, new = job
    return match(old, new).drop(columns="group", errors="ignore")


def _reach(links: pd.DataFrame, owned: Positions, grids: tuple[_Grid, _Grid]) -> Numbers:
    """Return the box around all that each owned feature is grouped with, itself included."""
    boxes = grids[0].boxes[owned]
    ends = [links[name].to_numpy(dtype=np.intp) for name in ("before", "after")]
    both = [grid.boxes[end] for grid, end in zip(grids, ends, strict=True)]
    reach = np.hstack(
        [np.minimum(both[0][:, :2], both[1][:, :2]), np.maximum(both[0][:, 2:], both[1][:, 2:])]
    )
    by_link = pd.DataFrame(reach).groupby(components(*ends))
    reach = np.hstack([by_link[[0, 1]].transform("min"), by_link[[2, 3]].transform("max")])
    # any link of a feature knows the box of its group
    any_link = pd.Series(np.arange(len(links)), index=ends[0]).groupby(level=0).first()
    link = any_link.reindex(owned)
    is_linked = link.notna().to_numpy()
    boxes[is_linked] = reach[link[is_linked].astype(np.intp)]
    return boxes


def _around(boxes: Numbers) -> Numbers:
    """Return the box around boxes; NaN for none."""
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return np.full(4, np.nan)
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _grown(box: Numbers, by_m: float) -> Numbers:
    grown: Numbers = box + np.array([-by_m, -by_m, by_m, by_m])
    return grown


def _is_inside(boxes: Numbers, view: Numbers) -> Flags:
    return np.asarray(
        (boxes[:, :2] >= view[:2]).all(axis=1) & (boxes[:, 2:] <= view[2:]).all(axis=1)
    )


def _meets(boxes: Numbers, view: Numbers) -> Flags:
    return np.asarray(
        (boxes[:, :2] <= view[2:]).all(axis=1) & (boxes[:, 2:] >= view[:2]).all(axis=1)
    )
