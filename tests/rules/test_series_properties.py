"""The kinds about series against plain definitions, on random series."""

import datetime as dt

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.context import Context
from cityframe.rules.kinds import flat_line, rate_of_change, time_gap, value_spike
from cityframe.rules.observed.qartod import FAIL, SUSPECT
from cityframe.rules.observed.runs import runs
from cityframe.rules.observed.series import series_of

TYPES = {
    "stream": AttributeType.STRING, "time": AttributeType.DATETIME, "value": AttributeType.REAL,
}  # fmt: skip
LAYER = Layer(
    name="readings", title=Title(zh="读数", en="Readings"), geometry=GeometryType.NONE,
    crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(),
    attributes=tuple(
        Attribute(name=name, type=kind, title=Title(zh=name, en=name))
        for name, kind in TYPES.items()
    ),
)  # fmt: skip
PARAMETERS = {
    value_spike: {"suspect_above": 2.5, "fail_above": 4},
    rate_of_change: {"suspect_per_h": 120, "fail_per_h": 240},
    flat_line: {"suspect_s": 120, "fail_s": 240, "tolerance": 0.5},
}
readings = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 40),
        st.one_of(st.none(), st.integers(0, 6)),
    ),
    max_size=40,
)


def context_of(rows):
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = gpd.GeoDataFrame(
        {
            "stream": pd.Series([row[0] for row in rows], dtype="str"),
            "time": pd.Series(
                [start + pd.Timedelta(row[1], "min") for row in rows],
                dtype="datetime64[us, UTC]",
            ),
            "value": pd.Series([row[2] for row in rows], dtype="Float64"),
        }
    )
    return Context(LAYER, frame, {}, dt.datetime(2026, 2, 1, tzinfo=dt.UTC))


def parameters_of(module):
    columns = {"stream": "stream", "time": "time", "value": "value"}
    return module.KIND.params(**columns, **PARAMETERS[module])


@given(readings)
@settings(max_examples=40, deadline=None)
def test_runs_are_stretches_of_bad_flags_of_one_stream(rows):
    series = series_of(context_of(rows), parameters_of(value_spike), "value")
    flags = np.array([row[1] % 5 for row in rows], dtype=np.uint8)
    expected, last = [], None
    for place, (stream, flag) in enumerate(zip(series.stream, flags, strict=True)):
        if SUSPECT <= flag <= FAIL:
            if last == (place - 1, stream):
                expected[-1].append(place)
            else:
                expected.append([place])
            last = place, stream
    found = runs(series, flags)
    assert found.first.tolist() == [run[0] for run in expected]
    assert found.last.tolist() == [run[-1] for run in expected]
    assert found.count.tolist() == [len(run) for run in expected]
    assert found.flag.tolist() == [max(flags[run]) for run in expected]
    for run, extreme in zip(expected, found.extreme, strict=True):
        of_stream = series.value[series.stream == series.stream[run[0]]]
        centre = np.nan if np.isnan(of_stream).all() else np.nanmedian(of_stream)
        distance = np.nan_to_num(np.abs(series.value[run] - centre))
        assert distance[run.index(extreme)] == max(distance)


@given(readings)
@settings(max_examples=40, deadline=None)
def test_spikes_and_rates_are_those_of_the_definition(rows):
    parameters = parameters_of(value_spike)
    series = series_of(context_of(rows), parameters, "value").of_distinct_times()
    spikes = value_spike.flags(series, parameters)
    rates = rate_of_change.flags(series, parameters_of(rate_of_change))
    minute = (series.time - series.time[0]) / np.timedelta64(1, "m") if rows else []
    for place, value in enumerate(series.value):
        before, after = place - 1, place + 1
        has_before = place > 0 and series.stream[before] == series.stream[place]
        has_after = after < len(series.value) and series.stream[after] == series.stream[place]
        rate = spike = 0.0
        if has_before:
            step = abs(value - series.value[before])
            rate = step / (minute[place] - minute[before])
            if has_after:
                spike = abs(value - (series.value[before] + series.value[after]) / 2)
        assert (rates[place] == SUSPECT) == (2 < rate <= 4)
        assert (rates[place] == FAIL) == (rate > 4)
        assert (spikes[place] == SUSPECT) == (2.5 < spike <= 4)
        assert (spikes[place] == FAIL) == (spike > 4)


@given(st.lists(st.one_of(st.none(), st.integers(0, 2)), min_size=3, max_size=40))
@settings(max_examples=40, deadline=None)
def test_flat_lines_are_those_of_the_definition_whole_or_in_pieces(values):
    rows = [("a", minute, value) for minute, value in enumerate(values)]
    parameters = parameters_of(flat_line)
    series = series_of(context_of(rows), parameters, "value")
    whole = flat_line.flags(series, parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat_line, "_CELLS", 1)
        assert np.array_equal(flat_line.flags(series, parameters), whole)
    for place in range(len(values)):
        for flag, count in ((SUSPECT, 2), (FAIL, 4)):
            window = series.value[max(place - count, 0) : place + 1]
            is_flat = (
                len(window) == count + 1
                and not np.isnan(series.value[place])
                and np.nanmax(window) == np.nanmin(window)
            )
            assert is_flat == (flag <= whole[place] <= FAIL)


@given(readings, st.randoms())
@settings(max_examples=25, deadline=None)
def test_findings_of_a_stream_depend_on_no_other_nor_on_the_order_of_rows(rows, random):
    # of several values of one time the first row counts: keep one
    rows = list({row[:2]: row for row in rows}.values())
    shuffled = random.sample(rows, len(rows))
    gap = time_gap.KIND.params(stream="stream", time="time", suspect_s=300)
    for module, parameters in [
        *((module, parameters_of(module)) for module in PARAMETERS),
        (time_gap, gap),
    ]:
        both = module.check(context_of(shuffled), parameters)
        alone = pd.concat(
            module.check(context_of([row for row in rows if row[0] == name]), parameters)
            for name in "abc"
        )
        assert sorted(both["found"]) == sorted(alone["found"])
