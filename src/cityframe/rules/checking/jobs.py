"""What is to be checked, in jobs that need nothing of each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cityframe.rules.checking.attempt import defects_of
from cityframe.rules.checking.boxes import outline, tiles
from cityframe.rules.checking.parts import Cut, Part, Whole
from cityframe.rules.checking.reach import reach_of
from cityframe.rules.compiled import CompiledRule
from cityframe.rules.context import Context, Positions

Found = pd.DataFrame | str
"""Defects with positions in the layer, or why the rule could not be checked."""

_MORE_SHARE = 1.1


@dataclass(frozen=True)
class Job:
    """Some rules over one part of a layer, or one over the whole.

    Attributes
    ----------
    rules : tuple of CompiledRule
    owned : tuple of Positions
        Of each rule the rows whose findings are wanted, ascending; empty for the whole layer.
    cut : Cut or None
        The part; None for the whole layer.
    is_anew : bool
        Whether the rows are owned because of a change: then a pair with an owned row is too.
    """

    rules: tuple[CompiledRule, ...]
    owned: tuple[Positions, ...] = ()
    cut: Cut | None = None
    is_anew: bool = False


def run_whole(context: Context, job: Job) -> tuple[Found, ...]:
    """Run a job over the whole layer."""
    return tuple(defects_of(context, rule) for rule in job.rules)


def run_part(part: Part, job: Job) -> tuple[Found, ...]:
    """Run a job over its part; of each rule the defects on the rows that are owned."""
    # the largest of the rules' rows: those of the others lie inside
    part = part.focused(max(job.owned, key=len))
    found = [defects_of(part.context, rule) for rule in job.rules]
    return tuple(
        one
        if isinstance(one, str)
        else part.in_layer(one, owned, or_partner=job.is_anew and rule.kind.is_pairwise)
        for rule, one, owned in zip(job.rules, found, job.owned, strict=True)
    )


def whole_jobs(rules: Sequence[CompiledRule]) -> list[Job]:
    """Return one job a rule over the whole layer."""
    return [Job((rule,)) for rule in rules]


def tile_jobs(whole: Whole, rules: Sequence[CompiledRule], size: int) -> Iterator[Job]:
    """Yield the jobs of rules with a reach, tile by tile.

    Parameters
    ----------
    size : int
        Most rows that a tile owns.
    """
    boxes = whole.rows.boxes
    for owned in tiles(boxes, np.arange(len(boxes)), size) if rules else ():
        seeds = outline(boxes[owned])
        cuts = {reach: whole.cut(owned, seeds, reach) for reach in sorted(set(map(_reach, rules)))}
        yield from shared([Job((rule,), (owned,), cuts[_reach(rule)]) for rule in rules])


def changed_jobs(
    whole: Whole,
    rules: Sequence[CompiledRule],
    owners: Callable[[CompiledRule], Positions],
    size: int,
) -> Iterator[Job]:
    """Yield the jobs of rules with a reach over the rows that a change can have reached.

    Parameters
    ----------
    owners : callable
        Gives the rows whose findings are due anew, ascending.
    """
    boxes = whole.rows.boxes
    pieces: dict[tuple[float, bytes], list[tuple[Positions, Cut]]] = {}
    jobs = []
    for rule in rules:
        reach, due = _reach(rule), owners(rule)
        key = (reach, due.tobytes())
        if key not in pieces:
            pieces[key] = [
                (owned, whole.cut(owned, boxes[owned], reach))
                for owned in tiles(boxes, due, size)
                if len(owned)
            ]
        jobs += [Job((rule,), (owned,), cut, is_anew=True) for owned, cut in pieces[key]]
    yield from shared(jobs)


def shared(jobs: Sequence[Job]) -> list[Job]:
    """Join jobs whose parts are almost one, so that validity and tree are computed once.

    A rule may well look at more than it has to: what it says of the owned rows holds.
    """
    joined: list[Job] = []
    for job in sorted(jobs, key=_size, reverse=True):
        place = next((at for at, larger in enumerate(joined) if _can_share(job, larger)), None)
        if place is None:
            joined.append(job)
        else:
            into = joined[place]
            rules, owned = (*into.rules, *job.rules), (*into.owned, *job.owned)
            joined[place] = replace(into, rules=rules, owned=owned)
    return joined


def _can_share(job: Job, larger: Job) -> bool:
    one, other = job.cut, larger.cut
    if one is None or other is None:
        return False
    return one is other or (
        one.reach <= other.reach
        and len(other.positions) <= _MORE_SHARE * len(one.positions)
        # all that the smaller part is cut to show lies inside the larger one
        and bool(np.isin(one.positions, other.positions, assume_unique=True).all())
        and bool(np.isin(job.owned[0], larger.owned[0], assume_unique=True).all())
    )


def _size(job: Job) -> int:
    return 0 if job.cut is None else len(job.cut.positions)


def _reach(rule: CompiledRule) -> float:
    reach = reach_of(rule)
    if reach is None:
        message = f"rule {rule.rule.id} is checked whole"
        raise ValueError(message)
    return reach
