"""No sensor falls silent, leaves a gap, or sends its values late.

A value after more than ``suspect_s`` without one is suspect, after more than ``fail_s`` it fails
(the time gap test of ``ioos_qc``). A stream whose newest value is older than ``silent_s`` at the
moment of the check fails (its data reception test), and so does a sensor without any value. A value
that came in more than ``late_s`` after its time is suspect. Together they are the timing and gap
test of the QARTOD manuals (test 1), and so are the flags: 1 good, 2 not evaluated, 3 suspect,
4 fail. Times count to the second; the value itself does not matter.

The values are those of a layer of observations (``stream``, ``time``, for lateness ``received``),
or, with ``stream`` alone, the observations that the feeds of a layer of sensors brought since the
cycle before. A finding is a run of gaps or late values of one stream, one after the other; it
stands on the first observation (after the gap), or on the sensor.

```yaml
kind: time_gap
parameters: {stream: stream, suspect_s: 1800, fail_s: 7200, silent_s: 86400, late_s: 3600}
```
"""

import datetime as dt
from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import ColumnNeeds, RuleKind
from cityframe.rules.moments import Moments
from cityframe.rules.observed.qartod import (
    FAIL,
    GOOD,
    SUSPECT,
    Flags,
    flags_by_stream,
    flags_of,
    qartod_measure,
    qartod_tests,
)
from cityframe.rules.observed.runs import (
    demand,
    demands,
    durations,
    in_order,
    instants,
    observation_ids,
    runs,
    spans,
)
from cityframe.rules.observed.series import MOMENTS, Series, StreamParameters, Values, series_of
from cityframe.rules.words import Words, words


