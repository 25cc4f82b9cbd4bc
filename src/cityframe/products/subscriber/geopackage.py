"""A subscriber's GeoPackage: SQLite itself writes it, so that all is in one transaction.

The triggers of a spatial index call functions that plain SQLite has not; the connection brings
them along, so the file's own triggers keep its index, whoever made them.
"""

import datetime as dt
import itertools
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyogrio.raw
import sqlalchemy as sa

from cityframe.core.arrow_rows import ARROW_TYPES
from cityframe.errors import DeclarationError
from cityframe.model.layer import AttributeType
from cityframe.products.subscriber.database import (
    LOCK_TIMEOUT_S,
    NewLayer,
    Session,
    errors_explained,
)
from cityframe.products.subscriber.geometry_blob import (
    decode_blobs,
    encode_blobs,
    register_functions,
)
from cityframe.products.subscriber.mapping import LayerTable

_SQLITE_MAGIC = b"SQLite format 3\x00"
_CRS_TABLE = "gpkg_spatial_ref_sys"
_CATALOGUE = (
    _CRS_TABLE,
    "gpkg_contents",
    "gpkg_geometry_columns",
    "gpkg_extensions",
)
_TYPES = {
    AttributeType.STRING: "TEXT",
    AttributeType.INTEGER: "INTEGER",
    AttributeType.REAL: "REAL",
    AttributeType.BOOLEAN: "BOOLEAN",
    AttributeType.DATE: "DATE",
    AttributeType.DATETIME: "DATETIME",
}


@contextmanager
def geopackage_session(path: str, *, may_create: bool) -> Iterator["GeoPackageSession"]:
    """Open a GeoPackage in one transaction; see `cityframe.products.subscriber.connect`."""
    file = Path(path)
    _check_file(file, may_create=may_create)
    is_new = not file.exists()
    engine = sa.create_engine(
        "sqlite://", creator=lambda: _connected(file), poolclass=sa.pool.NullPool
    )
    try:
        with errors_explained(path), ExitStack() as beside, engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield GeoPackageSession(connection, path, beside)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
    finally:
        if is_new and file.exists() and not file.stat().st_size:
            file.unlink()


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=LOCK_TIMEOUT_S, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    register_functions(connection)
    return connection


def _check_file(file: Path, *, may_create: bool) -> None:
    if file.is_file() and file.stat().st_size:
        with file.open("rb") as opened:
            found = opened.read(len(_SQLITE_MAGIC))
        if found == _SQLITE_MAGIC:
            return
        raise DeclarationError(where=str(file), found=f"{found!r}", expected="a GeoPackage")
    if not may_create and not file.exists():
        raise DeclarationError(
            where=str(file),
            found="no such file",
            expected="the subscriber's GeoPackage",
            remedy="subscribe with a full package first",
        )
    if not file.parent.is_dir():
        raise DeclarationError(where=str(file), found="no such folder", expected="a folder")


