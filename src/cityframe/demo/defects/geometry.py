"""Records with a wrong geometry or key: each is returned, so that nothing changes."""

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import Polygon

from cityframe.demo.arrays import Flags, Floats, Ints
from cityframe.demo.changes.draft import DEFECTS_EACH, Draft
from cityframe.demo.layers import KEYS
from cityframe.demo.truth import TrueDefect

_SPIKE_M = 3.0
_SPIKE_WIDTH_M = 0.04


def spoil_geometries(draft: Draft) -> None:
    """Spoil geometries and keys of delivered records."""
    _bow_ties(draft)
    _spikes(draft)
    _folded_roads(draft)
    _lost_places(draft)
    _too_small(draft)
    _slivers(draft)
    _malformed_keys(draft)
    _twice(draft)


def _returned(
    draft: Draft, rule: str, layer: str, keys: list[str], note: str, also: tuple[str, ...] = ()
) -> None:
    draft.note_defects(
        TrueDefect(rule, layer, (key,), note, returned=True, also=also) for key in keys
    )


def _plain(draft: Draft) -> Flags:
    """Return the settled buildings that are rectangles."""
    shapes = draft.things["buildings"]["geometry"].to_numpy()
    is_plain: Flags = draft.settled("buildings") & (shapely.get_num_coordinates(shapes) == 5)
    return is_plain


def _bow_ties(draft: Draft) -> None:
    rule = "buildings.valid"
    rows = draft.pick_some("buildings", draft.due(rule), _plain(draft))
    shapes = [
        Polygon(np.asarray(shape.exterior.coords)[[0, 2, 1, 3, 0]])
        for shape in draft.get("buildings", rows, "geometry")
    ]
    draft.deliver("buildings", rows, "geometry", np.array(shapes, dtype=object))
    _returned(draft, rule, "buildings", draft.keys("buildings", rows), "a bow-tie")


def _spikes(draft: Draft) -> None:
    rule = "buildings.spikes"
    rows = draft.pick_some("buildings", draft.due(rule), _plain(draft))
    shapes = [_with_spike(shape) for shape in draft.get("buildings", rows, "geometry")]
    draft.deliver("buildings", rows, "geometry", np.array(shapes, dtype=object))
    _returned(draft, rule, "buildings", draft.keys("buildings", rows), "a spike")


def _with_spike(shape: Polygon) -> Polygon:
    ring = np.asarray(shapely.normalize(shape).exterior.coords)
    step = ring[1] - ring[0]
    along = step / np.hypot(*step)
    # a normalised outer ring runs clockwise: outside is on its left
    outward = np.array([-along[1], along[0]])
    foot = ring[0] + 0.5 * step
    spike = [foot, foot + _SPIKE_M * outward, foot + _SPIKE_WIDTH_M * along]
    return Polygon(np.round(np.concatenate([ring[:1], spike, ring[1:]]), 3))


def _folded_roads(draft: Draft) -> None:
    rule = "roads.simple"
    rows = draft.pick_some("roads", draft.due(rule), draft.settled("roads"))
    lines = [
        shapely.LineString(np.asarray(line.coords)[[0, 2, 1, 3]])
        for line in draft.get("roads", rows, "geometry")
    ]
    draft.deliver("roads", rows, "geometry", np.array(lines, dtype=object))
    also = ("roads.spikes",)
    _returned(draft, rule, "roads", draft.keys("roads", rows), "folded back upon itself", also)


def _lost_places(draft: Draft) -> None:
    rule = "water_nodes.has-a-place"
    rows = draft.pick_some("water_nodes", draft.due(rule), draft.settled("water_nodes"))
    draft.deliver("water_nodes", rows, "geometry", np.full(len(rows), None, dtype=object))
    _returned(draft, rule, "water_nodes", draft.keys("water_nodes", rows), "no geometry")
    rule = "intake.coordinates"
    rows = draft.pick_some("sensors", draft.due(rule), draft.settled("sensors"))
    draft.deliver("sensors", rows, "is_swapped", values=True)
    _returned(draft, rule, "sensors", draft.keys("sensors", rows), "longitude for latitude")


