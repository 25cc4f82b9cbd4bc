"""The subscriber's database, open in one transaction; what both kinds of database share.

===========  ===============================  ================================
             GeoPackage                       PostGIS
===========  ===============================  ================================
given as     a path                           ``postgresql://…?schema=NAME``
first rows   GDAL writes a file beside it,    ``COPY``
             which is attached and copied
changes      ``executemany``                  ``executemany`` in a pipeline
lock         the file, for writers            the tables, for writers
===========  ===============================  ================================

All statements of a session are in its transaction: it ends committed whole, or undone.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from cityframe.core.arrow_rows import GEOMETRY
from cityframe.errors import (
    DeclarationError,
    GateClosedError,
    IntegrityError,
    SourceUnreachableError,
)
from cityframe.model.layer import Attribute, AttributeType
from cityframe.products.subscriber.mapping import LayerTable

BATCH_ROWS = 100_000
LOCK_TIMEOUT_S = 30


@dataclass(frozen=True)
class NewLayer:
    """A layer whose table is to be made.

    Attributes
    ----------
    batches : iterable of RecordBatch
        ``uid``, ``valid_from``, the attributes and ``geom`` (WKB), in this order; at least one
        batch, which may be empty.
    """

    table: LayerTable
    batches: Iterable[pa.RecordBatch]


class Session(ABC):
    """One transaction on a subscriber's database.

    Parameters
    ----------
    connection : Connection
        In a transaction, with the writers' lock.
    where : str
        The database, for messages; without a password.
    """

    def __init__(self, connection: sa.Connection, where: str) -> None:
        self.connection = connection
        self.where = where

    @abstractmethod
    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; none if there is no such table."""

    @abstractmethod
    def crs(self, table: LayerTable) -> str | None:
        """Return the CRS that the database notes for a layer's geometry (``EPSG:4547``)."""

    @abstractmethod
    def lock(self, tables: Iterable[str]) -> None:
        """Keep other writers from tables until the end."""

    @abstractmethod
    def create_layers(self, layers: Sequence[NewLayer]) -> None:
        """Make the tables of layers with their rows, a unique index on uid and a spatial index."""

    @abstractmethod
    def drop_layer(self, table: LayerTable) -> None:
        """Drop a layer's table."""

    @abstractmethod
    def ensure_uid_index(self, table: LayerTable) -> None:
        """Make a unique index on the uid if there is none; without it a change would be slow."""

    @abstractmethod
    def note_change(self, table: LayerTable, at: str) -> None:
        """Note in the database's own catalogue that a layer has changed."""

    @abstractmethod
    def quoted(self, table: str) -> str:
        """Return the name of a table for SQL."""

    @abstractmethod
    def clause(self, table: str, columns: Iterable[str]) -> sa.TableClause:
        """Return a table with some of its columns, for a statement."""

    @abstractmethod
    def _column_type(self, kind: AttributeType) -> str: ...

    @abstractmethod
    def _selected(self, column: str, kind: AttributeType) -> sa.ColumnElement[Any]: ...

    @abstractmethod
    def _selected_geometry(self, column: str) -> sa.ColumnElement[Any]: ...

    @abstractmethod
    def _encode(self, values: "pa.Array[Any]", kind: AttributeType) -> list[Any]: ...

    @abstractmethod
    def _decode(self, values: Sequence[Any], kind: AttributeType) -> "pa.Array[Any]": ...

    @abstractmethod
    def _encode_geometry(self, wkb: "pa.Array[Any]", table: LayerTable) -> list[Any]: ...

    @abstractmethod
    def _decode_geometry(self, values: Sequence[Any]) -> "pa.Array[Any]": ...

    def has_table(self, table: str) -> bool:
        """Whether there is a table."""
        return bool(self.columns(table))

    def quoted_column(self, column: str) -> str:
        """Return the name of a column for SQL."""
        return self.connection.dialect.identifier_preparer.quote_identifier(column)

    def add_column(self, table: LayerTable, attribute: Attribute) -> None:
        """Add the column of an attribute, null in all rows."""
        column = self.quoted_column(table.columns[attribute.name])
        self.connection.exec_driver_sql(
            f"ALTER TABLE {self.quoted(table.name)} "
            f"ADD COLUMN {column} {self._column_type(attribute.type)}"
        )

    def drop_column(self, table: LayerTable, column: str) -> None:
        """Drop a column."""
        self.connection.exec_driver_sql(
            f"ALTER TABLE {self.quoted(table.name)} DROP COLUMN {self.quoted_column(column)}"
        )

    def rows(self, table: LayerTable) -> Iterator[pa.RecordBatch]:
        """Read a layer's rows in batches: ``uid``, the attributes, ``geom`` as WKB.

        They are those that the transaction itself sees, in no order.

        Raises
        ------
        IntegrityError
            If a value is not of its attribute's type.
        """
        selected: list[sa.ColumnElement[Any]] = [self._selected(table.uid, AttributeType.STRING)]
        selected += [self._selected(column, one.type) for one, column in table.attributes()]
        names = ["uid", *table.layer.attribute_names]
        if table.has_geometry:
            selected.append(self._selected_geometry(table.geometry))
            names.append(GEOMETRY)
        query = sa.select(*selected).select_from(self.clause(table.name, ()))
        with self.connection.execute(query.execution_options(yield_per=BATCH_ROWS)) as result:
            for part in result.partitions():
                columns = list(zip(*part, strict=True))
                arrays = [self._array(table, "uid", columns[0], AttributeType.STRING)]
                arrays += [
                    self._array(table, one.name, values, one.type)
                    for one, values in zip(table.layer.attributes, columns[1:], strict=False)
                ]
                if table.has_geometry:
                    arrays.append(self._geometries(table, columns[-1]))
                yield pa.record_batch(arrays, names=names)

    def insert(self, table: LayerTable, rows: pa.Table) -> None:
        """Add rows; columns that the framework does not know get their defaults.

        Parameters
        ----------
        rows : Table
            ``uid``, ``valid_from``, the attributes and ``geom`` (WKB).
        """
        columns, values = self._written(table, rows, ["uid", "valid_from", *self._content(table)])
        if rows.num_rows:
            statement = sa.insert(self.clause(table.name, columns))
            self.connection.execute(statement, _parameters(columns, values))

    def update(self, table: LayerTable, rows: pa.Table, names: Sequence[str]) -> None:
        """Write some columns of the rows with these uids.

        Parameters
        ----------
        rows : Table
            ``uid`` and the columns of ``names``.
        names : sequence of str
            Attributes, ``geom`` or ``valid_from``; a ``valid_from`` that the table does not
            have is left out.
        """
        columns, values = self._written(table, rows, ["uid", *names])
        if not rows.num_rows or len(columns) == 1:
            return
        clause = self.clause(table.name, columns)
        key: sa.BindParameter[str] = sa.bindparam("_uid")
        statement = (
            sa.update(clause)
            .where(clause.c[table.uid] == key)
            .values({column: sa.bindparam(f"_{place}") for place, column in enumerate(columns[1:])})
        )
        names_of_values = ["_uid", *(f"_{place}" for place in range(len(columns) - 1))]
        self.connection.execute(statement, _parameters(names_of_values, values))

    def delete(self, table: LayerTable, uids: "pa.ChunkedArray[Any]") -> None:
        """Delete the rows with these uids."""
        if len(uids):
            clause = self.clause(table.name, [table.uid])
            statement = sa.delete(clause).where(clause.c[table.uid] == sa.bindparam("_uid"))
            self.connection.execute(statement, _parameters(["_uid"], [uids.to_pylist()]))

    def _content(self, table: LayerTable) -> list[str]:
        names = list(table.layer.attribute_names)
        return [*names, GEOMETRY] if table.has_geometry else names

    def _written(
        self, table: LayerTable, rows: pa.Table, names: Sequence[str]
    ) -> tuple[list[str], list[list[Any]]]:
        """Return the table's columns for names of the framework, and their values for SQL."""
        types = {one.name: one.type for one in table.layer.attributes}
        types |= {"uid": AttributeType.STRING, "valid_from": AttributeType.DATETIME}
        own = {"uid": table.uid, "valid_from": table.valid_from, GEOMETRY: table.geometry}
        has_valid_from = table.valid_from in self.columns(table.name)
        columns, values = [], []
        for name in names:
            if name == "valid_from" and not has_valid_from:
                continue
            array = _whole(rows.column(name))
            columns.append(own.get(name) or table.columns[name])
            if name == GEOMETRY:
                values.append(self._encode_geometry(array, table))
            else:
                values.append(self._encode(array, types[name]))
        return columns, values

    def _geometries(self, table: LayerTable, values: Sequence[Any]) -> "pa.Array[Any]":
        try:
            return self._decode_geometry(values)
        except (pa.ArrowException, ValueError, TypeError, LookupError) as error:
            raise _not_as_delivered(self.where, table, "a geometry that can't be read") from error

    def _array(
        self, table: LayerTable, name: str, values: Sequence[Any], kind: AttributeType
    ) -> "pa.Array[Any]":
        try:
            return self._decode(values, kind)
        except (pa.ArrowException, ValueError, TypeError) as error:
            found = f"a value of {name} that is no {kind}: {error}"
            raise _not_as_delivered(self.where, table, found) from error


