"""Whole layers: attribute rules, the default rule sets, and what 1 % of change costs."""

import datetime as dt
from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from store_cost.measure import Meter

from cityframe.config.rule import Rule
from cityframe.config.rule_set import Include, resolved
from cityframe.model.finding import Scope
from cityframe.rules.check import Checked, check_layer
from cityframe.rules.checking.execution import Threads
from cityframe.rules.checking.since import LayerChange, Since
from cityframe.rules.compiled import CompiledRules, compile_rules
from quality_cost.city import USES, City, city

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SETS = (
    ("parcel_coverage", "parcels", {"key": "number"}),
    ("address", "addresses", {"key": "number", "number": "house", "street": "street"}),
    ("road_network", "roads", {}),
)
SHARE = 0.01


def default_rules(made: City) -> CompiledRules:
    """Return the rule sets of the three layers, all in one scope."""
    rules = [
        rule.model_copy(update={"scope": Scope.CANDIDATE})
        for name, layer, names in SETS
        for rule in resolved(
            Include.model_validate({"set": name, "layer": layer, "names": names}), made.layers, name
        )
    ]
    return compile_rules(rules, made.layers, {rule.id: rule.id for rule in rules})


def measure_default_sets(meter: Meter, sizes: tuple[int, int, int]) -> dict[str, int]:
    """Check all three layers with the default sets; return the findings by layer."""
    made = city(*sizes)
    rules = default_rules(made)
    _warm_up(rules, made)
    with meter("default sets"):
        checked = {layer: _check(rules, made.frames, layer, made.frames[layer]) for layer in LAYERS}
    return {layer: len(one.findings) for layer, one in checked.items()}


def measure_incremental(
    meter: Meter, sizes: tuple[int, int, int], part_of_city: float
) -> tuple[int, int]:
    """Check all layers in full, change 1 % of each, check again both ways; compare.

    Parameters
    ----------
    part_of_city : float
        Share of the area in which the changes lie: 1 for all over.

    Returns
    -------
    tuple of int
        Features changed, and findings.
    """
    made = city(*sizes)
    rules = default_rules(made)
    _warm_up(rules, made)
    before = {layer: _check(rules, made.frames, layer, made.frames[layer]) for layer in LAYERS}
    frames, changed = {}, {}
    for layer, frame in made.frames.items():
        frames[layer], changed[layer] = _changed(layer, frame, part_of_city)
    found = 0
    for layer in LAYERS:
        since = Since(before[layer].findings, changed)
        with meter("incremental"):
            part = _check(rules, frames, layer, made.frames[layer], since)
        with meter("full"):
            full = _check(rules, frames, layer, made.frames[layer])
        if not part.findings.equals(full.findings) or part.results != full.results:
            message = f"{layer}: the incremental check is not the full one"
            raise RuntimeError(message)
        found += len(full.findings)
    return sum(len(one.uids) for one in changed.values()), found


def measure_attributes(meter: Meter, sizes: tuple[int, int, int]) -> int:
    """Check twenty attribute rules on the addresses; the import is a lap of its own."""
    made = city(1, sizes[1], 1)
    rules = attribute_rules()
    compiled = compile_rules(rules, made.layers, {})
    with meter("import"):
        import great_expectations  # noqa: F401
    with meter("20 attribute rules"):
        checked = _check(compiled, made.frames, "addresses", None)
    return len(checked.findings)