class GeoPackageSession(Session):
    """One transaction on a GeoPackage.

    Parameters
    ----------
    beside : ExitStack
        Ends with the session; takes what is needed beside the file until then.
    """

    def __init__(self, connection: sa.Connection, where: str, beside: ExitStack) -> None:
        super().__init__(connection, where)
        self._beside = beside

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; none if there is no such table."""
        names = self.connection.exec_driver_sql(
            "SELECT name FROM pragma_table_info(?, 'main')", (table,)
        )
        return [str(name) for name in names.scalars()]

    def crs(self, table: LayerTable) -> str | None:
        """Return the CRS that the catalogue notes for a layer's geometry."""
        row = self.connection.exec_driver_sql(
            "SELECT organization || ':' || organization_coordsys_id FROM gpkg_geometry_columns "
            "JOIN gpkg_spatial_ref_sys USING (srs_id) WHERE table_name = ? AND column_name = ?",
            (table.name, table.geometry),
        ).scalar()
        return None if row is None else str(row).upper()

    def lock(self, tables: Iterable[str]) -> None:
        """Do nothing: the transaction has the file to itself."""

    def create_layers(self, layers: Sequence[NewLayer]) -> None:
        """Make the tables of layers: GDAL writes them into a file, which is copied here."""
        if not layers:
            return
        parent = Path(self.where).absolute().parent
        folder = tempfile.TemporaryDirectory(prefix=".cityframe-", dir=parent)
        new_file = Path(self._beside.enter_context(folder)) / "new.gpkg"
        for layer in layers:
            _write_with_gdal(new_file, layer, self.where)
        self.connection.exec_driver_sql("ATTACH DATABASE ? AS made", (str(new_file),))
        self._copy_catalogue()
        for layer in layers:
            self._copy_table(layer.table)
            self.ensure_uid_index(layer.table)

    def drop_layer(self, table: LayerTable) -> None:
        """Drop a layer's table, its index and its rows of the catalogue."""
        drop = [self._rtree(table)] if table.has_geometry and self._has_rtree(table) else []
        for name in (*drop, table.name):
            self.connection.exec_driver_sql(f"DROP TABLE {self.quoted(name)}")
        for name in reversed(_CATALOGUE):
            if "table_name" in self.columns(name):
                clause = self.clause(name, ["table_name"])
                self.connection.execute(sa.delete(clause).where(clause.c.table_name == table.name))

    def ensure_uid_index(self, table: LayerTable) -> None:
        """Make a unique index on the uid if there is none."""
        found = self.connection.exec_driver_sql(
            "SELECT 1 FROM pragma_index_list(?, 'main') AS l WHERE l.\"unique\" "
            "AND NOT l.partial "
            "AND (SELECT group_concat(name) FROM pragma_index_info(l.name, 'main')) = ?",
            (table.name, table.uid),
        ).first()
        if found is None:
            self.connection.exec_driver_sql(
                f"CREATE UNIQUE INDEX {self.quoted(f'{table.name}_{table.uid}')} "
                f"ON {self.quoted(table.name)} ({self.quoted_column(table.uid)})"
            )

    def note_change(self, table: LayerTable, at: str) -> None:
        """Write the time of change and the extent of a layer into the contents table."""
        moment = dt.datetime.fromisoformat(at).astimezone(dt.UTC)
        text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        self.connection.exec_driver_sql(
            "UPDATE gpkg_contents SET last_change = ? WHERE table_name = ?", (text, table.name)
        )
        if table.has_geometry and self._has_rtree(table):
            names = ("min_x", "max_x", "min_y", "max_y")
            index = self.clause(self._rtree(table), ("minx", "maxx", "miny", "maxy"))
            low, high = sa.func.min, sa.func.max
            c = index.c
            extent = self.connection.execute(
                sa.select(low(c.minx), high(c.maxx), low(c.miny), high(c.maxy))
            ).one()
            contents = self.clause("gpkg_contents", ("table_name", *names))
            self.connection.execute(
                sa.update(contents)
                .where(contents.c.table_name == table.name)
                .values(dict(zip(names, extent, strict=True)))
            )

    def quoted(self, table: str) -> str:
        """Return the name of a table for SQL."""
        return self.connection.dialect.identifier_preparer.quote_identifier(table)

    def clause(self, table: str, columns: Iterable[str]) -> sa.TableClause:
        """Return a table with some of its columns, for a statement."""
        return sa.table(table, *(sa.column(name) for name in columns))

    def _column_type(self, kind: AttributeType) -> str:
        return _TYPES[kind]

    def _selected(
        self,
        column: str,
        kind: AttributeType,  # noqa: ARG002  SQLite has no types to bring in line
    ) -> sa.ColumnElement[Any]:
        return sa.column(column)

    def _selected_geometry(self, column: str) -> sa.ColumnElement[Any]:
        return sa.column(column)

    def _encode(self, values: "pa.Array[Any]", kind: AttributeType) -> list[Any]:
        if kind is AttributeType.DATE:
            values = pc.strftime(values, format="%Y-%m-%d")
        elif kind is AttributeType.DATETIME:
            values = _moment_texts(values)
        return values.to_pylist()

    def _decode(self, values: Sequence[Any], kind: AttributeType) -> "pa.Array[Any]":
        if kind is AttributeType.BOOLEAN:
            return pa.array(values, pa.int64()).cast(pa.bool_())
        if kind in (AttributeType.DATE, AttributeType.DATETIME):
            return pa.array(values, pa.string()).cast(ARROW_TYPES[kind])
        return pa.array(values, ARROW_TYPES[kind])

    def _encode_geometry(self, wkb: "pa.Array[Any]", table: LayerTable) -> list[Any]:
        srs_id = self.connection.exec_driver_sql(
            "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = ?", (table.name,)
        ).scalar_one()
        return encode_blobs(wkb, int(srs_id))

    def _decode_geometry(self, values: Sequence[Any]) -> "pa.Array[Any]":
        return pa.array(decode_blobs(values), pa.binary())

    def _copy_catalogue(self) -> None:
        for key in ("application_id", "user_version"):
            if self.connection.exec_driver_sql(f"PRAGMA {key}").scalar() == 0:
                value = self.connection.exec_driver_sql(f"PRAGMA made.{key}").scalar()
                self.connection.exec_driver_sql(f"PRAGMA {key} = {value}")
        for name in _CATALOGUE:
            made = self._made_columns(name)
            if not made:
                continue
            if not self.has_table(name):
                self._create_as_made(name)
            there = self.columns(name)
            self._copy_rows(name, [one for one in made if one in there])

    def _copy_table(self, table: LayerTable) -> None:
        self._create_as_made(table.name)
        self._copy_rows(table.name)
        if not table.has_geometry:
            return
        rtree = self._rtree(table)
        self._create_as_made(rtree)
        # the tables inside an R-tree, as they are: filling it again costs more than all the rest
        for part in ("node", "rowid", "parent"):
            inside = f"{rtree}_{part}"
            self.connection.execute(sa.delete(self.clause(inside, ())))
            self._copy_rows(inside)
        triggers = self.connection.exec_driver_sql(
            "SELECT sql FROM made.sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
            (table.name,),
        )
        for sql in triggers.scalars().all():
            self.connection.exec_driver_sql(sql)

    def _copy_rows(self, table: str, columns: Sequence[str] = ()) -> None:
        """Copy rows as GDAL made them; a CRS that is known already stays as it is."""
        names = columns or self._made_columns(table)
        made = sa.table(table, *(sa.column(name) for name in names), schema="made")
        insert = sa.insert(sa.table(table, *(sa.column(name) for name in names), schema="main"))
        if table == _CRS_TABLE:
            insert = insert.prefix_with("OR IGNORE")
        self.connection.execute(insert.from_select(list(names), sa.select(made)))

    def _create_as_made(self, table: str) -> None:
        sql = self.connection.exec_driver_sql(
            "SELECT sql FROM made.sqlite_master WHERE type = 'table' AND name = ?", (table,)
        ).scalar_one()
        self.connection.exec_driver_sql(sql)

    def _made_columns(self, table: str) -> list[str]:
        names = self.connection.exec_driver_sql(
            "SELECT name FROM pragma_table_info(?, 'made')", (table,)
        )
        return [str(name) for name in names.scalars()]

    def _has_rtree(self, table: LayerTable) -> bool:
        return self.has_table(self._rtree(table))

    @staticmethod
    def _rtree(table: LayerTable) -> str:
        return f"rtree_{table.name}_{table.geometry}"


