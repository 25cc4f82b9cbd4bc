"""One step at a time: two runs of a series must not write the same cycle together."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from cityframe.errors import SourceUnreachableError
from cityframe.pipeline.city import City

StepParameters = ParamSpec("StepParameters")
StepResult = TypeVar("StepResult")


_HELD: set[Path] = set()


@contextmanager
def turn_of(city: City, series: str) -> Iterator[None]:
    """Hold a series' turn; the operating system gives it back when the process ends.

    Inside a block that holds it, this process may hold it again.

    Raises
    ------
    SourceUnreachableError
        If another process has it.
    """
    path = city.workspace.store.resolve() / "cycles" / f".{series}.lock"
    if path in _HELD:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceUnreachableError(
                where=f"{series}",
                found="another process is at work on it",
                remedy="try again when that has ended",
            ) from error
        _HELD.add(path)
        try:
            yield
        finally:
            _HELD.discard(path)


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
