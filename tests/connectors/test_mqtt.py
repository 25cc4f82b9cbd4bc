"""Freezing windows of observations."""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityframe.config.source import Source
from cityframe.connectors import pull
from cityframe.connectors.observation_writer import Observation, ObservationWriter
from cityframe.connectors.pulling import Pulled
from cityframe.errors import DeclarationError

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
Row = dict[str, Any]


@pytest.fixture
def sensors(source: Callable[..., Source]) -> Callable[..., Source]:
    def make(**fields: Any) -> Source:
        declared = {"type": "mqtt", "topics": ["city/#"], "client_id": "c", "window_s": 600}
        return source({**declared, **fields}, kind="iot", delivery="partial")

    return make


def store(root: Path, values: Sequence[tuple[str, float, float]]) -> None:
    with ObservationWriter(root / "observations") as writer:
        writer.store(
            [
                Observation(stream, NOON + dt.timedelta(minutes=minutes), value)
                for stream, minutes, value in values
            ],
            NOON,
        )


def frozen(
    source: Source, root: Path, watermark: str = ""
) -> tuple[Pulled | None, list[Row], list[Row]]:
    into = root / "into"
    into.mkdir(exist_ok=True)
    for path in into.iterdir():
        path.unlink()
    result = pull(
        source,
        workspace_root=root,
        into=into,
        watermark=watermark,
        observations=root / "observations",
    )
    if result is None:
        assert list(into.iterdir()) == []
        return None, [], []
    windows, latest = (pq.read_table(into / f"{name}.parquet") for name in ("windows", "latest"))
    assert latest.column_names == [
        "stream", "window_start", "window_end", "count", "mean", "min", "max", "last", "last_time",
    ]  # fmt: skip
    return result, windows.to_pylist(), latest.to_pylist()


def summary(windows: list[Row]) -> list[tuple[str, float, int, float, bool]]:
    return [
        (
            one["stream"],
            (one["window_start"] - NOON).total_seconds() / 60,
            one["count"],
            one["last"],
            one["is_correction"],
        )
        for one in windows
    ]


def test_closed_windows_are_aggregated(tmp_path: Path, sensors: Callable[..., Source]) -> None:
    store(tmp_path, [("P", 0, 4.0), ("P", 9, 1.0), ("P", 5, 7.0), ("Q", 12, 2.0), ("P", 20, 9.0)])
    result, windows, latest = frozen(sensors(), tmp_path)
    assert result is not None
    assert result.watermark == "2024-05-01T12:20:00Z#1"
    assert result.observed_at == NOON + dt.timedelta(minutes=20)
    assert result.origin == "mqtt://127.0.0.1:1883 city/#"
    assert windows == [
        {
            "stream": "P",
            "window_start": NOON,
            "window_end": NOON + dt.timedelta(minutes=10),
            "count": 3,
            "mean": 4.0,
            "min": 1.0,
            "max": 7.0,
            "first": 4.0,
            "last": 1.0,
            "last_time": NOON + dt.timedelta(minutes=9),
            "is_correction": False,
        },
        {
            "stream": "Q",
            "window_start": NOON + dt.timedelta(minutes=10),
            "window_end": NOON + dt.timedelta(minutes=20),
            "count": 1,
            "mean": 2.0,
            "min": 2.0,
            "max": 2.0,
            "first": 2.0,
            "last": 2.0,
            "last_time": NOON + dt.timedelta(minutes=12),
            "is_correction": False,
        },
    ]
    assert [(one["stream"], one["last"]) for one in latest] == [("P", 1.0), ("Q", 2.0)]


def test_window_stays_open_until_the_lateness_is_over(
    tmp_path: Path, sensors: Callable[..., Source]
) -> None:
    late = sensors(lateness_s=300)
    store(tmp_path, [("P", 1, 1.0), ("P", 14.9, 2.0)])
    assert frozen(late, tmp_path)[0] is None
    store(tmp_path, [("P", 15, 3.0)])
    result, windows, _ = frozen(late, tmp_path)
    assert result is not None
    assert summary(windows) == [("P", 0, 1, 1.0, False)]


def test_next_pull_takes_what_closed_since(tmp_path: Path, sensors: Callable[..., Source]) -> None:
    store(tmp_path, [("P", 1, 1.0), ("P", 11, 2.0), ("Q", 11, 3.0)])
    first, windows, _ = frozen(sensors(), tmp_path)
    assert first is not None
    assert summary(windows) == [("P", 0, 1, 1.0, False)]
    assert frozen(sensors(), tmp_path, first.watermark)[0] is None
    store(tmp_path, [("P", 31, 4.0)])
    second, windows, latest = frozen(sensors(), tmp_path, first.watermark)
    assert second is not None
    assert second.watermark == "2024-05-01T12:30:00Z#2"
    assert summary(windows) == [("P", 10, 1, 2.0, False), ("Q", 10, 1, 3.0, False)]
    assert len(latest) == 2


def test_late_and_revised_values_correct_their_windows(
    tmp_path: Path, sensors: Callable[..., Source]
) -> None:
    store(tmp_path, [("P", 1, 1.0), ("P", 11, 2.0), ("Q", 1, 3.0), ("P", 20, 4.0)])
    first, _, _ = frozen(sensors(), tmp_path)
    assert first is not None
    store(tmp_path, [("P", 2, 9.0), ("P", 20.5, 5.0)])
    second, windows, latest = frozen(sensors(), tmp_path, first.watermark)
    assert second is not None
    assert second.watermark == "2024-05-01T12:20:00Z#2"
    assert summary(windows) == [("P", 0, 2, 9.0, True)]
    # the stream's last frozen window stays the one that it was
    assert [(one["stream"], one["last"]) for one in latest] == [("P", 2.0)]
    store(tmp_path, [("Q", 1, 3.5), ("P", 30, 6.0)])
    third, windows, latest = frozen(sensors(), tmp_path, second.watermark)
    assert third is not None
    assert summary(windows) == [("P", 20, 2, 5.0, False), ("Q", 0, 1, 3.5, True)]
    assert [(one["stream"], one["last"]) for one in latest] == [("P", 5.0), ("Q", 3.5)]
    assert frozen(sensors(), tmp_path, third.watermark)[0] is None


def test_same_observations_freeze_to_the_same_bytes(
    tmp_path: Path, sensors: Callable[..., Source]
) -> None:
    bodies = set()
    for order in (1, -1):
        root = tmp_path / str(order)
        values = [("P", minute, minute / 7) for minute in range(25)]
        for value in values[::order]:
            store(root, [value])
        frozen(sensors(), root)
        bodies.add(b"".join(path.read_bytes() for path in sorted((root / "into").iterdir())))
    assert len(bodies) == 1


def test_nothing_observed_is_nothing_new(tmp_path: Path, sensors: Callable[..., Source]) -> None:
    assert frozen(sensors(), tmp_path)[0] is None


def test_watermark_of_something_else_is_refused(
    tmp_path: Path, sensors: Callable[..., Source]
) -> None:
    with pytest.raises(DeclarationError, match="watermark 'x', expected MOMENT#BATCH"):
        frozen(sensors(), tmp_path, "x")


def test_place_is_refused(tmp_path: Path, sensors: Callable[..., Source]) -> None:
    with pytest.raises(DeclarationError, match="a place to pull from"):
        pull(
            sensors(),
            workspace_root=tmp_path,
            into=tmp_path,
            place="elsewhere",
            observations=tmp_path,
        )
