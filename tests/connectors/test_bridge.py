"""The bridge against a real Mosquitto: nothing is lost, nothing is stored twice."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from cityframe.config.source import Source
from cityframe.connectors.bridge import BridgeSummary, run_bridge
from cityframe.connectors.observation_writer import REJECTED
from cityframe.connectors.observations import read_batches, read_observations
from cityframe.errors import DeclarationError, SourceUnreachableError

START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
server = pytest.mark.server
MakeSensors = Callable[..., Source]

RUN = """
import json, sys
from pathlib import Path
from cityframe.config.source import Source
from cityframe.connectors.bridge import run_bridge
source = Source.model_validate(json.loads(sys.argv[1]))
print("ready", flush=True)
run_bridge(source, Path(sys.argv[2]), stop=lambda: False, idle_s=None, max_messages=None)
"""


@pytest.fixture
def sensors(source: Callable[..., Source], broker: Any) -> MakeSensors:
    def make(**fields: Any) -> Source:
        declared = {
            "type": "mqtt",
            "port": broker.port,
            "topics": ["city/+/value"],
            "client_id": "cityframe-test",
        }
        return source({**declared, **fields}, kind="iot", delivery="partial")

    return make


def payload(number: int, stream: str = "P-1") -> bytes:
    moment = START + dt.timedelta(seconds=number)
    body = {"stream": stream, "time": moment.isoformat(), "value": number / 2}
    return json.dumps(body).encode()


def publish(port: int, bodies: Iterable[bytes], topic: str = "city/p1/value", qos: int = 1) -> None:
    """Publish as a sensor's gateway does: until the broker has taken each message."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = [client.publish(topic, body, qos=qos) for body in bodies]
    for one in sent:
        one.wait_for_publish(timeout=30)
    client.disconnect()
    client.loop_stop()


def run(source: Source, folder: Path, **options: Any) -> BridgeSummary:
    return run_bridge(source, folder, **{"idle_s": 1.0, **options})


def subscribe_once(source: Source, folder: Path) -> None:
    """Let the broker know the bridge, so that it keeps messages for it."""
    assert run(source, folder, idle_s=0.3).received == 0


def values(folder: Path) -> list[float]:
    return read_observations(folder)["value"].to_pylist()


def stored_rows(folder: Path) -> int:
    return read_batches(folder, 0).num_rows


@server
def test_messages_sent_while_the_bridge_is_away_arrive(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, (payload(number) for number in range(500)))
    assert run(sensors(), tmp_path) == BridgeSummary(500, 500, 0, 0)
    assert values(tmp_path) == [number / 2 for number in range(500)]
    assert run(sensors(), tmp_path, idle_s=0.3) == BridgeSummary(0, 0, 0, 0)


@server
def test_duplicates_are_acknowledged_and_stored_once(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, [payload(1), payload(1), payload(2)])
    assert run(sensors(), tmp_path) == BridgeSummary(3, 2, 1, 0)
    publish(broker.port, [payload(2), payload(1), payload(1, "P-2")])
    assert run(sensors(), tmp_path) == BridgeSummary(3, 1, 2, 0)
    assert stored_rows(tmp_path) == 3


@server
def test_malformed_messages_are_kept_aside_and_do_not_come_again(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, [b"\xff", payload(1), b'{"stream": "P-1"}', b"", payload(2)])
    assert run(sensors(), tmp_path) == BridgeSummary(5, 2, 0, 3)
    lines = (tmp_path / REJECTED).read_text().splitlines()
    assert [json.loads(line)["reason"][:16] for line in lines] == [
        "no JSON: 'utf-8'", "no member 'time'", "no JSON: Expecti",
    ]  # fmt: skip
    assert {json.loads(line)["topic"] for line in lines} == {"city/p1/value"}
    assert run(sensors(), tmp_path, idle_s=0.3).received == 0


