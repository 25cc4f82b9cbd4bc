"""Sources and feeds as small as can be, real data where it is, a real broker."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cityframe.config.source import Feed, Source


@pytest.fixture
def feed() -> Callable[..., Feed]:
    def make(**fields: Any) -> Feed:
        return Feed(layer="things", **{"columns": {}, **fields})

    return make


@pytest.fixture
def source() -> Callable[..., Source]:
    def make(pull: Mapping[str, Any] | None = None, **fields: Any) -> Source:
        return Source.model_validate(
            {
                "name": "survey",
                "title": {"zh": "测绘", "en": "Survey"},
                "kind": "survey",
                "delivery": "full",
                "pull": pull or {"type": "files"},
                "feeds": [{"layer": "things", "columns": {}}],
                **fields,
            }
        )

    return make


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data sets."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("CITYFRAME_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CITYFRAME_DATA")
    return folder


class Broker:
    """A Mosquitto of one's own on the loopback, with a store that outlives it."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary = binary
        self.port = _free_port()
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous true\n"
            "persistence true\n"
            f"persistence_location {folder}/\n"
            "autosave_interval 1\n"
            "max_queued_messages 0\n" + ("user root\n" if os.geteuid() == 0 else "")
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.binary, "-c", str(self.config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"mosquitto did not open port {self.port}")

    def ask_for_password(self, user: str, password: str) -> None:
        """Let nobody else in from the next start on."""
        file = self.config.with_name("passwords")
        maker = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
        subprocess.run([maker, "-c", "-b", str(file), user, password], check=True)
        text = self.config.read_text().replace("allow_anonymous true", f"password_file {file}")
        self.config.write_text(text)

    def stop(self) -> None:
        """End it as a service manager does: it saves its sessions."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if binary is None:
        reason = "no mosquitto; install it to run the bridge against a real broker"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path / "broker"
    folder.mkdir()
    one = Broker(binary, folder)
    one.start()
    yield one
    one.stop()
