"""Two processes commit at once; a third one reads."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, layer_sum, row_digests_of
from cityframe.errors import SourceUnreachableError
from cityframe.model.layer import Layer
from cityframe.model.release import Release
from cityframe.store.candidate import write_candidate
from cityframe.store.framework import Framework

Make = Callable[..., Release]
Changes = Callable[..., gpd.GeoDataFrame]
Task = dict[str, Any]
FIRST = [(f"u{n:03d}", "new", 20.0 * n, 1) for n in range(300)]
LATER = dt.datetime(2020, 6, 1, tzinfo=dt.UTC)


class Writer:
    """A program that commits in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("committer.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def writers() -> Iterator[tuple[Writer, Writer]]:
    made = Writer(), Writer()
    yield made
    for one in made:
        one.close()


@pytest.fixture
def stage(
    framework: Framework, buildings: Layer, make_changes: Changes, tmp_path: Path
) -> Callable[..., Task]:
    """Stage changes over the current release and return the task that commits them."""

    def make(name: str, rows: list[tuple[str, str, float, int]]) -> Task:
        layers = {"buildings": buildings}
        changes = {"buildings": make_changes(rows, valid_from="2020-03-01")}
        write_candidate(tmp_path / name, framework, changes, layers, valid_at=LATER)
        contracts = tmp_path / f"{name}.json"
        contracts.write_text(json.dumps([asdict(buildings)]))
        return {
            "store": str(tmp_path / "store"),
            "url": None if framework.label.endswith(".gpkg") else framework.label,
            "candidate": str(tmp_path / name),
            "contracts": str(contracts),
            "cycle": name,
        }

    return make


def changed(first: int, last: int, floors: int) -> list[tuple[str, str, float, int]]:
    return [(f"u{n:03d}", "attributes", 20.0 * n, floors) for n in range(first, last)]


def at_once(writers: tuple[Writer, Writer], tasks: tuple[Task, Task]) -> list[dict[str, Any]]:
    for writer, task in zip(writers, tasks, strict=True):
        writer.say(json.dumps(task))
    return [json.loads(writer.line()) for writer in writers]


def assert_whole(framework: Framework, layer: Layer, number: int) -> None:
    version = framework.release(number).layers[0]
    digests = row_digests_of(framework.as_of_arrow(layer, number), layer).to_pylist()
    assert version.count == len(digests)
    assert version.digest == layer_digest(layer_sum(digests), len(digests))


def test_two_writers_of_other_features_both_land_and_one_is_rebased(
    framework: Framework, release: Make, stage: Callable[..., Task], buildings: Layer,
    writers: tuple[Writer, Writer],
) -> None:  # fmt: skip
    release(FIRST)
    tasks = (
        stage("one", [*changed(0, 100, 2), ("v1", "new", 0, 7)]),
        stage("two", [*changed(100, 200, 3), ("u299", "removed", 0, 1)]),
    )
    answers = at_once(writers, tasks)
    assert [one["outcome"] for one in answers] == ["done", "done"], answers
    assert sorted((one["rebased_from"] for one in answers), key=str) == [1, None]
    assert [one.number for one in framework.releases()] == [1, 2, 3]
    rows = framework.as_of(buildings, 3).set_index("uid")["floors"]
    assert rows.value_counts().to_dict() == {2: 100, 3: 100, 1: 99, 7: 1}
    for number in (1, 2, 3):
        assert_whole(framework, buildings, number)


def test_of_two_writers_of_one_feature_the_second_is_told_what_collides(
    framework: Framework, release: Make, stage: Callable[..., Task], buildings: Layer,
    writers: tuple[Writer, Writer],
) -> None:  # fmt: skip
    release(FIRST)
    answers = at_once(
        writers, (stage("one", changed(0, 100, 2)), stage("two", changed(97, 200, 3)))
    )
    assert sorted(one["outcome"] for one in answers) == ["done", "refused"], answers
    refused = next(one for one in answers if one["outcome"] == "refused")
    assert refused["error"] == "GateClosedError"
    assert "features of layer buildings that it changes too: u097, u098, u099" in refused["message"]
    assert [one.number for one in framework.releases()] == [1, 2]
    assert_whole(framework, buildings, 2)


def test_a_reader_sees_the_former_release_until_the_commit_is_done(
    framework: Framework, release: Make, stage: Callable[..., Task], buildings: Layer,
    writers: tuple[Writer, Writer],
) -> None:  # fmt: skip
    release(FIRST)
    writer = writers[0]
    writer.say(json.dumps(stage("trial", changed(0, 200, 2))))
    seconds = json.loads(writer.line())["seconds"]
    during = answered = 0
    # a reader that has the store open, as a desktop GIS does
    with framework.home.engine.connect() as opened:
        opened.execute(sa.text("SELECT 1"))
        for trial in range(10):
            task = stage(f"c{trial}", changed(0, 200, 3 + trial))
            before = len(framework.releases())
            writer.say(json.dumps({**task, "stop_after": seconds * trial / 10}))
            assert writer.line() == "stopped"
            number = len(framework.releases())
            during += number == before
            assert number in (before, before + 1)
            # a writer that stands still while it opens the file holds readers off, who are told
            with suppress(SourceUnreachableError):
                floors = framework.as_of(buildings, number)["floors"].value_counts().to_dict()
                newest = 2 + trial if number == before else 3 + trial
                assert floors == {newest: 200, 1: 100}
                assert_whole(framework, buildings, number)
                answered += 1
            writer.say("go on")
            assert json.loads(writer.line())["outcome"] == "done"
            assert len(framework.releases()) == before + 1
    assert during > 3
    assert answered > 5
