"""Observations on disk: each value once, safe, merged, readable while they grow."""

import datetime as dt
import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from cityframe.connectors import observation_writer as module
from cityframe.connectors.observation_writer import (
    REJECTED,
    Observation,
    ObservationWriter,
    Rejected,
)
from cityframe.connectors.observations import (
    current_state,
    last_batch,
    read_batches,
    read_observations,
)
from cityframe.errors import DeclarationError

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)


def at(minutes: float, value: float, stream: str = "P-1") -> Observation:
    return Observation(stream, NOON + dt.timedelta(minutes=minutes), value)


def rows(table: pa.Table) -> list[tuple[str, float, float]]:
    return [
        (one["stream"], (one["time"] - NOON).total_seconds() / 60, one["value"])
        for one in table.to_pylist()
    ]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("date=*/*"))


def test_values_lie_under_their_date_and_come_back_sorted(tmp_path: Path) -> None:
    with ObservationWriter(tmp_path / "feed") as writer:
        assert writer.store([at(1, 1.0), at(-1, 2.0, "P-0"), at(720, 3.0)], NOON) == 3
    assert files(tmp_path / "feed") == [
        "date=2024-05-01/000000000001-000000000001.parquet",
        "date=2024-05-02/000000000001-000000000001.parquet",
    ]
    table = read_observations(tmp_path / "feed")
    assert rows(table) == [("P-0", -1, 2.0), ("P-1", 1, 1.0), ("P-1", 720, 3.0)]
    assert set(table["received"].to_pylist()) == {NOON}


def test_range_includes_its_start_and_not_its_end(tmp_path: Path) -> None:
    with ObservationWriter(tmp_path) as writer:
        writer.store([at(minutes, minutes) for minutes in (0, 5, 10, 720, 725)], NOON)
    since, until = NOON + dt.timedelta(minutes=5), NOON + dt.timedelta(minutes=725)
    assert [row[1] for row in rows(read_observations(tmp_path, since, until))] == [5, 10, 720]
    shanghai = dt.timezone(dt.timedelta(hours=8))
    table = read_observations(tmp_path, since.astimezone(shanghai), until.astimezone(shanghai))
    assert [row[1] for row in rows(table)] == [5, 10, 720]
    assert rows(read_observations(tmp_path / "none")) == []


def test_value_is_stored_once_over_batches_and_restarts(tmp_path: Path) -> None:
    batch = [at(1, 1.0), at(2, 2.0)]
    with ObservationWriter(tmp_path) as writer:
        assert writer.store([*batch, at(1, 1.0)], NOON) == 2
        assert writer.store(batch, NOON) == 0
    with ObservationWriter(tmp_path) as writer:
        assert writer.store([*batch, at(3, 3.0)], NOON) == 1
    assert last_batch(tmp_path) == 2
    assert read_batches(tmp_path, 0).num_rows == 3


def test_known_dates_beyond_those_in_memory_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KNOWN_DATES", 1)
    batch = [at(day * 1440, day) for day in range(4)]
    with ObservationWriter(tmp_path) as writer:
        assert writer.store(batch, NOON) == 4
        assert writer.store(batch, NOON) == 0


def test_revised_value_stands_in_the_place_of_the_first(tmp_path: Path) -> None:
    with ObservationWriter(tmp_path) as writer:
        writer.store([at(1, 1.0), at(2, 2.0)], NOON)
        assert writer.store([at(1, 1.5)], NOON) == 1
        assert writer.store([at(1, 1.5)], NOON) == 0
    assert rows(read_observations(tmp_path)) == [("P-1", 1, 1.5), ("P-1", 2, 2.0)]
    assert rows(read_batches(tmp_path, 1)) == [("P-1", 1, 1.5)]


