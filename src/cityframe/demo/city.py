"""Make a city and a row of deliveries about it, with the truth of each."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cityframe.demo.arrays import Days
from cityframe.demo.changes.boundaries import boundary_draft, change_boundaries
from cityframe.demo.changes.buildings import change_buildings, change_register
from cityframe.demo.changes.draft import Draft, Quotas
from cityframe.demo.changes.networks import change_sewer, change_water
from cityframe.demo.changes.noise import add_noise
from cityframe.demo.changes.parcels import change_parcels
from cityframe.demo.changes.points import change_addresses, change_pois, change_sensors
from cityframe.demo.changes.streets import change_roads
from cityframe.demo.defects.attributes import spoil_attributes
from cityframe.demo.defects.geometry import spoil_geometries
from cityframe.demo.defects.operations import spoil_operations
from cityframe.demo.defects.relations import spoil_relations
from cityframe.demo.feeds.delivery import DeliveryWriter
from cityframe.demo.feeds.vector import fixed_clock
from cityframe.demo.layout.plan import CRS, CityPlan, make_plan
from cityframe.demo.things.boundaries import boundaries
from cityframe.demo.things.land import land
from cityframe.demo.things.pipes import sewer, water
from cityframe.demo.things.sensors import sensors
from cityframe.demo.things.streets import roads, street_edges
from cityframe.demo.things.stretch import Stretch, Things, stretches
from cityframe.demo.truth import TrueChange, TrueSame
from cityframe.errors import DeclarationError

MANIFEST_FILE = "manifest.json"
MAX_DELIVERIES = 24
_FIRST_MONTH = "2024-01"


@dataclass(frozen=True)
class DeliveryManifest:
    """One delivery of a generated city.

    Attributes
    ----------
    folder : str
        Relative to the city's.
    day : str
        When its content was so, ISO 8601; the last day of a month.
    features : mapping of str to int
        Features of each layer in the city after this delivery, defects that got in not counted.
    """

    folder: str
    day: str
    features: Mapping[str, int]


@dataclass(frozen=True)
class CityManifest:
    """What `generate_city` made; also ``manifest.json`` in the folder."""

    buildings: int
    seed: int
    crs: str
    deliveries: tuple[DeliveryManifest, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the plain value."""
        return asdict(self)


