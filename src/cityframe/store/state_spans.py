"""In which releases a history row was in the state; pure.

A release's state holds the rows that it knew and that held at its reference time. Reference times
grow from release to release but for roll-backs, so the releases fall into runs of growing times; in
each run a row's period covers one span of releases. Spans that meet at the seam of two runs are
joined.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cityframe.store.timeline import Moments

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StateSpans:
    """Spans of releases in which rows were in the state.

    Attributes
    ----------
    row : ndarray, k
        Position of the row; one with several spans stands several times.
    enter, leave : ndarray, k
        The first release of the span, and the first after it.
    """

    row: Numbers
    enter: Numbers
    leave: Numbers


def state_spans(
    release_from: Numbers,
    release_to: Numbers,
    valid_from: Moments,
    valid_to: Moments,
    valid_at: Moments,
) -> StateSpans:
    """Return when rows were in the state.

    Parameters
    ----------
    release_from, release_to : ndarray, n
        When the framework knew the row; a large number for no end.
    valid_from, valid_to : ndarray, n
        When it was so, in microseconds; `cityframe.store.timeline.FOREVER` for no end.
    valid_at : ndarray, m
        Reference times of the releases 1 to m.

    Returns
    -------
    StateSpans
        Sorted by row, then by release; ``leave`` is at most m + 1.
    """
    closed: list[tuple[Numbers, Numbers, Numbers]] = []
    # where the span began that is still open at the end of the run before; 0 for none
    began = np.zeros(len(release_from), dtype=np.int64)
    for first, last in _runs(valid_at):
        times = valid_at[first - 1 : last]
        enter = first + np.searchsorted(times, valid_from, side="left")
        leave = first + np.searchsorted(times, valid_to, side="left")
        enter = np.maximum(enter, np.maximum(release_from, first))
        leave = np.minimum(leave, np.minimum(release_to, last + 1))
        is_there = enter < leave
        goes_on = is_there & (began > 0) & (enter == first)
        ended = np.flatnonzero((began > 0) & ~goes_on)
        closed.append((ended, began[ended], np.full(len(ended), first)))
        start = np.where(goes_on, began, enter)
        is_open = is_there & (leave == last + 1)
        done = np.flatnonzero(is_there & ~is_open)
        closed.append((done, start[done], leave[done]))
        began = np.where(is_open, start, 0)
    rest = np.flatnonzero(began)
    closed.append((rest, began[rest], np.full(len(rest), len(valid_at) + 1)))
    row, enter, leave = (np.concatenate(parts) for parts in zip(*closed, strict=True))
    order = np.lexsort((enter, row))
    return StateSpans(row=row[order], enter=enter[order], leave=leave[order])


def _runs(valid_at: Moments) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of each run of releases whose times do not fall."""
    falls = np.flatnonzero(np.diff(valid_at) < 0) + 1
    starts = [0, *falls.tolist()]
    for start, end in zip(starts, [*falls.tolist(), len(valid_at)], strict=True):
        if end > start:
            yield start + 1, end
