"""Run the jobs of a check on the cores of this machine."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from cityframe.rules.checking.jobs import Found, Job, run_part, run_whole
from cityframe.rules.checking.parts import Whole


@dataclass(frozen=True)
class Answer:
    """What a job found, one a rule; ``number`` is its place among the jobs."""

    number: int
    job: Job
    found: tuple[Found, ...]


class Execution(Protocol):
    """Runs jobs somewhere.

    Attributes
    ----------
    tile_rows : int
        Layers with more rows are cut into tiles of at most so many.
    """

    @property
    def tile_rows(self) -> int:
        """Most rows of a tile."""

    def run(self, whole: Whole, jobs: Iterable[Job]) -> Iterator[Answer]:
        """Yield the answers in any order; jobs are taken as there is room for them."""


@dataclass(frozen=True)
class Threads:
    """Threads of this process: GEOS lets go of the interpreter's lock where the time goes.

    Attributes
    ----------
    workers : int or None
        Threads; None for one a core that the process may use.
    tile_rows : int
        Memory is bounded by the tiles of all workers.
    """

    workers: int | None = None
    tile_rows: int = 200_000

    def run(self, whole: Whole, jobs: Iterable[Job]) -> Iterator[Answer]:
        """Yield the answers as they come."""
        workers = self.workers or cores()
        waiting: set[Future[Answer]] = set()
        with ThreadPoolExecutor(workers, thread_name_prefix="check") as pool:
            try:
                for number, job in enumerate(jobs):
                    if len(waiting) >= 2 * workers:
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        yield from (one.result() for one in done)
                    waiting.add(pool.submit(run_here, whole, number, job))
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (one.result() for one in done)
            finally:
                # what ends the run, ends it now
                for one in waiting:
                    one.cancel()


def run_here(whole: Whole, number: int, job: Job) -> Answer:
    """Run a job in this thread."""
    if job.cut is None:
        return Answer(number, job, run_whole(whole.context, job))
    return Answer(number, job, run_part(whole.part(job.cut), job))


def cores() -> int:
    """Return how many cores the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
