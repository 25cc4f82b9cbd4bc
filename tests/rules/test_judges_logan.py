"""The kinds about series against a technician: a year of the Logan River at Main Street.

Judge: the code that the technician gave each value (published with pyhydroqc; 2019, a value every
15 minutes). Code 1 marks values that were wrong for a moment and were interpolated, code 2 those
that were thrown away; these are what the kinds look for. Codes 4 and 10 mark stretches that were
shifted or corrected for drift, whose values are right one against the other: no kind here claims
to see them, and they count as good.

The thresholds are what the instrument and the river can give, and what stands out in the values
up to 31 May; they are judged on the values after it. Of what is missed nearly all is two
stretches (836 of the stage, 57 of the turbidity) that were thrown away though their values look
like any other.
"""

import datetime as dt

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from cityframe.rules.context import Context
from cityframe.rules.kinds import flat_line, gross_range, value_spike
from cityframe.rules.observed.qartod import SUSPECT
from cityframe.rules.observed.series import series_of

CUT = np.datetime64("2019-06-01")
WRONG = (1, 2)
PARAMETERS = {
    "temp": ({"fail_min": -1, "fail_max": 30}, 2.0, 8),
    "cond": ({"fail_min": 50, "fail_max": 3000}, 800.0, 8),
    "ph": ({"fail_min": 7, "fail_max": 10}, 0.3, 12),
    "do": ({"fail_min": 5, "fail_max": 20}, 3.0, 8),
    "turb": ({"fail_min": 0, "fail_max": 4000}, 370.0, 4),
    "stage": ({"fail_min": 15, "fail_max": 200}, 25.0, 4),
}
"""Range (°C, µS/cm, pH, mg/l, NTU, cm), spike in that unit, hours without a change."""
FLOORS = {
    "temp": (0.98, 0.65),
    "cond": (1.0, 0.95),
    "ph": (1.0, 0.95),
    "do": (1.0, 0.99),
    "turb": (0.79, 0.13),
    "stage": (1.0, 0.005),
}
"""Precision and recall after the cut."""


@pytest.fixture
def river(data_dir):
    path = data_dir / "iot" / "pyhydroqc_logan" / "MainStreet2019.csv.zip"
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    return pd.read_csv(path, parse_dates=["datetime"], na_values=["NULL"], low_memory=False)


@pytest.fixture
def layer(layer_of):
    return layer_of("things", "none", {"stream": "string", "time": "datetime", "value": "real"})


def flagged(layer, river, name):
    """Return whether any of three kinds flags each value of a variable."""
    frame = gpd.GeoDataFrame(
        {"stream": name, "time": river["datetime"].dt.tz_localize("UTC"), "value": river[name]}
    )
    context = Context(layer, frame, {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    limits, spike, hours = PARAMETERS[name]
    found = np.zeros(len(frame), dtype=bool)
    for module, given in (
        (gross_range, limits),
        (value_spike, {"suspect_above": spike, "method": "differential"}),
        (flat_line, {"suspect_s": hours * 3600, "tolerance": 0.001}),
    ):
        parameters = module.KIND.params(stream="stream", time="time", value="value", **given)
        series = series_of(context, parameters, "value")
        found[series.row] |= module.flags(series, parameters) >= SUSPECT
    return found


def precision_and_recall(found, wrong):
    hit = int((found & wrong).sum())
    return hit / int(found.sum()), hit / int(wrong.sum())


def test_precision_and_recall_against_the_technician(layer, river, record_property):
    is_judged = river["datetime"].to_numpy() >= CUT
    both = []
    for name, (least_precision, least_recall) in FLOORS.items():
        found = flagged(layer, river, name)[is_judged]
        wrong = river[f"{name}_qual"].isin(WRONG).to_numpy()[is_judged]
        precision, recall = precision_and_recall(found, wrong)
        record_property(name, f"precision {precision:.3f}, recall {recall:.3f}")
        assert precision >= least_precision, name
        assert recall >= least_recall, name
        both.append((found, wrong))
    precision, recall = precision_and_recall(*np.hstack(both))
    record_property("all", f"precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.995
    assert recall >= 0.62


def test_most_of_the_technicians_events_are_met(layer, river, record_property):
    is_judged = river["datetime"].to_numpy() >= CUT
    met = events = 0
    for name in FLOORS:
        found = flagged(layer, river, name)
        wrong = river[f"{name}_qual"].isin(WRONG).to_numpy() & is_judged
        event = np.cumsum(wrong & ~np.roll(wrong, 1))[wrong]
        events += int(event[-1])
        met += len(np.unique(event[found[wrong]]))
    record_property("events", f"{met} of {events}")
    assert met / events >= 0.75
