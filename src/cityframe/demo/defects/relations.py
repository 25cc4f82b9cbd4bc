"""Features that do not fit to others: a person sees them in the candidate and lets them in.

Each changes the framework, and is mended by the delivery after.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import LineString, Polygon

from cityframe.demo.arrays import Ints
from cityframe.demo.changes.draft import Draft
from cityframe.demo.changes.parcels import can_shift, shifted_border
from cityframe.demo.changes.shaping import translated
from cityframe.demo.defects.geometry import false_keys
from cityframe.demo.layers import KEYS
from cityframe.demo.truth import TrueChange, TrueDefect
from cityframe.model.change import ChangeKind

_SHORT_M = 3.0
_OFF_NODE_M = 2.0
_DENT_M = 3.0
_ON_ROAD_M = 12.0
_OUTSIDE_M = 600.0

_TORN = ("reconcile.torn-boundary",)
"""Reconciliation finds it too: a shared boundary moved on one side only."""


def spoil_relations(draft: Draft) -> None:
    """Let delivered features overlap, leave gaps, miss their nodes, stand in the road."""
    _overlapping_buildings(draft)
    _copied_buildings(draft)
    _buildings_on_roads(draft)
    _lost_parcels(draft)
    _overlapping_parcels(draft)
    _dented_parcels(draft)
    _short_roads(draft)
    _pipes_off_nodes(draft)
    _addresses_outside(draft)


def _let_in(
    draft: Draft,
    layer: str,
    keys: list[str],
    change: ChangeKind,
    attributes: tuple[str, ...] = (),
) -> None:
    """Note that defective features get in, and that the next delivery mends them."""
    back = ChangeKind.REMOVED if change is ChangeKind.NEW else change
    draft.lines += [TrueChange(layer, key, change, attributes, "defect") for key in keys]
    draft.mended += [TrueChange(layer, key, back, attributes, "mended") for key in keys]


def _note(
    draft: Draft,
    rule: str,
    layer: str,
    pairs: Iterable[tuple[str, ...]],
    note: str,
    also: tuple[str, ...] = (),
) -> None:
    draft.note_defects(TrueDefect(rule, layer, keys, note, False, also) for keys in pairs)


def _new_buildings(draft: Draft, rows: Ints, letter: int, shapes: list[Polygon]) -> list[str]:
    """Deliver more buildings, with the attributes of others."""
    keys = false_keys(draft, "buildings", rows, letter)
    if keys:
        table = draft.things["buildings"].iloc[rows].assign(is_alive=True)
        table[KEYS["buildings"]] = keys
        table["geometry"] = np.array(shapes, dtype=object)
        draft.deliver_more("buildings", pd.DataFrame(table))
        _let_in(draft, "buildings", keys, ChangeKind.NEW)
    return keys


def _overlapping_buildings(draft: Draft) -> None:
    rule = "buildings.overlaps"
    rows = draft.pick_some("buildings", draft.due(rule), draft.settled("buildings"))
    shapes = draft.get("buildings", rows, "geometry")
    half = np.array([[(b[2] - b[0]) * 0.4, 0.0] for b in shapely.bounds(shapes)]).reshape(-1, 2)
    keys = _new_buildings(draft, rows, 2, list(translated(shapes, half)))
    pairs = list(zip(keys, draft.keys("buildings", rows), strict=True))
    also = ("buildings.in-parcel", "buildings.overlaps")
    _note(draft, rule, "buildings", pairs, "half on its neighbour", also)


def _copied_buildings(draft: Draft) -> None:
    rule = "buildings.duplicates"
    rows = draft.pick_some("buildings", draft.due(rule), draft.settled("buildings"))
    keys = _new_buildings(draft, rows, 3, list(draft.get("buildings", rows, "geometry")))
    pairs = list(zip(keys, draft.keys("buildings", rows), strict=True))
    also = ("buildings.overlaps",)
    _note(draft, rule, "buildings", pairs, "one building under two ids", also)


def _buildings_on_roads(draft: Draft) -> None:
    rule = "buildings.on-road"
    number = draft.due(rule)
    is_minor = (draft.things["roads"]["road_class"] != "arterial").to_numpy()
    roads = draft.pick_some("roads", number, draft.settled("roads") & is_minor)
    rows = draft.pick_some("buildings", len(roads), draft.settled("buildings"))
    shapes = [_square_on(line) for line in draft.get("roads", roads, "geometry")]
    keys = _new_buildings(draft, rows, 4, shapes[: len(rows)])
    pairs = [(key,) for key in keys]
    _note(draft, rule, "buildings", pairs, "in the middle of the road")
    _note(draft, "buildings.in-parcel", "buildings", pairs, "outside its parcel")


def _square_on(line: LineString) -> Polygon:
    point = shapely.line_interpolate_point(line, 0.4, normalized=True)
    x, y = np.round(shapely.get_coordinates(point)[0], 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * _ON_ROAD_M / 2
    return Polygon(corners + np.array([x, y]))


def _lost_parcels(draft: Draft) -> None:
    rule = "buildings.parcel-exists"
    rows = draft.pick_some("buildings", draft.due(rule), draft.settled("buildings"))
    lost = [f"{parcel[:-5]}99999" for parcel in draft.get("buildings", rows, "parcel_id")]
    draft.deliver("buildings", rows, "parcel_id", lost)
    keys = draft.keys("buildings", rows)
    _let_in(draft, "buildings", keys, ChangeKind.ATTRIBUTES, ("parcel_id",))
    _note(draft, rule, "buildings", [(key,) for key in keys], "of a parcel that is not there")


def _reshape_parcels(draft: Draft, rows: Ints, shapes: list[Polygon]) -> list[str]:
    """Deliver parcels in another shape, their registered areas with them."""
    after = np.array(shapes, dtype=object)
    draft.deliver("parcels", rows, "geometry", after)
    draft.deliver("parcels", rows, "registered_area_m2", np.round(shapely.area(after), 2))
    keys = draft.keys("parcels", rows)
    _let_in(draft, "parcels", keys, ChangeKind.RESHAPED, ("registered_area_m2",))
    return keys


def _neighbours(draft: Draft, rule: str) -> tuple[Ints, Ints]:
    rows = draft.pick_some("parcels", draft.due(rule), can_shift(draft))
    partners = draft.get("parcels", rows, "partner").astype(np.int64)
    draft.touch("parcels", partners)
    return rows, partners


def _overlapping_parcels(draft: Draft) -> None:
    rule = "parcels.overlaps"
    rows, partners = _neighbours(draft, rule)
    shapes = zip(*(draft.get("parcels", one, "geometry") for one in (rows, partners)), strict=True)
    keys = _reshape_parcels(draft, rows, [shifted_border(*pair)[0] for pair in shapes])
    others = draft.keys("parcels", partners)
    pairs = list(zip(keys, others, strict=True))
    _note(draft, rule, "parcels", pairs, "grown into its neighbour", _TORN)


def _dented_parcels(draft: Draft) -> None:
    rule = "parcels.gaps"
    rows, partners = _neighbours(draft, rule)
    shapes = zip(*(draft.get("parcels", one, "geometry") for one in (rows, partners)), strict=True)
    keys = _reshape_parcels(draft, partners, [_dented(*pair) for pair in shapes])
    others = draft.keys("parcels", rows)
    pairs = list(zip(keys, others, strict=True))
    _note(draft, rule, "parcels", pairs, "a gap to its neighbour", _TORN)


def _dented(one: Polygon, other: Polygon) -> Polygon:
    """Return the second parcel without a strip along the middle of its border with the first."""
    border = shapely.get_coordinates(shapely.intersection(one.boundary, other.boundary))
    start, step = border[0], border[-1] - border[0]
    aside = np.array([-step[1], step[0]]) / np.hypot(*step)
    if not shapely.contains_xy(other, *(start + 0.5 * step + aside)):
        aside = -aside
    at = [start + 0.35 * step, start + 0.65 * step]
    strip = Polygon(
        [at[0] - aside, at[1] - aside, at[1] + _DENT_M * aside, at[0] + _DENT_M * aside]
    )
    rest = shapely.difference(other, strip)
    return Polygon(np.round(shapely.get_coordinates(rest), 3))


def _short_roads(draft: Draft) -> None:
    rule = "roads.dangles"
    rows = draft.pick_some("roads", draft.due(rule), draft.settled("roads"))
    lines = [_shortened(line, _SHORT_M) for line in draft.get("roads", rows, "geometry")]
    draft.deliver("roads", rows, "geometry", np.array(lines, dtype=object))
    keys = draft.keys("roads", rows)
    _let_in(draft, "roads", keys, ChangeKind.RESHAPED)
    _note(draft, rule, "roads", [(key,) for key in keys], "ends short of the crossing")


def _shortened(line: LineString, by_m: float) -> LineString:
    xyz = shapely.get_coordinates(line, include_z=bool(line.has_z))
    step = xyz[-2, :2] - xyz[-1, :2]
    xyz[-1, :2] = np.round(xyz[-1, :2] + by_m * step / np.hypot(*step), 3)
    return LineString(xyz)


def _pipes_off_nodes(draft: Draft) -> None:
    for layer in ("water_pipes", "sewer_pipes"):
        rule = f"{layer}.on-nodes"
        is_street = ~draft.things[layer]["is_lateral"].to_numpy(dtype=bool)
        rows = draft.pick_some(layer, draft.due(rule), draft.settled(layer) & is_street)
        lines = [_shortened(line, _OFF_NODE_M) for line in draft.get(layer, rows, "geometry")]
        draft.deliver(layer, rows, "geometry", np.array(lines, dtype=object))
        keys = draft.keys(layer, rows)
        _let_in(draft, layer, keys, ChangeKind.RESHAPED)
        _note(draft, rule, layer, [(key,) for key in keys], "ends beside its node")


def _addresses_outside(draft: Draft) -> None:
    """Enter addresses outside the city; nobody mends them, so the finding persists."""
    rule = "addresses.in-city"
    old = draft.things["addresses"]
    strays = old.loc[(old["stray_since"] > 0), KEYS["addresses"]]
    note = "outside the city"
    _note(draft, rule, "addresses", [(str(key),) for key in strays], note)
    rows = draft.pick_some("addresses", draft.due(rule), draft.settled("addresses"))
    if not len(rows):
        return
    west, south, _, _ = draft.city_bounds
    places = [
        shapely.Point(west - _OUTSIDE_M - 40 * place - draft.delivery, south - _OUTSIDE_M)
        for place in range(len(rows))
    ]
    more = old.iloc[rows].assign(
        geometry=np.array(places, dtype=object),
        address_id=false_keys(draft, "addresses", rows, 5),
        full_address=[f"{text}临{draft.delivery}" for text in old["full_address"].iloc[rows]],
        building=-1,
        stray_since=draft.delivery,
        saved_in=draft.delivery,
        touched=draft.delivery,
    )
    added = draft.append("addresses", pd.DataFrame(more))
    draft.note("addresses", added, ChangeKind.NEW, note="defect")
    _note(draft, rule, "addresses", [(key,) for key in draft.keys("addresses", added)], note)
