"""``cityframe inspection plan|worksheet|record|status``: two checks and one acceptance."""

import argparse
from dataclasses import asdict
from pathlib import Path

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.model.acceptance import Inspection, Stage
from cityframe.pipeline.city import open_city, operator
from cityframe.pipeline.inspection import (
    inspections,
    plan_inspection,
    record_inspection,
    write_inspection_worksheet,
)
from cityframe.pipeline.scores import layer_scores


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser(
        "inspection", help="two checks and one acceptance of a candidate in review"
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    plan_parser = verbs.add_parser("plan", parents=[common], help="say which units are inspected")
    _add_stage(plan_parser)
    plan_parser.add_argument("--by", metavar="NAME", default=operator())
    plan_parser.add_argument("--seed", metavar="TEXT", default="", help="repeat an earlier draw")
    plan_parser.set_defaults(run=plan)
    sheet_parser = verbs.add_parser("worksheet", parents=[common], help="write it to fill in")
    _add_stage(sheet_parser)
    sheet_parser.add_argument("--to", type=Path, metavar="FILE", required=True)
    sheet_parser.set_defaults(run=worksheet)
    record_parser = verbs.add_parser("record", parents=[common], help="take in a filled worksheet")
    _add_stage(record_parser)
    record_parser.add_argument("--worksheet", type=Path, metavar="FILE", required=True)
    record_parser.add_argument("--by", metavar="NAME", default=operator())
    record_parser.set_defaults(run=record)
    status_parser = verbs.add_parser("status", parents=[common], help="stages and scores")
    status_parser.add_argument("cycle", metavar="CYCLE")
    status_parser.set_defaults(run=status)


def _add_stage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cycle", metavar="CYCLE")
    parser.add_argument("--stage", choices=[one.value for one in Stage], required=True)


def plan(options: argparse.Namespace) -> Answer:
    """Plan a stage."""
    city = open_city(options.workspace)
    planned = plan_inspection(
        city, options.cycle, Stage(options.stage), who=options.by, seed=options.seed
    )
    drawn = sum(len(units) for units in planned.lots.values())
    seed = f", seed {planned.seed}" if planned.seed else ""
    text = f"{options.cycle}: {planned.stage}: {drawn} of {planned.units} units to inspect{seed}"
    return Answer(asdict(planned), text)


def worksheet(options: argparse.Namespace) -> Answer:
    """Write the worksheet of a planned stage."""
    city = open_city(options.workspace)
    write_inspection_worksheet(city, options.cycle, Stage(options.stage), options.to)
    return Answer({"cycle": options.cycle, "file": str(options.to)}, str(options.to))


def record(options: argparse.Namespace) -> Answer:
    """Take in a filled worksheet."""
    city = open_city(options.workspace)
    done = record_inspection(
        city, options.cycle, Stage(options.stage), options.worksheet, who=options.by
    )
    return Answer(asdict(done), _line(options.cycle, done), exit_code=0 if done.is_passed else 4)


def status(options: argparse.Namespace) -> Answer:
    """Show the stages and scores of a candidate."""
    city = open_city(options.workspace)
    stages = inspections(city, options.cycle)
    scores = list(layer_scores(city, options.cycle))
    rows = [(one.layer, one.units, one.failed, f"{one.score:.2f}") for one in scores]
    lines = [_line(options.cycle, one) for one in stages] or [f"{options.cycle}: no stage yet"]
    if rows:
        lines += ["", table(rows, ("layer", "units", "failed", "score"))]
    body = {"stages": [asdict(one) for one in stages], "scores": [asdict(one) for one in scores]}
    return Answer(body, "\n".join(lines))


def _line(cycle: str, one: Inspection) -> str:
    if one.is_passed is None:
        return f"{cycle}: {one.stage}: planned by {one.planned_by}, awaits its worksheet"
    verdict = "passed" if one.is_passed else f"failed: {', '.join(one.failed)}"
    return f"{cycle}: {one.stage}: {verdict}; score {one.score:.2f}, by {one.who} at {one.when}"
