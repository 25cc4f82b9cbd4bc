"""What a sensor sends has the form that was agreed.

In a layer of observations (``stream``, ``time``, ``message``) a raw message fails if it has not
the characters, hexadecimal bytes or items that it should; it is the syntax test of the QARTOD
manuals (test 2), and so are the flags: 1 good, 4 fail, 9 missing. Nulls pass. A finding is a run of
such messages of one stream, one after the other; it stands on the first.

In a layer of sensors (``stream`` alone) the messages of the feeds were read already (what is no
observation stands in the feed's list of rejected messages). An observation fails whose time lies
more than ``ahead_s`` after its reception: the clock of the sensor is wrong. A finding is a run of
them and stands on the sensor. A stream that no sensor names is a finding about the layer, if it
``has_all_sensors``.

```yaml
kind: message_syntax
parameters: {stream: stream, time: observed_at, message: raw, items: 4, delimiter: ","}
```
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import TEXT, ColumnNeeds, RuleKind
from cityframe.rules.observed.qartod import FAIL, GOOD, MISSING, Flags, qartod_measure, qartod_tests
from cityframe.rules.observed.runs import Runs, durations, observation_ids, runs, spans
from cityframe.rules.observed.series import Series, StreamParameters, observations, series_of
from cityframe.rules.words import Words, words


class MessageSyntaxParameters(StreamParameters):
    """What `message_syntax` needs."""

    message: Name | None = Field(default=None, description="attribute with the raw message")
    characters: int | None = Field(default=None, gt=0, description="length in characters")
    hex_bytes: int | None = Field(
        default=None, gt=0, description="length in bytes, each written as two hexadecimal digits"
    )
    items: int | None = Field(default=None, gt=0, description="number of items")
    delimiter: str = Field(default=",", min_length=1, description="what stands between two items")
    ahead_s: int = Field(
        default=60, ge=0, description="longest time from reception to the observation, in seconds"
    )
    has_all_sensors: bool = Field(
        default=True, description="whether each stream of the feeds has its sensor in the layer"
    )

    @model_validator(mode="after")
    def _has_a_form(self) -> Self:
        if (self.time is None) != (self.message is None):
            message = "time and message (a layer of observations), or neither (a layer of sensors)"
            raise ValueError(message)
        given = [self.characters, self.hex_bytes, self.items]
        if sum(one is not None for one in given) != (0 if self.message is None else 1):
            message = "one of characters, hex_bytes and items, with message"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with stream, time and message."""
        more = {} if self.message is None else {self.message: TEXT}
        return {**super().needed_columns(layer), **more}


def message_flags(messages: pd.Series, parameters: MessageSyntaxParameters) -> Flags:
    """Return the flag of each message."""
    flagged = np.full(len(messages), MISSING, dtype=np.uint8)
    present = messages.notna().to_numpy()
    texts = messages.to_numpy(dtype=object)[present].astype(str)
    arguments: dict[str, Any] = {"nchar": parameters.characters}
    if parameters.items is not None:
        arguments = {"nchar": parameters.items, "delimiter": parameters.delimiter}
    elif parameters.hex_bytes is not None:
        arguments = {"nchar": parameters.hex_bytes, "lentype": "byte"}
    flagged[present] = np.ma.filled(qartod_tests().syntax_test(texts, **arguments), FAIL)
    return flagged


def check(context: Context, parameters: MessageSyntaxParameters) -> pd.DataFrame:
    """Return the messages of a wrong form, or the streams that no sensor has."""
    series = series_of(context, parameters)
    if parameters.message is None:
        ahead = _ahead(series, parameters)
        unknown = _unknown(context, parameters) if parameters.has_all_sensors else no_defects()
        return pd.concat([ahead, unknown], ignore_index=True)
    messages = context.frame[parameters.message].iloc[series.row]
    found = runs(series, message_flags(messages, parameters), parameters.from_flag)
    quoted = messages.iloc[found.first].str.slice(0, 40)
    return defects(
        row=series.row[found.first],
        found=words(
            "{stream}, {when}: {count} message(s), flag 4, the first {text!r}",
            "{stream}，{when_zh}：{count} 条报文，标志 4，首条 {text!r}",
            text=quoted.to_numpy(object),
            **_span(series, found),
        ),
        expected=_form(parameters),
    )


def _form(parameters: MessageSyntaxParameters) -> Words:
    if parameters.items is not None:
        delimiter, items = parameters.delimiter, parameters.items
        return Words(f"{items} items between {delimiter!r}", f"以 {delimiter!r} 分隔的 {items} 项")
    if parameters.hex_bytes is not None:
        return Words(f"{parameters.hex_bytes} bytes", f"{parameters.hex_bytes} 字节")
    return Words(f"{parameters.characters} characters", f"{parameters.characters} 个字符")


def _ahead(series: Series, parameters: MessageSyntaxParameters) -> pd.DataFrame:
    ahead_s = (series.time - series.received) / np.timedelta64(1, "s")
    flags = np.where(ahead_s > parameters.ahead_s, FAIL, GOOD).astype(np.uint8)
    found = runs(series, flags, parameters.from_flag)
    limit = durations([parameters.ahead_s])[0]
    return defects(
        row=series.row[found.first],
        other=observation_ids(series, found.first),
        found=words(
            "{stream}, {when}: {count} value(s), flag 4, the first {ahead} after its reception",
            "{stream}，{when_zh}：{count} 个观测值，标志 4，首个晚于接收时间 {ahead}",
            ahead=durations(ahead_s[found.first]),
            **_span(series, found),
        ),
        expected=Words(f"at most {limit} after its reception", f"晚于接收时间不超过 {limit}"),
    )


def _unknown(context: Context, parameters: MessageSyntaxParameters) -> pd.DataFrame:
    table = observations(context)
    is_known = table["stream"].isin(context.frame[parameters.stream].dropna())
    count = table.loc[~is_known, "stream"].value_counts().sort_index()
    names = count.index.to_numpy(object)
    return defects(
        row=np.full(len(count), -1),
        other=names,
        found=words(
            "{count} value(s) of stream {stream}",
            "数据流 {stream} 有 {count} 个观测值",
            stream=names,
            count=count.to_numpy(),
        ),
        expected=Words("a sensor of that stream", "有该数据流的传感器"),
    )


def _span(series: Series, found: Runs) -> dict[str, Any]:
    span = spans(series.time[found.first], series.time[found.last])
    return {
        "stream": series.names[series.stream[found.first]],
        "when": span.en,
        "when_zh": span.zh,
        "count": found.count,
    }


KIND = RuleKind(
    name="message_syntax",
    number=81,
    group="K sensors",
    measure=qartod_measure("2", "syntax test"),
    params=MessageSyntaxParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
