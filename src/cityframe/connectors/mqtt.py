"""Pull type ``mqtt``: freeze a windowed aggregate of what the bridge stored.

Windows lie on whole multiples of ``window_s`` in UTC. A window is closed once an observation is
later than its end by ``lateness_s``: sensors' clocks decide, not ours, so that history can be
replayed. Each window is frozen once; values that come later still, or revise others, make a
correction of it in the next pull.

Two files land: ``windows.parquet`` with each window frozen or corrected, and ``latest.parquet``
with the last frozen window of each stream concerned.
"""

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cityframe.config.source import MqttPull, Source
from cityframe.config.workspace import expand
from cityframe.connectors.observations import (
    MOMENT,
    current_state,
    last_batch,
    read_batches,
    read_observations,
)
from cityframe.connectors.pulling import Pulled
from cityframe.errors import DeclarationError

WINDOWS = "windows.parquet"
LATEST = "latest.parquet"
_WINDOW_SCHEMA = pa.schema(
    {
        "stream": pa.string(),
        "window_start": MOMENT,
        "window_end": MOMENT,
        "count": pa.int64(),
        "mean": pa.float64(),
        "min": pa.float64(),
        "max": pa.float64(),
        "first": pa.float64(),
        "last": pa.float64(),
        "last_time": MOMENT,
        "is_correction": pa.bool_(),
    }
)
_LATEST_COLUMNS = (
    "stream", "window_start", "window_end", "count", "mean", "min", "max", "last", "last_time",
)  # fmt: skip


def pull(
    source: Source,
    *,
    workspace_root: Path,  # noqa: ARG001  # observations have their own place
    into: Path,
    place: str | None,
    watermark: str,
    observations: Path,
) -> Pulled | None:
    """Freeze the windows that closed since the watermark; see `cityframe.connectors.Connector`.

    Returns
    -------
    Pulled or None
        None if no window closed and none is to be corrected.

    Raises
    ------
    DeclarationError
        If the declaration or the watermark is wrong.
    """
    declared = source.pull
    where = f"source {source.name}"
    if not isinstance(declared, MqttPull) or place is not None:
        raise DeclarationError(
            found=f"a place to pull from: {place}",
            where=where,
            expected="none: a sensor feed is pulled from its observations",
        )
    since, frozen_batch = _parsed(watermark, where)
    batch = last_batch(observations)
    closed = _closed(observations, declared)
    if closed is None:
        return None
    if since is not None:
        closed = max(closed, since)
    corrected = _corrected(observations, frozen_batch, since, declared)
    windows = _windows(observations, since, closed, corrected, declared)
    if not windows["is_due"].any():
        return None
    _write(windows, into)
    return Pulled(
        origin=_origin(declared, where),
        watermark=f"{_text(closed)}#{batch}",
        observed_at=closed.to_pydatetime(),
    )


def _closed(observations: Path, declared: MqttPull) -> pd.Timestamp | None:
    """Return the end of the last closed window."""
    latest = pc.max(current_state(observations)["time"]).as_py()
    if latest is None:
        return None
    return pd.Timestamp(latest - dt.timedelta(seconds=declared.lateness_s)).floor(
        f"{declared.window_s}s"
    )


def _corrected(
    observations: Path, frozen_batch: int, since: pd.Timestamp | None, declared: MqttPull
) -> pd.MultiIndex:
    """Return stream and start of each frozen window that has got values since."""
    if since is None:
        return pd.MultiIndex.from_arrays([[], []])
    rows = read_batches(observations, frozen_batch).filter(
        pc.field("time") < pa.scalar(since.to_pydatetime(), MOMENT)
    )
    frame = rows.select(["stream", "time"]).to_pandas()
    starts = frame["time"].dt.floor(f"{declared.window_s}s")
    return pd.MultiIndex.from_arrays([frame["stream"], starts]).unique()


def _windows(
    observations: Path,
    since: pd.Timestamp | None,
    closed: pd.Timestamp,
    corrected: pd.MultiIndex,
    declared: MqttPull,
) -> pd.DataFrame:
    """Return all windows from the first one that is due: ``is_due`` says which are."""
    first = min([since, *corrected.get_level_values(1)]) if since is not None else None
    rows = read_observations(
        observations, None if first is None else first.to_pydatetime(), closed.to_pydatetime()
    )
    frame = rows.select(["stream", "time", "value"]).to_pandas()
    frame["window_start"] = frame["time"].dt.floor(f"{declared.window_s}s")
    windows = (
        frame.groupby(["stream", "window_start"], sort=True)
        .agg(
            count=("value", "size"),
            mean=("value", "mean"),
            min=("value", "min"),
            max=("value", "max"),
            first=("value", "first"),
            last=("value", "last"),
            last_time=("time", "last"),
        )
        .reset_index()
    )
    windows["window_end"] = windows["window_start"] + pd.Timedelta(seconds=declared.window_s)
    keys = pd.MultiIndex.from_frame(windows[["stream", "window_start"]])
    windows["is_correction"] = keys.isin(corrected) if since is not None else False
    is_new = windows["window_start"] >= since if since is not None else True
    windows["is_due"] = windows["is_correction"] | is_new
    return windows


def _write(windows: pd.DataFrame, into: Path) -> None:
    due = windows[windows["is_due"]]
    latest = windows[windows["stream"].isin(due["stream"])].groupby("stream").tail(1)
    table = pa.Table.from_pandas(due, _WINDOW_SCHEMA, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), into / WINDOWS, compression="zstd")
    table = pa.Table.from_pandas(latest, _WINDOW_SCHEMA, preserve_index=False)
    table = table.select(_LATEST_COLUMNS).replace_schema_metadata(None)
    pq.write_table(table, into / LATEST, compression="zstd")


def _parsed(watermark: str, where: str) -> tuple[pd.Timestamp | None, int]:
    """Return the end of the last frozen window and the last batch that it could see."""
    if not watermark:
        return None, 0
    moment, _, batch = watermark.partition("#")
    try:
        return pd.Timestamp(dt.datetime.fromisoformat(moment).astimezone(dt.UTC)), int(batch)
    except ValueError as error:
        raise DeclarationError(
            found=f"watermark {watermark!r}", where=where, expected="MOMENT#BATCH"
        ) from error


def _text(moment: pd.Timestamp) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _origin(declared: MqttPull, where: str) -> str:
    host, port = (expand(str(one), where=where) for one in (declared.host, declared.port))
    return f"mqtt://{host}:{port} {' '.join(declared.topics)}"