class TimeGapParameters(StreamParameters):
    """What `time_gap` needs."""

    received: Name | None = Field(
        default=None, description="attribute with the time when the observation came in"
    )
    suspect_s: int | None = Field(default=None, gt=0, description="longest usual gap, in seconds")
    fail_s: int | None = Field(default=None, gt=0, description="longest gap allowed, in seconds")
    silent_s: int | None = Field(
        default=None, gt=0, description="highest age of the newest value, in seconds"
    )
    late_s: int | None = Field(
        default=None, gt=0, description="longest time from a value to its reception, in seconds"
    )

    @model_validator(mode="after")
    def _looks_at_something(self) -> Self:
        if self.suspect_s is not None or self.fail_s is not None:
            in_order(suspect_s=self.suspect_s, fail_s=self.fail_s)
        elif self.silent_s is None and self.late_s is None:
            message = "at least one of suspect_s, fail_s, silent_s and late_s"
            raise ValueError(message)
        if self.late_s is not None and self.received is None and self.time is not None:
            message = "received together with late_s"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with stream, time and reception."""
        more = {} if self.received is None else {self.received: MOMENTS}
        return {**super().needed_columns(layer), **more}


def gap_flags(series: Series, parameters: TimeGapParameters) -> Flags:
    """Return the flag of each value by the time since the one before; the first of a stream passes.

    The test of ``ioos_qc`` gives the first value the flag of the second.
    """
    test = qartod_tests().time_gap_test

    def tested(_: Values, time: Moments) -> Flags:
        flagged = np.full(len(time), GOOD, dtype=np.uint8)
        for limit_s, flag in ((parameters.suspect_s, SUSPECT), (parameters.fail_s, FAIL)):
            if limit_s is not None:
                flagged[test(time, _hours(limit_s)) == FAIL] = flag
        flagged[0] = GOOD
        return flagged

    # a null is an observation too
    return flags_by_stream(replace(series, value=np.zeros(len(series.time))), tested, least=2)


def check(context: Context, parameters: TimeGapParameters) -> pd.DataFrame:
    """Return the gaps, the late values and the silent streams."""
    series = series_of(context, parameters, received=parameters.received).of_distinct_times()
    found = [no_defects()]
    if parameters.suspect_s is not None or parameters.fail_s is not None:
        found.append(_gaps(series, parameters))
    if parameters.late_s is not None:
        found.append(_late(series, parameters))
    if parameters.silent_s is not None:
        found.append(_silent(context, series, parameters.silent_s))
        if parameters.reads_observations:
            found.append(_without_values(context, parameters, series))
    return pd.concat(found, ignore_index=True)


def _gaps(series: Series, parameters: TimeGapParameters) -> pd.DataFrame:
    length = np.zeros(len(series.time))
    length[1:] = np.diff(series.time).astype("timedelta64[s]").astype(float)
    length[series.starts] = 0.0
    series = replace(series, value=length)
    found = runs(series, gap_flags(series, parameters), parameters.from_flag)
    template = "a value at least every {}", "至少每 {} 一个观测值"
    limits = [
        None if limit is None else durations([limit])[0]
        for limit in (parameters.suspect_s, parameters.fail_s)
    ]
    span = spans(series.time[found.first - 1], series.time[found.last])
    return defects(
        row=series.row[found.first],
        other=observation_ids(series, found.first),
        found=words(
            "{stream}, {when}: {count} gap(s), flag {flag}, the longest {length}",
            "{stream}，{when_zh}：{count} 处中断，标志 {flag}，最长 {length}",
            stream=series.names[series.stream[found.first]],
            when=span.en,
            when_zh=span.zh,
            count=found.count,
            flag=found.flag,
            length=durations(length[found.extreme]),
        ),
        expected=demands(demand(*template, limits[0]), demand(*template, limits[1])),
    )


def _late(series: Series, parameters: TimeGapParameters) -> pd.DataFrame:
    limit_s = parameters.late_s or 0
    delay = (series.received - series.time) / np.timedelta64(1, "s")
    series = replace(series, value=delay)
    flags = np.where(delay > limit_s, SUSPECT, GOOD).astype(np.uint8)
    found = runs(series, flags, parameters.from_flag)
    span = spans(series.time[found.first], series.time[found.last])
    limit = durations([limit_s])[0]
    return defects(
        row=series.row[found.first],
        other=observation_ids(series, found.first),
        found=words(
            "{stream}, {when}: {count} value(s) late, flag 3, by up to {delay}",
            "{stream}，{when_zh}：{count} 个观测值迟到，标志 3，最迟 {delay}",
            stream=series.names[series.stream[found.first]],
            when=span.en,
            when_zh=span.zh,
            count=found.count,
            delay=durations(delay[found.extreme]),
        ),
        expected=Words(f"received within {limit}", f"{limit} 内收到"),
    )


def _silent(context: Context, series: Series, limit_s: int) -> pd.DataFrame:
    last = np.flatnonzero(np.append(series.starts[1:], True)[: len(series.time)])
    newest = series.at(last)
    newest = replace(newest, value=np.zeros(len(last)))
    now = np.datetime64(context.as_of.astimezone(dt.UTC).replace(tzinfo=None), "s")
    test = qartod_tests().data_reception_test
    flags = flags_of(newest, lambda _, time: test(time, _hours(limit_s), now))
    silent = newest.at(flags == FAIL)
    return defects(
        row=silent.row,
        found=words(
            "{stream}: silent for {age} since {when}, flag 4",
            "{stream}：自 {when} 起无观测值，已 {age}，标志 4",
            stream=silent.names[silent.stream],
            when=instants(silent.time),
            age=durations((now - silent.time) / np.timedelta64(1, "s")),
        ),
        expected=_newest(limit_s),
    )


def _without_values(
    context: Context, parameters: TimeGapParameters, series: Series
) -> pd.DataFrame:
    stream = context.frame[parameters.stream]
    has_none = stream.notna().to_numpy() & ~stream.isin(series.names).to_numpy()
    row = np.flatnonzero(has_none)
    return defects(
        row=row,
        found=words(
            "{stream}: no value", "{stream}：无观测值", stream=stream.iloc[row].to_numpy(object)
        ),
        expected=_newest(parameters.silent_s or 0),
    )


def _newest(limit_s: int) -> Words:
    limit = durations([limit_s])[0]
    return Words(f"a value in the last {limit}", f"最近 {limit} 内有观测值")


def _hours(seconds: int) -> float:
    # the test turns hours into whole seconds, cutting what the division left of the last one
    return (seconds + 0.5) / 3600


KIND = RuleKind(
    name="time_gap",
    number=79,
    group="K sensors",
    measure=qartod_measure("1", "timing and gap test"),
    params=TimeGapParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