def _not_as_delivered(where: str, table: LayerTable, found: str) -> IntegrityError:
    return IntegrityError(
        where=f"{where} table {table.name}",
        found=found,
        expected="the values that the framework delivered",
        remedy="undo what was changed by hand",
    )


@contextmanager
def errors_explained(where: str) -> Iterator[None]:
    """Turn the errors of a database into those of cityframe."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise GateClosedError(
            where=where,
            found=_first_line(error),
            expected="no constraint in the way of the change",
            remedy="nothing was changed: lift the constraint or mend what it guards",
        ) from error
    except OSError as error:
        raise SourceUnreachableError(
            where=where,
            found=error.strerror or str(error),
            expected="a folder that can be written and has room",
            remedy="nothing was changed: look at the disk and the rights, then do it again",
        ) from error
    except sa.exc.DBAPIError as error:
        if _is_passing(error):
            raise SourceUnreachableError(
                where=where,
                found=_first_line(error),
                expected="a database that answers and has room",
                remedy="nothing was changed: look at the database, then do it again",
            ) from error
        raise DeclarationError(
            where=where,
            found=_first_line(error),
            expected="a database that takes the framework's rows",
            remedy="nothing was changed: look at the tables, rights and the mapping",
        ) from error


def _is_passing(error: sa.exc.DBAPIError) -> bool:
    """Whether it may be well the next time: connection, room, locks."""
    if not isinstance(
        error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.InternalError
    ):
        return False
    # sqlite3 has one class for these and for statements that are wrong
    return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


def _parameters(names: Sequence[str], values: Sequence[Sequence[Any]]) -> list[Mapping[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _whole(column: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined
