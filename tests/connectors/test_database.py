"""Pulling from a database: types, watermarks, secrets."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from cityframe.config.source import Source
from cityframe.connectors import database, pull
from cityframe.connectors.pulling import Pulled
from cityframe.errors import DeclarationError, QuarantinedError, SourceUnreachableError

MakeSource = Callable[..., Source]


@pytest.fixture
def register(tmp_path: Path) -> Path:
    """A register of permits: change numbers 1 to 4."""
    with closing(sqlite3.connect(tmp_path / "register.sqlite")) as connection, connection:
        connection.execute(
            "create table permit "
            "(change integer, no text, area_m2 real, plan blob, changed text, note text)"
        )
        connection.executemany(
            "insert into permit values (?, ?, ?, ?, ?, null)",
            [
                (number, f"沪-{number:03d}", number / 2, b"\x00\x01", f"2024-05-0{number} 12:00")
                for number in (3, 1, 4, 2)
            ],
        )
    return tmp_path


def declared(**fields: Any) -> dict[str, Any]:
    return {"type": "database", "url": "sqlite:///register.sqlite", "table": "permit", **fields}


def pulled(
    source: Source, root: Path, watermark: str = "", place: str | None = None
) -> tuple[Pulled | None, pa.Table | None]:
    into = root / "into"
    into.mkdir(exist_ok=True)
    (into / database.FILE).unlink(missing_ok=True)
    result = pull(
        source,
        workspace_root=root,
        into=into,
        place=place,
        watermark=watermark,
        observations=root,
    )
    landed = into / database.FILE
    return result, pq.read_table(landed) if landed.exists() else None


def execute(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / "register.sqlite")) as connection, connection:
        connection.execute(statement)


def test_table_lands_whole_with_its_types(register: Path, source: MakeSource) -> None:
    result, rows = pulled(source(declared()), register)
    assert result is not None
    assert result.watermark == ""
    assert rows is not None
    assert rows.num_rows == 4
    assert {field.name: field.type for field in rows.schema} == {
        "change": pa.int64(),
        "no": pa.string(),
        "area_m2": pa.float64(),
        "plan": pa.binary(),
        "changed": pa.string(),
        "note": pa.string(),
    }
    assert rows["no"].to_pylist() == ["沪-003", "沪-001", "沪-004", "沪-002"]


def test_only_rows_above_the_watermark_come_in_its_order(
    register: Path, source: MakeSource
) -> None:
    permits = source(declared(watermark="change"))
    first, rows = pulled(permits, register)
    assert first is not None
    assert first.watermark == "4"
    assert rows is not None
    assert rows["change"].to_pylist() == [1, 2, 3, 4]
    nothing, rows = pulled(permits, register, first.watermark)
    assert (nothing, rows) == (None, None)
    execute(register, "insert into permit values (10, 'x', 1, null, '', null)")
    execute(register, "insert into permit values (9, 'y', 1, null, '', null)")
    second, rows = pulled(permits, register, first.watermark)
    assert second is not None
    assert second.watermark == "10"
    assert rows is not None
    assert rows["change"].to_pylist() == [9, 10]


@pytest.mark.parametrize(("column", "high"), [("changed", "2024-05-04 12:00"), ("area_m2", "2.0")])
def test_watermark_may_be_text_or_a_real_number(
    register: Path, source: MakeSource, column: str, high: str
) -> None:
    result, _ = pulled(source(declared(watermark=column)), register)
    assert result is not None
    assert result.watermark == high
    assert pulled(source(declared(watermark=column)), register, high) == (None, None)


def test_query_with_watermark(register: Path, source: MakeSource) -> None:
    query = "select change, no from permit where area_m2 > 0.5; "
    result, rows = pulled(
        source(declared(table="", query=query, watermark="change")), register, "2"
    )
    assert result is not None
    assert result.watermark == "4"
    assert rows is not None
    assert rows.to_pydict() == {"change": [3, 4], "no": ["沪-003", "沪-004"]}


def test_empty_table_with_watermark_is_nothing_new_and_without_a_table(
    register: Path, source: MakeSource
) -> None:
    execute(register, "delete from permit")
    assert pulled(source(declared(watermark="change")), register) == (None, None)
    result, rows = pulled(source(declared()), register)
    assert result is not None
    assert rows is not None
    assert (rows.num_rows, rows.column_names[0]) == (0, "change")


def test_batches_are_brought_to_one_type(
    register: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BATCH_ROWS", 2)
    execute(register, "update permit set note = 7 where change = 2")
    execute(register, "update permit set note = 'x' where change = 3")
    execute(register, "update permit set area_m2 = null where change < 3")
    result, rows = pulled(source(declared(watermark="change")), register)
    assert result is not None
    assert rows is not None
    assert rows["note"].to_pylist() == [None, "7", "x", None]
    assert rows["area_m2"].to_pylist() == [None, None, 1.5, 2.0]
    assert rows["change"].to_pylist() == [1, 2, 3, 4]


def test_whole_and_real_numbers_over_batches_stay_exact(
    register: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BATCH_ROWS", 1)
    values = [9007199254740993, 0.5, None, None]
    execute(register, "create table mixed (n, v)")
    for number, value in enumerate(values):
        execute(register, f"insert into mixed values ({number}, {value or 'null'})")
    _, rows = pulled(source(declared(table="mixed")), register)
    assert rows is not None
    assert rows["v"].to_pylist() == ["9007199254740993", "0.5", None, None]


def test_same_rows_give_the_same_bytes(register: Path, source: MakeSource) -> None:
    bodies = set()
    for _ in range(2):
        pulled(source(declared(watermark="change")), register)
        bodies.add((register / "into" / database.FILE).read_bytes())
    assert len(bodies) == 1


def test_rows_without_a_watermark_are_not_lost_in_silence(
    register: Path, source: MakeSource
) -> None:
    execute(register, "insert into permit (no) values ('lost')")
    with pytest.raises(QuarantinedError, match="1 rows without a value in change"):
        pulled(source(declared(watermark="change")), register)


def test_watermark_of_another_type_is_an_error_of_the_declaration(
    register: Path, source: MakeSource
) -> None:
    with pytest.raises(
        DeclarationError, match="watermark is '2024-05-01', the highest value now 4"
    ):
        pulled(source(declared(watermark="change")), register, "2024-05-01")


def test_missing_database_is_unreachable_and_not_created(
    register: Path, source: MakeSource
) -> None:
    with pytest.raises(SourceUnreachableError, match=r"no file .*none\.sqlite"):
        pulled(source(declared(url="sqlite:///none.sqlite")), register)
    assert not (register / "none.sqlite").exists()


def test_database_is_opened_for_reading_only(register: Path, source: MakeSource) -> None:
    before = (register / "register.sqlite").read_bytes()
    with pytest.raises((DeclarationError, SourceUnreachableError)):
        pulled(source(declared(table="", query="delete from permit returning change")), register)
    assert (register / "register.sqlite").read_bytes() == before


def test_file_that_is_no_database_is_an_error(register: Path, source: MakeSource) -> None:
    (register / "text.sqlite").write_text("no database at all " * 100)
    with pytest.raises(DeclarationError, match="not a database"):
        pulled(source(declared(url="sqlite:///text.sqlite")), register)


@pytest.mark.parametrize(
    "fields",
    [
        {"table": "nothing"},
        {"watermark": "nothing"},
        {"table": "", "query": "selec 1"},
        {"url": "nodatabase://x"},
        {"url": "no url at all"},
        {"url": "mssql+pymssql://somewhere/x"},
    ],
)
def test_wrong_declaration_is_told(
    register: Path, source: MakeSource, fields: dict[str, Any]
) -> None:
    with pytest.raises(DeclarationError, match="source survey: the database can't be asked so"):
        pulled(source(declared(**fields)), register)


def test_another_place_is_refused(register: Path, source: MakeSource) -> None:
    with pytest.raises(DeclarationError, match="a place to pull from: elsewhere"):
        pulled(source(declared()), register, place="elsewhere")


def test_secrets_stay_out_of_the_origin(
    register: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    result, _ = pulled(source(declared()), register)
    assert result is not None
    assert result.origin.startswith("sqlite:///")
    assert result.origin.endswith("register.sqlite permit")
    url = "postgresql+nodriver://survey:${PASSWORD}@db:5432/city?password=${PASSWORD}"
    with pytest.raises(DeclarationError) as caught:
        pulled(source(declared(url=url)), register)
    assert "hunter2" not in str(caught.value)
    pull_declared = source(declared(url=url)).pull
    assert "hunter2" not in database._origin(
        sa.make_url(url.replace("${PASSWORD}", "hunter2")), pull_declared
    )


def test_database_that_does_not_answer_is_unreachable(
    register: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("select 1", {}, Exception("connection refused"))

    monkeypatch.setattr(sa.Engine, "connect", refuse)
    with pytest.raises(SourceUnreachableError, match=r"does not answer .connection refused"):
        pulled(source(declared()), register)


def test_moments_as_watermarks_come_back_as_moments() -> None:
    noon = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    assert database._like(noon.isoformat(), noon, "here") == noon
    assert database._like("2024-05-01", noon.date(), "here") == noon.date()
