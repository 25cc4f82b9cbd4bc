"""A program that commits candidates, each in a process of its own, which may come to harm.

It reads one task a line as JSON and answers in one line. It never opens a store itself, so that
its children start clean although they are forks, without the cost of importing everything anew.

====================  ===================================================================
store, url            what `open_framework` wants
candidate, contracts  folder of the candidate; file with a JSON list of contracts
cycle                 id of the cycle
kill_after            seconds until the process gets SIGKILL; null: never
stop_after            seconds until it gets SIGSTOP, until the next line on standard input
limit_bytes           size that no file may pass; null: none
limit_pages           pages that a GeoPackage may have; null: any number
====================  ===================================================================

The answer: ``outcome`` (``done``; ``refused``, by an error of ours; ``killed``; ``crashed``), that
``error`` and its ``message``, ``seconds`` from start to end, ``rebased_from``, ``was_there`` (as
the newest release before).
"""

import datetime as dt
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa

from cityframe.errors import CityframeError
from cityframe.model.release import Release, ReleaseKind
from cityframe.store import contract
from cityframe.store.candidate import read_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework, open_framework


def commit_task(framework: Framework, task: dict[str, Any]) -> Release:
    layers = [
        contract.read(json.dumps(one)) for one in json.loads(Path(task["contracts"]).read_text())
    ]
    if task.get("limit_bytes") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["limit_bytes"],) * 2)
    if task.get("limit_pages") is not None:

        @sa.event.listens_for(framework.home.engine, "connect")
        def _limit(connection: Any, _record: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {task['limit_pages']}")

    return commit(
        framework,
        read_candidate(Path(task["candidate"])),
        {layer.name: layer for layer in layers},
        kind=ReleaseKind.CYCLE,
        cycle=task["cycle"],
        evidence={},
        at=dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
    )


def attempt(task: dict[str, Any]) -> dict[str, Any]:
    framework = open_framework(Path(task["store"]), task.get("url"))
    try:
        newest = framework.current()
        made = commit_task(framework, task)
    except CityframeError as error:
        return {"outcome": "refused", "error": type(error).__name__, "message": str(error)}
    return {
        "outcome": "done",
        "rebased_from": made.evidence.get("rebased_from"),
        "was_there": made == newest,
    }


def become_child(task: dict[str, Any], answer: int) -> NoReturn:
    code = 1
    try:
        os.write(answer, json.dumps(attempt(task)).encode())
        code = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        # what the fork has inherited is not its own to clean up
        os._exit(code)


def run(task: dict[str, Any]) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        become_child(task, write_end)
    os.close(write_end)
    if task.get("stop_after") is not None:
        time.sleep(task["stop_after"])
        os.kill(child, signal.SIGSTOP)
        say("stopped")
        sys.stdin.readline()
        os.kill(child, signal.SIGCONT)
    if task.get("kill_after") is not None:
        time.sleep(task["kill_after"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(read_end) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    unanswered = {"outcome": "killed" if os.WIFSIGNALED(status) else "crashed"}
    found = json.loads(text) if text else unanswered
    return {**found, "seconds": time.monotonic() - started}


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say("ready")
    while line := sys.stdin.readline():
        say(json.dumps(run(json.loads(line))))
