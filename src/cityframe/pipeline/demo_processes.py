"""The processes that the demo starts: each ends with it, whatever happens."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cityframe.errors import CityframeError, DeclarationError, SourceUnreachableError

LOOPBACK = "127.0.0.1"
END_WITHIN_S = 5.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BROKER_WITHIN_S = 20.0
SENT_WITHIN_S = 60.0
TAIL_LINES = 15

Process = subprocess.Popen[bytes]


class Children:
    """Child processes that end with the block.

    Parameters
    ----------
    logs : Path
        Folder for what they print, one file a name.
    environment : mapping of str to str
        Added to the present one.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = {**os.environ, **environment}
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # a second Ctrl-C must not leave anything behind: it comes through afterwards
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            _end(self._started)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def start(self, name: str, command: Sequence[str | Path]) -> Process:
        """Start a process; what it prints goes to its log."""
        with self.log(name).open("ab") as log:
            return self._start(command, output=log, errors=log)

    def show(self, name: str, command: Sequence[str | Path]) -> Process:
        """Start a process whose output is shown, as progress; its errors go to its log."""
        with self.log(name).open("ab") as log:
            return self._start(command, output=sys.stderr, errors=log)

    def ask(self, name: str, command: Sequence[str]) -> dict[str, Any]:
        """Run a command of the command line and return the object that it answers.

        Raises
        ------
        CityframeError
            If it fails; with the end of what it printed.
        """
        with self.log(name).open("ab") as log, tempfile.TemporaryFile() as output:
            self.finish(
                name, self._start([*command, "--output", "json"], output=output, errors=log)
            )
            output.seek(0)
            return dict(json.load(output))

    def _start(
        self, command: Sequence[str | Path], *, output: IO[Any], errors: IO[bytes]
    ) -> Process:
        process = subprocess.Popen(  # noqa: S603
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=self._environment,
            # a session of its own, so that all that it starts can be ended with it
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def finish(self, name: str, process: Process) -> None:
        """Wait for the end of a process and see that it went well."""
        if process.wait() != 0:
            raise self.failure(name, process)

    def failure(self, name: str, process: Process) -> CityframeError:
        """Return the error that says how a process failed."""
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
        return CityframeError(
            where=str(self.log(name)),
            found=f"{name} ended with {process.returncode}; it said last\n{tail}\n",
            expected="0",
        )

    def log(self, name: str) -> Path:
        """Return the file with what a process prints."""
        return self._logs / f"{name}.log"


def cityframe(*arguments: str | Path) -> list[str]:
    """Return the command line's command."""
    return [sys.executable, "-m", "cityframe.cli", *(str(one) for one in arguments)]


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def start_broker(children: Children, folder: Path, port: int, *, root: Path) -> str:
    """Start an MQTT broker on the loopback interface and return its name.

    Mosquitto if it is installed, else amqtt from ``.venv-broker``.

    Raises
    ------
    DeclarationError
        If there is neither.
    SourceUnreachableError
        If it does not come up.
    """
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    amqtt = root / ".venv-broker" / "bin" / "amqtt"
    if mosquitto:
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            f"listener {port} {LOOPBACK}\nallow_anonymous true\nmax_queued_messages 0\n",
            encoding="utf-8",
        )
        name, command = "mosquitto", [mosquitto, "-c", str(configuration)]
    elif amqtt.exists():
        configuration = folder / "amqtt.yaml"
        # this plugin lets in everybody; the anonymous one keeps no messages while a client is away
        configuration.write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: {LOOPBACK}:{port}\n"
            "plugins:\n  amqtt.plugins.base.BaseAuthPlugin:\n",
            encoding="utf-8",
        )
        name, command = "amqtt", [str(amqtt), "-c", str(configuration)]
    else:
        raise DeclarationError(
            found="no MQTT broker",
            expected=f"mosquitto, or {amqtt}",
            remedy="run `make .venv-broker/ready`, or install mosquitto",
        )
    _wait_for_port(children, name, children.start(name, command), port)
    return name


def send_messages(port: int, path: Path) -> int:
    """Send the messages of a file, one JSON object with ``topic`` and ``payload`` a line.

    Returns
    -------
    int
        How many; the broker has acknowledged each.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(200)
    client.connect(LOOPBACK, port)
    client.loop_start()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        messages = [json.loads(line) for line in lines]
        sent = [client.publish(one["topic"], one["payload"], qos=1) for one in messages]
        for one in sent:
            one.wait_for_publish(SENT_WITHIN_S)
            if not one.is_published():
                raise SourceUnreachableError(
                    where=f"{LOOPBACK}:{port}", found="the broker does not acknowledge a message"
                )
        client.disconnect()
    finally:
        client.loop_stop()
    return len(sent)


def _wait_for_port(children: Children, name: str, process: Process, port: int) -> None:
    until = time.monotonic() + BROKER_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise children.failure(name, process)
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.1)
    raise SourceUnreachableError(
        where=f"{LOOPBACK}:{port}", found=f"{name} does not answer", remedy="see its log"
    )


def _end(processes: Sequence[Process]) -> None:
    """End processes and all that they started; those that have ended are left alone."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + END_WITHIN_S
    for process in running:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
