"""The kinds about series against ``ioos_qc`` itself, on its own examples.

Judge: the tests of ``ioos_qc`` called directly, one stream at a time, and its own runner with the
configuration that stands beside the examples. They must give the same flags.
"""

import datetime as dt

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from ioos_qc import qartod
from ioos_qc.config import Config
from ioos_qc.results import collect_results
from ioos_qc.streams import PandasStream
from shapely import Point, points

from cityframe.rules.context import Context
from cityframe.rules.kinds import (
    attenuated_signal,
    climatology,
    flat_line,
    gross_range,
    message_syntax,
    rate_of_change,
    sensor_location,
    time_gap,
    value_spike,
)
from cityframe.rules.observed.qartod import SUSPECT
from cityframe.rules.observed.series import series_of

COLUMNS = {"stream": "stream", "time": "time", "value": "value"}
LEVEL = "sea_surface_height_above_sea_level"


@pytest.fixture
def folder(data_dir):
    return data_dir / "iot" / "ioos_qc"


@pytest.fixture
def level(folder):
    """Return hourly water levels, in metres."""
    table = pd.read_csv(folder / "water_level_example.csv", parse_dates=["time"])
    return table[["time", LEVEL]].set_axis(["time", "value"], axis=1)


@pytest.fixture
def salinity(folder):
    """Return salinities of every minute, in psu."""
    table = pd.read_csv(
        folder / "attenuated_salinity_example.csv",
        skiprows=2,
        names=["time", "value"],
        quotechar="'",
        skipinitialspace=True,
        parse_dates=["time"],
    )
    return table.assign(time=table["time"].dt.tz_localize("UTC"))


