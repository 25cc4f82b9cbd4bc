"""What the store itself takes, in either home."""

import datetime as dt
import shutil
from pathlib import Path

import geopandas as gpd
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from cityframe.core.arrow_rows import to_frame
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework
from cityframe.store.home import open_home
from store_cost import geopackage, postgis
from store_cost.buildings import LAYER, ROUNDS, change_path
from store_cost.geopackage import Bounds
from store_cost.measure import Meter

SCHEMA_NAME = "cf_measured"
_LAYERS = {LAYER.name: LAYER}
_STARTED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def load(meter: Meter, folder: Path, url: str | None) -> None:
    """Make the first release of all buildings in an empty store."""
    framework = _empty_store(meter, folder, url)
    changes = changes_frame(pq.read_table(folder / "before.parquet"), 1)
    release(meter, framework, folder, changes, 1)


def commits(meter: Meter, folder: Path, url: str | None) -> None:
    """Commit ten changes, in turns with the same rows in bare SQL; then the change to diff."""
    framework = _store(meter, folder, url)
    bare = geopackage.BareHistory(folder) if url is None else postgis.BareHistory(folder, url)
    for number in range(1, ROUNDS + 1):
        bare.commit(meter)
        changes = changes_frame(pq.read_table(change_path(folder, number)), number + 1)
        release(meter, framework, folder, changes, number + 1)
    changes = changes_frame(pq.read_table(change_path(folder, ROUNDS + 1)), ROUNDS + 2)
    release(Meter(), framework, folder, changes, ROUNDS + 2)


def as_of(meter: Meter, folder: Path, url: str | None) -> int:
    """Read the first release whole; returns how many rows."""
    framework = _store(meter, folder, url)
    with meter("as_of_arrow"):
        table = framework.as_of_arrow(LAYER, 1)
    return len(table)


def as_of_window(
    meter: Meter, folder: Path, url: str | None, window: Bounds, repeats: int
) -> list[int]:
    """Read a box of the first release several times; returns how many rows each time."""
    framework = _store(meter, folder, url)
    counts = []
    for _ in range(repeats):
        with meter("as_of_arrow"):
            table = framework.as_of_arrow(LAYER, 1, bbox=window)
        counts.append(len(table))
    return counts


def plain_file(_meter: Meter, folder: Path, url: str | None) -> Path:
    """Write a plain file of the rows of the first release, as the store gives them."""
    table = _store(Meter(), folder, url).as_of_arrow(LAYER, 1)
    names = ["geometry" if name == "geom" else name for name in table.column_names]
    path = geopackage.emptied(folder / "plain.gpkg")
    geopackage.write(table.rename_columns(names), path)
    return path


def difference(meter: Meter, folder: Path, url: str | None, repeats: int) -> int:
    """Compare the two newest releases several times; returns how many features differ."""
    framework = _store(meter, folder, url)
    count = 0
    for _ in range(repeats):
        with meter("difference"):
            count = len(framework.difference(LAYER, ROUNDS + 1, ROUNDS + 2))
    return count


def changes_frame(table: pa.Table, number: int) -> gpd.GeoDataFrame:
    """Return a change as the store takes it; a table without kinds is all new."""
    if "change" not in table.column_names:
        table = table.append_column("change", pa.repeat(pa.scalar("new"), len(table)))
        flag = pa.repeat(pa.scalar(value=False), len(table))
        table = table.append_column("has_new_attributes", flag)
    names = ["geom" if name == "geometry" else name for name in table.column_names]
    frame = to_frame(table.rename_columns(names), LAYER)
    return frame.assign(
        delivery=pd.Series(["survey.0123456789abcdef"] * len(frame), dtype="str"),
        record=pd.Series(range(len(frame)), dtype="Int64"),
        basis=pd.Series(["key"] * len(frame), dtype="str"),
        valid_from=pd.Series(
            [pd.Timestamp(moment(number))] * len(frame), dtype="datetime64[us, UTC]"
        ),
        valid_to=pd.Series([pd.NaT] * len(frame), dtype="datetime64[us, UTC]"),
    )


def open_framework(folder: Path, url: str | None) -> Framework:
    """Return the measured store of a folder, or of its schema in a database."""
    home = None if url is None else f"{url}{'&' if '?' in url else '?'}schema={SCHEMA_NAME}"
    return Framework(open_home(folder / "store", home))


def release(
    meter: Meter, framework: Framework, folder: Path, changes: gpd.GeoDataFrame, number: int
) -> Release:
    """Stage and commit a change."""
    candidate_folder = folder / "candidate"
    shutil.rmtree(candidate_folder, ignore_errors=True)
    with meter("stage"):
        candidate = write_candidate(
            candidate_folder, framework, {LAYER.name: changes}, _LAYERS, valid_at=moment(number)
        )
    with meter("commit"):
        return commit(
            framework,
            candidate,
            _LAYERS,
            kind=ReleaseKind.CYCLE,
            cycle=f"c-{number}",
            evidence={},
            at=moment(number),
        )


def moment(number: int) -> dt.datetime:
    """Return the time of a release."""
    return _STARTED + dt.timedelta(days=number)


def _store(meter: Meter, folder: Path, url: str | None) -> Framework:
    if url is not None:
        with psycopg.connect(url) as connection:
            meter.watch_server(connection.info.backend_pid)
    return open_framework(folder, url)


def _empty_store(meter: Meter, folder: Path, url: str | None) -> Framework:
    shutil.rmtree(folder / "store", ignore_errors=True)
    (folder / "store").mkdir()
    if url is not None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")
    return _store(meter, folder, url)
