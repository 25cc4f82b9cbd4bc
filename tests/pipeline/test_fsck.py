"""The store of a city is held against its ledger, files and evidence; redaction by an approver."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cityframe.cli import main
from cityframe.errors import GateClosedError
from cityframe.model.release import ReleaseKind
from cityframe.pipeline.city import City, now
from cityframe.pipeline.fsck import check_store
from cityframe.pipeline.history import feature_history
from cityframe.pipeline.publishing import publish_release
from cityframe.pipeline.redacting import carry_out, leftovers, plan
from cityframe.pipeline.releasing import roll_back
from cityframe.store.sqlite import sqlite_engine

Where = set[str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the city is kept that the first test made."""
    return tmp_path_factory.mktemp("city") / "town"


@pytest.fixture
def city(town: Any, grid: list[Any], template: Path) -> City:
    """Two cycles and a roll-back."""
    if template.exists():
        shutil.copytree(template, town.root, dirs_exist_ok=True)
    else:
        town.deliver_parcels(grid[:20])
        town.run()
        town.deliver_parcels([*grid[1:20], grid[30]], at="2026-02-01")
        town.run()
        roll_back(town.city, 1, who="li", why="误删", at=now())
        shutil.copytree(town.root, template)
    found: City = town.city
    return found


def where(city: City, **options: bool) -> Where:
    return {one.where for one in check_store(city, **options).damages}


def test_a_city_is_sound_after_cycles_and_a_roll_back(city: City) -> None:
    found = check_store(city)
    assert (found.releases, found.damages) == (3, ())
    assert [check_store(city, release=number).damages for number in (1, 2, 3)] == [()] * 3


def alter_ledger(city: City, statement: str) -> None:
    with sqlite_engine(city.workspace.store / "ledger.sqlite").begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE entry SET who = 'wang' WHERE what = 'approved'", "evidence of release 1"),
        ("UPDATE entry SET body = replace(body, '合格', '好') WHERE what = 'approved'",
         "evidence of release 1"),
        ("DELETE FROM entry WHERE what = 'rolled-back'", "evidence of release 3"),
        ("UPDATE entry SET body = replace(body, '\"release\":1', '\"release\":9')",
         "ledger entry released of monthly-0001"),
        ("UPDATE entry SET body = '{' WHERE sequence = 2", "ledger entry 2"),
    ],
)  # fmt: skip
def test_an_altered_ledger_is_found_and_what_it_proves_no_more(
    city: City, statement: str, expected: str
) -> None:
    alter_ledger(city, statement)
    found = where(city, quick=True)
    assert expected in found
    assert any(one.startswith("ledger entry ") for one in found)


def test_every_altered_entry_is_named(city: City) -> None:
    alter_ledger(city, "UPDATE entry SET at = '2000-01-01T00:00:00+00:00' WHERE sequence IN (2, 5)")
    assert {"ledger entry 2", "ledger entry 5"} <= where(city, quick=True)
    assert "ledger entry 3" not in where(city, quick=True)


@pytest.mark.parametrize(
    ("pattern", "is_quick"),
    [
        ("cycles/monthly-0002/report/report.json", True),
        ("cycles/monthly-0002/candidate/candidate.json", True),
        ("cycles/monthly-0002/candidate/parcels.parquet", False),
        ("archive/cadastre/*/files/parcels.gpkg", False),
        ("archive/cadastre/*/manifest.json", False),
    ],
)
def test_a_flipped_byte_in_a_file_is_found(city: City, pattern: str, is_quick: bool) -> None:
    path = next(iter(city.workspace.store.glob(pattern)))
    path.chmod(0o644)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    found = check_store(city).damages
    assert any(str(path.parent) in one.where or path.stem in one.where for one in found)
    assert bool(check_store(city, quick=True).damages) is is_quick


def uid_of(city: City, number: str) -> str:
    index = city.framework.index(city.workspace.layer("parcels"))
    return str(index.set_index("key").loc[number, "uid"])


def test_only_an_approver_with_a_reason_redacts(city: City) -> None:
    planned = plan(city, "parcels", [uid_of(city, "P003")], ["registered_area_m2"])
    for who, decision in (("mallory", "order 7"), ("li", " ")):
        with pytest.raises(GateClosedError):
            carry_out(city, planned, who=who, decision=decision, at=now())
    assert len(city.framework.releases()) == 3


def test_a_redaction_is_a_release_with_its_decision_and_tells_what_is_left(city: City) -> None:
    uid = uid_of(city, "P003")
    planned = plan(city, "parcels", [uid], ["registered_area_m2"])
    made = carry_out(city, planned, who="li", decision="order 7", at=now())
    assert made.kind is ReleaseKind.REDACTION
    assert made.evidence["decisions"][0]["why"] == "order 7"
    entry = city.ledger.last(what="redacted")
    assert entry is not None
    assert made.evidence["ledger_entry"] == entry.hash
    publish_release(city, made)
    left = leftovers(city, planned)
    assert {path.name for path in left.packages} >= {"release-0001-full", "release-0002-change"}
    assert not any("release-0004" in path.name for path in left.packages)
    assert len(left.deliveries) == 1
    assert "monthly-0001" in left.cycles
    found = feature_history(city, uid)
    assert {row["attributes"]["registered_area_m2"] for row in found["rows"]} == {None}
    assert check_store(city).damages == ()
    again = plan(city, "parcels", [uid], ["registered_area_m2"])
    assert carry_out(city, again, who="li", decision="order 7", at=now()) == made


def test_history_says_where_a_removed_uid_leads(city: City) -> None:
    # release 3 took release 2 back
    uid = next(one["parent"] for one in city.framework.lineage() if one["release"] == 3)
    found = feature_history(city, uid)
    assert (found["status"], found["successors"]) == ("removed", [])
    assert [one["event"] for one in found["descendants"]] == ["removed"]


def test_a_row_altered_in_the_store_is_named_with_its_uid(city: City) -> None:
    uid = uid_of(city, "P005")
    with city.framework.home.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE parcels_history SET registered_area_m2 = 401 WHERE uid = :uid"),
            {"uid": uid},
        )
    assert {one.uid for one in check_store(city, quick=True).damages} == {uid}


def test_the_commands_answer_as_objects_and_exit_with_5_for_damage(
    city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    uids = tmp_path / "uids.txt"
    uids.write_text(f"{uid_of(city, 'P003')}\n\n{uid_of(city, 'P004')}\n", encoding="utf-8")

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        root = str(city.workspace.root)
        code = main(["--workspace", root, "--output", "json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    redact = ("redact", "parcels", "--uids", str(uids), "--attributes", "registered_area_m2")
    code, answer = run(*redact, "--dry-run")
    assert (code, answer["release"], answer["features"]) == (0, None, 2)
    assert run(*redact, "--by", "mallory", "--decision", "order 7")[0] == 4
    code, answer = run(*redact, "--by", "li", "--decision", "order 7")
    assert (code, answer["release"], answer["left_in"]["cycles"]) == (0, 4, ["monthly-0001"])
    code, answer = run("fsck")
    assert (code, answer["is_sound"], answer["releases"]) == (0, True, 4)
    alter_ledger(city, "UPDATE entry SET who = 'x' WHERE sequence = 1")
    code, answer = run("fsck", "--quick")
    assert (code, answer["is_sound"]) == (5, False)
    assert answer["damages"][0]["where"] == "ledger entry 1"
    assert run("fsck", "--release", "9")[0] == 2