def attribute_rules() -> list[Rule]:
    """Return twenty attribute rules on the addresses."""
    given = [
        *(("mandatory", {"column": name}) for name in
          ("number", "street", "house", "floors", "height_m", "use", "postcode", "surveyed_on")),
        *(("range", {"column": "floors", "min": 1, "max": top}) for top in (120, 99, 80)),
        ("range", {"column": "house", "min": 0, "max": 9999}),
        ("range", {"column": "height_m", "min": 0.0, "max": 500.0}),
        ("codes", {"column": "use", "codes": list(USES)}),
        ("codes", {"column": "use", "codes": [*USES, "other"]}),
        ("id_pattern", {"column": "number", "pattern": r"N\d+"}),
        ("id_pattern", {"column": "postcode", "pattern": r"31\d{4}"}),
        ("id_pattern", {"column": "street", "pattern": r"滨江路\d+"}),
        ("unique", {"columns": ["number"]}),
        ("impossible_date", {"column": "surveyed_on"}),
    ]  # fmt: skip
    return [
        Rule.model_validate(
            {
                "id": f"addresses.{place}", "title": {"zh": kind, "en": kind}, "kind": kind,
                "layers": "addresses", "parameters": parameters, "defect_class": "C",
                "gate": "review", "scope": "candidate", "tolerated": 0.05,
            }
        )
        for place, (kind, parameters) in enumerate(given)
    ]  # fmt: skip


LAYERS = tuple(layer for _, layer, _ in SETS)


def _check(
    rules: CompiledRules,
    frames: Mapping[str, gpd.GeoDataFrame],
    layer: str,
    previous: gpd.GeoDataFrame | None,
    since: Since | None = None,
) -> Checked:
    return check_layer(
        rules, scope=Scope.CANDIDATE, layer=layer, frame=frames[layer], as_of=AS_OF,
        other=frames.__getitem__, previous=previous, since=since, execution=Threads(),
    )  # fmt: skip


def _warm_up(rules: CompiledRules, made: City) -> None:
    """Import what the first check of a process imports."""
    heads = {layer: frame.head(100) for layer, frame in made.frames.items()}
    for layer in LAYERS:
        _check(rules, heads, layer, heads[layer])


def _changed(
    layer: str, frame: gpd.GeoDataFrame, part_of_city: float
) -> tuple[gpd.GeoDataFrame, LayerChange]:
    """Return the frame with up to 1 % of its features reshaped a little, and which."""
    rng = np.random.default_rng(7)
    geometry = np.asarray(frame.geometry, dtype=object).copy()
    inside = _inside(geometry, part_of_city)
    wanted = round(len(frame) * SHARE)
    if layer == "parcels":
        # a vertex of a common border moves, and both its parcels with it
        west = np.intersect1d(_with_east_neighbour(len(frame)), inside)
        west = np.sort(rng.permutation(west)[: wanted // 2])
        rows = np.sort(np.concatenate([west, west + 1]))
        moved = _with_moved_border(geometry, west)
    else:
        rows = np.sort(rng.permutation(inside)[:wanted])
        moved = geometry.copy()
        moved[rows] = shapely.transform(geometry[rows], lambda xy: xy + 0.01)
    after = frame.set_geometry(gpd.GeoSeries(moved, index=frame.index, crs=frame.crs))
    return after, LayerChange(frozenset(frame["uid"].iloc[rows]), geometry[rows])


def _inside(geometry: npt.NDArray[np.object_], part_of_city: float) -> npt.NDArray[np.int64]:
    """Return the rows in the lower left part of the city."""
    corner = shapely.bounds(geometry)[:, :2]
    low, high = corner.min(axis=0), corner.max(axis=0)
    limit = low + (high - low) * part_of_city**0.5
    return np.flatnonzero((corner <= limit).all(axis=1))


def _with_east_neighbour(count: int) -> npt.NDArray[np.int64]:
    """Return parcels with an east neighbour, no two of them side by side."""
    side = round(count**0.5)
    return np.arange(side * side).reshape(side, side)[::2, :-1:3].ravel()


def _with_moved_border(
    geometry: npt.NDArray[np.object_], west: npt.NDArray[np.int64]
) -> npt.NDArray[np.object_]:
    """Move the middle vertex of each border between a parcel and the one east of it."""
    moved = geometry.copy()
    step = np.array([0.2, 0.0])
    for rows, vertex in ((west, 6), (west + 1, 14)):
        plain = shapely.get_num_coordinates(moved[rows]) == 17
        xy = shapely.get_coordinates(moved[rows[plain]]).reshape(-1, 17, 2)
        xy[:, vertex] += step
        moved[rows[plain]] = shapely.polygons(shapely.linearrings(xy))
    return moved
