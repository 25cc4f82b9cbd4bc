"""What the tests of the rules share: cases, layers, rules, real data."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest

from cityframe.config.rule import Rule
from cityframe.model.layer import Layer
from cityframe.rules.proving.case_grid import Grid
from cityframe.rules.proving.case_material import make_frame, make_layer, make_rule
from cityframe.rules.proving.cases import Case, read_cases

CASES = Path(__file__).parents[1] / "cases" / "rules"


@cache
def _cases(kind: str) -> list[Case]:
    """Read the cases of a kind once a process; nothing changes a frame."""
    return read_cases(CASES / f"{kind}.yaml")


def _kinds() -> list[str]:
    return sorted(path.stem for path in CASES.glob("*.yaml"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each case of each file to the tests that take a ``case``."""
    if "case" in metafunc.fixturenames:
        cases = [case for kind in _kinds() for case in _cases(kind)]
        metafunc.parametrize("case", cases, ids=[f"{one.kind}: {one.title}" for one in cases])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each kind found of the defects that were sown."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    properties = [dict(report.user_properties) for report in reports if report.when == "call"]
    rows = sorted(
        (one["recall of"], one["sown"], one["found"], one["false alarms"])
        for one in properties
        if "recall of" in one
    )
    if not rows:
        return
    terminalreporter.section("recall on sown defects")
    line = "{:<28}{:>8}{:>8}{:>8}{:>14}".format
    terminalreporter.write_line(line("kind", "sown", "found", "recall", "false alarms"))
    for kind, sown, found, alarms in rows:
        terminalreporter.write_line(line(kind, sown, found, f"{found / sown:.3f}", alarms))


@pytest.fixture(scope="session")
def case_files() -> dict[str, list[Case]]:
    """Return the cases of each kind."""
    return {kind: _cases(kind) for kind in _kinds()}


@pytest.fixture(scope="session")
def cases_of() -> Callable[[str], list[Case]]:
    """Return the function that reads the cases of one kind."""
    return _cases


@pytest.fixture(scope="session")
def layer_of() -> Callable[..., Layer]:
    """Return the function that makes a layer."""
    return make_layer


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., gpd.GeoDataFrame]:
    """Return a function that makes a frame from features and a grid's text."""

    def make(layer: Layer, features: list[dict[str, Any]], text: str = "") -> gpd.GeoDataFrame:
        return make_frame(layer, features, Grid(text))

    return make


@pytest.fixture(scope="session")
def rule_of() -> Callable[..., Rule]:
    """Return the function that makes a rule."""
    return make_rule


@pytest.fixture
def data_dir() -> Path:
    """Return the folder of the real data, or skip."""
    given = os.environ.get("CITYFRAME_DATA")
    folder = Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CITYFRAME_DATA")
    return folder
