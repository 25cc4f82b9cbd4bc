"""What changes do to the periods of features on the valid-time axis; pure.

A change says that from ``valid_from`` until ``valid_to`` a feature was some row, or was not there.
Known rows that it overlaps are closed; what is left of their periods is copied; the change's own
row is added::

    known      |-------------- A --------------->
    change             |----- B -----|
    after      |-- A --|----- B -----|--- A ---->

Several changes of a feature are taken in their order: a later one wins where they overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Moments = npt.NDArray[np.int64]
"""Microseconds since 1970; `FOREVER` for no end."""
FOREVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Timeline:
    """What a commit does to a layer's history.

    Attributes
    ----------
    closed : ndarray of bool
        Which known rows are closed.
    copies : DataFrame
        ``known`` (position of the row that is copied), ``valid_from, valid_to`` (microseconds),
        ``ended_by`` (position of the change that ended it, -1 for none).
    added : DataFrame
        ``change`` (position), ``valid_from, valid_to``, ``ended_by`` (as above).
    """

    closed: npt.NDArray[np.bool_]
    copies: pd.DataFrame
    added: pd.DataFrame


def timeline(changes: pd.DataFrame, known: pd.DataFrame) -> Timeline:
    """Return what changes do to known rows.

    Parameters
    ----------
    changes : DataFrame, n rows
        ``uid, valid_from, valid_to`` (microseconds), ``is_removed``; in their order.
    known : DataFrame, m rows
        ``uid, valid_from, valid_to``: rows known of these uids, disjoint for each uid.
    """
    segments = _disjoint(changes)
    removed = changes["is_removed"].to_numpy(dtype=bool)[segments["change"].to_numpy()]
    closed, copies = _leftovers(segments, known)
    added = segments.loc[~removed, ["change", "valid_from", "valid_to", "ended_by"]]
    return Timeline(closed=closed, copies=copies, added=added.reset_index(drop=True))


def in_effect(valid_from: Moments, valid_to: Moments, at: int) -> npt.NDArray[np.bool_]:
    """Return which periods hold a moment."""
    result: npt.NDArray[np.bool_] = (valid_from <= at) & (valid_to > at)
    return result


def _disjoint(changes: pd.DataFrame) -> pd.DataFrame:
    """Return ``uid, change, valid_from, valid_to, ended_by``: what each change still says."""
    segments = changes[["uid", "valid_from", "valid_to"]].reset_index(drop=True)
    segments["change"] = np.arange(len(changes))
    ends_itself = segments["valid_to"].to_numpy() != FOREVER
    segments["ended_by"] = np.where(ends_itself, segments["change"], -1)
    several = segments["uid"].duplicated(keep=False).to_numpy()
    if not several.any():
        return segments
    pieces = [
        piece
        for _, group in segments[several].groupby("uid", sort=False)
        for piece in _overlaid(group)
    ]
    cut = pd.DataFrame(pieces, columns=list(segments.columns))
    whole = pd.concat([segments[~several], cut], ignore_index=True)
    return whole.sort_values(["change", "valid_from"], kind="stable", ignore_index=True)


def _overlaid(group: pd.DataFrame) -> list[tuple[str, int, int, int, int]]:
    """Lay the changes of one feature over one another in their order."""
    laid: list[tuple[str, int, int, int, int]] = []
    for uid, start, end, change, ended_by in group.itertuples(index=False):
        kept: list[tuple[str, int, int, int, int]] = []
        for _, other_start, other_end, other, other_ended_by in laid:
            if other_start < min(start, other_end):
                cut = min(start, other_end)
                kept.append(
                    (uid, other_start, cut, other, change if cut < other_end else other_ended_by)
                )
            if other_end > max(end, other_start):
                kept.append((uid, max(end, other_start), other_end, other, other_ended_by))
        laid = [*kept, (uid, start, end, change, ended_by)]
    return laid


def _leftovers(
    segments: pd.DataFrame, known: pd.DataFrame
) -> tuple[npt.NDArray[np.bool_], pd.DataFrame]:
    """Close the known rows that a segment overlaps, and keep what is left of their periods."""
    closed = np.zeros(len(known), dtype=bool)
    of_uid = segments["uid"]
    single = ~of_uid.duplicated(keep=False).to_numpy()
    places = pd.Index(of_uid[single]).get_indexer(pd.Index(known["uid"]))
    rows = np.flatnonzero(places >= 0)
    chosen = segments[single].iloc[places[rows]]
    start, end = chosen["valid_from"].to_numpy(), chosen["valid_to"].to_numpy()
    known_from = known["valid_from"].to_numpy()[rows]
    known_to = known["valid_to"].to_numpy()[rows]
    meets = (known_from < end) & (known_to > start)
    closed[rows[meets]] = True
    left, right = meets & (known_from < start), meets & (known_to > end)
    parts = [
        _pieces(rows[left], known_from[left], start[left], chosen["change"].to_numpy()[left]),
        _pieces(rows[right], end[right], known_to[right], np.full(int(right.sum()), -1)),
    ]
    if not single.all():
        of_several = list(_leftovers_of_several(segments[~single], known))
        for row, _ in of_several:
            closed[row] = True
        parts += [piece for _, piece in of_several]
    return closed, pd.concat(parts, ignore_index=True)


def _leftovers_of_several(
    segments: pd.DataFrame, known: pd.DataFrame
) -> Iterator[tuple[int, pd.DataFrame]]:
    by_uid = dict(iter(segments.groupby("uid", sort=False)))
    touched = known["uid"].isin(list(by_uid)).to_numpy()
    for row in np.flatnonzero(touched):
        known_from = int(known["valid_from"].iloc[row])
        known_to = int(known["valid_to"].iloc[row])
        pieces = [(known_from, known_to, -1)]
        for _, start, end, change, _ in by_uid[known["uid"].iloc[row]].itertuples(index=False):
            pieces = [
                part
                for piece_from, piece_to, ended_by in pieces
                for part in _without(piece_from, piece_to, ended_by, start, end, change)
            ]
        if pieces == [(known_from, known_to, -1)]:
            continue
        froms, tos, ends = (np.array(column, dtype=np.int64) for column in _columns(pieces))
        yield int(row), _pieces(np.full(len(pieces), row), froms, tos, ends)


def _without(
    piece_from: int, piece_to: int, ended_by: int, start: int, end: int, change: int
) -> Iterator[tuple[int, int, int]]:
    if start >= piece_to or end <= piece_from:
        yield piece_from, piece_to, ended_by
        return
    if piece_from < start:
        yield piece_from, start, change
    if piece_to > end:
        yield end, piece_to, ended_by


def _columns(pieces: list[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    return [one[0] for one in pieces], [one[1] for one in pieces], [one[2] for one in pieces]


def _pieces(
    rows: npt.NDArray[np.int64], valid_from: Moments, valid_to: Moments, ended_by: Moments
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "known": rows.astype(np.int64),
            "valid_from": valid_from.astype(np.int64),
            "valid_to": valid_to.astype(np.int64),
            "ended_by": ended_by.astype(np.int64),
        }
    )