@pytest.fixture
def context_of(layer_of):
    """Return a function that makes a layer of the observations of streams, shuffled."""
    layer = layer_of("things", "none", {"stream": "string", "time": "datetime", "value": "real"})

    def make(**streams):
        frame = pd.concat(
            [one.assign(stream=name) for name, one in streams.items()], ignore_index=True
        ).sample(frac=1, random_state=3, ignore_index=True)
        return Context(layer, gpd.GeoDataFrame(frame), {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    return make


TESTS = {
    "gross_range": (
        gross_range,
        {"fail_min": -1, "fail_max": 28, "suspect_min": 0, "suspect_max": 0.9},
        lambda value, time: qartod.gross_range_test(value, (-1, 28), (0, 0.9)),
    ),
    "value_spike": (
        value_spike,
        {"suspect_above": 0.8, "fail_above": 3},
        lambda value, time: qartod.spike_test(value, 0.8, 3),
    ),
    "value_spike, differential": (
        value_spike,
        {"suspect_above": 0.1, "fail_above": 0.5, "method": "differential"},
        lambda value, time: qartod.spike_test(value, 0.1, 0.5, method="differential"),
    ),
    "rate_of_change": (
        rate_of_change,
        {"suspect_per_h": 0.3, "fail_per_h": 3.0},
        lambda value, time: qartod.rate_of_change_test(value, time, 0.3 / 3600, 3.0 / 3600),
    ),
    "flat_line": (
        flat_line,
        {"suspect_s": 10800, "fail_s": 18000, "tolerance": 0.05},
        lambda value, time: qartod.flat_line_test(value, time, 10800, 18000, 0.05),
    ),
    "attenuated_signal": (
        attenuated_signal,
        {"window_s": 86400, "suspect_below": 1.0, "fail_below": 0.2, "min_share": 0.5},
        lambda value, time: qartod.attenuated_signal_test(
            value, time, 1.0, 0.2, test_period=86400, min_period=43200
        ),
    ),
    "attenuated_signal, range": (
        attenuated_signal,
        {"window_s": 43200, "suspect_below": 2.0, "variation": "range", "min_share": 1.0},
        lambda value, time: qartod.attenuated_signal_test(
            value, time, 2.0, -np.inf, test_period=43200, min_period=43200, check_type="range"
        ),
    ),
    "climatology": (
        climatology,
        {
            "time_zone": "UTC",
            "seasons": [
                {"unit": "month", "first": 8, "last": 10, "suspect_min": 0.2, "suspect_max": 25},
                {
                    "unit": "day_of_week", "first": 5, "last": 6,
                    "suspect_min": 0.3, "suspect_max": 20, "fail_min": 0, "fail_max": 26,
                },
            ],
        },
        lambda value, time: qartod.climatology_test(
            [
                {"tspan": (8, 10), "vspan": (0.2, 25), "fspan": None, "period": "month"},
                {"tspan": (5, 6), "vspan": (0.3, 20), "fspan": (0, 26), "period": "day_of_week"},
            ],
            value, time, np.full(len(value), np.nan),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_flags_are_those_of_ioos_qc_on_each_stream(name, level, salinity, context_of):
    module, parameters, judge = TESTS[name]
    context = context_of(level=level, salinity=salinity)
    given = module.KIND.params(**COLUMNS, **parameters)
    series = series_of(context, given, "value")
    flags = module.flags(series, given)

    wanted = [
        np.ma.filled(judge(one["value"].to_numpy(), one["time"].dt.tz_localize(None).to_numpy()))
        for one in (level, salinity)
    ]
    assert np.array_equal(flags, np.concatenate(wanted))
    bad = [one >= SUSPECT for one in wanted]
    begins = sum(int(one[0]) + int((one[1:] & ~one[:-1]).sum()) for one in bad)
    assert begins
    assert len(module.check(context, given)) == begins


def test_flags_are_those_of_the_runner_with_its_own_configuration(folder, level, context_of):
    config = Config(folder / "spike_test.yaml")
    thresholds = config.calls[0].kwargs
    table = level.assign(time=level["time"].dt.tz_localize(None), lat=np.nan, lon=np.nan, z=0)
    stream = PandasStream(table.rename(columns={"value": LEVEL}), lat="lat", lon="lon", z="z")
    (judge,) = collect_results(stream.run(config), how="list")

    parameters = value_spike.KIND.params(
        **COLUMNS,
        suspect_above=thresholds["suspect_threshold"],
        fail_above=thresholds["fail_threshold"],
    )
    series = series_of(context_of(level=level), parameters, "value")
    assert np.array_equal(value_spike.flags(series, parameters), np.ma.filled(judge.results))


def test_gaps_are_those_of_ioos_qc_but_for_the_first_value(salinity, context_of):
    parameters = time_gap.KIND.params(stream="stream", time="time", suspect_s=61, fail_s=1800)
    series = series_of(context_of(salinity=salinity), parameters)
    flags = time_gap.gap_flags(series, parameters)
    suspect, fail = (
        np.ma.filled(qartod.time_gap_test(series.time, seconds / 3600)) == qartod.FLAGS.FAIL
        for seconds in (61, 1800)
    )
    assert np.array_equal(flags[1:], np.select([fail, suspect], [4, 3], 1)[1:])
    assert {3, 4} <= set(flags.tolist())


def test_moves_are_those_of_ioos_qc(layer_of):
    rng = np.random.default_rng(5)
    xy = np.array([113.0, 30.0]) + np.cumsum(rng.normal(scale=0.001, size=(300, 2)), axis=0)
    layer = layer_of("things", "Point", {"stream": "string", "time": "datetime"}, crs="EPSG:4326")
    time = pd.date_range("2026-01-01", periods=300, freq="min", tz="UTC", unit="us")
    frame = gpd.GeoDataFrame({"stream": "a", "time": time}, geometry=points(xy), crs=layer.crs)
    frame.loc[200, "geometry"] = Point(200, 30)
    context = Context(layer, frame, {}, dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    parameters = sensor_location.KIND.params(
        stream="stream", time="time", bounds=(-999, -999, 999, 999), max_move_m=150
    )
    own = sensor_location.flags(context, parameters)
    lonlat = np.column_stack([frame.geometry.x, frame.geometry.y])
    moved = sensor_location.move_flags(series_of(context, parameters), lonlat, parameters)

    judge = np.ma.filled(qartod.location_test(*lonlat.T, range_max=150, range_method="wgs84"))
    assert np.array_equal(np.maximum(own, moved), judge)
    assert {1, 3, 4} == set(judge.tolist())


def test_syntax_is_that_of_ioos_qc():
    messages = pd.Series(["a,1", "a", None, "a,1,2", "0AEE61", ""], dtype="str")
    columns = {"stream": "stream", "time": "time", "message": "raw"}
    for given, judge in [
        ({"items": 2}, {"nchar": 2, "delimiter": ","}),
        ({"characters": 3}, {"nchar": 3}),
        ({"hex_bytes": 3}, {"nchar": 3, "lentype": "byte"}),
    ]:
        flags = message_syntax.message_flags(
            messages, message_syntax.KIND.params(**columns, **given)
        )
        present = messages.notna().to_numpy()
        texts = messages[present].to_numpy(dtype=str)
        assert np.array_equal(flags[present], qartod.syntax_test(texts, **judge))
        assert flags[~present].tolist() == [9]
