"""Checks of several layers at once in one process, without a network."""

import datetime as dt
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from cityframe.model.finding import Scope
from cityframe.rules.check import check_layer
from cityframe.rules.checking.execution import Threads
from cityframe.rules.compiled import compile_rules

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ATTRIBUTES = {"name": "string", "storeys": "integer"}
NAMES = ("houses", "halls", "sheds", "towers", "barns", "mills")


@pytest.fixture
def city(layer_of, rule_of, frame_of):
    """Return layers with rules and defects that differ from layer to layer."""
    layers = {name: layer_of(name, "Polygon", ATTRIBUTES) for name in NAMES}
    rules, frames = [], {}
    for number, name in enumerate(NAMES):
        parameters = {"column": "storeys", "max": number}
        rules += [
            rule_of("range", id=f"{name}.range", layers=[name], parameters=parameters),
            rule_of("overlaps", id=f"{name}.overlaps", layers=[name], tolerated=0.1 * number),
            rule_of("mandatory", id=f"{name}.name", layers=[name], parameters={"column": "name"}),
        ][: 2 + number % 2]
        grid = "abcdefghij"
        features = [{"cells": one, "name": one, "storeys": at} for at, one in enumerate(grid)]
        features[number]["cells"], features[number]["name"] = grid[number : number + 2], None
        frames[name] = frame_of(layers[name], features, grid)
    return compile_rules(rules, layers, {}), frames


@pytest.fixture
def check(city):
    """Return a function that checks one layer and says all that came of it."""
    compiled, frames = city

    def run(name):
        checked = check_layer(
            compiled,
            scope=Scope.CANDIDATE,
            layer=name,
            frame=frames[name],
            as_of=AS_OF,
            execution=Threads(workers=2, tile_rows=4),
        )
        suite = json.loads(checked.suite_json)["features"]["expectations"]
        assert [one["meta"]["rule"] for one in suite] == [one.rule for one in checked.results]
        return checked.results, checked.findings.to_json(), checked.gate_reasons

    return run


def test_layers_checked_at_once_give_what_they_give_in_turn(check):
    serial = [check(name) for name in NAMES]
    assert len({results for results, _, _ in serial}) == len(NAMES)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            assert list(pool.map(check, NAMES)) == serial


def test_a_check_asks_nothing_of_the_network_and_reports_to_nobody(check, monkeypatch):
    check("houses")  # which imports it quietly
    gx = sys.modules["great_expectations"]
    asked, contexts, make = [], [], gx.get_context

    def remembered(**options):
        contexts.append(make(**options))
        return contexts[-1]

    def refuse(*arguments):
        asked.append(arguments)
        message = "no network"
        raise OSError(message)

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(gx, "get_context", remembered)
    results, _, reasons = check("houses")
    assert [one.failed for one in results] == [9, 2]
    assert len(reasons) == 2
    assert asked == []
    assert [one.config.analytics_enabled for one in contexts] == [False, False]
    assert "posthog" not in sys.modules
