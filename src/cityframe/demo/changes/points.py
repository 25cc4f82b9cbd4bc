"""What happens to addresses, points of interest and sensors of their own accord."""

import numpy as np
import shapely

from cityframe.demo.arrays import Flags, Ints
from cityframe.demo.changes.draft import Draft
from cityframe.demo.changes.shaping import directions, translated
from cityframe.demo.things.addresses import poi_names
from cityframe.model.change import ChangeKind

ADDRESS_RATES = {"moved": 0.001, "moved with new attributes": 0.0005, "attributes": 0.002}
POI_RATES = {
    "removed": 0.002,
    "new": 0.05,
    "attributes": 0.006,
    "relocated": 0.002,
}
SENSOR_RATES = {
    "removed": 0.002,
    "new": 0.05,
    "attributes": 0.01,
    "moved": 0.002,
    "moved with new attributes": 0.002,
}
"""Shares of a layer; of what is not there yet for ``new``."""

MIN_POI_MOVE_M, MAX_POI_MOVE_M = 8.0, 45.0
_SENSOR_MOVE_M = 6.0


def change_addresses(draft: Draft) -> None:
    """Survey doors anew and change the state of number plates."""
    for what in ("moved", "moved with new attributes"):
        rows = draft.pick("addresses", what, _quiet_addresses(draft), ADDRESS_RATES[what])
        lengths = draft.random.uniform(2.6, 4.0, len(rows))
        offset = directions(draft.random, lengths)
        points = translated(draft.get("addresses", rows, "geometry"), offset)
        draft.set("addresses", rows, "geometry", points)
        changed = _change_status(draft, rows) if what != "moved" else ()
        draft.note("addresses", rows, ChangeKind.MOVED, changed)
    rows = draft.pick(
        "addresses", "attributes", _quiet_addresses(draft), ADDRESS_RATES["attributes"]
    )
    draft.note("addresses", rows, ChangeKind.ATTRIBUTES, _change_status(draft, rows))


def _quiet_addresses(draft: Draft) -> Flags:
    """Return the settled valid addresses at which there is no point of interest."""
    addresses = draft.things["addresses"]
    has_poi = np.zeros(len(addresses), dtype=bool)
    has_poi[draft.things["pois"]["at"].to_numpy()] = True
    is_valid = (addresses["status"] != "retired").to_numpy()
    flags: Flags = draft.settled("addresses") & is_valid & ~has_poi
    return flags


def _change_status(draft: Draft, rows: Ints) -> tuple[str, ...]:
    is_valid = draft.get("addresses", rows, "status") == "valid"
    draft.set("addresses", rows, "status", np.where(is_valid, "temporary", "valid"))
    return ("status",)


def change_pois(draft: Draft) -> None:
    """Open, close, rename and relocate points of interest."""
    rows = draft.pick("pois", "removed", draft.settled("pois"), POI_RATES["removed"])
    draft.set("pois", rows, "is_alive", values=False)
    draft.note("pois", rows, ChangeKind.REMOVED)
    rows = draft.pick("pois", "new", _can_open(draft), POI_RATES["new"])
    draft.set("pois", rows, "is_alive", values=True)
    draft.set("pois", rows, "opened_on", draft.day - np.timedelta64(5, "D"))
    draft.note("pois", rows, ChangeKind.NEW)
    rows = draft.pick("pois", "attributes", draft.settled("pois"), POI_RATES["attributes"])
    for one, alter in zip(np.array_split(rows, 2), (_new_phone, _new_name), strict=True):
        draft.note("pois", one, ChangeKind.ATTRIBUTES, alter(draft, one))
    rows = draft.pick("pois", "relocated", draft.settled("pois"), POI_RATES["relocated"])
    # its address is one of its attributes
    draft.note("pois", _relocate(draft, rows), ChangeKind.MOVED, ("address",))


def _can_open(draft: Draft) -> Flags:
    """Return which points of interest are not there yet at addresses that are."""
    addresses = draft.things["addresses"]
    at = draft.things["pois"]["at"].to_numpy()
    is_open = (addresses["is_alive"] & (addresses["status"] != "retired")).to_numpy()
    flags: Flags = draft.unbuilt("pois") & is_open[at]
    return flags


def _relocate(draft: Draft, rows: Ints) -> Ints:
    """Move points of interest to a free address nearby; return those that found one."""
    addresses, pois = draft.things["addresses"], draft.things["pois"]
    is_free = draft.settled("addresses") & (addresses["status"] == "valid").to_numpy()
    is_free[pois["at"].to_numpy()] = False
    candidates = np.flatnonzero(is_free)
    places = addresses["geometry"].to_numpy()
    tree = shapely.STRtree(places[candidates])
    moved: list[int] = []
    for row in rows:
        here = places[int(pois["at"].iloc[row])]
        near = candidates[tree.query(here, predicate="dwithin", distance=MAX_POI_MOVE_M)]
        near = near[shapely.distance(places[near], here) >= MIN_POI_MOVE_M]
        if not len(near):
            continue
        target = np.array([near.min()])
        one = np.array([row])
        draft.set("pois", one, "at", target)
        draft.set("pois", one, "geometry", places[target])
        draft.set("pois", one, "address", draft.get("addresses", target, "full_address"))
        draft.touch("addresses", target)
        candidates = candidates[candidates != target[0]]
        tree = shapely.STRtree(places[candidates])
        moved.append(int(row))
    return np.array(moved, dtype=np.int64)


def _new_phone(draft: Draft, rows: Ints) -> tuple[str, ...]:
    phones = [f"0700-{one:07d}" for one in draft.random.integers(1_000_000, 1_999_999, len(rows))]
    draft.set("pois", rows, "phone", phones)
    return ("phone",)


def _new_name(draft: Draft, rows: Ints) -> tuple[str, ...]:
    names = poi_names(draft.random, draft.get("pois", rows, "category").tolist())
    draft.set("pois", rows, "name", [f"新{name}{draft.delivery}店" for name in names])
    return ("name",)


def change_sensors(draft: Draft) -> None:
    """Put up, take down, move and calibrate sensors."""
    rows = draft.pick("sensors", "removed", draft.settled("sensors"), SENSOR_RATES["removed"])
    draft.set("sensors", rows, "is_alive", values=False)
    draft.note("sensors", rows, ChangeKind.REMOVED)
    rows = draft.pick("sensors", "new", draft.unbuilt("sensors"), SENSOR_RATES["new"])
    draft.set("sensors", rows, "is_alive", values=True)
    for column in ("installed_on", "calibrated_on"):
        draft.set("sensors", rows, column, draft.day - np.timedelta64(8, "D"))
    draft.note("sensors", rows, ChangeKind.NEW)
    rows = draft.pick("sensors", "attributes", draft.settled("sensors"), SENSOR_RATES["attributes"])
    draft.note("sensors", rows, ChangeKind.ATTRIBUTES, _calibrate(draft, rows))
    for what in ("moved", "moved with new attributes"):
        rows = draft.pick("sensors", what, draft.settled("sensors"), SENSOR_RATES[what])
        offset = directions(draft.random, np.full(len(rows), _SENSOR_MOVE_M))
        points = translated(draft.get("sensors", rows, "geometry"), offset)
        draft.set("sensors", rows, "geometry", points)
        changed = _calibrate(draft, rows) if what != "moved" else ()
        draft.note("sensors", rows, ChangeKind.MOVED, changed)


def _calibrate(draft: Draft, rows: Ints) -> tuple[str, ...]:
    draft.set("sensors", rows, "calibrated_on", draft.day - np.timedelta64(3, "D"))
    return ("calibrated_on",)
