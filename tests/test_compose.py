"""The compose file and the image, checked without Docker; with Docker's own check where it is."""

import importlib.util
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from cityframe import __version__

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES = COMPOSE["services"]
ONE_SHOT = {"prepare"}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?:(:?[-?])([^}]*))?\}")
SECRET_WORDS = re.compile(r"password|passwd|secret|token|fernet|key", re.IGNORECASE)

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def mounts(service):
    return [mount for mount in service.get("volumes", []) if isinstance(mount, dict)]


def strings(node):
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif node is not None:
        yield str(node)


def test_the_set_is_complete():
    assert set(SERVICES) == {
        "postgres", "redis", "prepare", "api-server", "scheduler", "dag-processor", "triggerer",
        "worker", "mosquitto", "bridge",
    }  # fmt: skip


@each_service
def test_each_service_has_a_health_check_or_is_one_shot(name):
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert "healthcheck" not in service
        assert service["restart"] == "no"
        return
    check = service["healthcheck"]
    assert service["restart"] == "unless-stopped"
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert int(check["timeout"].removesuffix("s")) < int(check["interval"].removesuffix("s"))
    assert check["retries"] >= 3


@each_service
def test_dependencies_are_services_with_a_condition_they_can_meet(name):
    for other, need in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert need == {"condition": expected}
        assert other in SERVICES


def test_dependencies_have_no_cycle():
    done = set()
    waiting = {name: set(one.get("depends_on", {})) for name, one in SERVICES.items()}
    while waiting:
        ready = {name for name, needs in waiting.items() if needs <= done}
        assert ready, f"a cycle among {sorted(waiting)}"
        done |= ready
        waiting = {name: needs for name, needs in waiting.items() if name not in ready}


def test_airflow_waits_for_its_database_and_its_broker():
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "worker"):
        assert {"postgres", "redis", "prepare"} <= set(SERVICES[name]["depends_on"])


@each_service
def test_images_are_pinned(name):
    tag = SERVICES[name]["image"].rsplit(":", 1)[1]
    if SERVICES[name]["image"].startswith("cityframe:"):
        version = VARIABLE.fullmatch(SERVICES[name]["image"].removeprefix("cityframe:")).group(3)
        assert version == __version__
    else:
        assert re.match(r"\d+(\.\d+)*-?\d*", tag), tag
        assert tag != "latest"


@each_service
def test_ports_are_bound_to_the_loopback_address(name):
    for port in SERVICES[name].get("ports", []):
        assert isinstance(port, str)
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port), port


def test_only_the_page_and_the_broker_have_ports():
    assert {name for name, one in SERVICES.items() if one.get("ports")} == {
        "api-server",
        "mosquitto",
    }


@each_service
def test_services_cannot_gain_privileges_and_have_limits(name):
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_drop") == ["ALL"] or name == "postgres"
    assert not service.get("privileged")
    assert not any("docker.sock" in text for text in strings(service))
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert service["logging"]["options"]["max-size"]


def test_no_secret_is_written_in_the_file():
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRET_WORDS.search(key):
                # a file that holds it, never the secret
                assert key.endswith("_FILE"), f"{name}: {key}"
                assert str(value).startswith("/run/"), f"{name}: {key}"
    for text in strings(COMPOSE):
        assert not re.search(r"://[^/\s$]*:[^/\s$@]+@", text), "a URL with a password"
    for secret in COMPOSE["secrets"].values():
        assert list(secret) == ["file"]


def test_secrets_given_are_declared_and_used():
    given = {one for service in SERVICES.values() for one in service.get("secrets", [])}
    assert given == set(COMPOSE["secrets"])


def test_only_the_page_knows_the_password_of_the_operator():
    holders = {
        name
        for name, one in SERVICES.items()
        if "airflow_operator_password" in one.get("secrets", [])
    }
    assert holders == {"api-server"}


def test_networks_and_volumes_are_declared_and_used():
    networks = {one for service in SERVICES.values() for one in service["networks"]}
    assert networks == set(COMPOSE["networks"])
    named = {
        mount["source"]
        for service in SERVICES.values()
        for mount in mounts(service)
        if mount["type"] == "volume"
    }
    assert named == set(COMPOSE["volumes"])


