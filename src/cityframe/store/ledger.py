"""The ledger: who did what, when; each entry holds the hash of the one before."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cityframe.errors import IntegrityError
from cityframe.store.sqlite import sqlite_engine, write_transaction

_METADATA = sa.MetaData()
_ENTRY = sa.Table(
    "entry",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Index("entry_by_subject", "subject", "what"),
    sa.Index("entry_by_what", "what", "sequence"),
)
_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger.

    Attributes
    ----------
    what : str
        ``landed``, ``frozen``, ``in-review``, ``approved``, ``returned``, ``released`` ...
    subject : str
        The source, cycle or release that it is about.
    body : mapping
        Facts of the entry, JSON-ready.
    """

    sequence: int
    at: str
    who: str
    what: str
    subject: str
    body: Mapping[str, Any]
    hash: str


class Ledger:
    """Append-only entries in one SQLite file.

    Parameters
    ----------
    path : Path
        The file; made with the first entry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(
        self, what: str, subject: str, body: Mapping[str, Any], *, who: str, at: dt.datetime
    ) -> Entry:
        """Append one entry durably and return it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        engine = sqlite_engine(self._path)
        text = _canonical(body)
        with write_transaction(engine) as connection:
            _METADATA.create_all(connection)
            last = connection.execute(
                sa.select(_ENTRY.c.sequence, _ENTRY.c.hash).order_by(_ENTRY.c.sequence.desc())
            ).first()
            sequence = last.sequence + 1 if last else 1
            previous = last.hash if last else _FIRST
            row = {
                "sequence": sequence,
                "at": at.astimezone(dt.UTC).isoformat(timespec="seconds"),
                "who": who,
                "what": what,
                "subject": subject,
                "body": text,
                "previous": previous,
            }
            row["hash"] = _hash(row)
            connection.execute(sa.insert(_ENTRY).values(row))
        return _entry(row)

    def entries(self, *, what: str = "", subject: str = "", after: int = 0) -> Iterator[Entry]:
        """Yield entries in their order, by kind and subject, with a sequence above ``after``."""
        if not self._has_entries():
            return
        query = sa.select(_ENTRY).where(_ENTRY.c.sequence > after).order_by(_ENTRY.c.sequence)
        if what:
            query = query.where(_ENTRY.c.what == what)
        if subject:
            query = query.where(_ENTRY.c.subject == subject)
        with sqlite_engine(self._path).connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        for row in rows:
            yield _entry(row)

    def last(self, *, what: str = "", subject: str = "") -> Entry | None:
        """Return the newest entry of a kind or subject, or None."""
        found = None
        for entry in self.entries(what=what, subject=subject):
            found = entry
        return found

    def _has_entries(self) -> bool:
        # a process killed at its very first entry leaves a file without tables
        return self._path.exists() and sa.inspect(sqlite_engine(self._path)).has_table("entry")

    def verify(self) -> int:
        """Check the chain and return the number of entries.

        Raises
        ------
        IntegrityError
            If an entry was altered, removed or put in between; with the first such.
        """
        if not self._has_entries():
            return 0
        for sequence in self.broken():
            raise IntegrityError(
                where=f"{self._path} entry {sequence}",
                found="the chain of hashes is broken here",
                expected="the next number, with the hash of the entry before",
                remedy="restore the ledger from a backup and find out who wrote to it",
            )
        with sqlite_engine(self._path).connect() as connection:
            return int(connection.execute(sa.select(sa.func.count(_ENTRY.c.sequence))).scalar_one())

    def broken(self) -> Iterator[int]:
        """Yield the entries that do not follow from the one before, or are not what they hash."""
        if not self._has_entries():
            return
        previous, count = _FIRST, 0
        with sqlite_engine(self._path).connect() as connection:
            rows = connection.execute(sa.select(_ENTRY).order_by(_ENTRY.c.sequence)).mappings()
            for row in map(dict, rows):
                count += 1
                if (row["sequence"], row["previous"], row["hash"]) != (count, previous, _hash(row)):
                    yield int(row["sequence"])
                # the entries after it may be sound again
                previous, count = row["hash"], int(row["sequence"])


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _hash(row: Mapping[str, Any]) -> str:
    names = ("sequence", "at", "who", "what", "subject", "body", "previous")
    return hashlib.sha256(_canonical({name: row[name] for name in names}).encode()).hexdigest()


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        sequence=row["sequence"],
        at=row["at"],
        who=row["who"],
        what=row["what"],
        subject=row["subject"],
        body=json.loads(row["body"]),
        hash=row["hash"],
    )
