"""What the store itself takes, in either home."""

import datetime as dt
import shutil
import zipfile
from pathlib import Path

import geopandas as gpd
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from cityframe.core.arrow_rows import to_frame
from cityframe.model.release import Release, ReleaseKind
from cityframe.products.package import LayerDelta, build_change
from cityframe.store.candidate import write_candidate
from cityframe.store.commit import commit
from cityframe.store.difference import difference_of
from cityframe.store.framework import Framework, open_framework
from store_cost import geopackage, postgis
from store_cost.buildings import LAYER, ROUNDS, change_path
from store_cost.geopackage import Bounds
from store_cost.measure import Meter

_LAYERS = {LAYER.name: LAYER}
_STARTED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def load(meter: Meter, folder: Path, url: str | None) -> None:
    """Make the first release of all buildings in an empty store."""
    framework = _empty_store(meter, folder, url)
    changes = changes_frame(pq.read_table(folder / "before.parquet"), 1)
    release(meter, framework, folder, changes, 1)


def commits(meter: Meter, folder: Path, url: str | None) -> None:
    """Commit ten changes, in turns with the same rows in bare SQL; then the change to diff."""
    framework = opened(meter, folder, url)
    bare = geopackage.BareHistory(folder) if url is None else postgis.BareHistory(folder, url)
    for number in range(1, ROUNDS + 1):
        bare.commit(meter)
        changes = changes_frame(pq.read_table(change_path(folder, number)), number + 1)
        release(meter, framework, folder, changes, number + 1)
    changes = changes_frame(pq.read_table(change_path(folder, ROUNDS + 1)), ROUNDS + 2)
    release(Meter(), framework, folder, changes, ROUNDS + 2)


def as_of(meter: Meter, folder: Path, url: str | None) -> int:
    """Read the first release whole; returns how many rows."""
    framework = opened(meter, folder, url)
    with meter("as_of_arrow"):
        table = framework.as_of_arrow(LAYER, 1)
    return len(table)


def as_of_window(
    meter: Meter, folder: Path, url: str | None, window: Bounds, repeats: int
) -> list[int]:
    """Read a box of the first release several times; returns how many rows each time."""
    framework = opened(meter, folder, url)
    counts = []
    for _ in range(repeats):
        with meter("as_of_arrow"):
            table = framework.as_of_arrow(LAYER, 1, bbox=window)
        counts.append(len(table))
    return counts


def plain_file(_meter: Meter, folder: Path, url: str | None) -> Path:
    """Write a plain file of the rows of the first release, as the store gives them."""
    table = opened(Meter(), folder, url).as_of_arrow(LAYER, 1)
    names = ["geometry" if name == "geom" else name for name in table.column_names]
    path = geopackage.emptied(folder / "plain.gpkg")
    geopackage.write(table.rename_columns(names), path)
    return path


def difference(meter: Meter, folder: Path, url: str | None, repeats: int) -> int:
    """Compare the two newest releases several times; returns how many features differ."""
    framework = opened(meter, folder, url)
    count = 0
    for _ in range(repeats):
        with meter("difference"):
            found = difference_of(framework, LAYER, ROUNDS + 1, ROUNDS + 2)
        count = len(found.features)
    return count


def package(meter: Meter, folder: Path, url: str | None) -> dict[str, int]:
    """Build the change package of the second release.

    Returns
    -------
    dict
        Bytes: ``parquet`` is the change table alone, as it is; ``deflate`` the whole folder as ZIP.
    """
    framework = opened(meter, folder, url)
    place = folder / "package"
    shutil.rmtree(place, ignore_errors=True)
    with meter("difference and package"):
        found = difference_of(framework, LAYER, 1, 2)
        about = found.features.set_index("uid")
        removed = found.before.assign(
            change=found.before["uid"].map(about["change"]),
            ended_by=found.before["uid"].map(about["ended_by"]),
        )
        has_new = found.after["uid"].map(about["has_new_attributes"]).astype(bool)
        build_change(
            place,
            framework.release(2),
            framework.release(1),
            [LayerDelta(LAYER, removed, found.after.assign(has_new_attributes=has_new), LAYER)],
            chain=framework.chain(2),
            title=LAYER.title,
            quality={},
            lineage=framework.lineage(2),
            formats=["geoparquet"],
        )
    files = [file for file in place.rglob("*") if file.is_file()]
    tables = [file for file in files if file.suffix == ".parquet"]
    with zipfile.ZipFile(folder / "package.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for file in files:
            out.write(file, file.relative_to(place))
    return {
        "parquet": sum(file.stat().st_size for file in tables),
        "deflate": (folder / "package.zip").stat().st_size,
    }


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


def opened(meter: Meter, folder: Path, url: str | None) -> Framework:
    """Return the measured store of a folder, or of its schema in a database."""
    if url is None:
        return open_framework(folder / "store")
    with psycopg.connect(url) as connection:
        meter.watch_server(connection.info.backend_pid)
    return open_framework(
        folder / "store", f"{url}{'&' if '?' in url else '?'}schema={postgis.MEASURED_NAME}"
    )


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


def _empty_store(meter: Meter, folder: Path, url: str | None) -> Framework:
    if url is None:
        shutil.rmtree(folder / "store", ignore_errors=True)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {postgis.MEASURED_NAME} CASCADE")
    return opened(meter, folder, url)
