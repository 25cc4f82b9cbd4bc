"""One step at a time: two runs of a series must not write the same cycle together."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from cityframe.errors import SourceUnreachableError
from cityframe.pipeline.city import City

StepParameters = ParamSpec("StepParameters")
StepResult = TypeVar("StepResult")


@contextmanager
def turn_of(city: City, series: str) -> Iterator[None]:
    """Hold a series' turn; the operating system gives it back when the process ends.

    Raises
    ------
    SourceUnreachableError
        If another process has it.
    """
    path = city.workspace.store / "cycles" / f".{series}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceUnreachableError(
                where=f"series {series}",
                found="another process is at a step of its cycle",
                remedy="try again when that step has ended",
            ) from error
        yield


def in_turn(
    step: Callable[Concatenate[City, str, StepParameters], StepResult],
) -> Callable[Concatenate[City, str, StepParameters], StepResult]:
    """Let a step of a cycle run only when no other process is at one of the same series."""

    @wraps(step)
    def run(
        city: City, cycle: str, /, *args: StepParameters.args, **kwargs: StepParameters.kwargs
    ) -> StepResult:
        with turn_of(city, cycle.rpartition("-")[0]):
            return step(city, cycle, *args, **kwargs)

    return run
