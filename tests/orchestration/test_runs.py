"""Whole DAGs run by Airflow, decided through the ledger by a second process."""

import datetime as dt
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from airflow.sdk import BaseSensorOperator

from cityframe.model.cycle import CycleState
from cityframe.orchestration.dags import workspace_dags
from cityframe.pipeline.city import City, open_city
from cityframe.pipeline.plan import cycle_state
from cityframe.pipeline.review import report_digest

DAG_FILE = Path(__file__).parents[2] / "dags" / "cityframe_dags.py"
SERIES = "weekly"
TAKEN_IN = (
    "open_cycle", "take_in_plot_survey", "take_in_tree_list", "stage", "check_candidate",
    "put_in_review",
)  # fmt: skip
DECIDE_ONCE_IN_REVIEW = """
import sys, time
from pathlib import Path
from cityframe.cli import main
from cityframe.pipeline.city import open_city
from cityframe.pipeline.plan import cycle_state, open_cycle_of
root, series, verb, reason = sys.argv[1:]
city = open_city(Path(root))
while not ((cycle := open_cycle_of(city, series)) and cycle_state(city, cycle) == "in-review"):
    time.sleep(0.1)
sys.exit(main(["--workspace", root, "cycle", verb, series, "--by", "li", "--reason", reason]))
"""

Run = Callable[..., dict[str, str]]
Decide = Callable[[str, str], None]


