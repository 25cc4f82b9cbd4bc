"""A release is all or nothing, whatever moment the process is killed at."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.model.layer import Layer
from cityframe.model.release import Release
from cityframe.store import contract
from cityframe.store.candidate import write_candidate
from cityframe.store.framework import Framework

COMMIT = """
import datetime as dt, sys
from pathlib import Path
from cityframe.model.release import ReleaseKind
from cityframe.store import contract
from cityframe.store.candidate import read_candidate
from cityframe.store.commit import commit
from cityframe.store import contract
from cityframe.store.framework import Framework

framework = Framework(Path(sys.argv[1]))
candidate = read_candidate(Path(sys.argv[2]))
layers = {"buildings": contract.read(Path(sys.argv[3]).read_text())}
print("ready", flush=True)
commit(framework, candidate, layers, kind=ReleaseKind.CYCLE, cycle="killed", evidence={},
       at=dt.datetime(2020, 5, 1, tzinfo=dt.UTC))
print("done", flush=True)
"""
ROWS = 4000
KILLS = 8


def assert_whole(framework: Framework, layer: Layer, number: int) -> None:
    rows = framework.as_of(layer, number)
    version = framework.release(number).layers[0]
    assert len(rows) == version.count
    assert layer_digest(layer_sum(row_digests(rows, layer)), len(rows)) == version.digest


def test_a_killed_commit_leaves_the_former_release_and_the_next_run_completes(
    framework: Framework,
    release: Callable[..., Release],
    buildings: Layer,
    make_changes: Callable[..., gpd.GeoDataFrame],
    tmp_path: Path,
) -> None:
    release([(f"a{n:05d}", "new", 20.0 * n, 1) for n in range(ROWS)])
    changes = make_changes(
        [(f"a{n:05d}", "attributes", 20.0 * n, 2) for n in range(ROWS // 2)]
        + [(f"b{n:05d}", "new", 20.0 * n, 3) for n in range(ROWS)],
        valid_from="2020-02-01",
    )
    write_candidate(tmp_path / "c", framework, {"buildings": changes}, {"buildings": buildings})
    (tmp_path / "contract.json").write_text(contract.write(buildings), encoding="utf-8")
    arguments = [
        sys.executable, "-c", COMMIT, str(framework.path), str(tmp_path / "c"),
        str(tmp_path / "contract.json"),
    ]  # fmt: skip

    copy = framework.path.with_name("copy.gpkg")
    copy.write_bytes(framework.path.read_bytes())
    started = time.monotonic()
    assert is_finished([*arguments[:3], str(copy), *arguments[4:]], kill_after=None)
    seconds = time.monotonic() - started
    rng = random.Random(20260101)
    killed = 0
    for _ in range(KILLS):
        if is_finished(arguments, kill_after=rng.uniform(0, seconds)):
            break
        killed += 1
        assert len(framework.releases()) == 1
        assert_whole(framework, buildings, 1)
    assert killed > 0
    assert is_finished(arguments, kill_after=None)
    assert [one.number for one in framework.releases()] == [1, 2]
    for number in (1, 2):
        assert_whole(framework, buildings, number)


def is_finished(arguments: list[str], *, kill_after: float | None) -> bool:
    """Run the commit, killed so many seconds after it is set up; return whether it finished."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        return "done" in process.stdout.read()
