"""How long an update cycle takes, how that grows with the city, and what Airflow adds.

Run with::

    python benchmarks/cycle.py grow 10000 100000 1000000
    python benchmarks/cycle.py airflow 10000

``grow`` generates a city of each size and takes in two deliveries, the second with about one
feature in a hundred changed, step by step in a process of their own: wall and CPU seconds and peak
memory. ``airflow`` runs the same second cycle plainly and through the DAG, as whole processes. The
sensor feed is left out, for it needs a broker.
"""

import argparse
import datetime as dt
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cityframe.pipeline.city import City, open_city

ROOT = Path(__file__).resolve().parents[1]
DECLARATIONS = ("cityframe.yaml", "schemas", "sources", "quality_rules", "cycles")
SOURCES = ("survey_base", "survey_network", "addresses", "pois", "housing", "sensors")
SERIES = "monthly"
APPROVER = "chief"


def main() -> None:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("grow", "airflow", "steps"))
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    if options.what == "steps":
        steps(Path(options.arguments[0]), int(options.arguments[1]))
    elif options.what == "grow":
        for size in map(int, options.arguments):
            grow(size)
    else:
        airflow(int(options.arguments[0]))


def grow(size: int) -> None:
    """Print the steps of both cycles of a city of so many buildings."""
    with new_town(size) as root:
        for number in (1, 2):
            print(f"\n{size:,} buildings, delivery {number}", flush=True)
            subprocess.run([sys.executable, __file__, "steps", str(root), str(number)], check=True)


def steps(root: Path, number: int) -> None:
    """Take in one delivery and print what each step took; runs in its own process."""
    lap = _Lap()
    from cityframe.pipeline import cycle as steps_of
    from cityframe.pipeline.review import approve

    city = deliver(root, number)
    lap("start and pull")
    name = steps_of.open_cycle(city, SERIES)
    assert name is not None
    for source in SOURCES:
        steps_of.take_in(city, name, source)
    lap("take in: read, conform, check, reconcile")
    steps_of.stage(city, name)
    lap("stage")
    steps_of.check_candidate(city, name)
    lap("check candidate, all layers in full")
    steps_of.put_in_review(city, name)
    lap("report")
    approve(city, name, who=APPROVER, why="benchmark")
    steps_of.release(city, name)
    lap("release")
    steps_of.publish(city, name)
    lap("publish: packages built and proved")
    lap.total()


def airflow(size: int) -> None:
    """Print the second cycle's time plainly and through Airflow, and the ratio."""
    with new_town(size) as root:
        city = deliver(root, 1)
        plain_run(root)
        deliver(root, 2)
        twin = root.with_name("twin")
        shutil.copytree(root, twin)
        plain = timed(lambda: plain_run(root))
        home = root.with_name("airflow_home")
        dag_run(home, root, [])
        empty = timed(lambda: dag_run(home, root, ["cycle_monthly"]))
        through = timed(lambda: dag_run(home, twin, ["cycle_monthly"]))
        releases = [len(open_city(one).framework.releases()) for one in (root, twin)]
        assert releases == [2, 2], releases
        assert city.workspace.series[SERIES].approvers == (APPROVER,)
    for what, (wall, cpu) in (("plain", plain), ("through Airflow", through), ("empty", empty)):
        print(f"{size:,} buildings, second cycle, {what}: {wall:.1f} s, {cpu:.1f} CPU s")
    for unit, place in (("wall", 0), ("CPU", 1)):
        share = (through[place] - plain[place]) / through[place]
        print(f"Airflow's share of the {unit} time: {share:.0%}")


def plain_run(root: Path) -> None:
    """Run the cycle from the command line."""
    command = [
        sys.executable, "-m", "cityframe.cli", "--workspace", str(root), "cycle", "run", SERIES,
        "--approve", APPROVER, "--reason", "benchmark",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def dag_run(home: Path, root: Path, dags: list[str]) -> None:
    """Run DAGs in one process, approved from this one as soon as a cycle is in review."""
    command = [
        sys.executable, "-m", "cityframe.orchestration.local_run", "--home", str(home),
        "--dags", str(ROOT / "dags"), "--workspace", str(root), "--gate-poll-s", "0.5", *dags,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watcher = threading.Thread(target=approve_when_asked, args=(root, process), daemon=True)
        watcher.start()
        assert process.wait() == 0


def approve_when_asked(root: Path, process: "subprocess.Popen[bytes]") -> None:
    """Approve the cycle in review, once, while a process runs."""
    from cityframe.model.cycle import CycleState
    from cityframe.pipeline.plan import cycle_state, open_cycle_of
    from cityframe.pipeline.review import approve

    city = open_city(root)
    while process.poll() is None:
        name = open_cycle_of(city, SERIES)
        if name and cycle_state(city, name) is CycleState.IN_REVIEW:
            approve(city, name, who=APPROVER, why="benchmark")
            return
        time.sleep(0.2)


def deliver(root: Path, number: int) -> City:
    """Pull all sources of a delivery."""
    from cityframe.pipeline.pull import pull

    os.environ["CITYFRAME_DEMO_FEEDS"] = str(root.with_name("feeds") / f"delivery_{number}")
    city = open_city(root)
    for source in SOURCES:
        pull(city, source, at=dt.datetime(2026, number, 1, tzinfo=dt.UTC))
    return city


@contextmanager
def new_town(size: int) -> Iterator[Path]:
    """Give a workspace beside freshly generated feeds."""
    from cityframe.demo import generate_city

    with tempfile.TemporaryDirectory(prefix="cityframe-benchmark-") as folder:
        root = Path(folder) / "town"
        root.mkdir()
        for name in DECLARATIONS:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name)
            else:
                shutil.copyfile(source, root / name)
        started = time.monotonic()
        generate_city(
            root.with_name("feeds"), buildings=size, deliveries=2, seed=1, progress=lambda _: None
        )
        print(f"\n{size:,} buildings generated in {time.monotonic() - started:.0f} s", flush=True)
        yield root


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall seconds that work took, and the CPU seconds of the processes it ran."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu


class _Lap:
    """Prints wall and CPU seconds since the last lap, and peak memory so far."""

    def __init__(self) -> None:
        self._wall = self._start = time.monotonic()
        self._cpu = 0.0

    def __call__(self, name: str) -> None:
        wall, cpu = time.monotonic(), self._cpu_seconds()
        self._print(name, wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu

    def total(self) -> None:
        self._print("total", time.monotonic() - self._start, self._cpu_seconds())

    @staticmethod
    def _cpu_seconds() -> float:
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    @staticmethod
    def _print(name: str, wall: float, cpu: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:45s} {wall:8.1f} s {cpu:8.1f} CPU s {peak:6.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