def generate_city(
    folder: Path, *, buildings: int, deliveries: int, seed: int, progress: Callable[[str], None]
) -> CityManifest:
    """Make a city and its deliveries.

    Parameters
    ----------
    folder : Path
        Where ``delivery_1`` … and ``manifest.json`` go; it must not exist or be empty.
    buildings : int
        Buildings in the first delivery, at least `cityframe.demo.layout.plan.MIN_BUILDINGS`.
    deliveries : int
        At least 1, at most `MAX_DELIVERIES`; one a month from January 2024 on.
    seed : int
        Not negative. The same arguments give the same files, byte by byte.
    progress : callable
        Is told what has been done, a line at a time.

    Returns
    -------
    CityManifest
        Memory is bounded: the city is made stretch by stretch, all deliveries of one together.

    Raises
    ------
    DeclarationError
        If an argument is out of its range, or the folder is in use.
    """
    _check(folder, deliveries, seed)
    plan = make_plan(buildings, seed)
    days = _days(deliveries)
    folder.mkdir(parents=True, exist_ok=True)
    with fixed_clock(), ExitStack() as stack:
        writers = [
            stack.enter_context(
                closing(DeliveryWriter(folder / f"delivery_{number}", number, days))
            )
            for number in range(1, deliveries + 1)
        ]
        city = _CityInTime(plan, days)
        city.write_boundaries(writers)
        done = 0
        for stretch in stretches(plan):
            done += city.write(stretch, writers)
            progress(f"{done:,} of {buildings:,} buildings in {deliveries} deliveries")
        for writer in writers:
            writer.finish()
            progress(f"{writer.folder.name} packed")
    manifest = CityManifest(
        buildings=buildings,
        seed=seed,
        crs=CRS,
        deliveries=tuple(
            DeliveryManifest(writer.folder.name, str(day), dict(writer.features))
            for writer, day in zip(writers, days, strict=True)
        ),
    )
    text = json.dumps(manifest.as_dict(), ensure_ascii=False, indent=1)
    (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
    return manifest


def _check(folder: Path, deliveries: int, seed: int) -> None:
    if not 1 <= deliveries <= MAX_DELIVERIES:
        raise DeclarationError(
            found=f"--deliveries is {deliveries}", expected=f"1 to {MAX_DELIVERIES}"
        )
    if seed < 0:
        raise DeclarationError(found=f"--seed is {seed}", expected="0 or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DeclarationError(
            where=str(folder), found="the folder is in use", remedy="empty it or name another"
        )


def _days(deliveries: int) -> Days:
    """Return the last days of the months from the first delivery on."""
    months = np.datetime64(_FIRST_MONTH) + np.arange(1, deliveries + 1).astype("timedelta64[M]")
    firsts: Days = months.astype("datetime64[D]")
    return firsts - np.timedelta64(1, "D")


class _CityInTime:
    """A city whose stretches are taken through all deliveries one after the other."""

    def __init__(self, plan: CityPlan, days: Days) -> None:
        self._plan = plan
        self._days = days
        self._quotas = Quotas()
        self._boundaries = boundaries(plan)
        self._bounds = tuple(self._boundaries["geometry"].iloc[0].bounds)
        self._stretches = sum(1 for _ in stretches(plan))

    def write_boundaries(self, writers: list[DeliveryWriter]) -> None:
        """Write the boundaries of all deliveries."""
        table = self._boundaries
        for writer in writers:
            random = np.random.default_rng([self._plan.seed, 20, writer.delivery])
            draft = boundary_draft(table, self._draft({}, writer.delivery, 0, random))
            change_boundaries(draft)
            writer.write_boundaries(draft)
            table = draft.things["boundaries"]

    def write(self, stretch: Stretch, writers: list[DeliveryWriter]) -> int:
        """Write all deliveries of a stretch; return how many buildings it began with."""
        things = _at_first(self._plan, stretch)
        standing = int(things["buildings"]["is_alive"].sum())
        mended: list[TrueChange] = []
        for writer in writers:
            random = stretch.random(self._plan, 50, writer.delivery)
            draft = self._draft(things, writer.delivery, stretch.number, random)
            draft.lines += mended
            if writer.delivery == 1:
                draft.begin_delivery()
            else:
                change_city(draft)
                draft.begin_delivery()
                add_noise(draft)
                spoil(draft)
                stamp_addresses(draft)
            writer.write(draft)
            things, mended = draft.things, draft.mended
        return standing

    def _draft(
        self, things: Things, delivery: int, stretch: int, random: np.random.Generator
    ) -> Draft:
        west, south, east, north = self._bounds
        return Draft(
            things=things,
            delivery=delivery,
            day=self._days[delivery - 1],
            random=random,
            quotas=self._quotas,
            share=(stretch, self._stretches),
            city_bounds=(west, south, east, north),
        )


def _at_first(plan: CityPlan, stretch: Stretch) -> Things:
    edges = street_edges(plan, stretch)
    return {
        **land(plan, stretch),
        "roads": roads(plan, stretch, edges),
        **water(plan, stretch, edges),
        **sewer(plan, stretch, edges),
        "sensors": sensors(plan, stretch),
    }


def change_city(draft: Draft) -> None:
    """Let a month pass."""
    change_buildings(draft)
    change_register(draft)
    change_parcels(draft)
    change_roads(draft)
    change_water(draft)
    change_sewer(draft)
    change_addresses(draft)
    change_pois(draft)
    change_sensors(draft)


def spoil(draft: Draft) -> None:
    """Put defects into what is delivered."""
    spoil_attributes(draft)
    spoil_geometries(draft)
    spoil_operations(draft)
    spoil_relations(draft)


def stamp_addresses(draft: Draft) -> None:
    """Note which addresses the department saved: what changed, was mended, or saved once more."""
    state = draft.things["addresses"]
    again = (state["saved_again"] == draft.delivery).to_numpy()
    draft.lines += [
        TrueSame("addresses", str(key), "repeated") for key in state.loc[again, "address_id"]
    ]
    saved = np.flatnonzero(again | (state["touched"] == draft.delivery).to_numpy())
    draft.set("addresses", saved, "saved_in", draft.delivery)
    delivered = draft.delivered["addresses"]
    draft.delivered["addresses"] = pd.DataFrame(
        delivered.assign(saved_in=draft.things["addresses"]["saved_in"].reindex(delivered.index))
    )
