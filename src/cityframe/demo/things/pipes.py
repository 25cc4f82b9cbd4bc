"""Water and sewer networks under the streets of a stretch.

Water pipes run 4 m left of a street's axis, sewers 4 m right of it. Every edge has nodes between
its ends, and a short lateral from one of them. Sewers fall with the ground, which falls to the
south-east, so east-west sewers flow east and north-south ones flow south.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from cityframe.demo.arrays import Days, Flags, Floats, Geometries
from cityframe.demo.layout.plan import CityPlan
from cityframe.demo.things.streets import along
from cityframe.demo.things.stretch import Stretch, fresh

_ASIDE_M = 4.0
_LATERAL_M = 3.5
_WATER_DEPTH_M = 1.4
_SEWER_DEPTH_M = 2.8
_LATERAL_RISE_M = 0.25
RESERVED_LATERALS = 0.2

_WATER_DIAMETERS = np.array([200, 400, 800])
_SEWER_DIAMETERS = np.array([400, 600, 1000])
Names = Geometries


@dataclass(frozen=True)
class _Chain:
    """The nodes along edges (n × k): ids, places of the plan, whether they have a row here."""

    ids: Names
    places: Floats


def water(plan: CityPlan, stretch: Stretch, edges: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return ``water_nodes`` and ``water_pipes``."""
    chain = _chain("JS", edges, np.array([0.0, 0.5, 1.0]), _ASIDE_M)
    chain.places[:, [0, -1]] = _crossing_places(edges, _ASIDE_M)
    random = stretch.random(plan, 5)
    laterals = _laterals("JS", edges, chain, node=1, aside_m=_ASIDE_M + _LATERAL_M)
    is_alive = random.random(len(edges)) >= RESERVED_LATERALS
    road_class = edges["road_class"].to_numpy()
    pipes = _pipe_table(chain, laterals, "from_node", "to_node")
    edge = pipes["edge"].to_numpy()
    is_lateral = pipes["is_lateral"].to_numpy()
    count = len(pipes)
    pipe_table = pd.DataFrame(
        {
            "pipe_id": pipes["pipe_id"],
            "from_node": pipes["from_node"],
            "to_node": pipes["to_node"],
            "diameter_mm": np.where(is_lateral, 100, _WATER_DIAMETERS[road_class[edge]]),
            "material": random.choice(["ductile-iron", "pe", "steel"], count, p=[0.6, 0.3, 0.1]),
            "depth_start_m": np.round(_WATER_DEPTH_M + random.uniform(-0.3, 0.3, count), 2),
            "depth_end_m": np.round(_WATER_DEPTH_M + random.uniform(-0.3, 0.3, count), 2),
            "installed_on": _installed(random, count),
            "geometry": _lines(plan, pipes, None),
            "edge": edge,
            "is_lateral": is_lateral,
        }
    )
    nodes = _node_table("JS", plan, stretch, edges, chain, laterals, _ASIDE_M)
    is_hydrant = nodes["is_lateral"].to_numpy()
    places = nodes[["x", "y"]].to_numpy()
    node_table = pd.DataFrame(
        {
            "node_id": nodes["node_id"],
            "node_type": np.where(
                is_hydrant, "hydrant", np.where(nodes["is_middle"], "valve", "junction")
            ),
            "hydrant_number": [
                f"XF{one[2:]}" if hydrant else None
                for one, hydrant in zip(nodes["node_id"], is_hydrant, strict=True)
            ],
            "ground_m": np.round(plan.ground_m(places), 3),
            "depth_m": np.round(_WATER_DEPTH_M + random.uniform(-0.2, 0.2, len(nodes)), 2),
            "installed_on": _installed(random, len(nodes)),
            "geometry": shapely.points(plan.place(places)),
            "edge": nodes["edge"],
            "is_middle": nodes["is_middle"],
            "is_lateral": is_hydrant,
        }
    )
    return {
        "water_nodes": fresh(node_table, _alive(nodes, is_alive)),
        "water_pipes": fresh(pipe_table, _alive(pipes, is_alive)),
    }


