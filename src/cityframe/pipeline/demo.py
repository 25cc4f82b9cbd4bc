"""The demo: two update cycles of a generated city through Airflow, decided in the ledger.

::

    Airflow                            the demo beside it
                                       generate the city, start a broker, deliver the first month
    pull every source, run the cycle
    wait at the gate                   deliver the second month, approve
    release, publish
    pull every source, run the cycle
    wait at the gate                   approve
    release, publish
                                       verify the change package, compare with the truth

All that it starts ends with it. It writes into ``demo/`` and into the store, and nowhere else.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cityframe.config.cycle import Series
from cityframe.config.source import MqttPull
from cityframe.demo import TruthTable, generate_city, read_truth
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
from cityframe.pipeline.plan import cycle_state, cycles_of
from cityframe.pipeline.reporting import findings_by_layer, report_folder
from cityframe.pipeline.truth import truth_of_cycle

DELIVERIES = 2
MARKER = ".made-by-demo"
TRUTH_FILE = "truth.jsonl"
AIRFLOW = "airflow"
POLL_S = 0.5
GATE_POLL_S = 1.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoCycle:
    """One cycle of the demo: what it released, and how many findings it had."""

    cycle: str
    release: Release
    findings: int
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
    children: Children
    port: int
    say: Say

    @property
    def series(self) -> Series:
        return next(iter(self.city.workspace.series.values()))

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

    port = free_port()
    environment = {
        "CITYFRAME_DEMO_FEEDS": str(folder / "feeds" / "current"),
        "CITYFRAME_DEMO_BROKER_HOST": "127.0.0.1",
        "CITYFRAME_DEMO_BROKER_PORT": str(port),
    }
    with Children(folder / "logs", environment) as children:
        stage = _Stage(root, folder, city, children, port, say_when)
        broker = _prepare(stage, buildings=buildings, seed=seed)
        cycles = tuple(_run_cycles(stage))
        _verify_packages(stage)
    return DemoOutcome(
        cycles=cycles,
        truth=_truth(stage, cycles[-1].cycle),
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


def _prepare(stage: _Stage, *, buildings: int, seed: int) -> str:
    """Side by side: generate the city, make Airflow's database, let the broker know the bridge."""
    broker = start_broker(stage.children, stage.folder, stage.port, root=stage.root)
    stage.say(f"{broker} listens on 127.0.0.1:{stage.port}")
    database = stage.children.start("airflow-database", [*_local_run(stage), "--fresh"])
    # from here on the broker keeps the bridge's session, and messages wait in it
    session = stage.children.start("bridge", _bridge(stage, idle_s=0.2))
    stage.say(f"generating a city of {buildings:,} buildings and {DELIVERIES} deliveries")
    generate_city(
        stage.feeds, buildings=buildings, deliveries=DELIVERIES, seed=seed, progress=_silent
    )
    stage.children.finish("bridge", session)
    stage.children.finish("airflow-database", database)
    return broker


def _run_cycles(stage: _Stage) -> Iterator[DemoCycle]:
    """Let Airflow run all cycles; deliver what the next one needs while one is in review."""
    _deliver(stage, 1)
    dags = [*(f"pull_{source}" for source in stage.series.sources), f"cycle_{stage.series.name}"]
    log = stage.children.log(AIRFLOW)
    command = [*_local_run(stage), "--log", log, "--gate-poll-s", GATE_POLL_S, *dags * DELIVERIES]
    stage.say("Airflow starts, pulls every source and runs the cycle")
    airflow = stage.children.show(AIRFLOW, [str(part) for part in command])
    for number in range(1, DELIVERIES + 1):
        cycle = _wait_for(stage, airflow, CycleState.IN_REVIEW)
        report = report_folder(stage.city, cycle)
        stage.say(f"{cycle} is in review: {report}")
        if number < DELIVERIES:
            _deliver(stage, number + 1)
        stage.children.ask(
            "approve",
            cityframe(
                "--workspace", stage.root, "cycle", "approve", stage.series.name,
                "--by", stage.series.approvers[0], "--reason", f"demo: delivery {number} looked at",
            ),
        )  # fmt: skip
        stage.say(f"{cycle} is approved by {stage.series.approvers[0]}")
        if number < DELIVERIES:
            _wait_for(stage, airflow, CycleState.PUBLISHED)
        else:
            stage.children.finish(AIRFLOW, airflow)
        yield _cycle(stage, cycle, report)


