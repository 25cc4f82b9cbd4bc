"""One geometric kind at a time, findings included, beside the bare vectorised call."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from store_cost.measure import Meter

from cityframe.config.rule import Rule
from cityframe.rules.checking.attempt import Attempt
from cityframe.rules.checking.execution import Threads
from cityframe.rules.checking.gathering import gather
from cityframe.rules.checking.running import try_rules
from cityframe.rules.compiled import CompiledRule, compile_rules
from cityframe.rules.context import Context
from quality_cost.city import City, city

Geometries = npt.NDArray[np.object_]
AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Case:
    """A kind with its parameters on a layer, and the bare call that does its work."""

    layer: str
    parameters: dict[str, Any]
    bare: Callable[[City], object]
    what: str
    limit: float = 1.3


def measure_kind(meter: Meter, kind: str, sizes: tuple[int, int, int], repeats: int) -> int:
    """Measure one kind; return how many findings it has.

    Polygons are asked once a layer whether they are valid, for all rules together: the lap
    ``before`` is the rule that asks, and ``kind`` is both.
    """
    made, case = city(*sizes), CASES[kind]
    names = [kind] if case.layer != PARCELS or kind == VALID else [VALID, kind]
    compiled = compile_rules(
        [_rule(name, case if name == kind else CASES[VALID]) for name in names], made.layers, {}
    ).rules
    _check(made, case.layer, compiled, rows=100)
    found = 0
    for _ in range(repeats):
        with meter("bare"):
            case.bare(made)
        with meter("before"):
            _check(made, case.layer, compiled[:-1])
        with meter("kind"):
            attempt, found = _check(made, case.layer, compiled)
        if attempt is not None and attempt.message:
            raise RuntimeError(attempt.message)
        if attempt is not None and kind == "overlaps":
            _require_all_seeded(made, attempt.defects[["row", "other_row"]].to_numpy())
    return found


def _rule(kind: str, case: Case) -> Rule:
    return Rule.model_validate(
        {
            "id": f"{case.layer}.{kind}", "title": {"zh": kind, "en": kind}, "kind": kind,
            "layers": (case.layer,), "parameters": case.parameters, "defect_class": "B",
            "gate": "review", "scope": "candidate",
        }
    )  # fmt: skip


def _check(
    made: City, layer: str, compiled: Sequence[CompiledRule], rows: int | None = None
) -> tuple[Attempt | None, int]:
    """Run rules and gather their findings; return the last one's attempt and findings."""
    context = Context(
        layer=made.layers[layer],
        frame=made.frames[layer].head(rows or len(made.frames[layer])),
        layers=made.layers,
        as_of=AS_OF,
        read_other=made.frames.__getitem__,
    )
    attempts = try_rules(context, compiled, Threads(), since=None)
    found = [gather(context, one, delivery="", waivers=None).findings for one in attempts]
    return (attempts[-1], len(found[-1])) if attempts else (None, 0)


def _require_all_seeded(made: City, pairs: npt.NDArray[np.int64]) -> None:
    found = {(min(pair), max(pair)) for pair in pairs.tolist()}
    if missed := made.overlapping - found:
        message = f"{len(missed)} of {len(made.overlapping)} seeded overlaps were not found"
        raise RuntimeError(message)


def _geometry(made: City, layer: str) -> Geometries:
    return np.asarray(made.frames[layer].geometry, dtype=object)


def _on(layer: str, call: Callable[[Geometries], object]) -> Callable[[City], object]:
    return lambda made: call(_geometry(made, layer))


def overlaps_bare(parcels: Geometries) -> object:
    """Return the areas of the candidates with all that they meet."""
    broken = np.flatnonzero(~shapely.is_empty(shapely.coverage_invalid_edges(parcels)))
    tree = shapely.STRtree(parcels)
    one, two = tree.query(parcels[broken], predicate="intersects")
    own = broken[one]
    pairs = own < two
    return shapely.area(shapely.intersection(parcels[own[pairs]], parcels[two[pairs]]))


