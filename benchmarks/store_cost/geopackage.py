"""What bare GDAL and bare SQLite take: the baselines of the GeoPackage home, and of reading."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import shapely

from store_cost.buildings import LAYER, ROUNDS, SCHEMA, change_path
from store_cost.measure import Meter

DELIVERY = "survey.0123456789abcdef"
Bounds = tuple[float, float, float, float]
VALID_FROM, CHANGED_AT = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"
_HEADER = b"GP\x00\x01" + int(LAYER.crs.split(":")[1]).to_bytes(4, "little")
_NAMES = SCHEMA.names[:-1]
_COLUMNS = (
    "valid_from", "release_from", "digest", "seal", "delivery", "record", "basis", "change",
    "has_new_attributes", *_NAMES, "geom",
)  # fmt: skip


def load(meter: Meter, folder: Path) -> None:
    """Write all buildings with pyogrio, spatial index included."""
    table = pq.read_table(folder / "before.parquet")
    path = emptied(folder / "load.gpkg")
    with meter("write_arrow"):
        write(table, path)


def write(table: pa.Table, path: Path, **layer_options: str) -> None:
    """Write a plain file of a table whose geometry is WKB in column ``geometry``."""
    pyogrio.raw.write_arrow(
        table,
        path,
        layer=LAYER.name,
        driver="GPKG",
        geometry_name="geometry",
        geometry_type=LAYER.geometry.value,
        crs=LAYER.crs,
        layer_options={"GEOMETRY_NAME": "geom", **layer_options},
    )


def read(meter: Meter, path: Path) -> int:
    """Read a plain file whole; returns how many rows."""
    with meter("read_arrow"):
        _, table = pyogrio.raw.read_arrow(path)
    return len(table)


def read_window(meter: Meter, path: Path, repeats: int) -> tuple[Bounds, list[int]]:
    """Read 1 % of the area of a plain file with a spatial index, several times."""
    window = window_of(path)
    counts = []
    for _ in range(repeats):
        with meter("read_arrow"):
            _, table = pyogrio.raw.read_arrow(path, bbox=window)
        counts.append(len(table))
    return window, counts


def window_of(path: Path) -> Bounds:
    """Return a box in the middle of a file, with a tenth of the extent each way."""
    west, south, east, north = pyogrio.read_info(path, force_total_bounds=True)["total_bounds"]
    wide, high = (east - west) / 10, (north - south) / 10
    left, low = west + 4.5 * wide, south + 4.5 * high
    return (left, low, left + wide, low + high)


class BareHistory:
    """A history table with the store's indexes in a file of its own, and no code around it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, emptied(folder / "bare.gpkg")
        self._number = 1
        with_system_columns(pq.read_table(folder / "before.parquet"), 1, "new", self._path)
        with closing(self._connected()) as connection:
            # GDAL's triggers call functions that only GDAL has
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for (trigger,) in connection.execute(query).fetchall():
                connection.execute(f'DROP TRIGGER "{trigger}"')
            for statement in (
                "CREATE UNIQUE INDEX h_uid ON buildings (uid, release_from, valid_from)",
                "CREATE INDEX h_opened ON buildings (release_from)",
                "CREATE INDEX h_closed ON buildings (release_to) WHERE release_to IS NOT NULL",
            ):
                connection.execute(statement)

    def commit(self, meter: Meter) -> None:
        """Close and add the rows of the next change; all values are ready before the clock."""
        self._number += 1
        change = pq.read_table(change_path(self._folder, self._number - 1))
        closed, added, boxes = _rows_of(change, self._number)
        marks = ", ".join("?" * len(_COLUMNS))
        insert = f"INSERT INTO buildings ({', '.join(_COLUMNS)}) VALUES ({marks})"
        with closing(self._connected()) as connection, meter("bare SQL"):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE buildings SET release_to = ? WHERE uid = ? AND release_to IS NULL", closed
            )
            (last,) = connection.execute("SELECT max(fid) FROM buildings").fetchone()
            connection.executemany(insert, added)
            connection.executemany(
                "INSERT INTO rtree_buildings_geom VALUES (?, ?, ?, ?, ?)",
                ((fid, *box) for fid, box in enumerate(boxes, start=last + 1)),
            )
            self._copy_closed(connection, last + len(added))
            connection.execute("COMMIT")

    def _copy_closed(self, connection: sqlite3.Connection, last: int) -> None:
        """Add what is left of the closed rows' periods: until the change they were so."""
        kept = ", ".join(name for name in _COLUMNS if name != "release_from")
        fid, closed = "? + row_number() OVER (ORDER BY fid)", "WHERE release_to = ?"
        connection.execute(
            f"INSERT INTO buildings (fid, release_from, valid_to, {kept}) "
            f"SELECT {fid}, ?, ?, {kept} FROM buildings {closed}",
            (last, self._number, CHANGED_AT, self._number),
        )
        connection.execute(
            f"INSERT INTO rtree_buildings_geom SELECT {fid}, minx, maxx, miny, maxy "
            f"FROM buildings JOIN rtree_buildings_geom ON id = fid {closed}",
            (last, self._number),
        )

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
            connection.execute(f"PRAGMA {pragma}")
        return connection


def commits(meter: Meter, folder: Path) -> None:
    """Close and add the rows of ten changes in bare SQL, for a run without the store."""
    history = BareHistory(folder)
    for _ in range(ROUNDS):
        history.commit(meter)


def with_system_columns(table: pa.Table, number: int, change: str, path: Path) -> None:
    """Write a table as history rows of a release, with stand-ins for digest and seal."""
    count = len(table)
    for name, value, kind in (
        ("valid_from", VALID_FROM, pa.string()),
        ("valid_to", None, pa.string()),
        ("release_from", number, pa.int32()),
        ("release_to", None, pa.int32()),
        ("digest", b"0123456789abcdef", pa.binary()),
        ("seal", b"fedcba9876543210", pa.binary()),
        ("delivery", DELIVERY, pa.string()),
        ("record", 1, pa.int64()),
        ("basis", "key", pa.string()),
        ("ended_by", None, pa.string()),
        ("change", change, pa.string()),
        ("has_new_attributes", False, pa.bool_()),
    ):
        table = table.append_column(name, pa.repeat(pa.scalar(value, kind), count))
    write(table, path)


def emptied(path: Path) -> Path:
    """Remove a SQLite file and what lies beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path


def _rows_of(
    change: pa.Table, number: int
) -> tuple[list[tuple[int, str]], list[tuple[Any, ...]], list[list[float]]]:
    kinds = change["change"].to_numpy()
    closed = change.filter(pa.array(kinds != "new"))["uid"].to_pylist()
    added = change.filter(pa.array(kinds != "removed"))
    built = SCHEMA.get_field_index("built") + 2
    added = added.set_column(built, "built", added["built"].cast(pa.string()))
    values = [added[name].to_pylist() for name in ("change", "has_new_attributes", *_NAMES)]
    geometry = [_HEADER + wkb for wkb in added["geometry"].to_pylist()]
    count = len(added)
    constants = (CHANGED_AT, number, b"0" * 16, b"1" * 16, DELIVERY, 1, "key")
    system = [[value] * count for value in constants]
    bounds = shapely.bounds(shapely.from_wkb(added["geometry"].to_numpy()))
    rows = list(zip(*system, *values, geometry, strict=True))
    boxes: list[list[float]] = np.asarray(bounds)[:, [0, 2, 1, 3]].tolist()
    return [(number, uid) for uid in closed], rows, boxes
