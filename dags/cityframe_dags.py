"""Airflow DAGs of the workspace: one per source, one per series of cycles."""

from cityframe.orchestration.dags import workspace_dags

globals().update(workspace_dags(__file__))