def gaps_bare(made: City) -> object:
    """Return the rings of the union of those parcels that are a coverage."""
    parcels = np.delete(_geometry(made, "parcels"), sorted({a for a, _ in made.overlapping}))
    return shapely.get_rings(shapely.get_parts(shapely.coverage_union_all(parcels)))


def duplicates_bare(parcels: Geometries) -> object:
    """Return the rows that share bounds and area with another."""
    keys = np.column_stack([shapely.bounds(parcels), shapely.area(parcels)])
    order = np.lexsort(keys.T)
    return order[1:][(keys[order][1:] == keys[order][:-1]).all(axis=1)]


def vertices_bare(shapes: Geometries) -> object:
    """Return the lengths of all segments."""
    xy, row = shapely.get_coordinates(shapes, return_index=True)
    step = np.diff(xy, axis=0)
    return np.hypot(step[:, 0], step[:, 1])[row[1:] == row[:-1]]


def corners_bare(shapes: Geometries) -> object:
    """Return the turn at all vertices."""
    xy = shapely.get_coordinates(shapes)
    step = np.diff(xy, axis=0)
    return np.arctan2(step[:, 1], step[:, 0])


def inside_bare(made: City) -> object:
    """Return which parcel each address lies in: the tree on the points."""
    tree = shapely.STRtree(_geometry(made, "addresses"))
    return tree.query(_geometry(made, "parcels"), predicate="intersects")


def crossings_bare(lines: Geometries) -> object:
    """Return the pairs of lines that cross."""
    return shapely.STRtree(lines).query(lines, predicate="crosses")


def ends_bare(lines: Geometries) -> object:
    """Return the pairs of an end and a line near it."""
    ends = shapely.get_parts(shapely.boundary(lines))
    return shapely.STRtree(lines).query(ends, predicate="dwithin", distance=2.0)


PARCELS, ROADS, VALID = "parcels", "roads", "valid_geometry"
CASES: dict[str, Case] = {
    "valid_geometry": Case(PARCELS, {}, _on(PARCELS, shapely.is_valid), "is_valid"),
    "null_geometry": Case(PARCELS, {}, _on(PARCELS, shapely.is_empty), "is_empty", limit=3.0),
    "simple_line": Case(ROADS, {}, _on(ROADS, shapely.is_simple), "is_simple"),
    "duplicate_vertices": Case(PARCELS, {}, _on(PARCELS, vertices_bare), "segment lengths"),
    "short_segments": Case(
        PARCELS, {"min_m": 0.02}, _on(PARCELS, vertices_bare), "segment lengths"
    ),
    "spikes": Case(PARCELS, {}, _on(PARCELS, corners_bare), "turns at the vertices"),
    "minimum_area": Case(PARCELS, {"min_m2": 4.0}, _on(PARCELS, shapely.area), "area"),
    "slivers": Case(
        PARCELS,
        {"max_area_m2": 15.0, "max_thickness": 0.1},
        _on(PARCELS, lambda shapes: (shapely.area(shapes), shapely.length(shapes))),
        "area, length",
    ),
    "duplicate_geometry": Case(
        PARCELS, {}, _on(PARCELS, duplicates_bare), "equal bounds and areas"
    ),
    "overlaps": Case(
        PARCELS,
        {"min_area_m2": 0.05},
        _on(PARCELS, overlaps_bare),
        "coverage_invalid_edges, areas of candidates",
        limit=1.2,
    ),
    "gaps": Case(
        PARCELS,
        {"min_area_m2": 0.05, "max_extent_m": 100.0},
        gaps_bare,
        "coverage_union_all, rings",
    ),
    "covered_by": Case(
        "addresses", {"layer": "parcels"}, inside_bare, "tree on the points, intersects"
    ),
    "dangles": Case(ROADS, {"near_m": 2.0}, _on(ROADS, ends_bare), "ends, dwithin"),
    "crossings": Case(ROADS, {}, _on(ROADS, crossings_bare), "tree, crosses"),
}
"""Kinds by name; those that the installation does not have are left out."""
