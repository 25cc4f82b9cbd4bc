"""The DAG that pulls one source."""

import datetime as dt

from airflow.sdk import DAG, Param, task

from cityframe.config.source import Source
from cityframe.config.workspace import Workspace
from cityframe.orchestration import assets, steps
from cityframe.orchestration.cut_offs import cron_schedule
from cityframe.orchestration.retries import BY_BRANCH

DEFAULT_POOL = "default_pool"


def pull_dag(workspace: Workspace, source: Source) -> DAG:
    """Return the DAG ``pull_SOURCE``: it lands one delivery and says so by an asset.

    Raises
    ------
    DeclarationError
        If the source's schedule is no cron expression.
    """
    root = workspace.root.resolve()
    where = str(workspace.root / "sources" / f"{source.name}.yaml")
    with DAG(
        dag_id=f"pull_{source.name}",
        dag_display_name=f"pull_{source.name} · {source.title.zh}",
        description=source.title.en,
        doc_md=_page(source),
        schedule=cron_schedule(source.schedule, workspace.time_zone, where=where)
        if source.schedule
        else None,
        catchup=False,
        max_active_runs=1,
        tags={"cityframe", "pull", source.kind.value},
        params={
            "place": Param("", type="string", description="Pull from here, not the declared place"),
            "at": Param("", type="string", description="When the content was so, ISO 8601"),
        },
    ) as dag:
        task(
            task_id="pull",
            pool=source.pool or DEFAULT_POOL,
            retries=source.retries.count,
            retry_delay=dt.timedelta(seconds=source.retries.delay_s),
            retry_policy=BY_BRANCH,
            outlets=[assets.deliveries(root, source.name)],
        )(steps.pull)(
            root=str(root),
            source=source.name,
            place="{{ params.place }}",
            at="{{ params.at }}",
        )
    return dag


def _page(source: Source) -> str:
    days = source.currency_days
    zh_promise = f"承诺 {days} 天内更新。" if days else "没有更新承诺。"
    en_promise = f"It promises content at most {days} days old." if days else "It promises no age."
    return (
        f"# {source.title.zh} · {source.title.en}\n\n"
        f"拉取数据源 `{source.name}` 的一个批次（{source.kind.value}，{source.delivery.value}），"
        f"存入归档并记入台账。{zh_promise}没有新内容时任务显示为跳过。\n\n"
        f"Lands one delivery of the source `{source.name}` ({source.kind.value}, "
        f"{source.delivery.value}) in the archive and notes it in the ledger. {en_promise} "
        "The task shows as skipped when there is nothing new.\n\n"
        f"Declared in `sources/{source.name}.yaml`.\n"
    )
