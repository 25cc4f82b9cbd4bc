"""The observations that the sensors' feeds brought while a cycle was collected."""

import datetime as dt
from collections.abc import Callable
from functools import cache

import pandas as pd
import pyarrow as pa

from cityframe.connectors.observations import SCHEMA, read_observations
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import Plan, cycles_of

_COLUMNS = ["stream", "time", "value", "received"]


def observed_in(city: City, plan: Plan) -> Callable[[], pd.DataFrame] | None:
    """Return a function that reads the observations of a cycle, or None if no feed stores any.

    Returns
    -------
    callable or None
        It gives the observations of all feeds with a time from the cut-off of the cycle before, of
        the same series, up to but without the cycle's own (all there are in the first cycle):
        ``stream``, ``time`` (UTC), ``value``, ``received`` (UTC), sorted by feed, stream and time.
        It reads them once.
    """
    feeds = [name for name, one in city.workspace.sources.items() if one.pull.type == "mqtt"]
    if not feeds:
        return None
    since, until = _cut_off_before(city, plan), dt.datetime.fromisoformat(plan.opened_at)

    @cache
    def read() -> pd.DataFrame:
        tables = [read_observations(city.observations(feed), since, until) for feed in feeds]
        both = pa.concat_tables([SCHEMA.empty_table(), *tables])
        return both.select(_COLUMNS).to_pandas().astype({"stream": "str"})

    return read


def _cut_off_before(city: City, plan: Plan) -> dt.datetime | None:
    """Return when the cycle before was frozen; None for the first of the series."""
    cut_offs = {
        entry.subject: str(entry.body["plan"]["opened_at"])
        for entry in cycles_of(city, plan.series)
    }
    before = list(cut_offs).index(plan.cycle) - 1
    return None if before < 0 else dt.datetime.fromisoformat(cut_offs[list(cut_offs)[before]])
