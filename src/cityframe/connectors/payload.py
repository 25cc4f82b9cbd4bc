"""Messages of a sensor feed: one JSON object, one observation."""

import datetime as dt
import json
import math
from typing import Any

from cityframe.config.source import MqttPull
from cityframe.connectors.observation_writer import Observation

_AHEAD = dt.timedelta(days=1)
"""A clock further ahead is wrong, and would close windows too early."""
_MILLISECONDS_FROM = 1e11
_STREAM_LENGTH = 256


def observation(payload: bytes, fields: MqttPull, *, now: dt.datetime) -> Observation:
    """Read a message.

    The time is ISO 8601 with a zone, or Unix time in seconds, from 10^11 on in milliseconds. The
    value is a finite number. Other members of the object are not looked at.

    Raises
    ------
    ValueError
        If the message is no observation; the text says why.
    """
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        message = f"no JSON: {error}"
        raise ValueError(message) from error
    if not isinstance(body, dict):
        message = f"a JSON {type(body).__name__}, expected an object"
        raise ValueError(message)  # noqa: TRY004  # a reason for the dead letters
    stream = _stream(_member(body, fields.stream), fields.stream)
    time = _time(_member(body, fields.time), fields.time)
    if not dt.datetime(1970, 1, 1, tzinfo=dt.UTC) <= time <= now + _AHEAD:
        message = f"{fields.time} is {time.isoformat()}, expected at most a day ahead of now"
        raise ValueError(message)
    return Observation(stream, time, _value(_member(body, fields.value), fields.value))


def _member(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        message = f"no member {name!r}"
        raise ValueError(message)
    return body[name]


def _stream(found: Any, name: str) -> str:
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not 0 < len(text) <= _STREAM_LENGTH or not text.isprintable():
        message = f"{name} is {str(found)[:40]!r}, expected a name"
        raise ValueError(message)
    return text


def _time(found: Any, name: str) -> dt.datetime:
    expected = "ISO 8601 with a zone, or Unix time"
    try:
        if isinstance(found, str):
            time = dt.datetime.fromisoformat(found)
            if time.tzinfo is not None:
                return time.astimezone(dt.UTC)
        elif isinstance(found, int | float) and not isinstance(found, bool):
            seconds = found / 1000 if found >= _MILLISECONDS_FROM else found
            return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        message = f"{name} is {str(found)[:40]!r}, expected {expected}"
        raise ValueError(message) from error
    message = f"{name} is {str(found)[:40]!r}, expected {expected}"
    raise ValueError(message)


def _value(found: Any, name: str) -> float:
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            value = float(found)
        except OverflowError:
            value = math.inf
        if math.isfinite(value):
            return value
    message = f"{name} is {str(found)[:40]!r}, expected a finite number"
    raise ValueError(message)
