import datetime as dt
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cityframe.errors import IntegrityError
from cityframe.store.ledger import Ledger

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def test_entries_come_back_in_their_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for number in range(3):
        ledger.append("landed", f"s{number % 2}", {"名": number}, who="王", at=AT)
    assert [entry.body["名"] for entry in ledger.entries(subject="s0")] == [0, 2]
    assert [entry.sequence for entry in ledger.entries(after=1)] == [2, 3]
    last = ledger.last(what="landed", subject="s1")
    assert last is not None
    assert (last.sequence, last.who, last.at) == (2, "王", "2026-01-02T03:04:05+00:00")
    assert ledger.verify() == 3


def test_a_ledger_without_entries_is_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert list(ledger.entries()) == []
    assert ledger.last() is None
    assert ledger.verify() == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entry SET who = 'somebody else' WHERE sequence = 2",
        "UPDATE entry SET body = '{}' WHERE sequence = 2",
        "DELETE FROM entry WHERE sequence = 2",
    ],
)
def test_a_tampered_entry_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    for number in range(3):
        ledger.append("approved", "c", {"n": number}, who="a", at=AT)
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match=r"entry [23]"):
        ledger.verify()


WRITER = """
import datetime as dt, sys
from pathlib import Path
from cityframe.store.ledger import Ledger
for number in range(20):
    Ledger(Path(sys.argv[1])).append(
        "landed", "s", {"n": number}, who="w", at=dt.datetime.now(dt.UTC)
    )
"""


def test_writers_at_the_same_time_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Ledger(path).verify() == 40
