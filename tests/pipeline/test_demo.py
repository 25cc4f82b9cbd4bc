import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cityframe.errors import CityframeError, DeclarationError
from cityframe.pipeline.city import open_city
from cityframe.pipeline.demo import MARKER, run_demo
from cityframe.pipeline.demo_processes import Children, cityframe, free_port

SLEEPING_PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie that nobody has waited for has ended all the same
    return "(zombie)" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


def wait_for_text(path: Path) -> str:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if text := path.read_text(encoding="utf-8"):
            return text
        time.sleep(0.05)
    raise TimeoutError(path)


def test_children_and_their_children_end_with_the_block(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), Children(tmp_path / "logs", environment={}) as children:
        parent = children.start("parent", [sys.executable, "-c", SLEEPING_PARENT])
        grandchild = int(wait_for_text(children.log("parent")))
        assert is_running(grandchild)
        raise KeyboardInterrupt
    assert parent.returncode == -signal.SIGTERM
    until = time.monotonic() + 10
    while is_running(grandchild):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_child_that_does_not_want_to_end_is_ended_hard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cityframe.pipeline.demo_processes.END_WITHIN_S", 0.2)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    with Children(tmp_path / "logs", environment={}) as children:
        process = children.start("stubborn", [sys.executable, "-c", code])
        wait_for_text(children.log("stubborn"))
    assert process.returncode == -signal.SIGKILL


def test_failure_says_what_the_process_said_last(tmp_path: Path) -> None:
    with Children(tmp_path / "logs", environment={}) as children:
        process = children.start("broken", [sys.executable, "-c", "raise SystemExit('no bread')"])
        with pytest.raises(CityframeError, match="broken ended with 1; it said last\n    no bread"):
            children.finish("broken", process)


def test_command_line_answers_with_its_object(tmp_path: Path) -> None:
    with Children(tmp_path / "logs", environment={}) as children:
        answer = children.ask("init", cityframe("--workspace", tmp_path / "town", "init"))
    assert answer["workspace"] == str(tmp_path / "town")


def test_free_port_can_be_bound() -> None:
    assert 1024 <= free_port() <= 65535


def test_store_that_the_demo_did_not_make_is_never_emptied(tmp_path: Path) -> None:
    subprocess.run(cityframe("--workspace", tmp_path, "init"), check=True, capture_output=True)
    store = open_city(tmp_path).workspace.store
    store.mkdir()
    precious = store / "framework.gpkg"
    precious.touch()
    with pytest.raises(DeclarationError, match="a store that the demo did not make"):
        run_demo(tmp_path, buildings=2000, seed=1, say=print)
    assert precious.exists()
    assert not (store / MARKER).exists()
