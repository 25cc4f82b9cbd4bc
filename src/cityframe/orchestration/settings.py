"""How Airflow is configured on one machine: SQLite, loopback, no examples, no telemetry."""

import os
import sys
from pathlib import Path

WORKSPACE_VARIABLE = "CITYFRAME_WORKSPACE"
PARALLELISM = 4
"""As many tasks at once as SQLite bears."""


def local_environment(
    *, home: Path, dags: Path, workspace: Path, port: int = 8080
) -> dict[str, str]:
    """Return the environment of a local Airflow: the present one with our settings.

    Parameters
    ----------
    home : Path
        Folder of its database, configuration and logs.
    dags : Path
        Folder of the DAG files.
    workspace : Path
        The workspace whose DAGs they make.
    port : int
        Port of the page and the API on 127.0.0.1.
    """
    home, dags, workspace = home.resolve(), dags.resolve(), workspace.resolve()
    settings = {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(PARALLELISM),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": "1",
        # the first answers of a busy machine take longer than the five seconds that are given
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    beside_python = str(Path(sys.executable).parent)
    return {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        "AIRFLOW_HOME": str(home),
        WORKSPACE_VARIABLE: str(workspace),
        # tasks talk to the API on this machine, never through a proxy
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PATH": os.pathsep.join([beside_python, os.environ.get("PATH", "")]),
    }
