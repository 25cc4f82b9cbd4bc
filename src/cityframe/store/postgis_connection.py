"""How cityframe reaches PostGIS: the URL, connections, and what the database's errors mean."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import adbc_driver_manager
import adbc_driver_postgresql  # type: ignore[import-untyped]
import psycopg
import pyarrow as pa
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo
from sqlalchemy import event

from cityframe.errors import (
    CityframeError,
    DeclarationError,
    IntegrityError,
    SourceUnreachableError,
)

LOCK_TIMEOUT_S = 30
DEFAULT_SCHEMA = "cityframe"
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_CONNECT_TIMEOUT_S = "10"


@dataclass(frozen=True)
class Address:
    """Where a framework lives in PostGIS.

    Attributes
    ----------
    label : str
        The URL without password, for messages.
    schema : str
        The schema that holds all its tables.
    parameters : mapping of str to str
        libpq's parameters; what is missing comes from its usual places (``PGPASSWORD``,
        ``~/.pgpass``, ``~/.pg_service.conf``).
    """

    label: str
    schema: str
    parameters: Mapping[str, str]

    @property
    def conninfo(self) -> str:
        """All parameters as libpq's connection string; holds the password."""
        return make_conninfo("", **self.parameters)

    @property
    def lock(self) -> int:
        """Key of the advisory lock of this schema's writer."""
        key = hashlib.blake2b(f"cityframe {self.schema}".encode(), digest_size=8).digest()
        return int.from_bytes(key, "big", signed=True)


def parse_address(url: str) -> Address:
    """Return the address of ``postgresql://user@host:port/database?schema=NAME``.

    Raises
    ------
    DeclarationError
        If it is no such URL, or the schema's name is not plain.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        # not the text itself: a password may stand in it
        raise _wrong_url(found="can't be read as a URL") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise _wrong_url(found=f"is of {parsed.get_backend_name()}")
    if not parsed.database:
        raise _wrong_url(found="names no database")
    query = {
        name: value if isinstance(value, str) else value[-1] for name, value in parsed.query.items()
    }
    schema = query.pop("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise _wrong_url(found=f"names the schema {schema!r}, which is no plain name")
    shown = sa.URL.create(
        "postgresql",
        username=parsed.username,
        host=parsed.host,
        port=parsed.port,
        database=parsed.database,
        query={"schema": schema},
    )
    parts = parsed.translate_connect_args(username="user", database="dbname")
    given = {name: str(value) for name, value in parts.items()} | query
    options = f"{given.pop('options', '')} -c search_path={schema},public -c TimeZone=UTC".strip()
    defaults = {"application_name": "cityframe", "connect_timeout": _CONNECT_TIMEOUT_S}
    return Address(
        label=shown.render_as_string(),
        schema=schema,
        parameters={**defaults, **given, "options": options},
    )


def postgis_engine(address: Address) -> sa.Engine:
    """Return the engine of an address, one a process; it keeps a few connections open.

    Its statements raise as those in `database_errors` do.
    """
    return _engine(address.label, tuple(sorted(address.parameters.items())))


@lru_cache(maxsize=64)
def _engine(label: str, parameters: tuple[tuple[str, str], ...]) -> sa.Engine:
    engine = sa.create_engine(
        "postgresql+psycopg://",
        pool_size=2,
        pool_pre_ping=True,
        connect_args=dict(parameters),
        use_native_hstore=False,
    )
    # a forked process must not speak on its parent's connections
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))

    @event.listens_for(engine, "handle_error")
    def _translate(context: sa.ExceptionContext) -> BaseException | None:
        if context.is_pre_ping:
            return None  # the pool connects anew
        return _as_ours(label, context.original_exception)

    return engine


@contextmanager
def arrow_reader(address: Address, statement: str) -> Iterator[pa.RecordBatchReader]:
    """Run a query on a connection of its own and hand its rows out as Arrow.

    Raises
    ------
    SourceUnreachableError
        If the database does not answer.
    """
    with (
        database_errors(address.label),
        adbc_driver_manager.AdbcConnection(_adbc_database(address.conninfo)) as connection,
        adbc_driver_manager.AdbcStatement(connection) as query,
    ):
        query.set_sql_query(statement)
        stream, _count = query.execute_query()
        with pa.RecordBatchReader.from_stream(stream) as reader:
            yield reader


@lru_cache(maxsize=64)
def _adbc_database(conninfo: str) -> adbc_driver_manager.AdbcDatabase:
    # holds no connection, but the catalogue of types, which takes longer to read than most answers
    database: adbc_driver_manager.AdbcDatabase = adbc_driver_postgresql.connect(conninfo)
    return database


@contextmanager
def database_errors(label: str) -> Iterator[None]:
    """Turn errors of the drivers themselves into ours, by what the operator must do.

    Raises
    ------
    SourceUnreachableError
        If there is no connection (any more), another holds a lock, or the disk is full.
    DeclarationError
        If the role may not do what was asked.
    IntegrityError
        If rows break a constraint of the store, as two known rows of one uid at one time do.
    """
    try:
        yield
    except (psycopg.Error, adbc_driver_manager.Error) as error:
        ours = _as_ours(label, error)
        if ours is None:
            raise
        raise ours from error


def _as_ours(label: str, error: BaseException) -> CityframeError | None:
    # the server's message without its detail, which quotes rows: they may be personal data
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    said = primary or str(error).strip()
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return SourceUnreachableError(
            where=label,
            found=f"another writer or a long transaction holds the store ({said})",
            remedy="try again when it has finished",
        )
    if isinstance(error, psycopg.OperationalError | adbc_driver_manager.OperationalError):
        return SourceUnreachableError(
            where=label,
            found=f"the database does not answer ({said})",
            remedy="look whether it is up and the URL is right, then try again",
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DeclarationError(
            where=label,
            found=f"the role may not do this ({said})",
            expected="a role that owns the schema",
            remedy="set the database up as docs/operations.md says under PostGIS",
        )
    if isinstance(error, psycopg.IntegrityError):
        return IntegrityError(
            where=label,
            found=f"rows that the store refuses ({said})",
            remedy="nothing was written; run `cityframe fsck`",
        )
    return None


def _wrong_url(*, found: str) -> DeclarationError:
    return DeclarationError(
        where="framework",
        found=f"the URL {found}",
        expected="postgresql://user@host:port/database?schema=name",
        remedy="mend it in cityframe.yaml",
    )
