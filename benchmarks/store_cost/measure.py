"""Measure work in a process of its own: wall and CPU seconds, peak memory."""

import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What one piece of work took; CPU seconds are those of this process and of the database."""

    wall_s: float
    cpu_s: float
    peak_gib: float


@dataclass(frozen=True)
class Outcome:
    """The laps of a child process by name, in their order, and what its function returned."""

    laps: dict[str, list[Cost]]
    value: Any

    @property
    def cost(self) -> Cost:
        """The sum of all laps."""
        return total([lap for laps in self.laps.values() for lap in laps])


class Meter:
    """Takes laps in a child process; what lies between them (preparation) is not counted."""

    def __init__(self) -> None:
        self.laps: dict[str, list[Cost]] = {}
        self._postmaster: int | None = None

    def watch_server(self, backend: int) -> None:
        """Count the CPU seconds of a PostgreSQL server on this machine, given one backend."""
        stat = Path(f"/proc/{backend}/stat")
        self._postmaster = int(_fields(stat)[1]) if stat.exists() else None

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what the block takes under a name."""
        wall, cpu = time.perf_counter(), self._cpu_s()
        yield
        wall_s, cpu_s = time.perf_counter() - wall, self._cpu_s() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self.laps.setdefault(name, []).append(Cost(wall_s, cpu_s, peak))

    def _cpu_s(self) -> float:
        own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        cpu = sum(used.ru_utime + used.ru_stime for used in own)
        return cpu + (_server_cpu_s(self._postmaster) if self._postmaster else 0.0)


def run(work: Callable[..., Any], *arguments: Any) -> Outcome:
    """Run ``work(meter, *arguments)`` in a fresh process, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(sender, work, arguments))
    child.start()
    sender.close()
    try:
        laps, value = receiver.recv()
    except EOFError as error:
        message = f"{work.__name__} failed; the reason stands above"
        raise RuntimeError(message) from error
    child.join()
    return Outcome(laps, value)


def total(costs: Sequence[Cost]) -> Cost:
    """Return the sum of costs, with the highest peak."""
    return Cost(
        sum(cost.wall_s for cost in costs),
        sum(cost.cpu_s for cost in costs),
        max(cost.peak_gib for cost in costs),
    )


def median(costs: Sequence[Cost]) -> Cost:
    """Return the medians of costs, with the highest peak."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_gib for cost in costs),
    )


def _in_child(sender: Connection, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    meter = Meter()
    value = work(meter, *arguments)
    sender.send((meter.laps, value))


def _server_cpu_s(postmaster: int) -> float:
    """Return the CPU seconds of the server, its live backends and those that have ended."""
    ticks = sum(map(int, _fields(Path(f"/proc/{postmaster}/stat"))[11:15]))
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(stat)
        except OSError:
            # ended while this was looking
            continue
        if int(fields[1]) == postmaster:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _fields(stat: Path) -> list[str]:
    """Return the fields of a process's ``stat`` from its state on, the third."""
    return stat.read_text().rpartition(")")[2].split()
