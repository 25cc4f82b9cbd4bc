"""How cityframe opens SQLite: write-ahead log, foreign keys, transactions that begin as writers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from cityframe.errors import SourceUnreachableError

BUSY_TIMEOUT_S = 30


def sqlite_engine(path: Path) -> sa.Engine:
    """Return the engine of a SQLite file, one a process and path."""
    return _engine(str(path.resolve()))


@lru_cache(maxsize=64)
def _engine(path: str) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.pool.NullPool,
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -65536")

    return engine


@contextmanager
def write_transaction(
    engine: sa.Engine, *, attached: Mapping[str, Path] | None = None
) -> Iterator[sa.Connection]:
    """Open a transaction that holds the writer's lock from its start.

    Parameters
    ----------
    engine : Engine
        The file to write to.
    attached : mapping of str to Path, optional
        Other SQLite files to read from in the same transaction, by the name of their schema.

    Raises
    ------
    SourceUnreachableError
        If another writer holds the file longer than the busy timeout.
    """
    with engine.connect() as connection:
        for name, path in (attached or {}).items():
            connection.exec_driver_sql(f'ATTACH DATABASE ? AS "{name}"', (str(path),))
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except sa.exc.OperationalError as error:
            raise SourceUnreachableError(
                where=str(engine.url.database),
                found="another writer holds the store",
                remedy="try again when it has finished",
            ) from error
        try:
            yield connection
        except BaseException:
            # SQLite itself may have rolled back: a full disk, an I/O error
            driver: Any = connection.connection.driver_connection
            if driver.in_transaction:
                connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
