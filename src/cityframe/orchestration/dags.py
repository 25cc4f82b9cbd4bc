"""All DAGs of a workspace."""

import datetime as dt
import os
from pathlib import Path

from airflow.sdk import DAG

from cityframe.config.workspace import Workspace, read_workspace
from cityframe.orchestration.cycle_dag import cycle_dag
from cityframe.orchestration.housekeeping_dag import housekeeping_dag
from cityframe.orchestration.pull_dag import pull_dag
from cityframe.orchestration.settings import WORKSPACE_VARIABLE


def workspace_dags(dag_file: str) -> dict[str, DAG]:
    """Return the DAGs of the workspace that the environment names.

    Parameters
    ----------
    dag_file : str
        ``__file__`` of the file in ``dags/``. The folder above ``dags/`` is the workspace unless
        ``CITYFRAME_WORKSPACE`` names another one.

    Returns
    -------
    dict of str to DAG
        By id; the ids are good names of variables, so that the file can take them as its globals.

    Raises
    ------
    DeclarationError
        If a declaration is wrong; Airflow shows the message as the import error of the file.
    """
    path = Path(dag_file).resolve()
    root = Path(os.environ.get(WORKSPACE_VARIABLE) or path.parents[1])
    dags = dags_of(read_workspace(root), today=dt.datetime.now(dt.UTC).date())
    for dag in dags.values():
        # Airflow would take the module that calls DAG() for the file of the DAG
        dag.fileloc = str(path)
    return dags


def dags_of(workspace: Workspace, *, today: dt.date) -> dict[str, DAG]:
    """Return one DAG per source, one per series and the housekeeping of a workspace, by id.

    Raises
    ------
    DeclarationError
        If a schedule is wrong.
    """
    dags = [
        *(pull_dag(workspace, source) for source in workspace.sources.values()),
        *(cycle_dag(workspace, series, today=today) for series in workspace.series.values()),
        housekeeping_dag(workspace),
    ]
    return {dag.dag_id: dag for dag in dags}