def sewer(plan: CityPlan, stretch: Stretch, edges: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return ``sewer_nodes`` and ``sewer_pipes``; heights of their coordinates are inverts."""
    edges = edges[~edges["is_bridge"]].reset_index(drop=True)
    chain = _chain("WS", edges, np.array([0.0, 1 / 3, 2 / 3, 1.0]), -_ASIDE_M)
    chain.places[:, [0, -1]] = _crossing_places(edges, -_ASIDE_M)
    random = stretch.random(plan, 6)
    laterals = _laterals("WS", edges, chain, node=1, aside_m=-(_ASIDE_M + _LATERAL_M))
    is_alive = random.random(len(edges)) >= RESERVED_LATERALS
    flows_back = ~edges["is_east_west"].to_numpy()
    pipes = _pipe_table(chain, laterals, "from_node", "to_node")
    edge, is_lateral = pipes["edge"].to_numpy(), pipes["is_lateral"].to_numpy()
    # what was drawn northward flows south, and laterals flow into the street
    pipes = _turned(pipes, is_lateral | flows_back[edge])
    inverts = [
        np.round(_invert(plan, pipes[[f"x{end}", f"y{end}"]].to_numpy(), at_lateral), 3)
        for end, at_lateral in ((0, is_lateral), (1, np.zeros(len(pipes), dtype=bool)))
    ]
    road_class = edges["road_class"].to_numpy()
    pipe_table = pd.DataFrame(
        {
            "pipe_id": pipes["pipe_id"],
            "from_node": pipes["from_node"],
            "to_node": pipes["to_node"],
            "diameter_mm": np.where(is_lateral, 300, _SEWER_DIAMETERS[road_class[edge]]),
            "material": random.choice(["concrete", "hdpe"], len(pipes), p=[0.7, 0.3]),
            "invert_start_m": inverts[0],
            "invert_end_m": inverts[1],
            "installed_on": _installed(random, len(pipes)),
            "geometry": _lines(plan, pipes, inverts),
            "edge": edge,
            "is_lateral": is_lateral,
        }
    )
    nodes = _node_table("WS", plan, stretch, edges, chain, laterals, -_ASIDE_M)
    at_lateral = nodes["is_lateral"].to_numpy()
    places = nodes[["x", "y"]].to_numpy()
    invert = np.round(_invert(plan, places, at_lateral), 3)
    placed = plan.place(places)
    node_table = pd.DataFrame(
        {
            "node_id": nodes["node_id"],
            "node_type": np.where(at_lateral, "connection", "manhole"),
            "ground_m": np.round(plan.ground_m(places), 3),
            "invert_m": invert,
            "installed_on": _installed(random, len(nodes)),
            "geometry": shapely.points(np.column_stack([placed, invert])),
            "edge": nodes["edge"],
            "is_middle": nodes["is_middle"],
            "is_lateral": at_lateral,
        }
    )
    return {
        "sewer_nodes": fresh(node_table, _alive(nodes, is_alive)),
        "sewer_pipes": fresh(pipe_table, _alive(pipes, is_alive)),
    }


def _invert(plan: CityPlan, places: Floats, is_lateral: Flags) -> Floats:
    invert: Floats = plan.ground_m(places) - _SEWER_DEPTH_M + _LATERAL_RISE_M * is_lateral
    return invert


def _crossing_id(prefix: str, crossing: object) -> str:
    return f"{prefix}{crossing:08d}"


def _chain(prefix: str, edges: pd.DataFrame, shares: Floats, aside_m: float) -> _Chain:
    direction = np.where(edges["is_east_west"], "H", "Z")
    ids = np.empty((len(edges), len(shares)), dtype=object)
    ids[:, 0] = [_crossing_id(prefix, one) for one in edges["crossing"]]
    ids[:, -1] = [_crossing_id(prefix, one) for one in edges["other"]]
    for place in range(1, len(shares) - 1):
        ids[:, place] = [
            f"{start}{letter}{place}" for start, letter in zip(ids[:, 0], direction, strict=True)
        ]
    return _Chain(ids, along(edges, shares, aside_m))


def _crossing_places(edges: pd.DataFrame, aside_m: float) -> Floats:
    ends = edges[["x0", "y0", "x1", "y1"]].to_numpy().reshape(-1, 2, 2)
    places: Floats = ends + np.array([-aside_m, aside_m])
    return places


def _laterals(
    prefix: str, edges: pd.DataFrame, chain: _Chain, *, node: int, aside_m: float
) -> pd.DataFrame:
    """Return one lateral an edge, from a node of its chain straight to the kerb."""
    shares = np.array([node / (chain.ids.shape[1] - 1)])
    ends = along(edges, shares, aside_m)[:, 0]
    starts = chain.places[:, node]
    return pd.DataFrame(
        {
            "pipe_id": [f"{prefix}L{one[2:]}Z" for one in chain.ids[:, node]],
            "from_node": chain.ids[:, node],
            "to_node": [f"{one}Z" for one in chain.ids[:, node]],
            "x0": starts[:, 0],
            "y0": starts[:, 1],
            "x1": ends[:, 0],
            "y1": ends[:, 1],
            "edge": np.arange(len(edges)),
            "is_lateral": True,
        }
    )


def _pipe_table(chain: _Chain, laterals: pd.DataFrame, start: str, end: str) -> pd.DataFrame:
    count, length = chain.ids.shape[0], chain.ids.shape[1] - 1
    places = chain.places
    street = pd.DataFrame(
        {
            start: chain.ids[:, :-1].ravel(),
            end: chain.ids[:, 1:].ravel(),
            "x0": places[:, :-1, 0].ravel(),
            "y0": places[:, :-1, 1].ravel(),
            "x1": places[:, 1:, 0].ravel(),
            "y1": places[:, 1:, 1].ravel(),
            "edge": np.repeat(np.arange(count), length),
            "is_lateral": False,
        }
    )
    segment = np.tile(np.arange(length), count)
    # ids of nodes that crossings share would not do: two edges start at each
    street.insert(
        0,
        "pipe_id",
        [
            f"{inner[:2]}L{inner[2:-1]}{place + 1}"
            for inner, place in zip(np.repeat(chain.ids[:, 1], length), segment, strict=True)
        ],
    )
    return pd.concat([street, laterals], ignore_index=True)


def _turned(pipes: pd.DataFrame, is_turned: Flags) -> pd.DataFrame:
    """Return the pipes with start and end exchanged where asked."""
    pairs = (("from_node", "to_node"), ("x0", "x1"), ("y0", "y1"))
    turned = {
        name: np.where(is_turned, pipes[other], pipes[name])
        for first, second in pairs
        for name, other in ((first, second), (second, first))
    }
    return pipes.assign(**turned)


def _node_table(
    prefix: str, plan: CityPlan, stretch: Stretch, edges: pd.DataFrame, chain: _Chain,
    laterals: pd.DataFrame, aside_m: float,
) -> pd.DataFrame:  # fmt: skip
    crossing = np.arange(stretch.first, stretch.stop)
    row, column = np.divmod(crossing, plan.columns + 1)
    inner = chain.ids[:, 1:-1]
    places = chain.places[:, 1:-1].reshape(-1, 2)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "node_id": [_crossing_id(prefix, one) for one in crossing],
                    "x": plan.x[column] - aside_m,
                    "y": plan.y[row] + aside_m,
                    "edge": -1,
                    "is_middle": False,
                    "is_lateral": False,
                }
            ),
            pd.DataFrame(
                {
                    "node_id": inner.ravel(),
                    "x": places[:, 0],
                    "y": places[:, 1],
                    "edge": np.repeat(np.arange(len(edges)), inner.shape[1]),
                    "is_middle": True,
                    "is_lateral": False,
                }
            ),
            pd.DataFrame(
                {
                    "node_id": laterals["to_node"],
                    "x": laterals["x1"],
                    "y": laterals["y1"],
                    "edge": laterals["edge"],
                    "is_middle": False,
                    "is_lateral": True,
                }
            ),
        ],
        ignore_index=True,
    )


def _alive(table: pd.DataFrame, has_lateral: Flags) -> Flags:
    is_lateral = table["is_lateral"].to_numpy()
    alive: Flags = ~is_lateral | has_lateral[table["edge"].to_numpy()]
    return alive


def _lines(plan: CityPlan, pipes: pd.DataFrame, heights: list[Floats] | None) -> Geometries:
    ends = [plan.place(pipes[[f"x{end}", f"y{end}"]].to_numpy()) for end in (0, 1)]
    if heights is not None:
        ends = [np.column_stack(pair) for pair in zip(ends, heights, strict=True)]
    return np.asarray(shapely.linestrings(np.stack(ends, axis=1)), dtype=object)


def _installed(random: np.random.Generator, count: int) -> Days:
    days = random.integers(0, 35 * 365, count).astype("timedelta64[D]")
    return np.datetime64("1986-01-01") + days
