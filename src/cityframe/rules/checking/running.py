"""Run the rules of a layer: in full or since the check before, whole or in tiles."""

from collections.abc import Iterator, Sequence
from itertools import chain
from threading import Lock

import pandas as pd

from cityframe.rules.checking.attempt import Attempt, expectation_of, not_checked, reason_to_pass
from cityframe.rules.checking.execution import Execution
from cityframe.rules.checking.jobs import Found, Job, changed_jobs, tile_jobs, whole_jobs
from cityframe.rules.checking.parts import Whole
from cityframe.rules.checking.reach import reach_of
from cityframe.rules.checking.row_source import FrameRows
from cityframe.rules.checking.since import Recheck, Since
from cityframe.rules.compiled import CompiledRule
from cityframe.rules.context import Context
from cityframe.rules.defects import no_defects


def try_rules(
    context: Context,
    rules: Sequence[CompiledRule],
    execution: Execution,
    *,
    since: Since | None = None,
) -> list[Attempt]:
    """Try the rules of a layer, in the order given.

    Returns
    -------
    list of Attempt
        One a rule. Their defects do not depend on the execution nor, up to several places of the
        same features, on ``since``.
    """
    attempts: dict[str, Attempt] = {}
    running: list[CompiledRule] = []
    for rule in rules:
        reason = reason_to_pass(context, rule)
        if reason:
            attempts[rule.rule.id] = Attempt(rule, no_defects(), message=reason)
        elif rule.kind.check is None:
            attempts[rule.rule.id] = expectation_of(context, rule)
        else:
            running.append(rule)
    whole = _whole(context)
    recheck = None if since is None else Recheck(whole, since)
    found = _Merged(recheck)
    for answer in execution.run(whole, _jobs(whole, running, execution.tile_rows, recheck)):
        for rule, one in zip(answer.job.rules, answer.found, strict=True):
            found.add(rule, answer.number, one)
    for rule in running:
        attempts[rule.rule.id] = found.attempt(rule)
    return [attempts[rule.rule.id] for rule in rules]


def _jobs(
    whole: Whole, rules: Sequence[CompiledRule], tile_rows: int, recheck: Recheck | None
) -> Iterator[Job]:
    """Yield all jobs; those over the whole layer first, since they are the longest."""
    without = [rule for rule in rules if reach_of(rule) is None]
    reaching = [rule for rule in rules if reach_of(rule) is not None]
    if recheck is not None:
        due = [rule for rule in without if not recheck.is_carried(rule)]
        return chain(whole_jobs(due), changed_jobs(whole, reaching, recheck.due, tile_rows))
    if len(whole.context.frame) <= tile_rows:
        return iter(whole_jobs(rules))
    return chain(whole_jobs(without), tile_jobs(whole, reaching, tile_rows))


class _Merged:
    """The answers of all jobs, by rule."""

    def __init__(self, recheck: Recheck | None) -> None:
        self._recheck = recheck
        self._found: dict[str, dict[int, Found]] = {}

    def add(self, rule: CompiledRule, number: int, found: Found) -> None:
        """Keep what one job found."""
        self._found.setdefault(rule.rule.id, {})[number] = found

    def attempt(self, rule: CompiledRule) -> Attempt:
        """Return what all jobs found of a rule, in the order of the layer."""
        answers = self._found.get(rule.rule.id, {})
        in_order = [answers[number] for number in sorted(answers)]
        for one in in_order:
            if isinstance(one, str):
                return not_checked(rule, one)
        parts = [one for one in in_order if not isinstance(one, str)]
        if self._recheck is not None and (reach_of(rule) is not None or not parts):
            parts.append(self._recheck.carried(rule))
        parts = [part for part in parts if len(part)]
        if not parts:
            return Attempt(rule, no_defects())
        # stable, so that the places of one feature stay as its part gave them
        merged = pd.concat(parts, ignore_index=True).sort_values("row", kind="stable")
        return Attempt(rule, merged.reset_index(drop=True))


def _whole(context: Context) -> Whole:
    """Return the layer to cut."""
    once: dict[str, FrameRows] = {}
    lock = Lock()

    def other_rows(name: str) -> FrameRows:
        with lock:
            if name not in once:
                once[name] = FrameRows(context.other(name))
            return once[name]

    return Whole(context, FrameRows(context.frame), other_rows)
