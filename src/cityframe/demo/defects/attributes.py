"""Records with a wrong attribute: each is returned, so that nothing changes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from cityframe.demo.arrays import Flags, Geometries, Ints
from cityframe.demo.changes.draft import Draft
from cityframe.demo.truth import TrueDefect

Values = Callable[[Draft, Ints], object]


@dataclass(frozen=True)
class Spoiling:
    """One way to spoil an attribute; ``only`` picks the rows where it makes sense."""

    layer: str
    rule: str
    column: str
    values: Values
    note: str
    only: Callable[[Draft], Flags] | None = None
    also: tuple[str, ...] = ()


def spoil_attributes(draft: Draft) -> None:
    """Spoil attributes of delivered records."""
    for layer, types in _NULLABLE.items():
        draft.delivered[layer] = draft.delivered[layer].astype(types)
    for spoiling in SPOILINGS:
        _spoil(draft, spoiling)


def _spoil(draft: Draft, spoiling: Spoiling) -> None:
    layer = spoiling.layer
    eligible = draft.settled(layer)
    if spoiling.only is not None:
        eligible &= spoiling.only(draft)
    number = draft.due(f"{spoiling.rule} {layer}")
    rows = draft.pick_some(layer, number, eligible)
    if not len(rows):
        return
    draft.deliver(layer, rows, spoiling.column, spoiling.values(draft, rows))
    if layer == "addresses":
        draft.set(layer, rows, "saved_again", draft.delivery + 1)
    draft.note_defects(
        TrueDefect(spoiling.rule, layer, (key,), spoiling.note, returned=True, also=spoiling.also)
        for key in draft.keys(layer, rows)
    )


_NULLABLE: dict[str, dict[str, str]] = {"buildings": {"floors": "Int64", "households": "Int64"}}


def _times(column: str, factor: float) -> Values:
    def values(draft: Draft, rows: Ints) -> object:
        table = draft.things[layer_of[column]]
        return np.round(table[column].to_numpy(dtype=float)[rows] * factor, 1)

    layer_of = {"height_m": "buildings", "registered_area_m2": "parcels"}
    return values


def _uphill(draft: Draft, rows: Ints) -> object:
    start = draft.get("sewer_pipes", rows, "invert_start_m").astype(float)
    return np.round(start + 0.8, 3)


def _garbled(draft: Draft, rows: Ints) -> object:
    return [f"{str(name)[:-1]}\ufffd" for name in draft.get("pois", rows, "name")]


def _far_address(draft: Draft, rows: Ints) -> object:
    """Return the address text furthest from each point of interest in the stretch."""
    addresses = draft.things["addresses"]
    is_known = draft.settled("addresses") & (addresses["stray_since"] == 0).to_numpy()
    quiet = addresses[is_known & (addresses["status"] == "valid").to_numpy()]
    places = quiet["geometry"].to_numpy()
    far = [
        int(np.argmax(shapely.distance(places, here)))
        for here in draft.get("pois", rows, "geometry")
    ]
    return quiet["full_address"].to_numpy()[far]


def _is_arterial(draft: Draft) -> Flags:
    flags: Flags = (draft.things["roads"]["road_class"] == "arterial").to_numpy()
    return flags


def _has_expiry(draft: Draft) -> Flags:
    flags: Flags = draft.things["parcels"]["expires_on"].notna().to_numpy()
    return flags


def _constant(value: object) -> Values:
    def values(draft: Draft, rows: Ints) -> object:
        del draft
        filled: Geometries = np.full(len(rows), value, dtype=object)
        return filled

    return values


def _day(text: str) -> Values:
    def values(draft: Draft, rows: Ints) -> object:
        del draft
        return np.full(len(rows), np.datetime64(text))

    return values


SPOILINGS = (
    Spoiling("buildings", "buildings.floors", "floors", _constant(pd.NA), "no storeys"),
    Spoiling(
        "buildings", "buildings.height-fits-floors", "height_m", _times("height_m", 4.0),
        "four times as high as its storeys",
    ),
    Spoiling("buildings", "buildings.built-on", "built_on", _day("1612-05-01"), "built in 1612"),
    Spoiling("buildings", "buildings.built-on", "built_on", _day("2087-01-01"), "built in 2087"),
    Spoiling("buildings", "intake.unknown-code", "use", _constant("飞碟基地"), "unknown use"),
    Spoiling(
        "parcels", "parcels.registered-area", "registered_area_m2",
        _times("registered_area_m2", 1.5), "registered half as large again",
    ),
    Spoiling(
        "parcels", "parcels.right-ends-after-it-begins", "expires_on", _day("1955-01-01"),
        "the right ends before it begins", only=_has_expiry,
    ),
    Spoiling("roads", "roads.lanes", "lanes", _constant(40), "forty lanes"),
    Spoiling(
        "roads", "roads.arterial-has-a-name", "name", _constant(None), "arterial without a name",
        only=_is_arterial,
    ),
    Spoiling("addresses", "addresses.road-name", "road_name", _constant(None), "no road name"),
    Spoiling("pois", "pois.name-characters", "name", _garbled, "a character was lost"),
    Spoiling("pois", "intake.unknown-code", "category", _constant("ufo"), "unknown category"),
    Spoiling(
        "pois", "intake.unmatched-join", "address", _constant("云川市无名路0号"),
        "an address that is not there",
    ),
    Spoiling(
        "pois", "reconcile.implausible-match", "address", _far_address,
        "an id used again at the other end of the city",
    ),
    Spoiling("water_pipes", "water_pipes.diameter", "diameter_mm", _constant(5), "5 mm wide"),
    Spoiling("water_pipes", "intake.unknown-code", "material", _constant("竹"), "of bamboo"),
    Spoiling(
        "sewer_pipes", "sewer_pipes.falls", "invert_end_m", _uphill, "flows uphill",
    ),
    Spoiling("sensors", "sensors.status", "status", _constant(None), "no status"),
)  # fmt: skip
"""All of them; a delivery has `DEFECTS_EACH` of each rule and layer."""
