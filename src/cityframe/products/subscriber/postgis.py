"""A schema of a subscriber's PostGIS database."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
import shapely
import sqlalchemy as sa

from cityframe.core.arrow_rows import ARROW_TYPES
from cityframe.errors import DeclarationError, SourceUnreachableError
from cityframe.model.layer import AttributeType
from cityframe.products.subscriber.database import (
    LOCK_TIMEOUT_S,
    NewLayer,
    Session,
    errors_explained,
)
from cityframe.products.subscriber.mapping import LayerTable

_TYPES = {
    AttributeType.STRING: "text",
    AttributeType.INTEGER: "bigint",
    AttributeType.REAL: "double precision",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.DATE: "date",
    AttributeType.DATETIME: "timestamp with time zone",
}


@contextmanager
def postgis_session(url: str) -> Iterator["PostgisSession"]:
    """Open a schema in one transaction; see `cityframe.products.subscriber.connect`."""
    parsed = _parsed(url)
    schema = str(parsed.query.get("schema", "public"))
    target = parsed.set(drivername="postgresql+psycopg").difference_update_query(["schema"])
    where = parsed.render_as_string(hide_password=True)
    engine = sa.create_engine(target, poolclass=sa.pool.NullPool)
    with errors_explained(where), engine.connect() as connection, connection.begin() as whole:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        if not connection.dialect.has_schema(connection, schema):
            raise DeclarationError(
                where=where,
                found=f"no schema {schema}",
                expected="a schema of this database",
                remedy="create it, or name another: ?schema=NAME",
            )
        if connection.scalar(sa.text("SELECT to_regtype('geometry')")) is None:
            raise DeclarationError(
                where=where,
                found="no PostGIS in this database",
                expected="its extension, in a schema on the search path",
                remedy="as a superuser: CREATE EXTENSION postgis",
            )
        # two subscribers on one schema: the second waits here, before there is a table to lock
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(schema))))
        yield PostgisSession(connection, where, schema)
        try:
            whole.commit()
        except sa.exc.OperationalError as error:
            raise SourceUnreachableError(
                where=where,
                found="a connection that was lost in the commit",
                expected="the server's answer",
                remedy="do it again: if it came through, that is said",
            ) from error


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise DeclarationError(
            where="database",
            found="an address that can't be read",
            expected="postgresql://user@host:port/name?schema=NAME",
        ) from error


class PostgisSession(Session):
    """One transaction on a schema of a PostGIS database."""

    def __init__(self, connection: sa.Connection, where: str, schema: str) -> None:
        super().__init__(connection, where)
        self._schema = schema

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; none if there is no such table."""
        names = self.connection.execute(
            sa.text(
                "SELECT attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
                "WHERE relnamespace = to_regnamespace(quote_ident(:schema)) AND relname = :name "
                "AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ),
            {"schema": self._schema, "name": table},
        )
        return [str(name) for name in names.scalars()]

    def crs(self, table: LayerTable) -> str | None:
        """Return the CRS of a layer's geometry column."""
        found = self.connection.execute(
            sa.text(
                "SELECT auth_name || ':' || auth_srid FROM geometry_columns "
                "JOIN spatial_ref_sys USING (srid) WHERE f_table_schema = :schema "
                "AND f_table_name = :name AND f_geometry_column = :column"
            ),
            {"schema": self._schema, "name": table.name, "column": table.geometry},
        ).scalar()
        return None if found is None else str(found).upper()

    def lock(self, tables: Iterable[str]) -> None:
        """Keep other writers from tables until the end; readers go on."""
        if names := ", ".join(self.quoted(name) for name in tables):
            self.connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    def create_layers(self, layers: Sequence[NewLayer]) -> None:
        """Make the tables of layers and fill them by ``COPY``; the indexes come last."""
        for new in layers:
            self._create_table(new.table)
            for batch in new.batches:
                self._copy(new.table, batch)
            self.ensure_uid_index(new.table)
            if new.table.has_geometry:
                self.connection.exec_driver_sql(
                    f"CREATE INDEX ON {self.quoted(new.table.name)} "
                    f"USING gist ({self.quoted_column(new.table.geometry)})"
                )

    def drop_layer(self, table: LayerTable) -> None:
        """Drop a layer's table."""
        self.connection.exec_driver_sql(f"DROP TABLE {self.quoted(table.name)}")

    def ensure_uid_index(self, table: LayerTable) -> None:
        """Make a unique index on the uid if there is none."""
        found = self.connection.execute(
            sa.text(
                "SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid "
                "AND attnum = indkey[0] WHERE indrelid = to_regclass(:name) AND indisunique "
                "AND indnkeyatts = 1 AND indpred IS NULL AND indisvalid AND attname = :column"
            ),
            {"name": self.quoted(table.name), "column": table.uid},
        ).first()
        if found is None:
            self.connection.exec_driver_sql(
                f"CREATE UNIQUE INDEX ON {self.quoted(table.name)} "
                f"({self.quoted_column(table.uid)})"
            )

    def note_change(self, table: LayerTable, at: str) -> None:
        """Do nothing: PostGIS keeps no such note."""

    def quoted(self, table: str) -> str:
        """Return the name of a table, with its schema, for SQL."""
        return f"{self.quoted_column(self._schema)}.{self.quoted_column(table)}"

    def clause(self, table: str, columns: Iterable[str]) -> sa.TableClause:
        """Return a table with some of its columns, for a statement."""
        return sa.table(table, *(sa.column(name) for name in columns), schema=self._schema)

    def _column_type(self, kind: AttributeType) -> str:
        return _TYPES[kind]

    def _selected(self, column: str, kind: AttributeType) -> sa.ColumnElement[Any]:
        # a table of the subscriber's own may hold it as varchar, numeric or smallint
        return sa.type_coerce(
            sa.literal_column(f"CAST({self.quoted_column(column)} AS {_TYPES[kind]})"),
            sa.types.NullType(),
        ).label(column)

    def _selected_geometry(self, column: str) -> sa.ColumnElement[Any]:
        # ISO WKB, little-endian whatever the server is
        return sa.func.ST_AsBinary(sa.column(column), "NDR")

    def _encode(
        self,
        values: "pa.Array[Any]",
        kind: AttributeType,  # noqa: ARG002  psycopg knows all of Python's types
    ) -> list[Any]:
        return values.to_pylist()

    def _decode(self, values: Sequence[Any], kind: AttributeType) -> "pa.Array[Any]":
        return pa.array(values, ARROW_TYPES[kind])

    def _encode_geometry(self, wkb: "pa.Array[Any]", table: LayerTable) -> list[Any]:
        geometry = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False))
        with_srid = shapely.set_srid(geometry, self._srid(table))
        encoded = shapely.to_wkb(with_srid, hex=True, include_srid=True, flavor="extended")
        return list(encoded)

    def _decode_geometry(self, values: Sequence[Any]) -> "pa.Array[Any]":
        return pa.array(values, pa.binary())

    def _srid(self, table: LayerTable) -> int:
        authority, code = table.layer.crs.split(":")
        found = self.connection.execute(
            sa.text("SELECT srid FROM spatial_ref_sys WHERE auth_name = :name AND auth_srid = :id"),
            {"name": authority, "id": int(code)},
        ).scalar()
        if found is None:
            raise DeclarationError(
                where=self.where,
                found=f"no {table.layer.crs} in spatial_ref_sys",
                expected="the CRS of the layer",
                remedy="add it to spatial_ref_sys",
            )
        return int(found)

    def _create_table(self, table: LayerTable) -> None:
        columns = [
            "fid bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
            f"{self.quoted_column(table.uid)} text NOT NULL",
            f"{self.quoted_column(table.valid_from)} timestamp with time zone NOT NULL",
        ]
        columns += [
            f"{self.quoted_column(column)} {_TYPES[attribute.type]}"
            for attribute, column in table.attributes()
        ]
        if table.has_geometry:
            kind = f"{table.layer.geometry}{'Z' if table.layer.has_z else ''}"
            columns.append(
                f"{self.quoted_column(table.geometry)} geometry({kind}, {self._srid(table)})"
            )
        self.connection.exec_driver_sql(
            f"CREATE TABLE {self.quoted(table.name)} ({', '.join(columns)})"
        )

    def _copy(self, table: LayerTable, batch: pa.RecordBatch) -> None:
        rows = pa.Table.from_batches([batch])
        columns, values = self._written(table, rows, ["uid", "valid_from", *self._content(table)])
        names = ", ".join(self.quoted_column(column) for column in columns)
        driver = self.connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(type(driver))
        try:
            with (
                driver.cursor() as cursor,
                cursor.copy(f"COPY {self.quoted(table.name)} ({names}) FROM STDIN") as copy,
            ):
                for row in zip(*values, strict=True):
                    copy.write_row(row)
        except psycopg.Error as error:
            # as SQLAlchemy does with what passes through it
            raise sa.exc.DBAPIError.instance(None, None, error, psycopg.Error) from error
