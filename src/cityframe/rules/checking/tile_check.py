"""Check a layer that is too large for memory: tile by tile, from a file.

What is in memory are the bounding boxes of all rows, the tiles that are being checked, and the
positions of the rows that fail. Findings are handed over as they come.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np

from cityframe.model.finding import Scope
from cityframe.model.report import RuleResult
from cityframe.rules.checking.attempt import Attempt, expectation_of, not_checked, reason_to_pass
from cityframe.rules.checking.boxes import tiles
from cityframe.rules.checking.execution import Execution, Threads
from cityframe.rules.checking.expectations import Outcome, Validation
from cityframe.rules.checking.gate import gate_reasons, rule_result, validate_attempts, with_outcome
from cityframe.rules.checking.gathering import gather
from cityframe.rules.checking.jobs import Found, tile_jobs
from cityframe.rules.checking.parts import Whole
from cityframe.rules.checking.reach import reach_of
from cityframe.rules.checking.row_source import RowSource
from cityframe.rules.checking.waiving import WaiverBook
from cityframe.rules.compiled import CompiledRule, CompiledRules
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects

Write = Callable[[gpd.GeoDataFrame], None]


@dataclass(frozen=True)
class TilesChecked:
    """What the check of a layer in tiles gave.

    Attributes
    ----------
    results : tuple of RuleResult
        One a rule that was checked, in the order of declaration.
    gate_reasons : tuple of str
        Why the layer can't pass.
    left : tuple of str
        Ids of the rules that need the whole layer or something beside the layers: they are not
        checked here, and the gate is not known before they are.
    """

    results: tuple[RuleResult, ...]
    gate_reasons: tuple[str, ...]
    left: tuple[str, ...]


def check_tiles(
    compiled: CompiledRules,
    *,
    scope: Scope,
    layer: str,
    rows: RowSource,
    as_of: dt.datetime,
    write: Write,
    other_rows: Mapping[str, RowSource] | None = None,
    delivery: str = "",
    waivers: WaiverBook | None = None,
    execution: Execution | None = None,
) -> TilesChecked:
    """Check one layer in tiles, with the rules that need no more than a tile.

    Parameters
    ----------
    rows : RowSource
        The layer under check.
    write : callable
        Takes the findings of one rule in one part of the layer, as
        `cityframe.rules.checking.gathering.gather` gives them; called from one thread.
    other_rows : mapping of str to RowSource or None
        The other layers.
    execution : Execution or None
        Where the tiles are checked, and how many rows a tile has.

    Returns
    -------
    TilesChecked
        Together the findings are those of `cityframe.rules.check.check_layer` for these rules.
    """
    execution = execution or Threads()
    others = other_rows or {}
    context = Context(
        layer=compiled.layers[layer],
        frame=rows.rows(np.empty(0, dtype=np.int64)),
        layers=compiled.layers,
        as_of=as_of,
        read_other=_read_whole(others) if others else None,
    )
    whole = Whole(context, rows, others.__getitem__)
    rules = compiled.of(layer, scope)
    tallies = {
        rule.rule.id: _Tally(rule, reason_to_pass(context, rule)) for rule in rules if _fits(rule)
    }
    due = [tally.rule for tally in tallies.values() if not tally.message]
    spatial = [rule for rule in due if rule.kind.check is not None]
    keep = _Keeper(context, rows, write, delivery, waivers)
    for answer in execution.run(whole, tile_jobs(whole, spatial, execution.tile_rows)):
        for rule, found in zip(answer.job.rules, answer.found, strict=True):
            keep.defects(tallies[rule.rule.id], found)
    attributes = [rule for rule in due if rule.kind.check is None]
    _check_attributes(keep, [tallies[one.rule.id] for one in attributes], execution.tile_rows)
    results, reasons = [], []
    for tally in tallies.values():
        result, why = tally.judged(context, len(rows.boxes), delivery)
        results.append(result)
        reasons += why
    left = tuple(rule.rule.id for rule in rules if rule.rule.id not in tallies)
    return TilesChecked(tuple(results), tuple(reasons), left)


@dataclass
class _Tally:
    """What the tiles said of one rule so far."""

    rule: CompiledRule
    message: str = ""
    is_error: bool = False
    failed: list[Positions] = field(default_factory=list)
    waived: int = 0
    checked: int = 0

    def judged(self, context: Context, rows: int, delivery: str) -> tuple[RuleResult, list[str]]:
        """Return the result over all tiles: shares are of the sums."""
        if self.is_error:
            attempt = not_checked(self.rule, self.message)
        else:
            failed = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *self.failed]))
            attempt = Attempt(self.rule, defects(row=failed, found=""), message=self.message)
        checked = rows if self.rule.kind.check is not None else self.checked
        mostly = round(1 - self.rule.rule.tolerated, 12)
        outcome = Outcome(
            is_success=checked - len(attempt.defects) >= mostly * checked,
            checked=checked,
            failed=attempt.defects["row"].to_numpy(),
        )
        said = {} if self.message else {self.rule.rule.id: outcome}
        result = rule_result(
            context, attempt, Validation(said, {}, {}), Validation({}, {}, {}),
            delivery=delivery, waived=self.waived,
        )  # fmt: skip
        return result, gate_reasons(attempt, result)


@dataclass(frozen=True)
class _Keeper:
    """Makes findings of what the tiles say, and hands them over."""

    context: Context
    rows: RowSource
    write: Write
    delivery: str
    waivers: WaiverBook | None

    def defects(self, tally: _Tally, found: Found) -> None:
        """Keep the defects of one rule in one part, or why it could not be checked."""
        if isinstance(found, str):
            tally.message, tally.is_error = tally.message or found, True
        elif len(found):
            # only the rows that fail are read again
            positions = np.unique(found[["row", "other_row"]].to_numpy())
            positions = positions[positions >= 0]
            inside = found.assign(
                row=np.searchsorted(positions, found["row"]),
                other_row=np.where(
                    found["other_row"] < 0, -1, np.searchsorted(positions, found["other_row"])
                ),
            ).reset_index(drop=True)
            frame = self.rows.rows(positions)
            self.attempt(tally, Attempt(tally.rule, inside), frame, positions)

    def attempt(
        self, tally: _Tally, attempt: Attempt, frame: gpd.GeoDataFrame, positions: Positions
    ) -> None:
        """Keep the findings of an attempt over rows that stand at ``positions`` in the layer."""
        gathered = gather(
            _over(self.context, frame), attempt, delivery=self.delivery, waivers=self.waivers
        )
        open_rows = gathered.attempt.open_defects[["row", "other_row"]].to_numpy().ravel()
        tally.failed.append(positions[open_rows[open_rows >= 0]])
        tally.waived += gathered.waived
        self.write(gathered.findings)


def _check_attributes(keep: _Keeper, tallies: Sequence[_Tally], size: int) -> None:
    """Let Great Expectations check the attributes, tile by tile."""
    boxes = keep.rows.boxes
    for positions in tiles(boxes, np.arange(len(boxes)), size) if tallies else ():
        context = _over(keep.context, keep.rows.rows(positions))
        attempts = [expectation_of(context, tally.rule) for tally in tallies]
        said, _ = validate_attempts(context, attempts, keep.context.layer.name)
        for tally, attempt in zip(tallies, attempts, strict=True):
            outcome = said.outcomes.get(attempt.id)
            judged = with_outcome(context, attempt, outcome)
            if judged.is_error:
                tally.message, tally.is_error = tally.message or judged.message, True
                continue
            tally.checked += 0 if outcome is None else outcome.checked
            if len(judged.defects):
                keep.attempt(tally, judged, context.frame, positions)


def _over(context: Context, frame: gpd.GeoDataFrame) -> Context:
    return Context(
        layer=context.layer,
        frame=frame,
        layers=context.layers,
        as_of=context.as_of,
        read_other=context.read_other,
    )


def _fits(rule: CompiledRule) -> bool:
    """Return whether a rule needs no more than a tile."""
    return reach_of(rule) is not None or (rule.kind.check is None and rule.kind.reach == "feature")


def _read_whole(others: Mapping[str, RowSource]) -> Callable[[str], gpd.GeoDataFrame]:
    return lambda name: others[name].rows(np.arange(len(others[name].boxes)))
