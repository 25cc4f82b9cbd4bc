"""The series of sensors as their rules see them: streams, flags, runs of flags, findings.

The values of a rule come from one of two places.

=================  ===============================  ==============================================
the layer is       the rule names                   a finding stands on
=================  ===============================  ==============================================
of observations    ``stream`` and ``time``          the first observation of a run, in the layer
of sensors         ``stream`` alone                 the sensor; the time of a run's first value
                                                    tells one run of it from another
=================  ===============================  ==============================================
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.errors import DeclarationError
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.kind import NUMBERS, TEXT, ColumnNeeds, Need, Parameters
from cityframe.rules.moments import Moments, moments

Values = npt.NDArray[np.float64]

MOMENTS = frozenset({AttributeType.DATETIME})


class StreamParameters(Parameters):
    """What every rule about series needs."""

    stream: Name = Field(description="attribute with the name of the data stream")
    time: Name | None = Field(
        default=None,
        description="attribute with the time of the observation; null where the layer is that of "
        "the sensors, whose values are the observations of their feeds",
    )
    from_flag: Literal["suspect", "fail"] = Field(
        default="suspect", description="flag from which on a value is a finding"
    )

    @property
    def reads_observations(self) -> bool:
        """Whether the values are those of the feeds, not of the layer."""
        return self.time is None

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with stream and time."""
        del layer
        return {self.stream: TEXT} | ({} if self.time is None else {self.time: MOMENTS})

    def needed_context(self) -> tuple[Need, ...]:
        """Return the observations, where the values are those of the feeds."""
        return ("read_observations",) if self.reads_observations else ()


class ValueParameters(StreamParameters):
    """What a rule about the values of series needs."""

    value: Name | None = Field(
        default=None, description="attribute with the value observed; given together with `time`"
    )

    @model_validator(mode="after")
    def _time_with_value(self) -> Self:
        if (self.time is None) != (self.value is None):
            message = "time and value (a layer of observations), or neither (a layer of sensors)"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with stream, time and value."""
        more = {} if self.value is None else {self.value: NUMBERS}
        return {**super().needed_columns(layer), **more}


@dataclass(frozen=True)
class Series:
    """The observations of all streams, by stream and time.

    Attributes
    ----------
    names : k texts
        The streams that have observations.
    stream : n integers
        Which stream each observation is of, a position in ``names``; ascending.
    time : n moments
        In UTC, to the second, ascending within a stream.
    value : n numbers
        NaN for null.
    row : n integers
        Position in the layer frame of what a finding stands on.
    received : n moments
        When each observation came in; NaT where it is not known.
    is_feed : bool
        Whether they are the observations of the feeds.
    """

    names: npt.NDArray[np.object_]
    stream: Positions
    time: Moments
    value: Values
    row: Positions
    received: Moments
    is_feed: bool

    @cached_property
    def starts(self) -> npt.NDArray[np.bool_]:
        """Whether each observation is the first of its stream."""
        first = np.ones(len(self.stream), dtype=bool)
        first[1:] = self.stream[1:] != self.stream[:-1]
        return first

    def parts(self) -> list[slice]:
        """Return where each stream stands."""
        bounds = [*np.flatnonzero(self.starts).tolist(), len(self.stream)]  # of none: one bound
        return [slice(low, high) for low, high in pairwise(bounds)]

    def at(self, chosen: npt.NDArray[Any]) -> "Series":
        """Return the observations at the positions, or where the mask is true."""
        return replace(
            self,
            stream=self.stream[chosen],
            time=self.time[chosen],
            value=self.value[chosen],
            row=self.row[chosen],
            received=self.received[chosen],
        )

    def of_distinct_times(self) -> "Series":
        """Return the series with the first observation only of those of one stream and time."""
        is_first = self.starts.copy()
        is_first[1:] |= self.time[1:] != self.time[:-1]
        return self if is_first.all() else self.at(is_first)


def observations(context: Context) -> pd.DataFrame:
    """Return the observations of the sensors' feeds.

    Raises
    ------
    DeclarationError
        If the run gives none.
    """
    if context.read_observations is None:
        raise DeclarationError(
            found="the observations of the sensors are not at hand in this check",
            where=context.layer.name,
            remedy="check a candidate, or name the attributes `time` and `value`",
        )
    return context.read_observations()


def series_of(
    context: Context,
    parameters: StreamParameters,
    value: str | None = None,
    received: str | None = None,
) -> Series:
    """Return the series that a rule looks at.

    Parameters
    ----------
    value, received : str or None
        Attributes with the value and the time of reception, of a layer of observations.

    Notes
    -----
    Passed over are rows without stream or time, and observations of a stream that no sensor of the
    layer names. Where several sensors name one stream, it stands with the first.
    """
    frame = context.frame
    streams = frame[parameters.stream]
    if parameters.time is None:
        table = observations(context)
        place = pd.Index(streams.drop_duplicates()).get_indexer(pd.Index(table["stream"]))
        row = np.append(np.flatnonzero(~streams.duplicated()), -1)[place]
        return _ordered(
            table["stream"], table["time"], table["value"], table["received"], row, is_feed=True
        )
    return _ordered(
        streams,
        frame[parameters.time],
        None if value is None else frame[value],
        None if received is None else frame[received],
        np.arange(len(frame)),
        is_feed=False,
    )


def _ordered(
    stream: pd.Series,
    time: pd.Series,
    value: pd.Series | None,
    received: pd.Series | None,
    row: Positions,
    *,
    is_feed: bool,
) -> Series:
    when = moments(time)
    kept = np.flatnonzero(stream.notna().to_numpy() & ~np.isnat(when) & (row >= 0))
    number, names = pd.factorize(stream.iloc[kept], sort=True)
    order = np.lexsort((when[kept], number))
    chosen = kept[order]
    return Series(
        names=np.asarray(names, dtype=object),
        stream=number[order].astype(np.int64),
        time=when[chosen].astype("datetime64[s]"),
        value=_numbers(value, len(stream))[chosen],
        row=row[chosen],
        received=_arrivals(received, len(stream))[chosen],
        is_feed=is_feed,
    )


def _numbers(column: pd.Series | None, size: int) -> Values:
    if column is None:
        return np.full(size, np.nan)
    numbers: Values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _arrivals(column: pd.Series | None, size: int) -> Moments:
    return np.full(size, np.datetime64("NaT", "us")) if column is None else moments(column)
