"""What happens to parcels: they are parted, their borders shift, their rights change."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry import Polygon

from cityframe.demo.arrays import Flags, Floats, Ints
from cityframe.demo.changes.draft import Draft
from cityframe.demo.layout.book import NO_LOT
from cityframe.model.change import ChangeKind

RATES = {"split": 0.001, "shifted": 0.001, "attributes": 0.003, "registered anew": 0.002}

_FIRST_CHILD = 10_000


def change_parcels(draft: Draft) -> None:
    """Part, shift and register parcels."""
    _split(draft)
    _shift(draft)
    rows = draft.pick("parcels", "attributes", draft.settled("parcels"), RATES["attributes"])
    draft.set("parcels", rows, "tenure", _other_tenure(draft, rows))
    draft.note("parcels", rows, ChangeKind.ATTRIBUTES, ("tenure",))
    rows = draft.pick("parcels", "registered", draft.settled("parcels"), RATES["registered anew"])
    draft.set("parcels", rows, "registered_on", draft.day - np.timedelta64(20, "D"))
    draft.set("parcels", rows, "expires_on", draft.day + np.timedelta64(70 * 365, "D"))
    draft.note("parcels", rows, ChangeKind.ATTRIBUTES, ("registered_on", "expires_on"))


def _other_tenure(draft: Draft, rows: Ints) -> npt.NDArray[np.str_]:
    is_state = draft.get("parcels", rows, "tenure") == "state"
    return np.where(is_state, "collective", "state")


def _split(draft: Draft) -> None:
    table = draft.things["parcels"]
    can_split = draft.settled("parcels") & (table["cut_from"] >= 0).to_numpy()
    rows = draft.pick("parcels", "split", can_split, RATES["split"])
    children = [
        _child(table.iloc[row], part, place, draft)
        for row in rows
        for place, part in enumerate(_halves(table.iloc[row]))
    ]
    draft.note("parcels", rows, ChangeKind.REMOVED, note="split")
    draft.set("parcels", rows, "is_alive", values=False)
    if children:
        added = draft.append("parcels", pd.DataFrame(children))
        draft.note("parcels", added, ChangeKind.NEW, note="split")


def _halves(parcel: pd.Series) -> tuple[Polygon, Polygon]:
    """Return the parts of a parcel on both sides of its cut, through vertices that it has."""
    ring = np.asarray(parcel["geometry"].exterior.coords)[:-1]
    first, second = int(parcel["cut_from"]), int(parcel["cut_to"])
    one = ring[first : second + 1]
    other = np.concatenate([ring[second:], ring[: first + 1]])
    return Polygon(one), Polygon(other)


def _child(parent: pd.Series, part: Polygon, place: int, draft: Draft) -> dict[str, object]:
    serial = _FIRST_CHILD + 2 * int(parent["serial"]) + place
    return {
        **{str(name): value for name, value in parent.items()},
        "parcel_id": f"{str(parent['parcel_id'])[:-5]}{serial:05d}",
        "registered_area_m2": round(part.area, 2),
        "registered_on": draft.day - np.timedelta64(30, "D"),
        "geometry": part,
        "serial": serial,
        "cut_from": -1,
        "cut_to": -1,
        "is_alive": True,
        "touched": draft.delivery,
    }


def _shift(draft: Draft) -> None:
    """Shift the border between two parcels; both are reshaped and registered anew."""
    rows = draft.pick("parcels", "shifted", can_shift(draft), RATES["shifted"])
    partners = draft.get("parcels", rows, "partner").astype(np.int64)
    draft.touch("parcels", partners)
    both = np.concatenate([rows, partners])
    shapes = draft.get("parcels", both, "geometry")
    pairs = zip(shapes[: len(rows)], shapes[len(rows) :], strict=True)
    shifted = [shifted_border(one, other) for one, other in pairs]
    after = np.array([pair[0] for pair in shifted] + [pair[1] for pair in shifted], dtype=object)
    draft.set("parcels", both, "geometry", after)
    draft.set("parcels", both, "registered_area_m2", np.round(shapely.area(after), 2))
    draft.set("parcels", both, "partner", NO_LOT)
    draft.note("parcels", both, ChangeKind.RESHAPED, ("registered_area_m2",))


def can_shift(draft: Draft) -> Flags:
    """Return which parcels have a settled partner into which their border can shift."""
    partner = draft.things["parcels"]["partner"].to_numpy()
    settled = draft.settled("parcels")
    flags: Flags = settled & (partner >= 0) & settled[np.maximum(partner, 0)]
    return flags


def shifted_border(one: Polygon, other: Polygon) -> tuple[Polygon, Polygon]:
    """Return two parcels after the first has grown up to the next vertices of the second.

    Their border has no vertices but its ends. The second has the vertices of the new border
    already, next to these ends, and so have the neighbours.
    """
    first, second = _open_ring(one), _open_ring(other)
    shared = [tuple(vertex) for vertex in second if (vertex == first).all(axis=1).any()]
    at = [_position(second, vertex) for vertex in shared]
    count = len(second)
    # going round, the border's end comes right after its start
    start, end = at if (at[0] + 1) % count == at[1] else (at[1], at[0])
    before, after = second[(start - 1) % count], second[(end + 1) % count]
    smaller = np.delete(second, [start, end], axis=0)
    place = _position(first, tuple(second[end]))
    larger = np.concatenate([first[: place + 1], [after, before], first[place + 1 :]])
    return Polygon(larger), Polygon(smaller)


def _open_ring(shape: Polygon) -> Floats:
    return np.asarray(shape.exterior.coords)[:-1]


def _position(ring: Floats, vertex: tuple[float, ...]) -> int:
    return int(np.flatnonzero((ring == np.array(vertex)).all(axis=1))[0])
