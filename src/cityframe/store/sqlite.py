"""How cityframe opens SQLite: write-ahead log, foreign keys, transactions that begin as writers."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from cityframe.errors import IntegrityError, SourceUnreachableError

BUSY_TIMEOUT_S = 30
_REFUSED_BY_THE_SYSTEM = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def sqlite_engine(path: Path) -> sa.Engine:
    """Return the engine of a SQLite file, one a process and path.

    Its statements raise `SourceUnreachableError` where the system refuses (a full disk, an error
    of input or output) or another holds the file longer than the busy timeout, and
    `IntegrityError` where the file is no whole database.
    """
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
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -65536")

    @event.listens_for(engine, "handle_error")
    def _translate(context: sa.ExceptionContext) -> BaseException | None:
        # the low byte; the others say more closely what the system refused
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            return SourceUnreachableError(
                where=path,
                found="another writer holds the store",
                remedy="try again when it has finished",
            )
        if code in _DAMAGED:
            return IntegrityError(
                where=path,
                found=str(context.original_exception),
                expected="a whole SQLite file",
                remedy="see what `cityframe fsck` finds, and restore the last sound backup",
            )
        if code not in _REFUSED_BY_THE_SYSTEM:
            return None
        return SourceUnreachableError(
            where=path,
            found=f"the file can't be read or written ({context.original_exception})",
            remedy="nothing was written; make room or look at the disk, then try again",
        )

    return engine


@contextmanager
def write_transaction(
    engine: sa.Engine, *, attached: Mapping[str, Path] | None = None, is_large: bool = False
) -> Iterator[sa.Connection]:
    """Open a transaction that holds the writer's lock from its start.

    Parameters
    ----------
    engine : Engine
        The file to write to.
    attached : mapping of str to Path, optional
        Other SQLite files to read from in the same transaction, by the name of their schema.
    is_large : bool
        Most of what it writes is new: a rollback journal is then cheaper than the write-ahead log,
        which writes all of it twice. Where another connection is open, the log stays.

    Raises
    ------
    SourceUnreachableError
        If another writer holds the file longer than the busy timeout.
    """
    with engine.connect() as connection:
        for name, path in (attached or {}).items():
            connection.exec_driver_sql(f'ATTACH DATABASE ? AS "{name}"', (str(path),))
        # the file keeps the mode
        is_without_log = is_large and _set_journal(connection, "DELETE")
        if not is_without_log:
            _set_journal(connection, "WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            # SQLite itself may have rolled back: a full disk, an I/O error
            driver: Any = connection.connection.driver_connection
            if driver.in_transaction:
                connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
        if is_without_log:
            _set_journal(connection, "WAL")


def _set_journal(connection: sa.Connection, mode: str) -> bool:
    """Set the journal's mode, or leave it where another connection is in the way."""
    try:
        connection.exec_driver_sql(f"PRAGMA main.journal_mode = {mode}")
    except SourceUnreachableError:
        return False
    return True
