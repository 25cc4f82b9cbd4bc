"""What happens to buildings, and with them to their addresses and points of interest."""

import numpy as np
import shapely

from cityframe.demo.arrays import Flags, Geometries, Ints
from cityframe.demo.changes.draft import Draft
from cityframe.demo.changes.shaping import (
    directions,
    translated,
    with_an_annex,
    without_a_corner,
)
from cityframe.demo.things.addresses import poi_names
from cityframe.model.change import ChangeKind

RATES = {
    "removed": 0.0015,
    "new": 0.002,
    "moved": 0.001,
    "moved with new attributes": 0.0005,
    "reshaped": 0.0015,
    "reshaped with new attributes": 0.0005,
    "attributes": 0.0025,
    "register": 0.0015,
    "first registered": 0.001,
}
"""Share of the buildings to which each thing happens in a delivery."""

MIN_MOVE_M = 2.5
MAX_MOVE_M = 3.2
_ROOM_TO_MOVE_M = 4.2
_ANNEX_M = 4.5
_ROOM_FOR_ANNEX_M = 6.0
_MIN_SIDE_M = 11.0
_STOREY_M = 3.0


def change_buildings(draft: Draft) -> None:
    """Build, demolish, move, rebuild and rename buildings."""
    _demolish(draft)
    _build(draft)
    for what in ("moved", "moved with new attributes"):
        rows = draft.pick("buildings", what, _free(draft) & _has_room(draft), RATES[what])
        _move(draft, rows)
        renamed = _rename(draft, rows) if what != "moved" else ()
        draft.note("buildings", rows, ChangeKind.MOVED, renamed)
    for what in ("reshaped", "reshaped with new attributes"):
        rows = draft.pick("buildings", what, _free(draft) & _is_large(draft), RATES[what])
        rows = _reshape(draft, rows)
        raised = _raise(draft, rows) if what != "reshaped" else ()
        draft.note("buildings", rows, ChangeKind.RESHAPED, raised)
    rows = draft.pick("buildings", "attributes", _free(draft), RATES["attributes"])
    for one, alter in zip(np.array_split(rows, 3), (_raise, _rename, _turn_to_shop), strict=True):
        draft.note("buildings", one, ChangeKind.ATTRIBUTES, alter(draft, one))


def change_register(draft: Draft) -> None:
    """Enter buildings into the housing register, and grade registered ones anew."""
    is_registered = draft.things["buildings"]["is_registered"].to_numpy(dtype=bool)
    rows = draft.pick("buildings", "register", _free(draft) & is_registered, RATES["register"])
    grade = draft.get("buildings", rows, "safety_grade")
    draft.set("buildings", rows, "safety_grade", np.where(grade == "A", "B", "A"))
    draft.set("buildings", rows, "registered_in", draft.delivery)
    draft.note("buildings", rows, ChangeKind.ATTRIBUTES, ("safety_grade",))
    rows = draft.pick(
        "buildings", "first", _free(draft) & ~is_registered, RATES["first registered"]
    )
    draft.set("buildings", rows, "is_registered", values=True)
    draft.set("buildings", rows, "registered_in", draft.delivery)
    draft.note(
        "buildings", rows, ChangeKind.ATTRIBUTES, ("structure", "households", "safety_grade")
    )


def _free(draft: Draft) -> Flags:
    """Return which buildings are settled together with their addresses and pois."""
    is_free = draft.settled("buildings")
    addresses, pois = draft.things["addresses"], draft.things["pois"]
    busy_address = _is_busy(draft, "addresses")
    building = addresses["building"].to_numpy()
    is_free[building[busy_address & (building >= 0)]] = False
    at = pois["at"].to_numpy()[_is_busy(draft, "pois")]
    is_free[building[at]] = False
    return is_free


def _is_busy(draft: Draft, layer: str) -> Flags:
    table = draft.things[layer]
    return (table["touched"] >= draft.delivery - 1).to_numpy()


def _has_room(draft: Draft) -> Flags:
    return (draft.things["buildings"]["room_m"] >= _ROOM_TO_MOVE_M).to_numpy()


def _is_large(draft: Draft) -> Flags:
    bounds = shapely.bounds(draft.things["buildings"]["geometry"].to_numpy())
    sides = bounds[:, 2:] - bounds[:, :2]
    is_large: Flags = sides.min(axis=1) >= _MIN_SIDE_M
    return is_large


