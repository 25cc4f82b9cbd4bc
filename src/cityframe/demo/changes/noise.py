"""What looks like a change in a delivery and is none: noise within the surveys' accuracy."""

import numpy as np
import shapely

from cityframe.demo.arrays import Ints
from cityframe.demo.changes.draft import Draft
from cityframe.demo.changes.shaping import blurred

RATES = {"buildings": 0.01, "parcels": 0.003, "roads": 0.01, "pois": 0.003, "addresses": 0.003}
"""Shares of a layer; of parcels by whole blocks."""

AMPLITUDES_M = {"buildings": 0.1, "parcels": 0.04, "roads": 0.1}
"""Largest displacement of a vertex in x and in y: far below 2 σd of two surveys."""


def add_noise(draft: Draft) -> None:
    """Blur delivered geometries, and send records once more that say nothing new."""
    for layer in ("buildings", "roads"):
        rows = draft.pick(layer, "noise", draft.settled(layer), RATES[layer])
        _blur(draft, layer, rows)
    _blur(draft, "parcels", _quiet_blocks(draft))
    for layer in ("pois", "addresses"):
        rows = draft.pick(layer, "repeated", draft.settled(layer), RATES[layer])
        draft.note_same(layer, rows, "repeated")


def _blur(draft: Draft, layer: str, rows: Ints) -> None:
    shapes = draft.get(layer, rows, "geometry")
    noisy = blurred(shapes, draft.random, AMPLITUDES_M[layer])
    if layer == "roads":
        noisy = _with_ends_of(noisy, shapes)
    draft.deliver(layer, rows, "geometry", noisy)
    draft.note_same(layer, rows, "noise")


def _with_ends_of(noisy: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Return blurred lines that still meet the others at their ends."""
    blurred_xy, xy = (shapely.get_coordinates(side) for side in (noisy, lines))
    ends = np.cumsum(shapely.get_num_coordinates(lines))
    at = np.concatenate([ends - 1, ends - shapely.get_num_coordinates(lines)])
    blurred_xy[at] = xy[at]
    result: np.ndarray = shapely.set_coordinates(noisy, blurred_xy)
    return result


def _quiet_blocks(draft: Draft) -> Ints:
    """Choose the parcels of some blocks in which nothing else happens.

    Neighbours share their vertices, so a block is surveyed anew as a whole or not at all.
    """
    table = draft.things["parcels"]
    block = table["block"].to_numpy()
    is_there = table["is_alive"].to_numpy(dtype=bool)
    is_busy = (table["touched"] >= draft.delivery - 1).to_numpy()
    blocks = np.setdiff1d(np.unique(block[is_there]), np.unique(block[is_busy]))
    number = draft.quotas.take(draft.delivery, "parcels", "noise", len(blocks), RATES["parcels"])
    chosen = draft.random.choice(blocks, number, replace=False)
    rows = np.flatnonzero(is_there & np.isin(block, chosen))
    draft.touch("parcels", rows)
    return rows
