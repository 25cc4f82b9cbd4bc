"""The DAG that runs the cycles of one series.

::

    open_cycle -> take_in_SOURCE ... -> stage -> check_candidate -> put_in_review
               -> changes_anything -> gate -> release -> publish

Each task calls one step of the pipeline, which can be run again with the same outcome. The cycle's
id is the only thing that passes between them.
"""

import datetime as dt

from airflow.sdk import DAG, AssetAny, AssetOrTimeSchedule, chain, task
from airflow.timetables.events import EventsTimetable

from cityframe.config.cycle import Calendar, Series
from cityframe.config.workspace import Workspace
from cityframe.errors import DeclarationError
from cityframe.orchestration import assets, steps
from cityframe.orchestration.cut_offs import cut_off_schedule, holiday_warning
from cityframe.orchestration.retries import BY_BRANCH

GATE = "gate"
GATE_POLL_S = 60.0
DAY_S = 86_400.0
CYCLE = "{{ ti.xcom_pull(task_ids='open_cycle') }}"
"""The cycle's id; a template, and not the task's result, so that no edge is drawn to each task."""


def cycle_dag(workspace: Workspace, series: Series, *, today: dt.date) -> DAG:
    """Return the DAG ``cycle_SERIES``: it drains the inbox, waits for a decision and releases.

    Parameters
    ----------
    workspace : Workspace
        All declarations.
    series : Series
        The series.
    today : date
        The day from whose year on cut-offs are scheduled.

    Raises
    ------
    DeclarationError
        If the series runs on a calendar that is missing or wrong.
    """
    root = str(workspace.root.resolve())
    warning = _warning(workspace, series, today)
    with DAG(
        dag_id=f"cycle_{series.name}",
        dag_display_name=f"cycle_{series.name} · {series.title.zh}",
        description=series.title.en,
        doc_md=_page(series, warning),
        schedule=_schedule(workspace, series, today),
        catchup=False,
        max_active_runs=1,
        tags={"cityframe", "cycle"},
        default_args={
            "retries": 2,
            "retry_delay": dt.timedelta(seconds=60),
            "retry_policy": BY_BRANCH,
        },
    ) as dag:
        of_cycle = {"root": root, "cycle": CYCLE}
        chain(
            task.short_circuit(task_id="open_cycle")(steps.open_cycle)(
                root=root, series=series.name, warning=warning
            ),
            *(
                task(task_id=f"take_in_{source}")(steps.take_in)(**of_cycle, source=source)
                for source in series.sources
            ),
            task(task_id="stage")(steps.stage)(**of_cycle),
            task(task_id="check_candidate")(steps.check_candidate)(**of_cycle),
            task(task_id="put_in_review")(steps.put_in_review)(**of_cycle),
            task.short_circuit(task_id="changes_anything")(steps.changes_anything)(**of_cycle),
            task.sensor(
                task_id=GATE,
                mode="reschedule",
                poke_interval=GATE_POLL_S,
                timeout=series.review_days * DAY_S,
                doc_md=_gate_page(series),
            )(steps.is_decided)(**of_cycle),
            task(
                task_id="release", outlets=[assets.releases(workspace.root.resolve(), series.name)]
            )(steps.release)(**of_cycle),
            task(task_id="publish")(steps.publish)(**of_cycle),
        )
    return dag


def _schedule(
    workspace: Workspace, series: Series, today: dt.date
) -> AssetAny | AssetOrTimeSchedule | EventsTimetable:
    landed = AssetAny(
        *(assets.deliveries(workspace.root.resolve(), source) for source in series.sources)
    )
    if series.runs_on == "deliveries":
        return landed
    where = _where(workspace, series)
    if series.calendar is None:
        raise DeclarationError(
            where=where,
            found=f"runs_on is {series.runs_on}, but there is no calendar",
            remedy="add calendar, or set runs_on to deliveries",
        )
    by_calendar = cut_off_schedule(series.calendar, today=today, where=where)
    if series.runs_on == "calendar":
        return by_calendar
    # airflow.sdk has an EventsTimetable that would fit the type, but it can't be serialised
    return AssetOrTimeSchedule(timetable=by_calendar, assets=landed)  # type: ignore[arg-type]


def _warning(workspace: Workspace, series: Series, today: dt.date) -> str:
    calendar: Calendar | None = series.calendar
    if calendar is None or series.runs_on == "deliveries":
        return ""
    return holiday_warning(calendar, today=today, where=_where(workspace, series))


def _where(workspace: Workspace, series: Series) -> str:
    return str(workspace.root / "cycles" / f"{series.name}.yaml")


def _page(series: Series, warning: str) -> str:
    sources = ", ".join(f"`{source}`" for source in series.sources)
    note = f"\n> ⚠ {warning}\n" if warning else ""
    return (
        f"# {series.title.zh} · {series.title.en}\n{note}\n"
        f"依次接收 {sources} 到期的批次，生成候选版本和质检报告，等待审批人决定，"
        "然后发布版本和更新包。任务可以重跑，结果相同。\n\n"
        f"Takes in what landed from {sources}, in this order, stages a candidate with its report, "
        "waits for the decision of an approver, then releases and publishes. Each task can be run "
        "again with the same outcome.\n\n"
        f"Approvers: {', '.join(series.approvers)}. Declared in `cycles/{series.name}.yaml`.\n"
    )


def _gate_page(series: Series) -> str:
    return (
        "等待台账中对该候选版本的决定。把任务标记为成功不会放行：发布时仍要核对决定。\n\n"
        "Waits for a decision in the ledger over exactly this candidate. Marking the task as a "
        "success lets nothing through: the release asks the ledger again.\n\n"
        "```\n"
        f"cityframe cycle approve {series.name} --by NAME --reason TEXT\n"
        f"cityframe cycle return {series.name} --by NAME --reason TEXT\n"
        "```\n"
    )
