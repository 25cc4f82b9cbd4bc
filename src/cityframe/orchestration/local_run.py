"""Run DAGs to their end in this one process, without a scheduler.

``python -m cityframe.orchestration.local_run --home DIR DAG...`` runs the DAGs one after another
and stops at the first that fails; without a DAG it only makes the database. Airflow and the
pipeline are imported once: a small run takes a quarter of a second, not the ten that a command of
Airflow needs for each.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityframe.errors import CityframeError, DeclarationError
from cityframe.orchestration.home import airflow_home
from cityframe.orchestration.settings import local_environment

if TYPE_CHECKING:
    from airflow.sdk import DAG

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the DAGs named on the command line.

    Returns
    -------
    int
        0 when all of them succeeded, 1 when one failed, else the code of the error.
    """
    options = _parser().parse_args(arguments)
    say = _divert(options.log) if options.log else _print
    os.environ.update(
        local_environment(home=options.home, dags=options.dags, workspace=options.workspace)
    )
    try:
        with airflow_home(options.home, is_fresh=options.fresh):
            return _run_all(options, say)
    except CityframeError as error:
        say(f"cityframe: {error}")
        return error.exit_code


def _run_all(options: argparse.Namespace, say: Say) -> int:
    # only now: Airflow reads its settings from the environment when it is imported
    from cityframe.orchestration.dags import workspace_dags

    dags = workspace_dags(str(options.dags / "cityframe_dags.py"))
    unknown = [name for name in options.dag if name not in dags]
    if unknown:
        raise DeclarationError(
            found=f"no DAG {', '.join(unknown)}", expected=f"some of {', '.join(sorted(dags))}"
        )
    for name in options.dag:
        if not run_dag(dags[name], say=say, gate_poll_s=options.gate_poll_s):
            return 1
    return 0


def run_dag(dag: "DAG", *, say: Say, gate_poll_s: float | None = None) -> bool:
    """Run one DAG to its end and return whether it succeeded.

    Parameters
    ----------
    dag : DAG
        A DAG of the workspace.
    say : callable
        Gets a line for each task that ends and one for the DAG.
    gate_poll_s : float, optional
        Seconds between two looks at the ledger, instead of the DAG's own.
    """
    from airflow.sdk import BaseSensorOperator

    for task in dag.tasks:
        if gate_poll_s is not None and isinstance(task, BaseSensorOperator):
            task.poke_interval = gate_poll_s
    started = time.monotonic()

    def say_task(context: Any) -> None:
        say(f"    {dag.dag_id} +{time.monotonic() - started:5.1f} s  {context['ti'].task_id}")

    if len(dag.tasks) > 1:
        for task in dag.tasks:
            task.on_success_callback = [say_task]
    run = dag.test()
    ends = {one.task_id: str(one.state) for one in run.get_task_instances()}
    failed = [name for name, state in ends.items() if state == "failed"]
    skipped = ", nothing to do" if "skipped" in ends.values() else ""
    why = f" at {', '.join(failed)}" if failed else skipped
    say(f"    {dag.dag_id}: {run.state}{why}, {time.monotonic() - started:.1f} s")
    return bool(run.state == "success")


def _divert(log: Path) -> Say:
    """Send all that this process prints to a file; return how to reach the old output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    return lambda text: print(text, file=kept)


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cityframe.orchestration.local_run")
    parser.add_argument("dag", nargs="*", help="id of a DAG, as pull_SOURCE or cycle_SERIES")
    parser.add_argument("--home", type=Path, required=True, help="folder of Airflow's database")
    parser.add_argument("--dags", type=Path, default=Path("dags"), help="folder of the DAG files")
    parser.add_argument("--workspace", type=Path, default=Path(), help="the workspace")
    parser.add_argument("--fresh", action="store_true", help="empty Airflow's home first")
    parser.add_argument("--log", type=Path, help="file for what Airflow says")
    parser.add_argument("--gate-poll-s", type=float, help="seconds between two looks at the ledger")
    return parser


if __name__ == "__main__":
    sys.exit(main())