def _deliver(stage: _Stage, number: int) -> None:
    """Put a delivery in place: its files, and its messages through broker and bridge.

    Raises
    ------
    IntegrityError
        If the bridge did not do with the messages what the generator knows of them.
    """
    current = stage.feeds / "current"
    current.unlink(missing_ok=True)
    current.symlink_to(_delivery(stage, number).name)
    send_messages(stage.port, current / "mqtt.jsonl")
    did = stage.children.ask("bridge", _bridge(stage, idle_s=1.0))
    for known in read_truth(current / TRUTH_FILE).messages:
        expected = {
            "received": known.sent,
            "stored": known.sent - known.duplicate - known.malformed,
            "duplicates": known.duplicate,
            "rejected": known.malformed,
        }
        found = {name: did[name] for name in expected}
        if found != expected:
            raise IntegrityError(
                where=f"bridge of delivery {number}", found=str(found), expected=str(expected)
            )
    stage.say(
        f"delivery {number} is there: files, and {did['received']:,} messages "
        f"({did['stored']:,} stored, {did['duplicates']} double, {did['rejected']} not readable)"
    )


def _wait_for(stage: _Stage, airflow: Process, state: CycleState) -> str:
    """Wait until the newest cycle of the series is in a state, and return its id."""
    while True:
        opened = cycles_of(stage.city, stage.series.name)
        if opened and cycle_state(stage.city, opened[-1].subject) is state:
            return opened[-1].subject
        if airflow.poll() is not None:
            raise stage.children.failure(AIRFLOW, airflow)
        time.sleep(POLL_S)


def _cycle(stage: _Stage, cycle: str, report: Path) -> DemoCycle:
    release = stage.city.framework.released_by(cycle)
    if release is None:
        raise IntegrityError(where=cycle, found="no release came of an approved cycle")
    layers = findings_by_layer(stage.city, cycle).values()
    return DemoCycle(cycle, release, sum(len(frame) for frame in layers), report)


def _verify_packages(stage: _Stage) -> None:
    for number in range(2, DELIVERIES + 1):
        change = stage.city.package_folder(number, "change")
        base = stage.city.package_folder(number - 1, "full")
        did = stage.children.ask("verify", cityframe("package", "verify", change, "--base", base))
        stage.say(f"verified: {did['proved']}")


def _truth(stage: _Stage, cycle: str) -> TruthTable:
    """Compare the last cycle with the truth, in the layers that the generator makes.

    States of the sensors follow from the messages, which the bridge was checked for.
    """
    found = truth_of_cycle(stage.city, cycle, _delivery(stage, DELIVERIES) / TRUTH_FILE)
    manifest = json.loads((stage.feeds / "manifest.json").read_text(encoding="utf-8"))
    layers = set(manifest["deliveries"][-1]["features"])

    def known(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name.partition(" ")[0] in layers)

    return TruthTable(
        changes=tuple(row for row in found.changes if row.layer in layers),
        rules=tuple(row for row in found.rules if row.layer in layers),
        missed=known(found.missed),
        invented=known(found.invented),
    )


def _local_run(stage: _Stage) -> list[str | Path]:
    return [
        sys.executable, "-m", "cityframe.orchestration.local_run",
        "--home", stage.folder / "airflow_home",
        "--dags", stage.root / "dags",
        "--workspace", stage.root,
    ]  # fmt: skip


def _bridge(stage: _Stage, *, idle_s: float) -> list[str]:
    sources = stage.city.workspace.sources.values()
    names = [source.name for source in sources if isinstance(source.pull, MqttPull)]
    return cityframe("--workspace", stage.root, "bridge", names[0], "--idle", str(idle_s))


def _delivery(stage: _Stage, number: int) -> Path:
    return stage.feeds / f"delivery_{number}"


def _silent(_text: str) -> None:
    """Say nothing: the city is made in seconds."""
