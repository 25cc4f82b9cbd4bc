"""A run that is killed at any moment is completed by the next one."""

import random
import subprocess
import sys
import time
from typing import Any

import pytest

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.pipeline.plan import cycle_state

Parcel = tuple[str, float, float, str | None]
RUN = """
import sys
print("ready", flush=True)
from cityframe.cli import main
sys.exit(main(["--workspace", sys.argv[1], "cycle", "run", "monthly", "--approve", "li",
               "--reason", "ok"]))
"""
KILLS = 3


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_run_killed_at_any_moment_is_completed_by_the_next_one(
    town: Any, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    assert town.run().release == 1
    first = town.city.framework.release(1)
    later = [("P000", 0.0, 0.0, "2"), *grid[1:99], ("P900", 0.0, 11.0, "1")]
    town.deliver_parcels(later, at="2026-02-01")
    rng = random.Random(20260102)
    for _ in range(KILLS):
        if run(town, kill_after=rng.uniform(1.0, 15.0)):
            break
        releases = town.city.framework.releases()
        assert releases[0] == first
        assert_whole(town)
    assert run(town, kill_after=None) or len(town.city.framework.releases()) == 2
    assert [one.number for one in town.city.framework.releases()] == [1, 2]
    assert_whole(town)
    assert cycle_state(town.city, "monthly-0002").value == "published"
    assert town.city.ledger.verify() > 0
    released = list(town.city.ledger.entries(what="released", subject="monthly-0002"))
    assert len(released) == 1


def assert_whole(town: Any) -> None:
    framework = town.city.framework
    layer = framework.contract("parcels")
    for release in framework.releases():
        rows = framework.as_of(layer, release.number)
        digest = layer_digest(layer_sum(row_digests(rows, layer)), len(rows))
        assert digest == release.layers[0].digest


def run(town: Any, *, kill_after: float | None) -> bool:
    """Run the cycle in its own process; return whether it ended by itself."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(town.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if kill_after is not None:
            deadline = time.monotonic() + kill_after
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            process.kill()
        process.stdout.read()
        return process.wait(120) == 0
