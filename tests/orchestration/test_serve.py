"""All of Airflow as `make up` runs it: a pull wakes the cycle, a decision releases it."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cityframe.model.cycle import CycleState
from cityframe.pipeline.city import open_city
from cityframe.pipeline.cycle import approve
from cityframe.pipeline.demo_processes import free_port
from cityframe.pipeline.plan import cycle_state

DAGS = Path(__file__).parents[2] / "dags"
WITHIN_S = 240.0


@dataclass
class Server:
    """A running server, its port, and what it said."""

    process: subprocess.Popen[str]
    port: int
    said: list[str]

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status < 300, (answer.status, text)
        return json.loads(text)

    def dags(self, token: str) -> set[str]:
        return {one["dag_id"] for one in self.call("GET", "/api/v2/dags", token=token)["dags"]}

    def log_in(self) -> str:
        name, password = next(
            line.removeprefix("user ").split(", password ")
            for line in self.said
            if line.startswith("user ")
        )
        body = {"username": name, "password": password}
        return str(self.call("POST", "/auth/token", body)["access_token"])


def processes_of_session(home: Path) -> list[str]:
    """Return the command lines of running processes whose Airflow has this home."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"AIRFLOW_HOME={home}".encode() in environment and command:
            found.append(command)
    return found


def wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < until
        time.sleep(1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "airflow_home"


@pytest.fixture
def server(workspace: Path, home: Path) -> Iterator[Server]:
    for name in ("weekly", "by_day"):
        (workspace / "cycles" / f"{name}.yaml").unlink()
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    process = subprocess.Popen(
        [
            sys.executable, "-m", "cityframe.orchestration.serve",
            "--home", str(home), "--dags", str(DAGS), "--workspace", str(workspace),
            "--port", str(port),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.rstrip())
        if "Ctrl-C ends it" in line:
            break
    yield Server(process, port, said)
    process.terminate()
    process.wait(60)
    process.stdout.close()


def test_pull_wakes_the_cycle_which_waits_for_the_decision_and_releases(
    server: Server, workspace: Path, home: Path
) -> None:
    assert "made pool parks_office" in server.said
    token = server.log_in()
    wait_until(lambda: {"pull_tree_list", "cycle_as_it_comes"} <= server.dags(token))
    server.call("POST", "/api/v2/dags/pull_tree_list/dagRuns", {"logical_date": None}, token=token)
    city = open_city(workspace)
    cycle = "as_it_comes-0001"
    wait_until(lambda: cycle_state(city, cycle) is CycleState.IN_REVIEW)
    approve(city, cycle, who="li", why="trees are where they stand")
    wait_until(lambda: cycle_state(city, cycle) is CycleState.PUBLISHED)
    made = city.framework.current()
    assert made is not None
    assert made.cycle == cycle

    def has_ended() -> bool:
        runs = server.call("GET", "/api/v2/dags/cycle_as_it_comes/dagRuns", token=token)
        return [(one["run_type"], one["state"]) for one in runs["dag_runs"]] == [
            ("asset_triggered", "success")
        ]

    wait_until(has_ended)
    server.process.terminate()
    assert server.process.wait(60) == 0
    assert processes_of_session(home) == []
    # the page's process hides its environment
    with pytest.raises(ConnectionRefusedError):
        server.call("GET", "/api/v2/monitor/health")
