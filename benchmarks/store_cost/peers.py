"""What others take for the same change: pygeodiff, Delta Lake."""

import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pygeodiff

from store_cost.buildings import SCHEMA, change_path
from store_cost.geopackage import emptied, write
from store_cost.measure import Meter

ZSTD_LEVEL = 9
_HEADER_BYTES = 8


def geodiff(meter: Meter, folder: Path, number: int) -> dict[str, int]:
    """Make geodiff's changeset of a change between two GeoPackages.

    Returns
    -------
    dict
        Bytes of the changeset: as it is, ``deflate`` (as in a ZIP), ``zstd``.
    """
    before, after = (emptied(folder / f"{name}.gpkg") for name in ("before", "after"))
    table = pq.read_table(folder / "before.parquet")
    write(table, before, SPATIAL_INDEX="NO")
    _write_after(table, pq.read_table(change_path(folder, number)), before, after)
    changeset = folder / "geodiff.changeset"
    with meter("pygeodiff"):
        pygeodiff.GeoDiff().create_changeset(str(before), str(after), str(changeset))
    body = changeset.read_bytes()
    return {
        "raw": len(body),
        "deflate": len(zlib.compress(body, 9)),
        "zstd": pa.Codec("zstd", compression_level=ZSTD_LEVEL).compress(body).size,
    }


def delta_lake(meter: Meter, folder: Path) -> dict[str, int]:
    """Write a Delta table, merge a 1 % change into it, read the version before it.

    Returns
    -------
    dict
        Bytes of the table after the first version, and those that the change added.
    """
    path = folder / "delta"
    shutil.rmtree(path, ignore_errors=True)
    table = pq.read_table(folder / "before.parquet")
    change = pq.read_table(change_path(folder, 1))
    with meter("write"):
        deltalake.write_deltalake(path, table)
    first = _bytes_in(path)
    values = {name: f"s.{name}" for name in SCHEMA.names}
    with meter("merge 1 %"):
        merge = deltalake.DeltaTable(path).merge(
            change, "t.uid = s.uid", source_alias="s", target_alias="t"
        )
        merge = merge.when_matched_delete("s.change = 'removed'")
        merge.when_matched_update(values).when_not_matched_insert(values).execute()
    with meter("read the version before"):
        old = deltalake.DeltaTable(path, version=0).to_pyarrow_table()
    assert len(old) == len(table), len(old)
    return {"first": first, "change": _bytes_in(path) - first}


def _write_after(table: pa.Table, change: pa.Table, before: Path, after: Path) -> None:
    """Apply a change to a copy of a plain file, so that its row ids stay."""
    shutil.copyfile(before, after)
    kinds = change["change"].to_numpy()
    # GDAL writes the header that geometry blobs need
    patch = emptied(after.with_name("patch.gpkg"))
    write(change.filter(pa.array(kinds != "removed")), patch, SPATIAL_INDEX="NO")
    names = [*SCHEMA.names[1:-1], "geom"]
    position = {uid: fid for fid, uid in enumerate(table["uid"].to_pylist(), start=1)}
    removed = change.filter(pa.array(kinds == "removed"))["uid"].to_pylist()
    with closing(sqlite3.connect(after, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS patch", (str(patch),))
        connection.execute("BEGIN")
        listed = connection.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for (trigger,) in listed:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        fids = np.array([position[uid] for uid in removed]).tolist()
        connection.executemany("DELETE FROM buildings WHERE fid = ?", ((fid,) for fid in fids))
        connection.execute("CREATE TEMPORARY TABLE place (uid TEXT PRIMARY KEY, fid INTEGER)")
        connection.executemany("INSERT INTO place VALUES (?, ?)", position.items())
        fields, sources = ", ".join(names), ", ".join(f"p.{name}" for name in names)
        connection.execute(
            f"UPDATE buildings SET ({fields}) = (SELECT {sources} FROM patch.buildings p "
            "WHERE p.uid = buildings.uid) WHERE fid IN (SELECT l.fid FROM patch.buildings p "
            "JOIN place l ON l.uid = p.uid)"
        )
        connection.execute(
            f"INSERT INTO buildings (uid, {fields}) SELECT p.uid, {sources} FROM patch.buildings p "
            "WHERE p.change = 'new'"
        )
        connection.execute("COMMIT")


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
