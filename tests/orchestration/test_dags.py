import datetime as dt
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, BaseSensorOperator
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.events import EventsTimetable

from cityframe.config.workspace import read_workspace
from cityframe.errors import DeclarationError
from cityframe.orchestration.dags import dags_of, workspace_dags
from cityframe.orchestration.retries import BY_BRANCH

REPOSITORY = Path(__file__).parents[2]
DAG_FILE = REPOSITORY / "dags" / "cityframe_dags.py"
HEAVY = (
    "geopandas", "pandas", "numpy", "shapely", "pyogrio", "pyproj", "pyarrow", "scipy",
    "great_expectations",
)  # fmt: skip
TODAY = dt.date(2026, 6, 1)


@pytest.fixture
def dags(workspace: Path) -> dict[str, DAG]:
    return dags_of(read_workspace(workspace), today=TODAY)


def asset_uris(schedule: object) -> set[str]:
    assert isinstance(schedule, AssetAny)
    return {asset.uri for asset in schedule.objects if isinstance(asset, Asset)}


def test_reading_the_dag_file_imports_nothing_heavy(workspace: Path) -> None:
    code = (
        "import runpy, sys\n"
        f"found = runpy.run_path({str(DAG_FILE)!r})\n"
        "from airflow.sdk import DAG\n"
        "print(sum(isinstance(one, DAG) for one in found.values()))\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CITYFRAME_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-2:] == ["6", "[]"]


def test_dag_file_is_a_few_lines() -> None:
    assert len(DAG_FILE.read_text(encoding="utf-8").splitlines()) <= 10


def test_workspace_is_the_one_of_the_environment_else_the_repository(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYFRAME_WORKSPACE", str(workspace))
    found = workspace_dags(str(DAG_FILE))
    assert set(found) == {
        "pull_plot_survey", "pull_tree_list", "cycle_weekly", "cycle_by_day", "cycle_as_it_comes",
        "housekeeping",
    }  # fmt: skip
    assert {dag.fileloc for dag in found.values()} == {str(DAG_FILE)}
    monkeypatch.delenv("CITYFRAME_WORKSPACE")
    (workspace / "dags").mkdir()
    assert set(workspace_dags(str(workspace / "dags" / "any.py"))) == set(found)


def test_pull_dag_is_as_its_source_declares(dags: dict[str, DAG], workspace: Path) -> None:
    dag = dags["pull_tree_list"]
    task = dag.get_task("pull")
    assert dag.timetable.expression == "30 2 * * *"
    assert str(dag.timetable.timezone) == "Asia/Shanghai"
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert task.pool == "parks_office"
    assert task.retries == 3
    assert task.retry_delay == dt.timedelta(seconds=5)
    assert task.retry_policy is BY_BRANCH
    assert [asset.uri for asset in task.outlets] == ["cityframe://tiny_town/deliveries/tree_list"]
    assert "树木清单" in str(dag.doc_md)
    assert "List of trees" in str(dag.doc_md)


def test_source_without_schedule_is_pulled_by_hand(dags: dict[str, DAG]) -> None:
    assert not dags["pull_plot_survey"].timetable.can_be_scheduled
    assert dags["pull_plot_survey"].get_task("pull").pool == "default_pool"


def test_cycle_takes_sources_in_declared_order_then_one_step_after_another(
    dags: dict[str, DAG],
) -> None:
    dag = dags["cycle_weekly"]
    expected = [
        "open_cycle", "take_in_plot_survey", "take_in_tree_list", "stage", "check_candidate",
        "put_in_review", "changes_anything", "gate", "release", "publish",
    ]  # fmt: skip
    assert [task.task_id for task in dag.topological_sort()] == expected
    for before, after in pairwise(expected):
        assert dag.get_task(before).downstream_task_ids == {after}
    assert dag.max_active_runs == 1


def test_gate_frees_its_slot_while_it_waits_as_long_as_declared(dags: dict[str, DAG]) -> None:
    gate = dags["cycle_weekly"].get_task("gate")
    assert isinstance(gate, BaseSensorOperator)
    assert gate.mode == "reschedule"
    assert gate.timeout == 3 * 24 * 3600


def test_series_runs_on_deliveries_of_any_source_of_it(dags: dict[str, DAG]) -> None:
    schedule = dags["cycle_as_it_comes"].schedule
    assert asset_uris(schedule) == {"cityframe://tiny_town/deliveries/tree_list"}


def test_series_runs_on_calendar(dags: dict[str, DAG]) -> None:
    assert isinstance(dags["cycle_by_day"].schedule, EventsTimetable)


def test_series_runs_on_both(dags: dict[str, DAG]) -> None:
    schedule = dags["cycle_weekly"].schedule
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert asset_uris(schedule.asset_condition) == {
        "cityframe://tiny_town/deliveries/tree_list",
        "cityframe://tiny_town/deliveries/plot_survey",
    }
    moments = schedule.timetable.event_dates  # type: ignore[attr-defined]
    assert moments[0].date() == dt.date(2026, 1, 2)
    assert moments[-1].year == 2027


def test_all_dags_survive_the_way_through_airflows_database(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        read = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        assert read.timetable.summary
        assert set(read.task_ids) == set(dag.task_ids)


def test_same_declarations_give_the_same_dags_all_year(workspace: Path) -> None:
    declared = read_workspace(workspace)
    first = dags_of(declared, today=dt.date(2026, 1, 1))["cycle_weekly"]
    later = dags_of(declared, today=dt.date(2026, 9, 30))["cycle_weekly"]
    assert DagSerialization.serialize_dag(first) == DagSerialization.serialize_dag(later)


def test_calendar_series_without_calendar_is_a_wrong_declaration(workspace: Path) -> None:
    path = workspace / "cycles" / "as_it_comes.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "runs_on: calendar\n", encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"as_it_comes\.yaml: runs_on is calendar, but"):
        dags_of(read_workspace(workspace), today=TODAY)


def test_wrong_cron_of_a_source_names_the_file(workspace: Path) -> None:
    path = workspace / "sources" / "tree_list.yaml"
    text = path.read_text(encoding="utf-8").replace("30 2 * * *", "30 25 * * *")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"tree_list\.yaml: schedule '30 25 \* \* \*'"):
        dags_of(read_workspace(workspace), today=TODAY)


def test_holidays_that_run_out_are_said_on_the_page_of_the_cycle(workspace: Path) -> None:
    late = dags_of(read_workspace(workspace), today=dt.date(2026, 12, 1))["cycle_weekly"]
    assert "the declared holidays run out on 2026-12-31" in str(late.doc_md)
    early = dags_of(read_workspace(workspace), today=TODAY)["cycle_weekly"]
    assert "run out" not in str(early.doc_md)
