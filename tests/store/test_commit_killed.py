"""A release is all or nothing: killed at any moment, on a full disk, without its database."""

import datetime as dt
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import psycopg
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, layer_sum, row_digests_of
from cityframe.model.layer import Layer
from cityframe.store.candidate import write_candidate
from cityframe.store.framework import Framework
from cityframe.store.tables import (
    BRIDGE,
    DUE,
    LINEAGE,
    PROVENANCE,
    RELEASE,
    RELEASE_LAYER,
    history_table,
)

Changes = Callable[..., gpd.GeoDataFrame]
KILLS = 100
KILLS_A_RELEASE = 15
LOSSES = 8
ROWS = 600
EPOCH = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


class Committer:
    """The program that commits in a process of its own."""

    def __init__(
        self,
        process: "subprocess.Popen[str]",
        framework: Framework,
        folder: Path,
        layer: Layer,
        changes: Changes,
    ) -> None:
        self.process = process
        self.framework = framework
        self.folder = folder
        self.layer = layer
        self.make_changes = changes

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stage(self, *, is_first: bool = False) -> dict[str, Any]:
        """Stage a candidate and return the task that commits it: first rows of a layer, or not."""
        number = len(self.framework.releases()) + 1
        candidate = self.folder / f"c{number}"
        contracts = self.framework.contracts()
        if is_first:
            layer = replace(self.layer, name=f"buildings_{number}")
            changes = {layer.name: self.first_rows(number)}
            layers = {layer.name: layer}
        else:
            layers = {"buildings": self.layer}
            changes = {"buildings": self.some_changes(number)}
        valid_at = EPOCH + dt.timedelta(days=number)
        notes = {name: self.notes(frame) for name, frame in changes.items()}
        write_candidate(
            candidate, self.framework, changes, layers, valid_at=valid_at,
            bridge=notes, provenance=notes,
        )  # fmt: skip
        path = self.folder / f"contracts{number}.json"
        path.write_text(json.dumps([asdict(one) for one in {**contracts, **layers}.values()]))
        is_file = self.framework.label.endswith(".gpkg")
        return {
            "store": str(self.folder / "store"),
            "url": None if is_file else self.framework.label,
            "candidate": str(candidate),
            "contracts": str(path),
            "cycle": f"cycle-{number}",
        }

    def notes(self, changes: gpd.GeoDataFrame) -> pd.DataFrame:
        """Name each new feature, and say where it comes from."""
        new = changes[changes["change"] == "new"]
        return pd.DataFrame(
            {
                "uid": new["uid"], "source": "survey", "source_id": new["uid"],
                "matched_by": "new", "score": 1.0, "margin": None, "attribute": "",
                "delivery": "survey.0", "record": 1, "rule": "new", "decided_by": None,
                "losers": None,
            }
        )  # fmt: skip

    def first_rows(self, number: int) -> gpd.GeoDataFrame:
        changes = self.make_changes([(f"r{number}-{n:05d}", "new", 20 * n, 1) for n in range(ROWS)])
        ends = changes["valid_from"] + pd.Timedelta(days=5000)
        changes["valid_to"] = ends.where(changes.index % 10 == 0)
        return changes

    def some_changes(self, number: int) -> gpd.GeoDataFrame:
        new = [(f"n{number}-{n:05d}", "new", 20.0 * n, 2) for n in range(ROWS // 4)]
        old = self.framework.index(self.layer)["uid"].tolist() if number > 1 else []
        changed = [(uid, "attributes", 0.0, number) for uid in old[: ROWS // 4]]
        removed = [(uid, "removed", 0.0, 1) for uid in old[ROWS // 4 : ROWS // 4 + 20]]
        changes = self.make_changes(
            [*new, *changed, *removed], valid_from=f"{EPOCH + dt.timedelta(days=number):%Y-%m-%d}"
        )
        # dated in advance, never to be changed again
        later = changes["valid_from"] + pd.Timedelta(days=5000)
        is_later = (changes["change"] == "new") & (changes.index % 10 == 0)
        changes["valid_from"] = later.where(is_later, changes["valid_from"])
        return changes

    def run(self, task: dict[str, Any], **harm: Any) -> dict[str, Any]:
        self.begin(task, **harm)
        answer: dict[str, Any] = json.loads(self.answer())
        return answer

    def begin(self, task: dict[str, Any], **harm: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**task, **harm}) + "\n")
        self.process.stdin.flush()


@pytest.fixture(scope="module")
def process() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("committer.py"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as made:  # fmt: skip
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        yield made


@pytest.fixture
def committer(
    process: "subprocess.Popen[str]",
    framework: Framework,
    tmp_path: Path,
    buildings: Layer,
    make_changes: Changes,
) -> Committer:
    return Committer(process, framework, tmp_path, buildings, make_changes)


def tallies(framework: Framework) -> dict[str, int]:
    """Count the rows of all tables of the store that have any."""
    if not framework.exists:
        return {}
    histories = [history_table(layer) for layer in framework.contracts().values()]
    counts = [
        sa.select(sa.literal(table.name), sa.func.count()).select_from(table)
        for table in [*histories, RELEASE, RELEASE_LAYER, DUE, LINEAGE, BRIDGE, PROVENANCE]
    ]
    with framework.home.engine.connect() as connection:
        rows = connection.execute(sa.union_all(*counts)).all()
    return {name: count for name, count in rows if count}


def assert_whole(framework: Framework, number: int | None = None) -> None:
    """Recompute count and digest of all layers of a release, by default the newest."""
    made = framework.current() if number is None else framework.release(number)
    if made is None:
        return
    contracts = framework.contracts(made.number)
    for version in made.layers:
        layer = contracts[version.layer]
        rows = framework.as_of_arrow(layer, made.number)
        assert rows.num_rows == version.count
        digests = row_digests_of(rows, layer).to_pylist()
        assert layer_digest(layer_sum(digests), len(digests)) == version.digest


def assert_nothing_doubled(framework: Framework) -> None:
    for layer in framework.contracts().values():
        table = history_table(layer)
        rows = framework.known_rows(layer, framework.index(layer)["uid"], ["fid", "uid"])
        assert len(pc.unique(rows.column("fid"))) == rows.num_rows
        current = framework.index(layer)["uid"]
        assert current.is_unique
        with framework.home.engine.connect() as connection:
            doubled = sa.select(table.c.uid).group_by(
                table.c.uid, table.c.release_from, table.c.valid_from
            ).having(sa.func.count() > 1)  # fmt: skip
            assert connection.execute(doubled).all() == []
    with framework.home.engine.connect() as connection:
        for table in (DUE, LINEAGE, BRIDGE, PROVENANCE):
            columns = [column for column in table.columns if column.name != "id"]
            doubled = sa.select(*columns).group_by(*columns).having(sa.func.count() > 1)
            assert connection.execute(doubled).all() == []


def test_a_commit_killed_at_a_hundred_moments_is_all_or_nothing(
    framework: Framework, committer: Committer
) -> None:
    rng = random.Random(20260101)
    seconds = {False: 0.5, True: 0.5}
    killed = 0
    while killed < KILLS:
        number = len(framework.releases())
        # the first rows of all, then first rows of other layers and changes in turn
        is_first = number % 3 == 1
        task = committer.stage(is_first=is_first)
        before = tallies(framework)
        for _ in range(KILLS_A_RELEASE):
            answer = committer.run(task, kill_after=rng.uniform(0, seconds[is_first]))
            assert answer["outcome"] in ("killed", "done"), answer
            killed += answer["outcome"] == "killed"
            if len(framework.releases()) > number:
                break
            assert tallies(framework) == before
        assert_whole(framework)
        # the next run completes it, or finds that it is there
        answer = committer.run(task)
        assert answer["outcome"] == "done"
        if not answer["was_there"]:
            seconds[is_first] = answer["seconds"]
        assert [one.number for one in framework.releases()] == list(range(1, number + 2))
    for number in range(1, len(framework.releases()), 3):
        assert_whole(framework, number)
    assert_nothing_doubled(framework)


def limits(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield sizes that files may not pass, and pages that a GeoPackage may not have more of."""
    size = Path(task["store"], "framework.gpkg").stat().st_size
    for share in (0.02, 0.1, 0.3, 0.6, 0.9, 0.99, 1.01, 1.1):
        yield {"limit_bytes": int(size * share)}
    for pages in (1, 5, 20):
        yield {"limit_pages": size // 4096 + pages}


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_a_full_disk_refuses_the_commit_and_the_next_run_completes_it(
    framework: Framework, committer: Committer
) -> None:
    committer.run(committer.stage())
    refused = 0
    for is_first in (True, False):
        task = committer.stage(is_first=is_first)
        before, number = tallies(framework), len(framework.releases())
        for limit in limits(task):
            answer = committer.run(task, **limit)
            if answer["outcome"] == "done":
                continue
            assert answer["outcome"] == "refused", (limit, answer)
            assert answer["error"] == "SourceUnreachableError", answer
            refused += 1
            assert tallies(framework) == before
            assert_whole(framework)
        assert committer.run(task)["outcome"] == "done"
        assert len(framework.releases()) == number + 1
        assert_whole(framework)
    assert_nothing_doubled(framework)
    assert refused > 10


def assert_refused_and_completed(
    committer: Committer, task: dict[str, Any], answer: dict[str, Any], before: dict[str, int]
) -> None:
    assert answer["outcome"] == "refused", answer
    assert answer["error"] == "SourceUnreachableError", answer
    assert tallies(committer.framework) == before
    assert_whole(committer.framework)
    assert committer.run(task)["outcome"] == "done"


def connect(framework: Framework) -> psycopg.Connection:
    return psycopg.connect(framework.label.partition("?")[0], autocommit=True)


@pytest.mark.parametrize("framework", ["postgis"], indirect=True)
def test_a_database_without_room_refuses_the_commit_and_the_next_run_completes_it(
    framework: Framework, committer: Committer
) -> None:
    """A real full disk needs a disk to fill; here the server answers as it does on one."""
    committer.run(committer.stage())
    full = (
        "CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE 'no space left on device' USING ERRCODE = 'disk_full'; END$$"
    )
    schema = framework.label.rpartition("=")[2]
    with connect(framework) as server:
        server.execute(full)
        for event, table, rows in (
            ("INSERT", "buildings_history", "NEW.fid % 211 = 0"),
            ("UPDATE", "buildings_history", "NEW.fid % 97 = 0"),
            ("INSERT", "cf_due", "NEW.id % 5 = 0"),
            ("INSERT", "cf_lineage", "NEW.id % 7 = 0"),
            ("INSERT", "cf_bridge", "NEW.id % 89 = 0"),
            ("INSERT", "cf_provenance", "NEW.id % 89 = 0"),
        ):
            task = committer.stage()
            before = tallies(framework)
            server.execute(
                f"CREATE TRIGGER full_disk AFTER {event} ON {schema}.{table} "
                f"FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION public.full_disk()"
            )
            answer = committer.run(task)
            server.execute(f"DROP TRIGGER full_disk ON {schema}.{table}")
            assert_refused_and_completed(committer, task, answer, before)
    assert_whole(framework)
    assert_nothing_doubled(framework)


@pytest.mark.parametrize("framework", ["postgis"], indirect=True)
def test_a_lost_connection_refuses_the_commit_and_the_next_run_completes_it(
    framework: Framework, committer: Committer
) -> None:
    rng = random.Random(20260102)
    seconds = {
        one: committer.run(committer.stage(is_first=one))["seconds"] for one in (False, True)
    }
    backends = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'cityframe'"
    )
    lost = 0
    with connect(framework) as server:
        while lost < LOSSES:
            is_first = rng.random() < 0.5
            task = committer.stage(is_first=is_first)
            before, number = tallies(framework), len(framework.releases())
            idle = server.execute(backends).fetchall()
            committer.begin(task)
            time.sleep(rng.uniform(0, seconds[is_first]))
            # what holds the lock, writes, or reads
            found = [one for one in server.execute(backends).fetchall() if one not in idle]
            if found:
                server.execute("SELECT pg_terminate_backend(%s)", rng.choice(found))
            answer = json.loads(committer.answer())
            if answer["outcome"] == "refused":
                lost += 1
                assert answer["error"] == "SourceUnreachableError", answer
                assert len(framework.releases()) > number or tallies(framework) == before
                assert_whole(framework)
            else:
                assert answer["outcome"] == "done", answer
            assert committer.run(task)["outcome"] == "done"
            assert len(framework.releases()) == number + 1
    assert_whole(framework)
    assert_nothing_doubled(framework)


@pytest.mark.parametrize("framework", ["postgis"], indirect=True)
def test_connections_lost_while_nothing_ran_are_not_noticed(
    framework: Framework, committer: Committer
) -> None:
    committer.run(committer.stage())
    assert_whole(framework)
    with connect(framework) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert_whole(framework)