def _addresses_of(draft: Draft, buildings: Ints) -> Ints:
    building = draft.things["addresses"]["building"].to_numpy()
    return np.flatnonzero(np.isin(building, buildings))


def _demolish(draft: Draft) -> None:
    rows = draft.pick("buildings", "removed", _free(draft), RATES["removed"])
    draft.set("buildings", rows, "is_alive", values=False)
    draft.note("buildings", rows, ChangeKind.REMOVED)
    addresses = _addresses_of(draft, rows)
    pois = draft.things["pois"]
    closed = np.flatnonzero(pois["is_alive"] & pois["at"].isin(addresses))
    draft.set("addresses", addresses, "status", "retired")
    draft.touch("addresses", addresses)
    draft.note("addresses", addresses, ChangeKind.ATTRIBUTES, ("status",))
    draft.set("pois", closed, "is_alive", values=False)
    draft.touch("pois", closed)
    draft.note("pois", closed, ChangeKind.REMOVED)


def _build(draft: Draft) -> None:
    rows = draft.pick("buildings", "new", draft.unbuilt("buildings"), RATES["new"])
    days = draft.random.integers(10, 60, len(rows)).astype("timedelta64[D]")
    draft.set("buildings", rows, "built_on", draft.day - days)
    draft.set("buildings", rows, "is_alive", values=True)
    draft.note("buildings", rows, ChangeKind.NEW)
    addresses = _addresses_of(draft, rows)
    draft.set("addresses", addresses, "is_alive", values=True)
    draft.touch("addresses", addresses)
    draft.note("addresses", addresses, ChangeKind.NEW)


def _move(draft: Draft, rows: Ints) -> None:
    lengths = draft.random.uniform(MIN_MOVE_M, MAX_MOVE_M, len(rows))
    offset = directions(draft.random, lengths)
    moved = translated(draft.get("buildings", rows, "geometry"), offset)
    draft.set("buildings", rows, "geometry", moved)
    # once only: its points of interest follow in a later delivery, within their tolerance
    draft.set("buildings", rows, "room_m", 0.0)
    addresses = _addresses_of(draft, rows)
    owner = np.searchsorted(rows, draft.get("addresses", addresses, "building").astype(int))
    points = translated(draft.get("addresses", addresses, "geometry"), offset[owner])
    draft.set("addresses", addresses, "geometry", points)
    draft.touch("addresses", addresses)
    draft.note("addresses", addresses, ChangeKind.MOVED)


def _reshape(draft: Draft, rows: Ints) -> Ints:
    """Cut off a corner or add an annex; return the rows where either was possible."""
    shapes = draft.get("buildings", rows, "geometry")
    room = draft.get("buildings", rows, "room_m")
    reshaped: list[Geometries | object] = []
    kept: list[int] = []
    for place, row in enumerate(rows):
        doors = draft.get("addresses", _addresses_of(draft, rows[place : place + 1]), "geometry")
        shape = None
        if place % 2 and room[place] >= _ROOM_FOR_ANNEX_M:
            shape = with_an_annex(shapes[place], _ANNEX_M)
        shape = shape or without_a_corner(shapes[place], doors)
        if shape is not None:
            reshaped.append(shape)
            kept.append(int(row))
    done = np.array(kept, dtype=np.int64)
    draft.set("buildings", done, "geometry", np.array(reshaped, dtype=object))
    draft.set("buildings", done, "room_m", 0.0)
    return done


def _raise(draft: Draft, rows: Ints) -> tuple[str, ...]:
    floors = draft.get("buildings", rows, "floors").astype(int)
    height = draft.get("buildings", rows, "height_m").astype(float)
    draft.set("buildings", rows, "floors", floors + 1)
    draft.set("buildings", rows, "height_m", np.round(height + _STOREY_M, 1))
    return ("floors", "height_m")


def _rename(draft: Draft, rows: Ints) -> tuple[str, ...]:
    stems = poi_names(draft.random, ["hotel"] * len(rows))
    # the delivery's number in it, so that a name is never the old one
    names = [f"{stem}{draft.delivery}号楼" for stem in stems]
    draft.set("buildings", rows, "name", names)
    return ("name",)


def _turn_to_shop(draft: Draft, rows: Ints) -> tuple[str, ...]:
    use = draft.get("buildings", rows, "use")
    draft.set("buildings", rows, "use", np.where(use == "31", "61", "31"))
    return ("use",)
