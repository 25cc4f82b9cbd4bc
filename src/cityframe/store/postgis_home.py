"""The framework's home in PostGIS: COPY in, ADBC out, one schema for all its tables."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

from cityframe.errors import DeclarationError, IntegrityError, SourceUnreachableError
from cityframe.model.layer import Attribute, GeometryType, Layer
from cityframe.store import postgis_layer
from cityframe.store.arrow_copy import COPY_HEADER, COPY_TRAILER, copy_bytes
from cityframe.store.home import COPY_COLUMNS, Bbox, Bulk
from cityframe.store.postgis_connection import (
    LOCK_TIMEOUT_S,
    arrow_reader,
    database_errors,
    parse_address,
    postgis_engine,
)
from cityframe.store.tables import (
    RELEASE,
    Geometry,
    attribute_column,
    history_name,
    history_table,
    srid_of,
)

# for SQL without parameters: the driver's own dialect would double each %
_PLAIN: sa.Dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
_RELEASES = ("release_from", "release_to", "release")


class PostgisHome:
    """A framework in one schema of a PostGIS database.

    Parameters
    ----------
    url : str
        ``postgresql://user@host:port/database?schema=NAME``; the schema is ``cityframe`` unless
        said. A password comes from the URL or libpq's usual places.

    Raises
    ------
    DeclarationError
        If the URL is none of PostgreSQL's.
    """

    def __init__(self, url: str) -> None:
        self._address = parse_address(url)
        self.label = self._address.label
        self.schema = self._address.schema
        self.engine = postgis_engine(self._address)

    def exists(self) -> bool:
        """Return whether the tables of a framework are there.

        Raises
        ------
        SourceUnreachableError
            If the database does not answer.
        """
        with self.engine.connect() as connection:
            return self._has_releases(connection)

    def create(self, connection: sa.Connection) -> None:
        """Make schema and extension where they are missing, and the function of the triggers.

        Raises
        ------
        DeclarationError
            If the role may not, PostGIS is not on the server or not in the schema ``public``, or
            the database is not in UTF-8.
        """
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise self._unfit(
                found=f"its encoding is {encoding}",
                expected="UTF8",
                remedy="make a database in UTF8",
            )
        has_schema = sa.text("SELECT to_regnamespace(:name) IS NOT NULL")
        if not connection.execute(has_schema, {"name": self.schema}).scalar_one():
            connection.exec_driver_sql(f'CREATE SCHEMA "{self.schema}"')
        place = connection.exec_driver_sql(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'postgis'"
        ).scalar()
        if place is None:
            self._create_extension(connection)
        elif place != "public":
            raise self._unfit(
                found=f"PostGIS is in the schema {place}",
                expected="public",
                remedy="use a database where it is in public",
            )
        connection.exec_driver_sql(postgis_layer.REFUSE_OVERLAP)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the writer's lock, on a connection of its own: it goes with the process.

        Raises
        ------
        SourceUnreachableError
            If another writer holds it longer than 30 s, or the database does not answer.
        """
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            # out of the pool: closing it lets go of the lock
            connection.detach()
            connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
            connection.exec_driver_sql("SET idle_session_timeout = 0")
            connection.execute(sa.select(sa.func.pg_advisory_lock(self._address.lock)))
            yield

    @contextmanager
    def transaction(self, bulks: Sequence[Bulk] = ()) -> Iterator[sa.Connection]:  # noqa: ARG002
        """Open one write transaction: it commits when the block ends well, else nothing happened.

        It locks the table of releases against other writers, so that a lost connection of
        `exclusive` lets no second one in. If the connection is lost in the very moment of the
        commit, the release may be there all the same; the next run sees it.

        Raises
        ------
        SourceUnreachableError
            If the connection is lost, or another holds a table longer than 30 s.
        DeclarationError
            If the role may not write here.
        IntegrityError
            If the store refuses rows; see `database_errors`.
        """
        with database_errors(self.label), self.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
            if self._has_releases(connection):
                connection.exec_driver_sql(f'LOCK TABLE "{RELEASE.name}" IN EXCLUSIVE MODE')
            yield connection

    def create_layer(self, connection: sa.Connection, layer: Layer) -> None:
        """Create a layer's history table, without indexes."""
        postgis_layer.create_history(connection, layer)

    def add_bulk(self, connection: sa.Connection, bulk: Bulk) -> None:
        """Copy the first rows of a layer into its history table, made in this transaction."""
        # nobody sees the table yet, so its rows can be frozen at once: no vacuum writes them again
        _copy(connection, history_name(bulk.layer.name), bulk.batches, bulk.layer, "FREEZE")

    def index_layer(self, connection: sa.Connection, layer: Layer) -> None:
        """Give a history table its indexes, the trigger that refuses overlaps, and the view."""
        postgis_layer.index_history(connection, layer)
        self._show_current(connection, layer)

    def add_column(self, connection: sa.Connection, layer: Layer, attribute: Attribute) -> None:
        """Add an attribute's column, and show it in the view; ``layer`` has it already."""
        column = sa.schema.CreateColumn(attribute_column(attribute)).compile(dialect=_PLAIN)
        name = history_name(layer.name)
        connection.exec_driver_sql(f'ALTER TABLE "{name}" ADD COLUMN {column}')
        self._show_current(connection, layer)

    def add_rows(self, connection: sa.Connection, layer: Layer, rows: pa.Table) -> None:
        """Add rows of `cityframe.store.tables.history_schema`."""
        _copy(connection, history_name(layer.name), rows.to_batches(), layer)

    def copy_rows(self, connection: sa.Connection, layer: Layer, copies: pa.Table) -> None:
        """Add known rows that are as row ``source`` (a ``fid``) but for the columns given."""
        name = history_name(layer.name)
        given = [f'"{column}"' for column in COPY_COLUMNS if column != "source"]
        same = postgis_layer.quoted_columns(layer, left_out=("release_to", *COPY_COLUMNS))
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE cf_copies ON COMMIT DROP AS "
            f'SELECT fid AS source, {", ".join(given)} FROM "{name}" WITH NO DATA'
        )
        _copy(connection, "cf_copies", copies.select(COPY_COLUMNS).to_batches(), layer)
        connection.exec_driver_sql("ANALYZE cf_copies")
        added = connection.exec_driver_sql(
            f'INSERT INTO "{name}" ({", ".join([*given, *same])}) '
            f"SELECT {', '.join([f'c.{one}' for one in given] + [f'h.{one}' for one in same])} "
            f'FROM cf_copies c JOIN "{name}" h ON h.fid = c.source'
        ).rowcount
        connection.exec_driver_sql("DROP TABLE cf_copies")
        self._expect(added, copies.num_rows, "copied", layer)

    def close_rows(
        self, connection: sa.Connection, layer: Layer, fids: Sequence[int], number: int
    ) -> None:
        """Set ``release_to`` of rows that are known.

        Raises
        ------
        IntegrityError
            If one of them is not there or closed already.
        """
        closed = connection.execute(
            sa.text(
                f'UPDATE "{history_name(layer.name)}" SET release_to = :number '
                "WHERE fid = ANY(CAST(:fids AS bigint[])) AND release_to IS NULL"
            ),
            {"number": number, "fids": list(fids)},
        ).rowcount
        self._expect(closed, len(fids), "closed", layer)

    def add_entries(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Copy rows into a table of the register."""
        _copy(connection, table.name, rows.to_batches())

    def touched(self, connection: sa.Connection, layer: Layer, when: str) -> None:
        """Note nothing: PostGIS keeps neither extent nor time of change."""

    def read(self, query: sa.Select[Any]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query, at least one batch, if of no rows.

        Whole numbers come as int64, moments as ``timestamp(us, UTC)``, geometries as ISO WKB.

        Raises
        ------
        SourceUnreachableError
            If the database does not answer.
        """
        statement = _with_wkb(query).compile(dialect=_PLAIN, compile_kwargs={"literal_binds": True})
        with arrow_reader(self._address, str(statement)) as reader:
            schema = pa.schema([_wide(field) for field in reader.schema])
            is_empty = True
            while (batch := self._next(reader)) is not None:
                is_empty = False
                yield batch.cast(schema)
            if is_empty:
                yield pa.RecordBatch.from_pylist([], schema=schema)

    def meets(self, layer: Layer, bbox: Bbox) -> sa.ColumnElement[bool]:
        """Return the condition that a row's bounds meet (xmin, ymin, xmax, ymax)."""
        geom = history_table(layer).c.geom
        xmin, ymin, xmax, ymax = bbox
        box = sa.func.ST_MakeEnvelope(xmin, ymin, xmax, ymax, srid_of(layer))
        # the index keeps bounds in single precision, 0.25 m off in a northing
        return sa.and_(
            geom.op("&&", is_comparison=True)(box),
            sa.func.ST_XMin(geom) <= xmax,
            sa.func.ST_XMax(geom) >= xmin,
            sa.func.ST_YMin(geom) <= ymax,
            sa.func.ST_YMax(geom) >= ymin,
        )

    def name_view(
        self, connection: sa.Connection, layer: Layer, view: str, release: int, valid_at: str
    ) -> None:
        """Create (or replace) a view that shows a layer's state in a release."""
        moment = _literal(valid_at)
        postgis_layer.replace_view(
            connection,
            layer,
            view,
            f"release_from <= {release:d} AND (release_to IS NULL OR release_to > {release:d}) "
            f"AND valid_from <= {moment} AND (valid_to IS NULL OR valid_to > {moment})",
        )

    def drop_view(self, connection: sa.Connection, view: str) -> None:
        """Drop a view that `name_view` made."""
        postgis_layer.drop_view(connection, view)

    def _next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None
        except OSError as error:  # what Arrow makes of libpq's errors
            raise SourceUnreachableError(
                where=self.label,
                found=f"the database stopped answering ({str(error).strip()})",
                remedy="look whether it is up, then try again",
            ) from error

    def _show_current(self, connection: sa.Connection, layer: Layer) -> None:
        moment = (
            f'(SELECT valid_at::timestamptz FROM "{RELEASE.name}" ORDER BY number DESC LIMIT 1)'
        )
        postgis_layer.replace_view(
            connection,
            layer,
            layer.name,
            f"release_to IS NULL AND valid_from <= {moment} "
            f"AND (valid_to IS NULL OR valid_to > {moment})",
        )

    def _has_releases(self, connection: sa.Connection) -> bool:
        table = sa.text("SELECT to_regclass(:name) IS NOT NULL")
        name = f"{self.schema}.{RELEASE.name}"
        return bool(connection.execute(table, {"name": name}).scalar_one())

    def _create_extension(self, connection: sa.Connection) -> None:
        try:
            connection.exec_driver_sql("CREATE EXTENSION postgis SCHEMA public")
        except (sa.exc.DBAPIError, DeclarationError) as error:
            raise self._unfit(
                found=f"it has no PostGIS, and this role can't add it ({error})",
                expected="the extension postgis",
                remedy="as a superuser run there: CREATE EXTENSION postgis SCHEMA public",
            ) from error

    def _unfit(self, *, found: str, expected: str, remedy: str) -> DeclarationError:
        return DeclarationError(where=self.label, found=found, expected=expected, remedy=remedy)

    def _expect(self, found: int, expected: int, done: str, layer: Layer) -> None:
        if found != expected:
            raise IntegrityError(
                where=f"{self.label}, {layer.name}",
                found=f"{found} known rows could be {done}",
                expected=str(expected),
                remedy="nothing was written; run `cityframe fsck`",
            )


def _copy(
    connection: sa.Connection,
    table: str,
    batches: Iterable[pa.RecordBatch],
    layer: Layer | None = None,
    *options: str,
) -> None:
    """Copy Arrow rows into a table, by the names of their columns; geometries are of a layer."""
    srid = 0 if layer is None or layer.geometry is GeometryType.NONE else srid_of(layer)
    driver: Any = connection.connection.driver_connection
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        return
    columns = ", ".join(f'"{name}"' for name in first.schema.names)
    statement = f'COPY "{table}" ({columns}) FROM STDIN ({", ".join(["FORMAT BINARY", *options])})'
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(COPY_HEADER)
        for batch in chain((first,), iterator):
            for part in copy_bytes(_narrow(batch), srid=srid):
                copy.write(memoryview(part))
        copy.write(COPY_TRAILER)


def _narrow(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with the numbers of releases as PostgreSQL's INTEGER has them."""
    fields = [
        field.with_type(pa.int32()) if field.name in _RELEASES else field for field in batch.schema
    ]
    return batch.cast(pa.schema(fields))


def _wide(field: "pa.Field[Any]") -> "pa.Field[Any]":
    kind = pa.int64() if pa.types.is_integer(field.type) else field.type
    return pa.field(field.name, kind)


def _with_wkb(query: sa.Select[Any]) -> sa.Select[Any]:
    """Return the query with its geometry columns as ISO WKB, little-endian."""
    columns = [
        sa.func.ST_AsBinary(column, "NDR").label(column.name)
        if isinstance(column.type, Geometry)
        else column
        for column in query.selected_columns
    ]
    return query.with_only_columns(*columns, maintain_column_froms=True)


def _literal(moment: str) -> str:
    text = sa.literal(moment).compile(dialect=_PLAIN, compile_kwargs={"literal_binds": True})
    return f"{text}::timestamptz"
