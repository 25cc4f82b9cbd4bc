"""Pools: how many tasks may ask the same host at once."""

from airflow.models.pool import Pool

from cityframe.config.workspace import Workspace
from cityframe.orchestration.pull_dag import DEFAULT_POOL

SLOTS = 1


def declared_pools(workspace: Workspace) -> list[str]:
    """Return the names of the pools that the sources declare, sorted."""
    return sorted({source.pool for source in workspace.sources.values()} - {"", DEFAULT_POOL})


def create_missing_pools(workspace: Workspace) -> list[str]:
    """Create the declared pools that Airflow does not have yet, with one slot each.

    A pool that is there keeps its slots: an operator may have changed them on Airflow's page.

    Returns
    -------
    list of str
        Names of the pools made.
    """
    made = [name for name in declared_pools(workspace) if Pool.get_pool(name) is None]
    for name in made:
        Pool.create_or_update_pool(
            name, SLOTS, f"made for the sources of {workspace.root.name}", include_deferred=False
        )
    return made
