"""The demo: two update cycles of a generated city through Airflow, decided in the ledger.

::

    generate the city -> start a broker
    for each delivery: put it in place -> send its messages, run the bridge
                       -> pull every source, run the cycle (Airflow)
                       -> once in review: approve (a second process) -> release, packages
    verify the change package -> hold the second cycle against the truth

All that it starts ends with it. It writes into ``demo/`` and into the store, and into no other.
"""

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cityframe.config.cycle import Series
from cityframe.config.source import MqttPull
from cityframe.demo import TruthTable, generate_city
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.cycle import CycleState
from cityframe.model.release import Release
from cityframe.pipeline.city import City, open_city
from cityframe.pipeline.demo_processes import (
    Children,
    Process,
    cityframe,
    free_port,
    send_messages,
    start_broker,
)
from cityframe.pipeline.plan import cycle_state, open_cycle_of
from cityframe.pipeline.reporting import findings_by_layer, report_folder
from cityframe.pipeline.truth import truth_of_cycle

DELIVERIES = 2
MARKER = ".made-by-demo"
POLL_S = 0.5
GATE_POLL_S = 1.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoCycle:
    """One cycle of the demo: what it released and how many findings it had, by rule."""

    cycle: str
    release: Release
    findings: dict[str, int]
    report: Path


@dataclass(frozen=True)
class DemoOutcome:
    """What the demo came to.

    Attributes
    ----------
    truth : TruthTable
        The second cycle against what the generator had changed and spoiled.
    """

    cycles: tuple[DemoCycle, ...]
    truth: TruthTable
    framework: Path
    packages: Path
    broker: str
    seconds: float


@dataclass(frozen=True)
class _Stage:
    """What the steps of the demo share."""

    root: Path
    folder: Path
    city: City
    series: Series
    children: Children
    port: int
    say: Say

    @property
    def feeds(self) -> Path:
        return self.folder / "feeds"


def run_demo(root: Path, *, buildings: int, seed: int, say: Say) -> DemoOutcome:
    """Run the demo from a clean start.

    Parameters
    ----------
    root : Path
        The workspace of the demo city, with ``dags/``.
    buildings, seed : int
        Of the generated city.
    say : callable
        Is told what happens, a line at a time.

    Raises
    ------
    CityframeError
        If a step fails; all processes have ended then.
    """
    started = time.monotonic()
    root = root.resolve()
    folder = root / "demo"
    city = open_city(root)
    _start_clean(city, folder)

    def say_when(text: str) -> None:
        say(f"{time.monotonic() - started:6.1f} s  {text}")

    say_when(f"generating a city of {buildings:,} buildings and {DELIVERIES} deliveries")
    generate_city(
        folder / "feeds", buildings=buildings, deliveries=DELIVERIES, seed=seed, progress=_silent
    )
    port = free_port()
    environment = {
        "CITYFRAME_DEMO_FEEDS": str(folder / "feeds" / "current"),
        "CITYFRAME_DEMO_BROKER_HOST": "127.0.0.1",
        "CITYFRAME_DEMO_BROKER_PORT": str(port),
    }
    with Children(folder / "logs", environment) as children:
        broker = start_broker(children, folder, port, root=root)
        say_when(f"{broker} listens on 127.0.0.1:{port}")
        series = next(iter(city.workspace.series.values()))
        stage = _Stage(root, folder, city, series, children, port, say_when)
        _bridge(stage, idle_s=0.5)  # the broker keeps its session from here on
        cycles = tuple(_run_delivery(stage, number) for number in range(1, DELIVERIES + 1))
        _verify_packages(stage)
    truth = truth_of_cycle(city, cycles[-1].cycle, _delivery(stage, DELIVERIES) / "truth.jsonl")
    return DemoOutcome(
        cycles=cycles,
        truth=truth,
        framework=city.workspace.store / "framework.gpkg",
        packages=city.workspace.store / "packages",
        broker=broker,
        seconds=time.monotonic() - started,
    )


