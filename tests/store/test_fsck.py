"""A sound store has no damage; each damage is found, and the feature named."""

import datetime as dt
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import write_restoring_candidate
from cityframe.store.commit import commit
from cityframe.store.damage import Damage
from cityframe.store.framework import Framework
from cityframe.store.fsck import fsck
from cityframe.store.redaction import plan_redaction, redact
from cityframe.store.tables import history_table

Make = Callable[..., Release]
NOON = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def store(framework: Framework, release: Make, tmp_path: Path) -> Framework:
    """Seven releases: new, changed, removed, future, past, rolled back, redacted."""
    release([("u1", "new", 0, 1), ("u2", "new", 20, 2), ("u3", "new", 40, 3)])
    release([("u1", "attributes", 0, 5), ("u2", "removed", 20, 2)], valid_from="2020-02-01")
    release([("u4", "new", 60, 4), ("u3", "reshaped", 41, 3)], valid_from="2020-03-01")
    release([("u1", "attributes", 0, 8)], valid_from="2020-05-01")
    release([("u5", "new", 80, 1)], valid_from="2020-01-15", valid_to="2020-02-15")
    restoring = write_restoring_candidate(tmp_path / "back", framework, 2)
    commit(
        framework,
        restoring,
        framework.contracts(),
        kind=ReleaseKind.ROLLBACK,
        cycle="back",
        evidence={"restores": 2},
        at=NOON,
    )
    plan = plan_redaction(framework, "buildings", ["u1", "u5"], ["number", "height_m"])
    redact(framework, plan, decision="d", evidence={"decisions": []}, at=NOON)
    release([("u6", "new", 90, 4)], valid_from="2020-08-01")
    return framework


def test_a_sound_store_has_no_damage(store: Framework) -> None:
    found = fsck(store)
    assert found.damages == ()
    assert found.releases == 8
    assert found.rows["buildings"] > 10


def test_each_release_can_be_checked_alone(store: Framework) -> None:
    assert [fsck(store, release=number, quick=True).damages for number in range(1, 9)] == [()] * 8


@pytest.fixture
def harm(store: Framework) -> Callable[..., tuple[Damage, ...]]:
    """Change the store behind its back, with all that guards it taken off; return what is found."""
    home = store.home
    is_sqlite = home.engine.dialect.name == "sqlite"

    def do(statement: str, parameters: dict[str, Any] | None = None) -> tuple[Damage, ...]:
        with home.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            if is_sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
                names = connection.exec_driver_sql(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                ).scalars()
                for name in list(names):
                    connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
            else:
                connection.exec_driver_sql("SET session_replication_role = replica")
                connection.exec_driver_sql(
                    "ALTER TABLE buildings_history DROP CONSTRAINT IF EXISTS "
                    "buildings_history_check, DROP CONSTRAINT IF EXISTS buildings_history_check1"
                )
            connection.execute(sa.text(statement), parameters or {})
        return fsck(store, quick=True).damages

    return do


def flipped(value: Any, rng: random.Random) -> Any:
    """Return a stored value with one byte of it another."""
    if isinstance(value, str):
        place = rng.randrange(len(value))
        return value[:place] + chr(ord(value[place]) ^ rng.choice([1, 2, 4])) + value[place + 1 :]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << rng.randrange(0, 24))
    if isinstance(value, float):
        body = bytearray(struct.pack("<d", value))
        body[rng.randrange(0, 7)] ^= 1 << rng.randrange(8)
        return struct.unpack("<d", body)[0]
    if isinstance(value, dt.datetime | dt.date):
        return value + dt.timedelta(days=1 << rng.randrange(6))
    body = bytearray(value)
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def stored_values(store: Framework, layer: Layer) -> Iterator[tuple[int, str, str, Any]]:
    """Yield fid, uid, column and value of all that is stored of a layer and not null."""
    table = history_table(layer)
    with store.home.engine.connect() as connection:
        rows = connection.exec_driver_sql(f'SELECT * FROM "{table.name}" ORDER BY fid').mappings()
        for row in list(rows):
            for name, value in row.items():
                if name != "fid" and value is not None:
                    yield row["fid"], row["uid"], name, value


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_byte_in_any_column_is_found_and_its_feature_named(
    store: Framework, buildings: Layer, harm: Callable[..., tuple[Damage, ...]], seed: int
) -> None:
    rng = random.Random(seed)
    values = list(stored_values(store, buildings))
    for column in sorted({name for _, _, name, _ in values}):
        fid, uid, _, value = rng.choice([one for one in values if one[2] == column])
        is_text = isinstance(value, str)
        if column == "geom" and is_text:
            wrong: Any = flipped_shape(value, rng)
        else:
            wrong = flipped(value, rng)
        statement = f'UPDATE buildings_history SET "{column}" = :value WHERE fid = :fid'
        found = harm(statement, {"value": wrong, "fid": fid})
        assert [one for one in found if one.fid == fid], (column, value, wrong, found)
        if column != "uid":
            assert uid in {one.uid for one in found if one.fid == fid}, (column, value, wrong)
        assert harm(statement, {"value": value, "fid": fid}) == (), column


def flipped_shape(value: str, rng: random.Random) -> str:
    """Return a geometry of PostGIS (EWKB in hexadecimal) with a bit of one coordinate flipped."""
    body = bytearray.fromhex(value)
    # the second point: the ring stays closed
    body[1 + 4 + 4 + 4 + 4 + 16 + rng.randrange(16)] ^= 1 << rng.randrange(4)
    return body.hex()
