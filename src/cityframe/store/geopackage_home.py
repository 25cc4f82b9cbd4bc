"""The embedded home: one GeoPackage file (SQLite, write-ahead log) that QGIS opens as it is."""

import fcntl
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio.errors
import pyogrio.raw
import shapely
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from cityframe.core.arrow_rows import GEOMETRY
from cityframe.errors import IntegrityError, SourceUnreachableError
from cityframe.model.layer import Attribute, GeometryType, Layer
from cityframe.store import geopackage
from cityframe.store.geopackage_rows import (
    FID,
    as_agreed,
    as_sqlite,
    with_text_moments,
    write_bulk,
)
from cityframe.store.home import Bbox, Bulk
from cityframe.store.sqlite import BUSY_TIMEOUT_S, sqlite_engine, write_transaction
from cityframe.store.tables import RELEASE, Moment, attribute_column, history_name, history_table

_BULK = "bulk"
_BATCH_ROWS = 65_536
_OPENING_S = 5
_DIALECT = sa.create_engine("sqlite://").dialect
_READING_FAILED = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError)
_DAMAGED = "database disk image is malformed"  # SQLite's words, by way of GDAL
_PERIODS_MEET = (
    "o.uid = NEW.uid AND o.fid IS NOT NEW.fid "
    "AND o.release_from < coalesce(NEW.release_to, 9e18) "
    "AND coalesce(o.release_to, 9e18) > NEW.release_from "
    "AND o.valid_from < coalesce(NEW.valid_to, '~') AND coalesce(o.valid_to, '~') > NEW.valid_from"
)


