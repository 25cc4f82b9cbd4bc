"""Great Expectations as the gate: the suite, its count, offline."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cityframe.errors import IntegrityError
from cityframe.rules.checking.expectations import Planned, count_expectation, validate
from cityframe.rules.compiled import compile_rules
from cityframe.rules.kind import CoreExpectation


@pytest.fixture
def compiled(rule_of, layer_of):
    """Return a function that compiles a rule on the column ``name``."""
    layer = layer_of("things", "Polygon", {"name": "string", "storeys": "integer"})

    def compile_one(kind="mandatory", **more):
        parameters = {"column": "name"} if kind == "mandatory" else {}
        rule = rule_of(kind, **{"parameters": parameters, **more})
        return compile_rules([rule], {"things": layer}, {}).rules[0]

    return compile_one


def _not_null(rule, mostly=1.0):
    expectation = CoreExpectation("ExpectColumnValuesToNotBeNull", {"column": "name"}, (), "")
    return Planned(rule, expectation, mostly)


@pytest.mark.parametrize(
    ("defect_class", "severity"),
    [("A", "critical"), ("B", "warning"), ("C", "warning"), ("D", "info")],
)
def test_the_suite_carries_rule_measure_and_severity(compiled, defect_class, severity):
    rule = compiled(defect_class=defect_class, version=3)
    frame = pd.DataFrame({"name": ["a", None]})
    (one,) = validate(frame, [_not_null(rule, 0.9)], name="x").suite["expectations"]
    assert one["severity"] == severity
    assert one["description"] == "mandatory"
    assert one["kwargs"] == {"column": "name", "mostly": 0.9}
    assert one["meta"]["rule"] == "things.mandatory"
    assert one["meta"]["version"] == 3
    assert one["meta"]["measure"]["id"] == "16"


@pytest.mark.parametrize(
    ("tolerated", "is_success"), [(0.25, True), (0.24, False), (0.0, False), (1.0, True)]
)
def test_the_share_decides(compiled, tolerated, is_success):
    frame = pd.DataFrame({"name": ["a", "b", None, "c"]})
    planned = [_not_null(compiled(), round(1 - tolerated, 12))]
    outcome = validate(frame, planned, name="x").outcomes["things.mandatory"]
    assert outcome.is_success is is_success
    assert (outcome.checked, outcome.failed.tolist()) == (4, [2])


def test_counts_of_findings_are_judged_like_attributes(compiled):
    rule = compiled("overlaps")
    frame = pd.DataFrame({"n_things.overlaps": [0, 2, 0, 1]})
    planned = [Planned(rule, count_expectation("things.overlaps"), 0.5)]
    outcome = validate(frame, planned, name="x").outcomes["things.overlaps"]
    assert (outcome.is_success, outcome.failed.tolist()) == (True, [1, 3])


def test_an_expectation_that_can_not_run_says_why(compiled):
    frame = pd.DataFrame({"storeys": [1]})
    outcome = validate(frame, [_not_null(compiled())], name="x").outcomes["things.mandatory"]
    assert not outcome.is_success
    assert '"name"' in outcome.error


def test_a_suite_that_loses_an_expectation_is_not_trusted(compiled, monkeypatch):
    planned = [_not_null(compiled()), _not_null(compiled(id="things.other"))]
    frame = pd.DataFrame({"name": ["a"]})
    assert len(validate(frame, planned, name="x").outcomes) == 2
    suite = sys.modules["great_expectations"].ExpectationSuite

    def forgetful(name, expectations):
        return suite(name=name, expectations=expectations[:1])

    monkeypatch.setattr("great_expectations.ExpectationSuite", forgetful)
    with pytest.raises(IntegrityError, match="holds 1 expectations, expected 2"):
        validate(frame, planned, name="x")


def test_two_expectations_of_one_rule_are_not_trusted(compiled):
    planned = [_not_null(compiled()), _not_null(compiled(), 0.5)]
    with pytest.raises(IntegrityError, match="the result of x holds 1 expectations"):
        validate(pd.DataFrame({"name": ["a"]}), planned, name="x")


OFFLINE = """
import json, sys, warnings
warnings.simplefilter("error")
events = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"):
        raise RuntimeError(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        events.append(str(arguments[0]))
    if event == "os.mkdir":
        events.append(str(arguments[0]))

sys.addaudithook(watch)
import datetime as dt
import geopandas as gpd
from cityframe.config.rule import Rule
from cityframe.model.finding import Scope
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules

assert "great_expectations" not in sys.modules
title = Title("a", "a")
layer = Layer("things", title, GeometryType.POINT, "EPSG:4547", 0.001, 0.25, (),
              (Attribute("name", AttributeType.STRING, title),))
rule = Rule(id="r", title={"zh": "a", "en": "a"}, kind="mandatory", layers="things",
            parameters={"column": "name"}, defect_class="A", gate="block", scope="delivery")
frame = gpd.GeoDataFrame({"name": ["a", None]}, geometry=gpd.points_from_xy([0, 1], [0, 1]),
                         crs="EPSG:4547")
checked = check_layer(compile_rules([rule], {"things": layer}, {}), scope=Scope.DELIVERY,
                      layer="things", frame=frame, as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
print(json.dumps({"failed": checked.results[0].failed, "written": events}))
"""


def test_it_runs_offline_silently_and_leaves_no_file(tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert json.loads(run.stdout) == {"failed": 1, "written": []}
    assert list(Path(tmp_path).iterdir()) == []


def test_importing_the_rules_does_not_import_great_expectations():
    code = (
        "import sys, cityframe.rules.check, cityframe.rules.compiled;"
        "sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