def _start_clean(city: City, folder: Path) -> None:
    """Empty what a former demo left; a store that is not the demo's is never touched."""
    store = city.workspace.store
    if store.exists() and any(store.iterdir()) and not (store / MARKER).exists():
        raise DeclarationError(
            where=str(store),
            found="a store that the demo did not make",
            expected="none, or one of a former demo",
            remedy="move it away, or set CITYFRAME_DEMO_STORE to another folder",
        )
    for path in (store, folder / "feeds", folder / "logs"):
        if path.exists():
            shutil.rmtree(path)
    store.mkdir(parents=True)
    (store / MARKER).touch()
    folder.mkdir(exist_ok=True)


def _run_delivery(stage: _Stage, number: int) -> DemoCycle:
    """Put a delivery in place, let Airflow run its cycle, and approve it."""
    current = stage.feeds / "current"
    current.unlink(missing_ok=True)
    current.symlink_to(_delivery(stage, number).name)
    sent = send_messages(stage.port, current / "mqtt.jsonl")
    _bridge(stage, idle_s=2.0)
    stage.say(f"delivery {number}: {sent:,} messages sent and stored; Airflow runs the DAGs")
    airflow = _start_airflow(stage, number)
    cycle = _wait_for_review(stage, airflow, f"airflow-{number}")
    stage.say(f"{cycle} is in review; its report is in {report_folder(stage.city, cycle)}")
    stage.children.run(
        f"approve-{number}",
        cityframe(
            "--workspace", stage.root, "cycle", "approve", stage.series.name,
            "--by", stage.series.approvers[0], "--reason", f"demo: delivery {number} looked at",
        ),
    )  # fmt: skip
    stage.children.finish(f"airflow-{number}", airflow)
    release = stage.city.framework.released_by(cycle)
    if release is None:
        raise IntegrityError(where=cycle, found="no release came of an approved cycle")
    stage.say(f"{cycle}: release {release.number}")
    findings: dict[str, int] = {}
    for frame in findings_by_layer(stage.city, cycle).values():
        for rule, count in frame["rule"].value_counts().items():
            findings[str(rule)] = findings.get(str(rule), 0) + int(count)
    return DemoCycle(cycle, release, findings, report_folder(stage.city, cycle))


def _start_airflow(stage: _Stage, number: int) -> Process:
    pulls = [f"pull_{source}" for source in stage.series.sources]
    return stage.children.start(
        f"airflow-{number}",
        [
            sys.executable, "-m", "cityframe.orchestration.local_run",
            "--home", stage.folder / "airflow_home",
            "--dags", stage.root / "dags",
            "--workspace", stage.root,
            "--log", stage.children.log(f"airflow-{number}"),
            "--gate-poll-s", str(GATE_POLL_S),
            *(["--fresh"] if number == 1 else []),
            *pulls,
            f"cycle_{stage.series.name}",
        ],
        is_shown=True,
    )  # fmt: skip


def _wait_for_review(stage: _Stage, airflow: Process, name: str) -> str:
    while airflow.poll() is None:
        cycle = open_cycle_of(stage.city, stage.series.name)
        if cycle is not None and cycle_state(stage.city, cycle) is CycleState.IN_REVIEW:
            return cycle
        time.sleep(POLL_S)
    raise stage.children.failure(name, airflow)


def _bridge(stage: _Stage, *, idle_s: float) -> None:
    for source in stage.city.workspace.sources.values():
        if isinstance(source.pull, MqttPull):
            arguments = ("bridge", source.name, "--idle", str(idle_s))
            stage.children.run("bridge", cityframe("--workspace", stage.root, *arguments))


def _verify_packages(stage: _Stage) -> None:
    for number in range(2, DELIVERIES + 1):
        change = stage.city.package_folder(number, "change")
        base = stage.city.package_folder(number - 1, "full")
        stage.children.run("verify", cityframe("package", "verify", change, "--base", base))
        stage.say(f"verified: full({number}) = apply(change({number}), full({number - 1}))")


def _delivery(stage: _Stage, number: int) -> Path:
    return stage.feeds / f"delivery_{number}"


def _silent(_text: str) -> None:
    """Say nothing: the city is made in seconds."""
