"""Run the jobs of a check on a Dask cluster: the same tiles, the same findings.

Needs the extra ``distributed``. Each job is sent with its own rows, so that a worker needs no more
than the installed package (and that of a third party's kinds); a job whose worker dies is given to
another. Rules over the whole layer run here, beside: to send a whole layer costs more than it
saves.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cityframe.errors import DeclarationError
from cityframe.rules.checking.execution import Answer, run_here
from cityframe.rules.checking.jobs import Found, Job, run_part
from cityframe.rules.checking.parts import Part, Whole, with_read_layers

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Cluster:
    """The workers of a Dask cluster.

    Attributes
    ----------
    client : distributed.Client
    tile_rows : int
        Most rows that a tile owns.
    waiting : int
        Jobs that are sent ahead for each worker; it bounds what is in memory here and there.
    retries : int
        How often a job is tried again that fails for want of memory or with its worker.

    Raises
    ------
    DeclarationError
        If the extra ``distributed`` is not installed.
    """

    client: "Client"
    tile_rows: int = 200_000
    waiting: int = 2
    retries: int = 3

    def __post_init__(self) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise DeclarationError(
                found="distributed is not installed",
                where="tiles on a Dask cluster",
                expected="the extra distributed",
                remedy="pip install 'cityframe[distributed]', or check with threads",
            ) from error

    def run(self, whole: Whole, jobs: Iterable[Job]) -> Iterator[Answer]:
        """Yield the answers as they come."""
        from distributed import as_completed

        here: list[Future[Answer]] = []
        sent: Any = as_completed()  # type: ignore[no-untyped-call]
        jobs_of: dict[str, tuple[int, Job]] = {}
        with ThreadPoolExecutor(thread_name_prefix="check") as pool:
            for number, job in enumerate(jobs):
                if job.cut is None:
                    here.append(pool.submit(run_here, whole, number, job))
                    continue
                if sent.count() >= self.waiting * self._workers():
                    yield _answer(next(sent), jobs_of)
                future = self._send(whole.part(job.cut), job)
                jobs_of[future.key] = (number, job)
                sent.add(future)
            while not sent.is_empty():
                yield _answer(next(sent), jobs_of)
            yield from (one.result() for one in here)

    def _workers(self) -> int:
        """Return how many threads there are now; workers may come and go."""
        threads: dict[str, int] = self.client.nthreads()  # type: ignore[no-untyped-call]
        return max(1, sum(threads.values()))

    def _send(self, part: Part, job: Job) -> Any:
        names = {other.name for rule in job.rules for other in rule.parameters.needed_layers()} - {
            part.context.layer.name
        }
        part = part if part.context.read_other is None else with_read_layers(part, sorted(names))
        return self.client.submit(_run, part, job, retries=self.retries, pure=False)


def _run(part: Part, job: Job) -> tuple[Found, ...]:
    """Run a job in a worker."""
    return run_part(part, job)


def _answer(future: Any, jobs: dict[str, tuple[int, Job]]) -> Answer:
    number, job = jobs.pop(future.key)
    found: tuple[Found, ...] = future.result()
    future.release()
    return Answer(number, job, found)
