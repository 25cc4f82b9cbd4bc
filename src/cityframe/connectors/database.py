"""Pull type ``database``: a table or a query, landed as one Parquet file ``rows.parquet``.

With a watermark column, rows above the last delivery's highest value are pulled, ordered by it.
The highest value is read first and bounds the pull, so that rows which are added meanwhile come
with the next one. A row whose watermark is not above the last one's never comes: choose a column
that only grows, such as a change number or the time of change.

Values keep the types that the database's driver gives; SQLite knows whole and real numbers, text
and bytes only.
"""

import datetime as dt
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy import exc

from cityframe.config.source import DatabasePull, Source
from cityframe.config.workspace import expand
from cityframe.connectors.columns import as_type, common_type, typed_column
from cityframe.connectors.headers import check_names
from cityframe.connectors.pulling import Pulled
from cityframe.errors import DeclarationError, QuarantinedError, SourceUnreachableError

FILE = "rows.parquet"
_BATCH_ROWS = 50_000
_SQLITE_DECLARATION_ERRORS = ("no such table", "no such column", "syntax error")


def pull(
    source: Source,
    *,
    workspace_root: Path,
    into: Path,
    place: str | None,
    watermark: str,
    observations: Path,  # noqa: ARG001  # a database has none
) -> Pulled | None:
    """Copy the rows; see `cityframe.connectors.Connector`.

    Returns
    -------
    Pulled or None
        None if no row is above the watermark. Without a watermark column all rows are pulled,
        were it none.

    Raises
    ------
    SourceUnreachableError
        If the database does not answer.
    DeclarationError
        If the URL, table, query or watermark column is wrong.
    QuarantinedError
        If a row has no watermark.
    """
    where = f"source {source.name}"
    declared = source.pull
    if not isinstance(declared, DatabasePull) or place is not None:
        raise DeclarationError(
            found=f"a place to pull from: {place}",
            where=where,
            expected="the url of the declaration: a database is pulled from there only",
        )
    with _database_errors(where):
        url = _url(declared, workspace_root, where)
        engine = sa.create_engine(url)
        try:
            with engine.connect() as connection:
                high = _copy(connection, declared, watermark, into / FILE, where)
        finally:
            engine.dispose()
    if high is None:
        return None
    return Pulled(origin=_origin(url, declared), watermark=high)


def _url(declared: DatabasePull, workspace_root: Path, where: str) -> sa.URL:
    """Return the URL; SQLite's for reading only, since it would create a file that is missing."""
    url = sa.make_url(expand(declared.url, where=f"{where}, url"))
    if url.get_backend_name() != "sqlite" or not url.database:
        return url
    path = (workspace_root / url.database).resolve()
    if not path.exists():
        raise SourceUnreachableError(
            found=f"no file {path}", where=where, remedy="look whether it is mounted, pull again"
        )
    return url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})


def _origin(url: sa.URL, declared: DatabasePull) -> str:
    # passwords stand in the query part too
    place = url.set(password=None, query={}).render_as_string(hide_password=True)
    return f"{place} {declared.table or 'query'}"


def _copy(
    connection: sa.Connection, declared: DatabasePull, watermark: str, out: Path, where: str
) -> str | None:
    """Write the rows and return the new watermark; None and no file if nothing is new."""
    rows = _rows(declared)
    statement = sa.select(sa.text("*")).select_from(rows)
    high = ""
    if declared.watermark:
        column: sa.ColumnClause[Any] = sa.column(declared.watermark)
        highest = _highest(connection, rows, column, where)
        if highest is None or (watermark and highest <= _like(watermark, highest, where)):
            return None
        if watermark:
            statement = statement.where(column > _like(watermark, highest, where))
        statement = statement.where(column <= highest).order_by(column)
        high = highest.isoformat() if isinstance(highest, dt.date) else str(highest)
    streamed = connection.execution_options(stream_results=True, max_row_buffer=_BATCH_ROWS)
    with streamed.execute(statement) as result, tempfile.TemporaryDirectory() as folder:
        names = list(result.keys())
        check_names(where, names)
        parts = [
            _spooled(batch, names, Path(folder, f"{number}.arrow"))
            for number, batch in enumerate(result.partitions(_BATCH_ROWS))
        ]
        _write(parts, names, out)
    return high


def _rows(declared: DatabasePull) -> sa.FromClause:
    if declared.query:
        return sa.text(declared.query.rstrip("; \n")).columns().subquery("pulled")
    schema, _, table = declared.table.rpartition(".")
    return sa.table(table, schema=schema or None)


def _highest(
    connection: sa.Connection, rows: sa.FromClause, column: sa.ColumnClause[Any], where: str
) -> Any:
    highest, count, filled = connection.execute(
        sa.select(sa.func.max(column), sa.func.count(), sa.func.count(column)).select_from(rows)
    ).one()
    if filled < count:
        raise QuarantinedError(
            found=f"{count - filled} rows without a value in {column.name}",
            where=where,
            expected="a watermark in each row, or they would never be pulled",
            remedy="have the source fill them, or pull a query that does",
        )
    return highest


def _like(watermark: str, value: Any, where: str) -> Any:
    """Return a watermark as a value of the column's type."""
    try:
        if isinstance(value, dt.datetime | dt.date):
            return type(value).fromisoformat(watermark)
        return type(value)(watermark)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise DeclarationError(
            found=f"the last delivery's watermark is {watermark!r}, the highest value now {value}",
            where=where,
            expected="a watermark column that keeps its type",
            remedy="give the changed column another name of source, so that it starts anew",
        ) from error


def _spooled(batch: Sequence[sa.Row[Any]], names: list[str], path: Path) -> Path:
    columns = [typed_column(column) for column in zip(*batch, strict=True)]
    table = pa.RecordBatch.from_arrays(columns, names)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_batch(table)
    return path


def _batch(path: Path) -> pa.RecordBatch:
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as rows:
        return rows.get_batch(0)


def _write(parts: Sequence[Path], names: Sequence[str], out: Path) -> None:
    """Write all batches into one file, each column in the type common to all batches."""
    kinds = [_kind(parts, place) for place in range(len(names))]
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for part in parts:
            columns = zip(_batch(part).columns, kinds, strict=True)
            writer.write_batch(
                pa.RecordBatch.from_arrays([as_type(*one) for one in columns], schema=schema)
            )


def _kind(parts: Sequence[Path], place: int) -> pa.DataType:
    kinds = {_batch(part).schema.field(place).type for part in parts}
    kind = common_type(kinds)
    if len(kinds) > 1:
        try:
            for part in parts:
                as_type(_batch(part).column(place), kind)
        except pa.ArrowInvalid:
            return pa.string()
    return kind


@contextmanager
def _database_errors(where: str) -> Iterator[None]:
    try:
        yield
    except exc.OperationalError as error:
        said = str(error.orig)
        if any(text in said for text in _SQLITE_DECLARATION_ERRORS):
            raise _wrong_declaration(said, where) from error
        raise SourceUnreachableError(
            found=f"the database does not answer ({said.strip()})",
            where=where,
            remedy="look whether it is up and reachable, then pull again",
        ) from error
    except exc.DBAPIError as error:
        raise _wrong_declaration(str(error.orig), where) from error
    except (exc.ArgumentError, ModuleNotFoundError) as error:
        raise _wrong_declaration(str(error), where) from error


def _wrong_declaration(said: str, where: str) -> DeclarationError:
    return DeclarationError(
        found=f"the database can't be asked so ({said.strip()})",
        where=where,
        expected="url, table, query and watermark as the database has them",
        remedy="mend them in the declaration, or install the database's driver",
    )
