"""Run all of Airflow on this machine, until it is stopped.

``python -m cityframe.orchestration.serve --home DIR`` makes the database and the declared pools,
then starts scheduler, DAG processor, triggerer and page on 127.0.0.1.

``airflow standalone`` would do the same, but serves its logs on all interfaces and leaves its
processes behind when it is terminated.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO

from cityframe.config.workspace import read_workspace
from cityframe.errors import CityframeError, DeclarationError
from cityframe.orchestration.home import airflow_home
from cityframe.orchestration.settings import local_environment

HOST = "127.0.0.1"
LOG_FILE = "serve.log"
PASSWORDS_FILE = "simple_auth_manager_passwords.json.generated"
STOP_WITHIN_S = 20.0
PAGE = "api-server"
PARTS = {
    PAGE: (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}

Process = subprocess.Popen[bytes]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cityframe.orchestration.serve")
    parser.add_argument("--home", type=Path, required=True, help="folder of Airflow's database")
    parser.add_argument("--dags", type=Path, default=Path("dags"), help="folder of the DAG files")
    parser.add_argument("--workspace", type=Path, default=Path(), help="the workspace")
    parser.add_argument("--port", type=int, default=8080, help="port of the page on 127.0.0.1")
    options = parser.parse_args(arguments)
    try:
        return serve(
            home=options.home, dags=options.dags, workspace=options.workspace, port=options.port
        )
    except CityframeError as error:
        _say(f"cityframe: {error}")
        return error.exit_code


def serve(*, home: Path, dags: Path, workspace: Path, port: int) -> int:
    """Run Airflow in the foreground.

    Returns
    -------
    int
        0 after a stop that was asked for.

    Raises
    ------
    DeclarationError
        If a declaration is wrong, the port is taken, or another Airflow uses the home.
    CityframeError
        If a part of Airflow ends by itself.
    """
    declared = read_workspace(workspace)
    _check_port(port)
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: stopped.set())
    os.environ.update(local_environment(home=home, dags=dags, workspace=workspace, port=port))
    _say(f"preparing Airflow in {home}")
    with airflow_home(home), (home / LOG_FILE).open("ab") as log:
        # only now: Airflow reads its settings from the environment when it is imported
        from cityframe.orchestration.pools import create_missing_pools

        for pool in create_missing_pools(declared):
            _say(f"made pool {pool}")
        parts: dict[str, Process] = {}
        try:
            _run(parts, stopped, log, home=home, port=port)
        finally:
            _end(parts)
    return 0


def _run(
    parts: dict[str, Process], stopped: threading.Event, log: IO[bytes], *, home: Path, port: int
) -> None:
    """Start the parts and wait for the stop; the page first, because tasks report to it."""
    for name, options in PARTS.items():
        command = [sys.executable, "-m", "airflow", name, *options]
        # a session of its own: Ctrl-C reaches us alone, and we end the parts in order
        parts[name] = subprocess.Popen(  # noqa: S603
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        if name == PAGE:
            _wait(parts, stopped, log, until=lambda: _are_healthy(port, "metadatabase"))
        if stopped.is_set():
            return
    _wait(parts, stopped, log, until=lambda: _are_healthy(port, "scheduler", "dag_processor"))
    if not stopped.is_set():
        _say(f"Airflow is up: http://{HOST}:{port}")
        for user, password in _passwords(home).items():
            _say(f"user {user}, password {password}")
        _say(f"log: {log.name}; Ctrl-C ends it")
        _wait(parts, stopped, log, until=lambda: False)
    _say("ending Airflow")


def _wait(
    parts: Mapping[str, Process],
    stopped: threading.Event,
    log: IO[bytes],
    *,
    until: Callable[[], bool],
) -> None:
    """Wait until something is so or a stop is asked for.

    Raises
    ------
    CityframeError
        If a part ends by itself.
    """
    while not stopped.is_set() and not until():
        for name, process in parts.items():
            if _has_ended(process):
                raise CityframeError(
                    where=log.name, found=f"Airflow's {name} ended by itself", remedy="see there"
                )
        stopped.wait(1.0)


def _end(parts: Mapping[str, Process]) -> None:
    """End the parts, the page last: what still runs reports to it."""
    _end_all([process for name, process in parts.items() if name != PAGE])
    _end_all([process for name, process in parts.items() if name == PAGE])


def _end_all(processes: Collection[Process]) -> None:
    """End processes: first their own way, which lets running tasks end, then what is left."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + STOP_WITHIN_S
    while time.monotonic() < until and not all(_has_ended(one) for one in processes):
        time.sleep(0.2)
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _has_ended(process: Process) -> bool:
    """Return whether a process has ended, without freeing its id: its group is named by it."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None


def _are_healthy(port: int, *parts: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/api/v2/monitor/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        # it has not started to listen, or to answer sense: asked again in a second
        return False
    finally:
        connection.close()
    return all(answer[part]["status"] == "healthy" for part in parts)


def _passwords(home: Path) -> dict[str, str]:
    path = home / PASSWORDS_FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DeclarationError(
                where=f"{HOST}:{port}",
                found="the port is taken",
                remedy="choose another one: make up PORT=8081",
            ) from error


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