class GeoPackageHome:
    """A framework in a GeoPackage.

    One thread of a process may use a file at a time, and no stream of `read` may stay open over a
    write: GDAL and Python each bring an SQLite of their own, and file locks are the process's, so
    that the two do not see each other's.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def label(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def engine(self) -> sa.Engine:
        """The engine of the file."""
        return sqlite_engine(self.path)

    def exists(self) -> bool:
        """Return whether the tables of a framework are there."""
        # a process killed at its very first commit leaves a file without tables
        return self.path.exists() and sa.inspect(self.engine).has_table("cf_release")

    def create(self, connection: sa.Connection) -> None:
        """Make the file a GeoPackage."""
        geopackage.create_scaffold(connection)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock file beside the GeoPackage; the kernel lets go of a dead process's."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_CREAT | os.O_RDWR)
        try:
            self._lock(descriptor)
            for leftover in self.path.parent.glob(f".{self.path.name}-bulk-*"):
                shutil.rmtree(leftover)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def transaction(self, bulks: Sequence[Bulk] = ()) -> Iterator[sa.Connection]:
        """Open one write transaction; bulks are written to files beside and attached."""
        with tempfile.TemporaryDirectory(
            dir=self.path.parent, prefix=f".{self.path.name}-bulk-dir-"
        ) as folder:
            path = Path(folder) / "bulk.gpkg"
            for bulk in bulks:
                write_bulk(path, bulk)
            attached = {_BULK: path} if bulks else {}
            try:
                with write_transaction(
                    self.engine,
                    attached=attached,
                    is_large=bool(bulks) and not self._has_releases(),
                ) as connection:
                    yield connection
            except sa.exc.IntegrityError as error:
                raise IntegrityError(
                    where=self.label,
                    found=f"rows that the store refuses ({error.orig})",
                    remedy="nothing was written; run `cityframe fsck`",
                ) from error
            except sa.exc.OperationalError as error:
                raise SourceUnreachableError(
                    where=self.label,
                    found=f"the file can't be written ({error.orig})",
                    remedy="nothing was written; make room or look at the disk, then try again",
                ) from error

    def create_layer(self, connection: sa.Connection, layer: Layer) -> None:
        """Create a layer's history table and empty R-tree, and register them."""
        table = history_table(layer)
        connection.execute(CreateTable(table))
        geopackage.register(connection, layer, table.name, f"{layer.title.en}, history")
        if layer.geometry is not GeometryType.NONE:
            geopackage.create_spatial_index(connection, layer)

    def add_bulk(self, connection: sa.Connection, bulk: Bulk) -> None:
        """Fill an empty history table from the attached file, R-tree included."""
        layer = bulk.layer
        names = ", ".join(f'"{column.name}"' for column in history_table(layer).columns)
        connection.exec_driver_sql(
            f'INSERT INTO "{history_name(layer.name)}" ({names}) '
            f'SELECT {names} FROM "{_BULK}"."{layer.name}"'
        )
        if layer.geometry is GeometryType.NONE:
            return
        # GDAL packs the tree at once, row by row takes ten times as long; its node tables are
        # ordinary ones, and both trees hold the same ids
        index = geopackage.spatial_index(layer)
        for part in ("node", "rowid", "parent"):
            connection.exec_driver_sql(f'DELETE FROM "{index}_{part}"')
            connection.exec_driver_sql(
                f'INSERT INTO "{index}_{part}" '
                f'SELECT * FROM "{_BULK}"."rtree_{layer.name}_geom_{part}"'
            )

    def index_layer(self, connection: sa.Connection, layer: Layer) -> None:
        """Create the indexes, the triggers that refuse overlapping periods, and the view."""
        table = history_table(layer)
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            connection.execute(CreateIndex(index))
        for event in ("INSERT", "UPDATE OF uid, valid_from, valid_to, release_from"):
            connection.exec_driver_sql(
                f'CREATE TRIGGER "{table.name}_{event[:6].lower()}" BEFORE {event} '
                f'ON "{table.name}" WHEN EXISTS '
                f'(SELECT 1 FROM "{table.name}" o WHERE {_PERIODS_MEET}) BEGIN '
                "SELECT RAISE(ABORT, 'periods of one uid overlap'); END"
            )
        self._show_current(connection, layer)

    def add_column(self, connection: sa.Connection, layer: Layer, attribute: Attribute) -> None:
        """Add an attribute's column, and make the view anew."""
        column = attribute_column(attribute)
        kind = column.type.compile(dialect=_DIALECT)
        connection.exec_driver_sql(
            f'ALTER TABLE "{history_name(layer.name)}" ADD COLUMN "{attribute.name}" {kind}'
        )
        self.drop_view(connection, layer.name)
        self._show_current(connection, layer)

    def add_rows(self, connection: sa.Connection, layer: Layer, rows: pa.Table) -> None:
        """Add rows and their bounds."""
        if not rows.num_rows:
            return
        first = self._next_fid(connection, layer)
        names = ", ".join(f'"{name}"' for name in rows.column_names)
        marks = ", ".join("?" * (rows.num_columns + 1))
        fids = range(first, first + rows.num_rows)
        columns = [column.to_pylist() for column in as_sqlite(rows, layer).columns]
        connection.exec_driver_sql(
            f'INSERT INTO "{history_name(layer.name)}" (fid, {names}) VALUES ({marks})',
            list(zip(fids, *columns, strict=True)),
        )
        if layer.geometry is not GeometryType.NONE:
            self._index_bounds(connection, layer, rows, fids)

    def copy_rows(self, connection: sa.Connection, layer: Layer, copies: pa.Table) -> None:
        """Add rows that are as others but for their period, release and seal."""
        if not copies.num_rows:
            return
        table = history_table(layer)
        first = self._next_fid(connection, layer)
        connection.exec_driver_sql("DROP TABLE IF EXISTS temp.copies")
        names = ", ".join(copies.column_names)
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE copies (fid, {names})")
        columns = [column.to_pylist() for column in with_text_moments(copies).columns]
        connection.exec_driver_sql(
            f"INSERT INTO temp.copies VALUES ({', '.join('?' * (copies.num_columns + 1))})",
            list(zip(range(first, first + copies.num_rows), *columns, strict=True)),
        )
        new = {"fid", "release_to", *copies.column_names}
        kept = [column.name for column in table.columns if column.name not in new]
        given = [name for name in copies.column_names if name != "source"]
        quoted = ", ".join(f'"{name}"' for name in [*given, *kept])
        values = ", ".join([*(f"c.{name}" for name in given), *(f'h."{name}"' for name in kept)])
        connection.exec_driver_sql(
            f'INSERT INTO "{table.name}" (fid, {quoted}) SELECT c.fid, {values} '
            f'FROM temp.copies c JOIN "{table.name}" h ON h.fid = c.source'
        )
        if layer.geometry is not GeometryType.NONE:
            index = geopackage.spatial_index(layer)
            connection.exec_driver_sql(
                f'INSERT INTO "{index}" SELECT c.fid, r.minx, r.maxx, r.miny, r.maxy '
                f'FROM temp.copies c JOIN "{index}" r ON r.id = c.source'
            )

    def close_rows(
        self, connection: sa.Connection, layer: Layer, fids: Sequence[int], number: int
    ) -> None:
        """Set ``release_to`` of rows."""
        if len(fids):
            connection.exec_driver_sql(
                f'UPDATE "{history_name(layer.name)}" SET release_to = ? WHERE fid = ?',
                [(number, int(fid)) for fid in fids],
            )

    def add_entries(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Add rows to a table of the register, batch by batch."""
        names = ", ".join(f'"{name}"' for name in rows.column_names)
        marks = ", ".join("?" * rows.num_columns)
        batches = rows.to_batches(max_chunksize=_BATCH_ROWS)
        for batch in (one for one in batches if one.num_rows):
            columns = [column.to_pylist() for column in batch.columns]
            connection.exec_driver_sql(
                f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})',
                list(zip(*columns, strict=True)),
            )

    def touched(self, connection: sa.Connection, layer: Layer, when: str) -> None:
        """Write extent and time of change into the GeoPackage's contents."""
        geopackage.update_extent(connection, layer, when)

    def read(self, query: sa.Select[Any]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query as GDAL reads them.

        Raises
        ------
        IntegrityError
            If SQLite can't make sense of the file's pages.
        """
        columns = list(query.selected_columns)
        # GDAL keeps a column that it takes for the feature's id out of the rows: the table's key
        fid = next((one.name for one in columns if one.primary_key), "")
        shown = [(column + 0).label(FID) if column.name == fid else column for column in columns]
        compiled = query.with_only_columns(*shown).compile(
            dialect=_DIALECT, compile_kwargs={"literal_binds": True}
        )
        moments = [column.name for column in columns if isinstance(column.type, Moment)]
        try:
            with ExitStack() as opened:
                for batch in self._opened(str(compiled), opened):
                    yield as_agreed(batch, moments, fid)
        except (*_READING_FAILED, pa.ArrowException, OSError) as error:
            if _DAMAGED not in str(error):
                raise
            raise IntegrityError(
                where=self.label,
                found=_DAMAGED,
                expected="a whole GeoPackage",
                remedy="see what `cityframe fsck` finds, and restore the last sound backup",
            ) from error

    def _opened(self, sql: str, opened: ExitStack) -> pa.RecordBatchReader:
        """Open a query, but never as a file that nobody writes.

        Where a writer is just opening or closing the file, GDAL warns and leaves the log out: what
        was committed last would be missing from the answer.

        Raises
        ------
        SourceUnreachableError
            If that goes on for some seconds.
        """
        deadline = time.monotonic() + _OPENING_S
        while True:
            with warnings.catch_warnings(record=True) as said, ExitStack() as attempt:
                warnings.simplefilter("always")
                stream = attempt.enter_context(
                    pyogrio.raw.open_arrow(self.path, sql=sql, batch_size=_BATCH_ROWS)
                )[1]
                is_whole = not any("IMMUTABLE" in str(one.message) for one in said)
                if is_whole:
                    opened.push(attempt.pop_all())
            if is_whole:
                for one in said:
                    warnings.warn(one.message, stacklevel=2)
                return pa.RecordBatchReader.from_stream(stream)
            if time.monotonic() > deadline:
                raise SourceUnreachableError(
                    where=self.label,
                    found="another process is opening or closing the store",
                    remedy="try again; who may only read needs the right to write beside the file",
                )
            time.sleep(0.05)

    def meets(self, layer: Layer, bbox: Bbox) -> sa.ColumnElement[bool]:
        """Return the condition on the R-tree."""
        xmin, ymin, xmax, ymax = (float(value) for value in bbox)
        return history_table(layer).c.fid.in_(
            sa.text(
                f'SELECT id FROM "{geopackage.spatial_index(layer)}" WHERE maxx >= {xmin!r} '
                f"AND minx <= {xmax!r} AND maxy >= {ymin!r} AND miny <= {ymax!r}"
            )
        )

    def name_view(
        self, connection: sa.Connection, layer: Layer, view: str, release: int, valid_at: str
    ) -> None:
        """Create a view of a layer in a release and register it."""
        self.drop_view(connection, view)
        known = (
            f"release_from <= {int(release)} "
            f"AND (release_to IS NULL OR release_to > {int(release)})"
        )
        title = f"{layer.title.en}, release {release}"
        self._create_state_view(connection, layer, view, title, known, f"'{valid_at}'")

    def drop_view(self, connection: sa.Connection, view: str) -> None:
        """Drop a view, if it is there."""
        connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{view}"')
        geopackage.unregister(connection, view)

    def _has_releases(self) -> bool:
        with self.engine.connect() as connection:
            return connection.execute(sa.select(RELEASE.c.number).limit(1)).first() is not None

    def _show_current(self, connection: sa.Connection, layer: Layer) -> None:
        self._create_state_view(
            connection,
            layer,
            layer.name,
            layer.title.en,
            "release_to IS NULL",
            "(SELECT valid_at FROM cf_release ORDER BY number DESC LIMIT 1)",
        )

    def _create_state_view(
        self,
        connection: sa.Connection,
        layer: Layer,
        view: str,
        title: str,
        known: str,
        moment: str,
    ) -> None:
        names = ["uid", "valid_from", "release_from", "delivery", *layer.attribute_names]
        names += ["geom"] if layer.geometry is not GeometryType.NONE else []
        columns = ", ".join(f'"{name}"' for name in names)
        connection.exec_driver_sql(
            f'CREATE VIEW "{view}" AS SELECT fid AS OGCFID, {columns} '
            f'FROM "{history_name(layer.name)}" WHERE {known} AND valid_from <= {moment} '
            f"AND (valid_to IS NULL OR valid_to > {moment})"
        )
        geopackage.register(connection, layer, view, title)

    def _index_bounds(
        self, connection: sa.Connection, layer: Layer, rows: pa.Table, fids: range
    ) -> None:
        bounds = shapely.bounds(shapely.from_wkb(rows.column(GEOMETRY).to_numpy()))
        present = ~np.isnan(bounds[:, 0])
        values = bounds[present][:, [0, 2, 1, 3]].tolist()
        ids = np.arange(fids.start, fids.stop)[present].tolist()
        connection.exec_driver_sql(
            f'INSERT INTO "{geopackage.spatial_index(layer)}" VALUES (?, ?, ?, ?, ?)',
            [(fid, *one) for fid, one in zip(ids, values, strict=True)],
        ) if ids else None

    def _next_fid(self, connection: sa.Connection, layer: Layer) -> int:
        table = history_table(layer)
        return int(connection.execute(sa.select(sa.func.max(table.c.fid))).scalar() or 0) + 1

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise SourceUnreachableError(
                        where=self.label,
                        found="another writer holds the store",
                        remedy="try again when it has finished",
                    ) from error
                time.sleep(0.05)
            else:
                return
