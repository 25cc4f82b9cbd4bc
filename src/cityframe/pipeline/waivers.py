"""The waivers of a city, read from the ledger."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from cityframe.model.waiver import Waiver, WaiverScope
from cityframe.pipeline.city import City
from cityframe.rules.checking.waiving import WaiverBook
from cityframe.store.ledger import Entry

WAIVED, WAIVER_WITHDRAWN = "waived", "waiver-withdrawn"


def waivers(city: City) -> tuple[Waiver, ...]:
    """Return all waivers that were ever given, oldest first."""
    return tuple(_waiver(entry) for entry in city.ledger.entries(what=WAIVED))


def withdrawals(city: City) -> dict[str, Entry]:
    """Return the entries that took waivers back, by the waiver's id."""
    return {entry.subject: entry for entry in city.ledger.entries(what=WAIVER_WITHDRAWN)}


def waiver_book(city: City, cycle: str, at: dt.datetime) -> WaiverBook:
    """Return the waivers as a check of a cycle at a moment sees them."""
    taken_back = (
        name
        for name, entry in withdrawals(city).items()
        if dt.datetime.fromisoformat(entry.at) <= at
    )
    return WaiverBook(waivers(city), frozenset(taken_back), cycle, at)


def as_body(waiver: Waiver) -> dict[str, Any]:
    """Return a waiver JSON-ready, as it stands in the ledger and in a release's evidence."""
    return {**asdict(waiver), "features": dict(waiver.features), "scope": waiver.scope.value}


def _waiver(entry: Entry) -> Waiver:
    return Waiver(**{**entry.body, "scope": WaiverScope(entry.body["scope"])})
