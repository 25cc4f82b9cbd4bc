"""Write observations: batch by batch, each safe on disk before it counts, each value once."""

import datetime as dt
import fcntl
import json
import os
from base64 import b64encode
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from cityframe.connectors.columns import ArrowArray
from cityframe.connectors.observations import (
    CURRENT,
    MOMENT,
    SCHEMA,
    current_state,
    deduplicated,
    files_of,
    last_batch,
    last_batch_of,
    read_files,
)
from cityframe.errors import DeclarationError

REJECTED = "rejected.jsonl"
_LOCK = ".lock"
_KEPT_PAYLOAD_BYTES = 64 << 10
_SMALL_BYTES = 1 << 20
_SMALL_FILES = 64
"""So many small files of one date are merged into one."""
_CHECKPOINT_BATCHES = 1000
_KNOWN_DATES = 32
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of one stream; ``time`` in UTC."""

    stream: str
    time: dt.datetime
    value: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is no observation, and why."""

    topic: str
    payload: bytes
    reason: str


class ObservationWriter:
    """The one writer of a feed's observations; a context manager.

    Parameters
    ----------
    folder : Path
        Folder of the feed; it need not exist yet.

    Raises
    ------
    DeclarationError
        If another process writes there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()
        self._batch = 0
        self._known: OrderedDict[str, dict[str, dict[int, float]]] = OrderedDict()

    def __enter__(self) -> Self:
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _sync(self.folder.parent)
        self._open.enter_context(_sole_writer(self.folder))
        for leftover in self.folder.glob("**/.*.partial"):
            leftover.unlink()
        self._batch = last_batch(self.folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._checkpoint()
        self._open.close()

    def store(self, observations: Sequence[Observation], received: dt.datetime) -> int:
        """Write a batch to disk and return how many were new; the others stood there already.

        A value that differs from the one known for its stream and time is new: it revises it. Of
        several in one batch the last stays.
        All bytes are safe on disk when the call returns.
        """
        fresh: defaultdict[str, dict[tuple[str, int], float]] = defaultdict(dict)
        count = 0
        while len(self._known) > _KNOWN_DATES:
            self._known.popitem(last=False)
        for one in observations:
            date = one.time.date().isoformat()
            moment = (one.time - _EPOCH) // _MICROSECOND
            values = self._known_values(date).setdefault(one.stream, {})
            if values.get(moment) != one.value:
                values[moment] = fresh[date][one.stream, moment] = one.value
                count += 1
        self._batch += bool(fresh)
        for date, rows in fresh.items():
            partition = self.folder / f"date={date}"
            _write(_table(rows, received, self._batch), partition / _file_name(self._batch))
            _merge_small_files(partition)
        if fresh and self._batch % _CHECKPOINT_BATCHES == 0:
            self._checkpoint()
        return count

    def reject(self, messages: Sequence[Rejected], received: dt.datetime) -> None:
        """Append messages to the dead letters; safe on disk when the call returns."""
        if not messages:
            return
        path = self.folder / REJECTED
        is_new = not path.exists()
        with path.open("ab+") as out:
            # a line that a dead process left unfinished ends here
            if out.tell() and not _ends_with_newline(out):
                out.write(b"\n")
            for message in messages:
                entry = {
                    "received": received.isoformat(),
                    "topic": message.topic,
                    "reason": message.reason,
                    "size": len(message.payload),
                    "payload": b64encode(message.payload[:_KEPT_PAYLOAD_BYTES]).decode(),
                }
                out.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        if is_new:
            _sync(self.folder)

    def _known_values(self, date: str) -> dict[str, dict[int, float]]:
        """Return the values of a date by stream and microsecond."""
        if date not in self._known:
            table = deduplicated(read_files(files_of(self.folder, [date])))
            moments = table["time"].cast(pa.int64())
            columns: Any = (table["stream"], moments, table["value"])
            known: dict[str, dict[int, float]] = {}
            for stream, moment, value in zip(*(one.to_pylist() for one in columns), strict=True):
                known.setdefault(stream, {})[moment] = value
            self._known[date] = known
        self._known.move_to_end(date)
        return self._known[date]

    def _checkpoint(self) -> None:
        state = current_state(self.folder)
        if len(state):
            note = {b"batch": str(self._batch).encode()}
            _write(state.replace_schema_metadata(note), self.folder / CURRENT)


def _table(rows: dict[tuple[str, int], float], received: dt.datetime, batch: int) -> pa.Table:
    streams, moments = zip(*rows, strict=True)
    columns: list[ArrowArray] = [
        pa.array(streams, pa.string()),
        pa.array(moments, pa.int64()).cast(MOMENT),
        pa.array(rows.values(), pa.float64()),
        pa.array([received] * len(rows), MOMENT),
        pa.array([batch] * len(rows), pa.int64()),
    ]
    return pa.table(columns, schema=SCHEMA)


def _file_name(first: int, last: int | None = None) -> str:
    return f"{first:012d}-{last or first:012d}.parquet"


def _merge_small_files(partition: Path) -> None:
    """Merge many small files into one; readers drop what they see twice meanwhile."""
    small = [
        file for file in partition.glob("[0-9]*.parquet") if file.stat().st_size < _SMALL_BYTES
    ]
    if len(small) < _SMALL_FILES:
        return
    first = min(int(file.stem.partition("-")[0]) for file in small)
    target = partition / _file_name(first, max(map(last_batch_of, small)))
    _write(read_files(sorted(small)), target)
    for file in small:
        if file != target:
            file.unlink()


def _write(table: pa.Table, path: Path) -> None:
    """Write a file whole and safe on disk, or not at all."""
    if not path.parent.exists():
        path.parent.mkdir()
        _sync(path.parent.parent)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as out:
        pq.write_table(table, out, compression="zstd")
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeclarationError(
                found="another process writes these observations",
                where=str(folder),
                expected="one bridge a source",
                remedy="stop the other one",
            ) from error
        yield
