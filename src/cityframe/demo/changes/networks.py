"""What happens to the water and the sewer network."""

from collections.abc import Callable

import numpy as np
import shapely

from cityframe.demo.arrays import Flags, Ints
from cityframe.demo.changes.draft import Draft
from cityframe.model.change import ChangeKind

RATES = {
    "new": 0.01,
    "removed": 0.001,
    "moved": 0.001,
    "moved with new attributes": 0.0005,
    "renewed": 0.004,
    "attributes": 0.003,
}
"""Shares of the nodes; of the pipes for ``renewed``; of what is not laid yet for ``new``."""

_MOVE_M = 4.5
_RAISED_M = 0.15


def change_water(draft: Draft) -> None:
    """Lay, move and renew water pipes."""
    _change_network(draft, "water_nodes", "water_pipes", _renew_water_pipe)


def change_sewer(draft: Draft) -> None:
    """Lay, move and renew sewers; moved manholes keep their inverts."""
    _change_network(draft, "sewer_nodes", "sewer_pipes", _renew_sewer_pipe)


def _change_network(
    draft: Draft, nodes: str, pipes: str, renew: Callable[[Draft, Ints], tuple[str, ...]]
) -> None:
    is_lateral = draft.things[nodes]["is_lateral"].to_numpy(dtype=bool)
    rows = draft.pick(nodes, "new", draft.unbuilt(nodes) & is_lateral, RATES["new"])
    _switch(draft, nodes, pipes, rows, is_alive=True)
    rows = draft.pick(nodes, "removed", _free(draft, nodes, pipes) & is_lateral, RATES["removed"])
    _switch(draft, nodes, pipes, rows, is_alive=False)
    for what in ("moved", "moved with new attributes"):
        is_middle = draft.things[nodes]["is_middle"].to_numpy(dtype=bool)
        rows = draft.pick(nodes, what, _free(draft, nodes, pipes) & is_middle, RATES[what])
        rows = _one_an_edge(draft, nodes, rows)
        _move(draft, nodes, pipes, rows)
        raised = _raise_cover(draft, nodes, rows) if what != "moved" else ()
        draft.note(nodes, rows, ChangeKind.MOVED, raised)
    rows = draft.pick(pipes, "renewed", draft.settled(pipes), RATES["renewed"])
    draft.note(pipes, rows, ChangeKind.ATTRIBUTES, renew(draft, rows))
    rows = draft.pick(nodes, "attributes", draft.settled(nodes), RATES["attributes"])
    draft.note(nodes, rows, ChangeKind.ATTRIBUTES, _raise_cover(draft, nodes, rows))


def _free(draft: Draft, nodes: str, pipes: str) -> Flags:
    """Return which nodes are settled together with all pipes of their edge."""
    table = draft.things[pipes]
    busy = table.loc[table["touched"] >= draft.delivery - 1, "edge"].unique()
    is_free = draft.settled(nodes) & ~draft.things[nodes]["edge"].isin(busy).to_numpy()
    result: Flags = is_free
    return result


def _one_an_edge(draft: Draft, nodes: str, rows: Ints) -> Ints:
    """Return the first chosen node of each edge: two would move the ends of one pipe."""
    edges = draft.get(nodes, rows, "edge").astype(np.int64)
    _, first = np.unique(edges, return_index=True)
    return rows[np.sort(first)]


def _switch(draft: Draft, nodes: str, pipes: str, rows: Ints, *, is_alive: bool) -> None:
    """Lay or take out laterals: a node and the pipe to it."""
    change = ChangeKind.NEW if is_alive else ChangeKind.REMOVED
    edges = draft.get(nodes, rows, "edge")
    table = draft.things[pipes]
    laterals = np.flatnonzero(table["is_lateral"] & table["edge"].isin(edges))
    for layer, which in ((nodes, rows), (pipes, laterals)):
        draft.set(layer, which, "is_alive", values=is_alive)
        if is_alive:
            draft.set(layer, which, "installed_on", draft.day - np.timedelta64(15, "D"))
        draft.touch(layer, which)
        draft.note(layer, which, change)


def _move(draft: Draft, nodes: str, pipes: str, rows: Ints) -> None:
    """Move nodes along their street, and the ends of their pipes with them."""
    table = draft.things[pipes]
    for row in rows:
        node = draft.keys(nodes, np.array([row]))[0]
        own = np.flatnonzero((table["from_node"] == node) | (table["to_node"] == node))
        old = shapely.get_coordinates(draft.get(nodes, np.array([row]), "geometry")[0])[0]
        street = own[~table["is_lateral"].to_numpy(dtype=bool)[own]]
        ends = shapely.get_coordinates(table["geometry"].iloc[street[0]])
        step = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
        new = np.round(old + _MOVE_M * step, 3)
        for layer, which in ((nodes, np.array([row])), (pipes, own)):
            before = draft.get(layer, which, "geometry")
            draft.set(layer, which, "geometry", with_vertex_at(before, old, new))
        draft.touch(pipes, own)
        laid = own[table["is_alive"].to_numpy(dtype=bool)[own]]
        draft.note(pipes, laid, ChangeKind.RESHAPED)


def with_vertex_at(geometry: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return geometries with the vertices at ``old`` put to ``new``; heights stay."""
    has_z = bool(shapely.has_z(geometry).any())
    xyz = shapely.get_coordinates(geometry, include_z=has_z)
    is_there = (xyz[:, :2] == old).all(axis=1)
    xyz[is_there, :2] = new
    moved: np.ndarray = shapely.set_coordinates(geometry.copy(), xyz)
    return moved


def _raise_cover(draft: Draft, nodes: str, rows: Ints) -> tuple[str, ...]:
    ground = draft.get(nodes, rows, "ground_m").astype(float)
    draft.set(nodes, rows, "ground_m", np.round(ground + _RAISED_M, 3))
    return ("ground_m",)


def _renew_water_pipe(draft: Draft, rows: Ints) -> tuple[str, ...]:
    is_pe = draft.get("water_pipes", rows, "material") == "pe"
    draft.set("water_pipes", rows, "material", np.where(is_pe, "ductile-iron", "pe"))
    draft.set("water_pipes", rows, "installed_on", draft.day - np.timedelta64(25, "D"))
    return ("material", "installed_on")


def _renew_sewer_pipe(draft: Draft, rows: Ints) -> tuple[str, ...]:
    diameter = draft.get("sewer_pipes", rows, "diameter_mm").astype(int)
    draft.set("sewer_pipes", rows, "diameter_mm", diameter + 200)
    draft.set("sewer_pipes", rows, "installed_on", draft.day - np.timedelta64(25, "D"))
    return ("diameter_mm", "installed_on")
