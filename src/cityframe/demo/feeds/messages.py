"""Messages of the sensors, one JSON object a line: topic and payload as published."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from cityframe.demo.truth import TrueMessages

SOURCE = "iot"
HOURS = 24
LATE_DAYS = 3
_SPECIAL = 3
_TYPICAL: dict[str, tuple[float, float, str]] = {
    "water-pressure": (0.34, 0.05, "MPa"),
    "water-flow": (120.0, 60.0, "m3/h"),
    "sewer-level": (0.8, 0.3, "m"),
    "traffic-count": (400.0, 350.0, "1/h"),
    "air-quality": (60.0, 25.0, "AQI"),
}


@dataclass
class _Counts:
    sent: int = 0
    late: int = 0
    duplicate: int = 0
    malformed: int = 0


class MessageFile:
    """``mqtt.jsonl``: a day of hourly values of each sensor in use.

    At the end of the first stretch a few values come `LATE_DAYS` late, some messages come twice
    and one is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="\n")
        self._counts = _Counts()

    def write(self, sensors: pd.DataFrame, day: np.datetime64, random: np.random.Generator) -> None:
        """Add the messages of these sensors of the day before ``day``."""
        active = sensors[sensors["status"] == "active"]
        messages = list(_values(active, day, random))
        is_first = self._counts.sent == 0 and len(messages) > _SPECIAL
        if is_first:
            late = [_late(message) for message in messages[:_SPECIAL]]
            again = messages[-_SPECIAL:]
            self._counts.late += len(late)
            self._counts.duplicate += len(again)
            messages += late + again
        for stream, payload in messages:
            self._put(stream, json.dumps(payload, ensure_ascii=False))
        if is_first:
            stream, payload = messages[0]
            self._put(stream, json.dumps(payload, ensure_ascii=False)[:-9])
            self._counts.malformed += 1

    def _put(self, stream: str, payload: str) -> None:
        self._counts.sent += 1
        line = {"topic": f"city/{stream}", "payload": payload}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def truth(self) -> TrueMessages:
        """Return what is in the file."""
        counts = self._counts
        return TrueMessages(SOURCE, counts.sent, counts.late, counts.duplicate, counts.malformed)


def _values(
    sensors: pd.DataFrame, day: np.datetime64, random: np.random.Generator
) -> Iterator[tuple[str, dict[str, Any]]]:
    hours = np.arange(HOURS)
    wave = np.sin((hours - 8) / 24 * 2 * np.pi)
    for stream, kind in zip(sensors["stream"], sensors["sensor_type"], strict=True):
        mean, swing, unit = _TYPICAL[kind]
        values = np.round(mean + swing * wave + swing * 0.1 * random.standard_normal(HOURS), 3)
        for hour, value in zip(hours, values, strict=True):
            moment = day.astype("datetime64[m]") - np.timedelta64(24 * 60 - int(hour) * 60 - 7, "m")
            yield (
                stream,
                {"stream": stream, "time": f"{moment}:00+08:00", "value": value, "unit": unit},
            )


def _late(message: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    stream, payload = message
    moment = np.datetime64(payload["time"][:16]) - np.timedelta64(LATE_DAYS, "D")
    return stream, {**payload, "time": f"{moment}:00+08:00"}
