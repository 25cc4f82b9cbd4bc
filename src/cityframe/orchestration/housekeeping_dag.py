"""The DAG that looks once a week whether what is stored still is what was stored."""

from airflow.sdk import DAG, chain, task

from cityframe.config.workspace import Workspace
from cityframe.orchestration import steps
from cityframe.orchestration.cut_offs import cron_schedule
from cityframe.orchestration.retries import BY_BRANCH

EVERY_SUNDAY = "0 1 * * 0"
_PAGE = """\
# 库存核验 · Housekeeping

每周核对台账的哈希链和归档批次的摘要。任务失败说明数据被改动：停止更新，查明原因，从备份恢复。

Checks the hash chain of the ledger and the digests of the archived deliveries, once a week. A
failed task says that stored data was altered: stop, find out why, restore it from a backup.
"""


def housekeeping_dag(workspace: Workspace) -> DAG:
    """Return the DAG ``housekeeping``."""
    root = str(workspace.root.resolve())
    with DAG(
        dag_id="housekeeping",
        dag_display_name="housekeeping · 库存核验",
        description="Verify ledger and archive",
        doc_md=_PAGE,
        schedule=cron_schedule(EVERY_SUNDAY, workspace.time_zone, where="cityframe.yaml"),
        catchup=False,
        max_active_runs=1,
        tags={"cityframe"},
        default_args={"retries": 2, "retry_policy": BY_BRANCH},
    ) as dag:
        chain(
            task(task_id="verify_ledger")(steps.verify_ledger)(root=root),
            task(task_id="verify_archive")(steps.verify_archive)(root=root),
        )
    return dag