def _more(draft: Draft, layer: str, template: Ints, keys: list[str], shapes: list[Polygon]) -> None:
    """Deliver records like those of the state, but with keys and geometries of their own."""
    rows = draft.things[layer].iloc[template].assign(is_alive=True)
    rows[KEYS[layer]] = keys
    rows["geometry"] = np.array(shapes, dtype=object)
    draft.deliver_more(layer, pd.DataFrame(rows))


def false_keys(draft: Draft, layer: str, template: Ints, letter: int) -> list[str]:
    """Return keys of the right form that no feature has; two may be for one parcel or block."""
    first = 9000 + 100 * letter + DEFECTS_EACH * draft.delivery % 100
    return [
        f"{key[:-4]}{first + place:04d}" for place, key in enumerate(draft.keys(layer, template))
    ]


def _too_small(draft: Draft) -> None:
    rule = "buildings.minimum-area"
    rows = draft.pick_some("buildings", draft.due(rule), draft.settled("buildings"))
    shapes = [_square_at(point) for point in _corners(draft, rows)]
    keys = false_keys(draft, "buildings", rows, 1)
    if keys:
        _more(draft, "buildings", rows, keys, shapes)
    _returned(draft, rule, "buildings", keys, "a building of one square metre")


def _corners(draft: Draft, rows: Ints) -> list[Floats]:
    return [
        np.asarray(shape.exterior.coords)[0] for shape in draft.get("buildings", rows, "geometry")
    ]


def _square_at(corner: Floats) -> Polygon:
    return Polygon(corner + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]))


def _slivers(draft: Draft) -> None:
    rule = "parcels.slivers"
    rows = draft.pick_some("parcels", draft.due(rule), draft.settled("parcels"))
    shapes = [_strip_below(shape) for shape in draft.get("parcels", rows, "geometry")]
    first = 20_000 + DEFECTS_EACH * draft.delivery
    keys = [
        f"{key[:-5]}{first + place:05d}" for place, key in enumerate(draft.keys("parcels", rows))
    ]
    if keys:
        _more(draft, "parcels", rows, keys, shapes)
        areas = np.round(shapely.area(np.array(shapes, dtype=object)), 2)
        table = draft.delivered["parcels"]
        table.loc[table["parcel_id"].isin(keys), "registered_area_m2"] = areas
    _returned(draft, rule, "parcels", keys, "a strip thirty centimetres wide")


def _strip_below(shape: Polygon) -> Polygon:
    west, south, _, _ = shape.bounds
    return shapely.box(west, south - 3.3, west + 12.0, south - 3.0)


def _malformed_keys(draft: Draft) -> None:
    rule = "buildings.id-form"
    rows = draft.pick_some("buildings", draft.due(rule), draft.settled("buildings"))
    shapes = draft.get("buildings", rows, "geometry")
    keys = [f"临建-{draft.delivery}-{row}" for row in rows]
    if keys:
        _more(draft, "buildings", rows, keys, list(shapes))
    _returned(draft, rule, "buildings", keys, "an id of its own making")


def _twice(draft: Draft) -> None:
    """Deliver records twice: once with other content, once word for word."""
    for rule, note in (
        ("intake.duplicate-key", "the key stands twice, with other content"),
        ("intake.duplicate-record", "the record stands twice"),
    ):
        rows = draft.pick_some("buildings", draft.due(rule), draft.settled("buildings"))
        if not len(rows):
            continue
        again = draft.delivered["buildings"].loc[rows].copy()
        if rule == "intake.duplicate-key":
            again["name"] = "重名楼"
        draft.deliver_more("buildings", again)
        _returned(draft, rule, "buildings", draft.keys("buildings", rows), note)