@server
def test_only_declared_topics_and_fields_are_read(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    source = sensors(topics=["a/#", "b"], stream="id", time="ts", value="v")
    subscribe_once(source, tmp_path)
    body = json.dumps({"id": "ID", "ts": 1714521600, "v": 3}).encode()
    for topic in ("a/x/y", "b", "c"):
        publish(broker.port, [body.replace(b"ID", topic.encode())], topic)
    assert run(source, tmp_path).stored == 2
    assert read_observations(tmp_path)["stream"].to_pylist() == ["a/x/y", "b"]


@server
@pytest.mark.parametrize("qos", [0, 2])
def test_other_qualities_of_service_are_taken(
    broker: Any, sensors: MakeSensors, tmp_path: Path, qos: int
) -> None:
    source = sensors(qos=2)
    subscribe_once(source, tmp_path)
    thread = threading.Thread(
        target=lambda: (time.sleep(0.5), publish(broker.port, [payload(1), payload(2)], qos=qos))
    )
    thread.start()
    assert run(source, tmp_path, max_messages=2, idle_s=10).stored == 2
    thread.join()


@server
def test_bridge_stops_when_told_and_leaves_the_rest_to_the_broker(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, (payload(number) for number in range(100)))
    assert run(sensors(), tmp_path, max_messages=30) == BridgeSummary(30, 30, 0, 0)
    calls = iter(range(1000))
    summary = run(sensors(), tmp_path, idle_s=None, stop=lambda: next(calls) > 20)
    assert summary.duplicates == summary.rejected == 0
    rest = run(sensors(), tmp_path)
    assert 30 + summary.stored + rest.stored == 100
    assert rest.duplicates == 0
    assert stored_rows(tmp_path) == 100


@server
def test_late_and_revised_values_are_taken(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, [payload(86_400 * 400), payload(5)])
    assert run(sensors(), tmp_path).stored == 2
    revised = payload(5).replace(b"2.5", b"2.75")
    publish(broker.port, [payload(4), revised])
    assert run(sensors(), tmp_path).stored == 2
    assert values(tmp_path) == [2.0, 2.75, 86_400 * 200.0]


@server
def test_bridge_killed_in_the_middle_of_a_stream_loses_and_doubles_nothing(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    sent: list[int] = []
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            numbers = range(len(sent), len(sent) + 100)
            publish(broker.port, map(payload, numbers))
            sent.extend(numbers)
            time.sleep(0.1)

    sender = threading.Thread(target=send)
    sender.start()
    for pause in (0.1, 0.25, 0.4, 0.6):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, sensors().model_dump_json(), str(tmp_path)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        before = stored_rows(tmp_path)
        deadline = time.monotonic() + 20
        while stored_rows(tmp_path) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(pause)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    between = stored_rows(tmp_path)
    deadline = time.monotonic() + 20
    while len(sent) <= between and time.monotonic() < deadline:
        time.sleep(0.01)
    is_over.set()
    sender.join()
    assert 0 < between < len(sent)
    last = run(sensors(), tmp_path, idle_s=2.0)
    assert between + last.stored == len(sent)
    assert values(tmp_path) == [number / 2 for number in sent]
    assert stored_rows(tmp_path) == len(sent)


@server
def test_broker_that_restarts_is_found_again(
    broker: Any, sensors: MakeSensors, tmp_path: Path
) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, (payload(number) for number in range(50)))
    results: list[BridgeSummary] = []
    thread = threading.Thread(
        target=lambda: results.append(
            run(sensors(), tmp_path, idle_s=20, stop=lambda: stored_rows(tmp_path) == 100)
        )
    )
    thread.start()
    while stored_rows(tmp_path) < 50:
        time.sleep(0.02)
    broker.stop()
    time.sleep(0.5)
    broker.start()
    publish(broker.port, (payload(number) for number in range(50, 100)))
    thread.join(timeout=30)
    assert [one.stored for one in results] == [100]
    assert values(tmp_path) == [number / 2 for number in range(100)]


@server
def test_session_outlives_the_broker(broker: Any, sensors: MakeSensors, tmp_path: Path) -> None:
    subscribe_once(sensors(), tmp_path)
    publish(broker.port, (payload(number) for number in range(50)))
    broker.stop()
    broker.start()
    assert run(sensors(), tmp_path).stored == 50


@server
def test_second_bridge_of_a_source_is_refused(sensors: MakeSensors, tmp_path: Path) -> None:
    done = threading.Event()
    thread = threading.Thread(
        target=lambda: run(sensors(), tmp_path, idle_s=None, stop=done.is_set)
    )
    thread.start()
    try:
        while not (tmp_path / ".lock").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        with pytest.raises(DeclarationError, match="another process writes"):
            run(sensors(), tmp_path)
    finally:
        done.set()
        thread.join()


@server
def test_broker_that_asks_for_a_password_gets_it(
    broker: Any, sensors: MakeSensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.stop()
    broker.ask_for_password("bridge", "hunter2")
    broker.start()
    with pytest.raises(DeclarationError, match=r"the broker refuses the client \(Not authorized\)"):
        run(sensors(), tmp_path)
    monkeypatch.setenv("BROKER_PASSWORD", "hunter3")
    named = sensors(username="bridge", password="${BROKER_PASSWORD}")
    with pytest.raises(DeclarationError, match="the broker refuses the client") as caught:
        run(named, tmp_path)
    assert "hunter" not in str(caught.value)
    monkeypatch.setenv("BROKER_PASSWORD", "hunter2")
    assert run(named, tmp_path, idle_s=0.3).received == 0


def test_broker_that_does_not_answer_is_unreachable(
    source: Callable[..., Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_PORT", "9")
    declared = {
        "type": "mqtt", "host": "${BROKER_HOST:-127.0.0.1}", "port": "${BROKER_PORT}",
        "topics": ["a"], "client_id": "b",
    }  # fmt: skip
    with pytest.raises(SourceUnreachableError, match="the broker does not answer"):
        run(source(declared), tmp_path, idle_s=0.5)


def test_other_pulls_have_no_bridge(source: Callable[..., Source], tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="a pull of type files, expected mqtt"):
        run(source(), tmp_path)
