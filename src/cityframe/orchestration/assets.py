"""The assets: what a pull makes and a cycle waits for."""

from pathlib import Path
from urllib.parse import quote

from airflow.sdk import Asset


def deliveries(workspace: Path, source: str) -> Asset:
    """Return the asset that stands for the landed deliveries of a source.

    It only wakes the cycle: which deliveries a cycle takes in, it reads from the ledger.
    """
    return _asset(workspace, f"deliveries/{source}")


def releases(workspace: Path, series: str) -> Asset:
    """Return the asset that stands for the releases of a series."""
    return _asset(workspace, f"releases/{series}")


def _asset(workspace: Path, path: str) -> Asset:
    uri = f"cityframe://{quote(workspace.name)}/{path}"
    return Asset(name=uri, uri=uri, group="cityframe")