@pytest.fixture
def run(workspace: Path, airflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a DAG of the workspace and gives the end of each task."""
    monkeypatch.setenv("CITYFRAME_WORKSPACE", str(workspace))

    def run_dag(
        name: str, *, mark_success: str | None = None, tries: dict[str, int] | None = None
    ) -> dict[str, str]:
        dag = workspace_dags(str(DAG_FILE))[name]
        for task in dag.tasks:
            task.retry_delay = dt.timedelta(seconds=0)
            if isinstance(task, BaseSensorOperator):
                task.poke_interval = 1.0
        ended = dag.test(mark_success_pattern=mark_success).get_task_instances()
        if tries is not None:
            tries.update({one.task_id: one.try_number for one in ended})
        return {one.task_id: str(one.state) for one in ended}

    return run_dag


@pytest.fixture
def decide(workspace: Path) -> Iterator[Decide]:
    """Return a function that starts a second process, which decides once a cycle is in review."""
    started: list[subprocess.Popen[bytes]] = []

    def start(verb: str, reason: str) -> None:
        arguments = [str(workspace), SERIES, verb, reason]
        started.append(subprocess.Popen([sys.executable, "-c", DECIDE_ONCE_IN_REVIEW, *arguments]))

    yield start
    for process in started:
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.fixture
def city(workspace: Path) -> City:
    return open_city(workspace)


def pull_all(run: Run) -> None:
    for source in ("plot_survey", "tree_list"):
        assert run(f"pull_{source}") == {"pull": "success"}


def test_approved_cycle_is_released_and_published(run: Run, decide: Decide, city: City) -> None:
    pull_all(run)
    decide("approve", "all as surveyed")
    ends = run(f"cycle_{SERIES}")
    assert set(ends.values()) == {"success"}
    made = city.framework.current()
    assert made is not None
    assert {one.layer: one.count for one in made.layers} == {"trees": 2, "plots": 1}
    assert cycle_state(city, made.cycle) is CycleState.PUBLISHED
    assert (city.package_folder(1, "full") / "manifest.json").exists()
    assert [one["who"] for one in made.evidence["decisions"]] == ["li"]


def test_returned_cycle_fails_at_the_gate_and_releases_nothing(
    run: Run, decide: Decide, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    pull_all(run)
    decide("return", "the plot is another one")
    ends = run(f"cycle_{SERIES}")
    assert ends["gate"] == "failed"
    assert ends["release"] == ends["publish"] == "upstream_failed"
    assert city.framework.current() is None


def test_gate_marked_as_success_without_a_decision_lets_nothing_through(
    run: Run, decide: Decide, city: City
) -> None:
    pull_all(run)
    ends = run(f"cycle_{SERIES}", mark_success="gate")
    assert ends["gate"] == "success"
    assert ends["release"] == "failed"
    assert ends["publish"] == "upstream_failed"
    assert city.framework.current() is None

    reviewed = report_digest(city, "weekly-0001")
    decide("approve", "now it is decided")
    assert set(run(f"cycle_{SERIES}").values()) == {"success"}
    made = city.framework.current()
    assert made is not None
    assert made.cycle == "weekly-0001", "the cycle in review is resumed, not opened anew"
    assert made.evidence["report_digest"] == reviewed, "what was reviewed stays as it was"


def test_nothing_new_wakes_no_cycle_and_opens_none(
    run: Run, decide: Decide, city: City, workspace: Path
) -> None:
    pull_all(run)
    decide("approve", "first")
    run(f"cycle_{SERIES}")
    assert run("pull_tree_list") == {"pull": "skipped"}
    ends = run(f"cycle_{SERIES}")
    assert ends.pop("open_cycle") == "success"
    assert set(ends.values()) == {"skipped"}
    assert len(city.framework.releases()) == 1


def test_delivery_that_changes_nothing_ends_the_cycle_before_the_gate(
    run: Run,
    decide: Decide,
    city: City,
    workspace: Path,
    write_trees: Callable[[Path, str], None],
) -> None:
    pull_all(run)
    decide("approve", "first")
    run(f"cycle_{SERIES}")
    write_trees(workspace, "\n")
    assert run("pull_tree_list") == {"pull": "success"}
    ends = run(f"cycle_{SERIES}")
    assert [ends[name] for name in TAKEN_IN] == ["success"] * len(TAKEN_IN)
    assert [ends[name] for name in ("gate", "release", "publish")] == ["skipped"] * 3
    assert cycle_state(city, "weekly-0002") is CycleState.ABANDONED
    assert len(city.framework.releases()) == 1


def test_one_run_drains_all_that_landed(
    run: Run,
    decide: Decide,
    city: City,
    workspace: Path,
    write_trees: Callable[[Path, str], None],
) -> None:
    pull_all(run)
    write_trees(workspace, "T3,ash,500030,3000030\n")
    assert run("pull_tree_list") == {"pull": "success"}
    decide("approve", "three deliveries")
    run(f"cycle_{SERIES}")
    made = city.framework.current()
    assert made is not None
    assert len(made.evidence["deliveries"]) == 3
    assert {one.layer: one.count for one in made.layers}["trees"] == 3


def test_source_out_of_reach_is_tried_as_often_as_declared(run: Run, workspace: Path) -> None:
    (workspace / "feeds" / "trees.csv").unlink()
    tries: dict[str, int] = {}
    assert run("pull_tree_list", tries=tries) == {"pull": "failed"}
    assert tries == {"pull": 4}


def test_source_without_a_place_fails_at_once(run: Run, workspace: Path) -> None:
    path = workspace / "sources" / "tree_list.yaml"
    text = path.read_text(encoding="utf-8").replace(", path: feeds/trees.csv", "")
    path.write_text(text, encoding="utf-8")
    tries: dict[str, int] = {}
    assert run("pull_tree_list", tries=tries) == {"pull": "failed"}
    assert tries == {"pull": 1}


def test_housekeeping_passes_what_is_stored_and_fails_once_it_was_altered(
    run: Run, city: City
) -> None:
    pull_all(run)
    assert set(run("housekeeping").values()) == {"success"}
    with closing(sqlite3.connect(city.workspace.store / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE entry SET who = 'nobody' WHERE sequence = 1")
    tries: dict[str, int] = {}
    ends = run("housekeeping", tries=tries)
    assert ends == {"verify_ledger": "failed", "verify_archive": "upstream_failed"}
    assert tries["verify_ledger"] == 1


def test_housekeeping_finds_an_altered_delivery(run: Run, city: City) -> None:
    pull_all(run)
    (delivery,) = city.archive.deliveries("tree_list")
    path = city.archive.files(delivery.id) / delivery.files[0].path
    path.chmod(0o600)
    path.write_text(path.read_text(encoding="utf-8").replace("oak", "yew"), encoding="utf-8")
    assert run("housekeeping") == {"verify_ledger": "success", "verify_archive": "failed"}
