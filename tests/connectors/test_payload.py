"""Messages of a sensor feed."""

import datetime as dt
import json
import re
from typing import Any

import pytest

from cityframe.config.source import MqttPull
from cityframe.connectors.observation_writer import Observation
from cityframe.connectors.payload import observation

NOW = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
FIELDS = MqttPull(type="mqtt", topics=("a",), client_id="b", stream="id", time="t", value="v")
GOOD = {"id": "P-1", "t": "2024-05-01T11:00:00Z", "v": 1.5}


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-01T11:00:00Z", "2024-05-01T19:00:00+08:00", "20240501T110000Z",
        1714561200, 1714561200.0, 1714561200000,
    ],
)  # fmt: skip
def test_time_is_read_in_its_forms(time: Any) -> None:
    payload = json.dumps({**GOOD, "t": time, "unit": "kPa"}).encode()
    expected = dt.datetime(2024, 5, 1, 11, tzinfo=dt.UTC)
    assert observation(payload, FIELDS, now=NOW) == Observation("P-1", expected, 1.5)


@pytest.mark.parametrize(("stream", "name"), [(7, "7"), ("压力表-1", "压力表-1")])
def test_stream_is_a_name(stream: Any, name: str) -> None:
    payload = json.dumps({**GOOD, "id": stream}).encode()
    assert observation(payload, FIELDS, now=NOW).stream == name


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "a JSON list, expected an object"),
        ({"id": "P-1", "v": 1}, "no member 't'"),
        ({**GOOD, "id": ""}, "id is '', expected a name"),
        ({**GOOD, "id": None}, "id is 'None', expected a name"),
        ({**GOOD, "id": True}, "id is 'True', expected a name"),
        ({**GOOD, "id": "a\nb"}, "expected a name"),
        ({**GOOD, "id": "x" * 257}, "expected a name"),
        ({**GOOD, "t": "2024-05-01T11:00:00"}, "expected ISO 8601 with a zone"),
        ({**GOOD, "t": "noon"}, "expected ISO 8601 with a zone"),
        ({**GOOD, "t": True}, "expected ISO 8601 with a zone"),
        ({**GOOD, "t": 1e300}, "expected ISO 8601 with a zone"),
        ({**GOOD, "t": "2024-05-03T00:00:00Z"}, "at most a day ahead"),
        ({**GOOD, "t": -1}, "at most a day ahead"),
        ({**GOOD, "v": "1.5"}, "v is '1.5', expected a finite number"),
        ({**GOOD, "v": None}, "expected a finite number"),
        ({**GOOD, "v": True}, "expected a finite number"),
        (b'{"id": "P-1", "t": 1714561200, "v": NaN}', "expected a finite number"),
        (b'{"id": "P-1", "t": 1714561200, "v": 1e999}', "expected a finite number"),
    ],
)
def test_what_is_no_observation_is_told_why(payload: Any, reason: str) -> None:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with pytest.raises(ValueError, match=re.escape(reason)):
        observation(body, FIELDS, now=NOW)


def test_number_too_large_for_a_value_is_told_why() -> None:
    payload = b'{"id": "P-1", "t": 1714561200, "v": 1' + b"0" * 400 + b"}"
    with pytest.raises(ValueError, match="expected a finite number"):
        observation(payload, FIELDS, now=NOW)