def test_small_files_are_merged_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL_FILES", 5)
    with ObservationWriter(tmp_path) as writer:
        for number in range(12):
            writer.store([at(number, number), at(0, number)], NOON)
    assert len(files(tmp_path)) < 5
    assert rows(read_observations(tmp_path)) == [
        ("P-1", 0, 11.0), *[("P-1", number, float(number)) for number in range(1, 12)],
    ]  # fmt: skip
    assert {row["batch"] for row in read_batches(tmp_path, 9).to_pylist()} == {10, 11, 12}
    with ObservationWriter(tmp_path) as writer:
        assert writer.store([at(number, number) for number in range(1, 12)], NOON) == 0


def test_files_left_by_a_merge_that_died_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL_FILES", 3)
    with ObservationWriter(tmp_path) as writer:
        for number in range(2):
            writer.store([at(number, number)], NOON)
        kept = {path: path.read_bytes() for path in tmp_path.glob("date=*/*")}
        writer.store([at(2, 2)], NOON)
        for path, body in kept.items():
            path.write_bytes(body)
    assert rows(read_observations(tmp_path)) == [("P-1", 0, 0), ("P-1", 1, 1), ("P-1", 2, 2)]


def test_half_written_file_is_not_seen_and_goes(tmp_path: Path) -> None:
    with ObservationWriter(tmp_path) as writer:
        writer.store([at(1, 1.0)], NOON)
    partial = tmp_path / "date=2024-05-01" / ".000000000002-000000000002.parquet.partial"
    partial.write_bytes(b"PAR1")
    assert rows(read_observations(tmp_path)) == [("P-1", 1, 1.0)]
    with ObservationWriter(tmp_path) as writer:
        assert not partial.exists()
        writer.store([at(2, 2.0)], NOON)
    assert last_batch(tmp_path) == 2


def test_current_state_is_the_latest_value_of_each_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert current_state(tmp_path).num_rows == 0
    with ObservationWriter(tmp_path) as writer:
        writer.store([at(5, 1.0), at(1, 9.0), at(2, 2.0, "P-2")], NOON)
    assert (tmp_path / "current.parquet").exists()
    assert rows(current_state(tmp_path)) == [("P-1", 5, 1.0), ("P-2", 2, 2.0)]
    with pytest.raises(ZeroDivisionError), ObservationWriter(tmp_path) as writer:  # noqa: PT012
        writer.store([at(3, 3.0), at(7, 7.0, "P-2"), at(5, 1.5)], NOON)
        raise ZeroDivisionError
    assert rows(current_state(tmp_path)) == [("P-1", 5, 1.5), ("P-2", 7, 7.0)]


def test_rejected_messages_are_kept_with_their_reason(tmp_path: Path) -> None:
    with ObservationWriter(tmp_path) as writer:
        writer.reject([], NOON)
        assert not (tmp_path / REJECTED).exists()
        writer.reject([Rejected("city/压力", b"\xffx", "no JSON")], NOON)
        with (tmp_path / REJECTED).open("ab") as out:
            out.write(b'{"half')
        writer.reject([Rejected("t", b"y" * 100_000, "too long")], NOON)
    first, half, last = (tmp_path / REJECTED).read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {
        "received": "2024-05-01T12:00:00+00:00",
        "topic": "city/压力",
        "reason": "no JSON",
        "size": 2,
        "payload": "/3g=",
    }
    assert half == '{"half'
    assert json.loads(last)["size"] == 100_000


def test_second_writer_is_refused(tmp_path: Path) -> None:
    with (
        ObservationWriter(tmp_path),
        pytest.raises(DeclarationError, match="another process writes these observations"),
        ObservationWriter(tmp_path),
    ):
        pass
    with ObservationWriter(tmp_path):
        pass


def test_reader_sees_all_while_files_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL_FILES", 2)
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(read_observations(tmp_path).num_rows)

    reader = threading.Thread(target=read)
    with ObservationWriter(tmp_path) as writer:
        writer.store([at(0, 0)], NOON)
        reader.start()
        for number in range(1, 60):
            writer.store([at(number, number)], NOON)
        done.set()
        reader.join()
    assert seen == sorted(seen)
    assert 1 <= seen[0] <= seen[-1] <= 60