def test_databases_and_the_bridge_have_no_way_out():
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert COMPOSE["networks"]["broker"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["data"]
    assert SERVICES["bridge"]["networks"] == ["broker"]


@each_service
def test_bind_mounts_are_read_only_and_not_made_up(name):
    for mount in mounts(SERVICES[name]):
        if mount["type"] == "bind":
            assert mount["read_only"] is True
            assert mount["bind"] == {"create_host_path": False}


def test_files_named_are_there():
    assert (ROOT / SERVICES["bridge"]["build"]["dockerfile"]).is_file()
    for service in SERVICES.values():
        for mount in mounts(service):
            if mount["type"] == "bind" and mount["source"].startswith("./"):
                assert (ROOT / mount["source"]).exists(), mount["source"]
        for one in service.get("env_file", []):
            assert one["required"] is False
    for name in ("postgres/20-airflow.sh", "mosquitto/start.sh", "with-secrets", "prepare"):
        script = ROOT / "docker" / name
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/bin/sh\n")
        subprocess.run(["sh", "-n", script], check=True)


def test_the_image_copies_only_files_that_are_there_and_not_ignored():
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    rules = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules[0] == "*"
    copied = [
        path
        for line in lines
        if line.startswith("COPY ") and "--from=" not in line
        for path in line.split()[1:-1]
        if not path.startswith("--")
    ]
    assert "src" in copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(path == rule or path.startswith(f"{rule}/") for rule in allowed), path
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert all(re.fullmatch(r"python:3\.12\.\d+-slim-[a-z]+", base) for base in bases)


def test_commands_of_the_image_are_in_the_image():
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    for name in ("with-secrets", "prepare", "is-connected"):
        assert f"docker/{name}" in dockerfile
    assert 'ENTRYPOINT ["with-secrets"]' in dockerfile


def example_variables():
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#?(CITYFRAME_[A-Z_]+)=(.*)$", text, flags=re.MULTILINE))


def test_every_variable_is_in_the_example_with_its_default():
    used = {}
    for name, operator, rest in VARIABLE.findall(TEXT):
        assert operator in (":?", ":-"), f"{name} is neither required nor has a default"
        assert rest, f"{name} has no message and no default"
        used.setdefault(name, set()).add((operator, rest))
    example = example_variables()
    assert set(example) == set(used)
    for name, uses in used.items():
        assert len(uses) == 1, f"{name} has several defaults"
        operator, rest = uses.pop()
        if operator == ":-":
            assert example[name] == rest, name


def test_every_secret_is_in_the_example():
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in COMPOSE["secrets"]:
        assert re.search(rf"\b{name}\b", text), name


def test_the_locks_of_the_image_agree_with_the_lock_of_the_project():
    def versions(path):
        return dict(re.findall(r"^([a-z0-9-]+)==([^ \n]+)", path.read_text(), flags=re.MULTILINE))

    project = versions(ROOT / "requirements" / "runtime.lock")
    image = versions(ROOT / "docker" / "services.lock")
    assert {"celery", "redis", "psycopg2-binary", "asyncpg"} <= set(image)
    assert tuple(map(int, image["celery"].split(".")[:2])) < (5, 7)
    differing = {
        name: (project[name], image[name])
        for name in project.keys() & image.keys()
        if project[name] != image[name]
    }
    assert differing == {}, "run docker/lock"


# what runs in the containers


@pytest.fixture
def secrets(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in COMPOSE["secrets"]:
        (folder / name).write_text(f"value-of-{name}\n")
    return folder


def settings_of(secrets, tmp_path, **more):
    environment = {
        "PATH": os.environ["PATH"],
        "SECRETS_FOLDER": str(secrets),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(tmp_path / "passwords.json"),
        **more,
    }
    answer = subprocess.run(
        [ROOT / "docker" / "with-secrets", "env", "-0"],
        env=environment, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in answer.stdout.split("\0") if line)


def test_settings_with_secrets_are_made_from_files(secrets, tmp_path):
    found = settings_of(secrets, tmp_path)
    address = "airflow:value-of-airflow_database_password@postgres:5432/airflow"
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"postgresql+psycopg2://{address}"
    assert found["AIRFLOW__CELERY__RESULT_BACKEND"] == f"db+postgresql+psycopg2://{address}"
    assert found["AIRFLOW__CELERY__BROKER_URL"] == "redis://:value-of-redis_password@redis:6379/0"
    assert found["AIRFLOW__CORE__FERNET_KEY"] == "value-of-airflow_fernet_key"
    assert found["AIRFLOW__API_AUTH__JWT_SECRET"] == "value-of-airflow_jwt_secret"
    passwords = tmp_path / "passwords.json"
    assert json.loads(passwords.read_text()) == {"operator": "value-of-airflow_operator_password"}
    assert passwords.stat().st_mode & 0o077 == 0


def test_a_service_without_secrets_gets_none(tmp_path):
    found = settings_of(tmp_path, tmp_path)
    assert not any("SQL_ALCHEMY" in name or "CELERY" in name for name in found)
    assert not (tmp_path / "passwords.json").exists()


def test_a_connection_to_a_port_is_seen():
    script = ROOT / "docker" / "is-connected"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        command = ["python3", script, port]
        assert subprocess.run(command, check=False).returncode == 1
        with socket.create_connection(server.getsockname()):
            assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.server
def test_sensors_write_with_a_password_and_the_bridge_reads_without(tmp_path):
    sensors, bridge = two_free_ports()
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "docker" / "mosquitto", folder)
    (tmp_path / "data").mkdir()
    passwords = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-c", "-b", passwords, "sensors", "right"],
        check=True, capture_output=True,
    )  # fmt: skip
    text = (folder / "mosquitto.conf").read_text()
    for old, new in (
        ("listener 1883", f"listener {sensors} 127.0.0.1"),
        ("listener 1884", f"listener {bridge} 127.0.0.1"),
        ("/run/mosquitto/passwords", str(passwords)),
        ("/mosquitto/config/", f"{folder}/"),
        ("/mosquitto/data/", f"{tmp_path}/data/"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "mosquitto.conf").write_text(f"user {os.environ.get('USER', 'root')}\n{text}")
    path = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    broker = subprocess.Popen([path, "-c", folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
    try:
        with subscribed(bridge) as read:
            assert publish(sensors, "city/a", "without a password") is False
            assert publish(sensors, "city/a", "with a wrong one", password="wrong") is False
            publish(bridge, "city/a", "by the door of the bridge")
            assert publish(sensors, "city/a", "taken", password="right") is True
            assert read.get(timeout=10) == ("city/a", "taken")
            with subscribed(sensors, password="right") as spied:
                publish(sensors, "city/a", "again", password="right")
                assert read.get(timeout=10) == ("city/a", "again")
                assert spied.empty()
    finally:
        broker.terminate()
        broker.wait(10)


def two_free_ports():
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]


def new_client(port, password=None):
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if password is not None:
        client.username_pw_set("sensors", password)
    deadline = time.monotonic() + 10
    while True:
        try:
            client.connect("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return client


@contextmanager
def subscribed(port, password=None):
    """Subscribe to everything; give the queue of what comes."""
    client = new_client(port, password)
    ready, found = queue.Queue(), queue.Queue()
    client.on_connect = lambda *_: client.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_message = lambda _client, _data, one: found.put((one.topic, one.payload.decode()))
    client.loop_start()
    try:
        ready.get(timeout=10)
        yield found
    finally:
        client.disconnect()
        client.loop_stop()


def publish(port, topic, text, password=None):
    """Publish one message; return whether the broker let the client in."""
    client = new_client(port, password)
    answer = queue.Queue()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answer.put(reason)
    client.loop_start()
    try:
        if answer.get(timeout=10).is_failure:
            return False
        client.publish(topic, text, qos=1).wait_for_publish(10)
        return True
    finally:
        client.disconnect()
        client.loop_stop()


# Docker's own judgement and the specification's schema, where they can be had


def has_compose():
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


if has_compose():

    def test_docker_accepts_the_file():
        environment = {**os.environ, **example_variables()}
        subprocess.run(
            ["docker", "compose", "--project-directory", ROOT, "config", "--quiet"],
            env=environment, check=True,
        )  # fmt: skip


if importlib.util.find_spec("check_jsonschema"):

    def test_the_file_fits_the_schema_of_the_specification():
        command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
        subprocess.run([*command, ROOT / "docker-compose.yml"], check=True)