def _write_with_gdal(path: Path, new: NewLayer, where: str) -> None:
    table = new.table
    layer = table.layer
    names = [table.uid, table.valid_from, *table.columns.values()]
    geometry: dict[str, Any] = {"geometry_name": None, "geometry_type": None, "crs": None}
    options = {"FID": "fid", "IDENTIFIER": table.name, "DESCRIPTION": layer.title.zh}
    if table.has_geometry:
        names.append(table.geometry)
        options["GEOMETRY_NAME"] = table.geometry
        geometry = {
            "geometry_name": table.geometry,
            "geometry_type": f"{layer.geometry}{' Z' if layer.has_z else ''}",
            "crs": layer.crs,
        }
    batches = iter(new.batches)
    first = next(batches)
    schema = first.rename_columns(names).schema

    def renamed() -> Iterator[pa.RecordBatch]:
        for batch in itertools.chain([first], batches):
            _check_moments(batch, f"{where} table {table.name}")
            yield batch.rename_columns(names)

    pyogrio.raw.write_arrow(
        pa.RecordBatchReader.from_batches(schema, renamed()),
        path,
        layer=table.name,
        driver="GPKG",
        append=path.exists(),
        # GDAL's own count of rows would need its own triggers
        dataset_options={} if path.exists() else {"VERSION": "1.4", "ADD_GPKG_OGR_CONTENTS": "NO"},
        layer_options=options,
        **geometry,
    )


def _moment_texts(moments: "pa.Array[Any]") -> "pa.Array[Any]":
    """Return moments as GDAL writes them; microseconds only where there are any."""
    texts = pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ")
    return pc.replace_substring_regex(
        texts, pattern=r"(?:\.0{6}|(\.\d{3})0{3})Z$", replacement=r"\1Z"
    )


def _check_moments(batch: pa.RecordBatch, where: str) -> None:
    """Refuse moments that GDAL would round: finer than milliseconds, before 1970 than seconds."""
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not pa.types.is_timestamp(field.type):
            continue
        moments = pc.drop_null(column).cast(pa.int64()).to_numpy()
        if ((moments % 1000 != 0) | ((moments < 0) & (moments % 10**6 != 0))).any():
            raise DeclarationError(
                where=where,
                found=f"moments in {field.name} that GDAL writes rounded",
                expected="whole milliseconds, and before 1970 whole seconds",
                remedy="subscribe in PostGIS",
            )
