"""``cityframe cycle run|status|approve|return``: update cycles and their decisions."""

import argparse
from dataclasses import asdict

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City, open_city, operator
from cityframe.pipeline.cycle import approve, run_cycle
from cityframe.pipeline.plan import open_cycle_of
from cityframe.pipeline.review import send_back
from cityframe.pipeline.status import cycle_status


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("cycle", help="run, review and decide update cycles")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    run_parser = verbs.add_parser("run", parents=[common], help="all steps; stops at review")
    run_parser.add_argument("series", metavar="SERIES")
    run_parser.add_argument("--approve", metavar="NAME", default="", help="approve in this name")
    run_parser.add_argument("--reason", metavar="TEXT", default="")
    run_parser.set_defaults(run=run)
    status_parser = verbs.add_parser("status", parents=[common], help="how far each cycle is")
    status_parser.add_argument("series", metavar="SERIES", nargs="?")
    status_parser.set_defaults(run=status)
    for verb, action, what in (
        ("approve", approve_cycle, "approve the candidate in review"),
        ("return", return_cycle, "send the candidate in review back"),
    ):
        decide = verbs.add_parser(verb, parents=[common], help=what)
        decide.add_argument("series", metavar="SERIES")
        decide.add_argument("--by", metavar="NAME", default=operator())
        decide.add_argument("--reason", metavar="TEXT", required=True)
        decide.set_defaults(run=action)


def run(options: argparse.Namespace) -> Answer:
    """Run all steps of a series' cycle."""
    if options.approve and not options.reason.strip():
        raise DeclarationError(
            found="--approve without --reason", expected="a reason", remedy="add --reason TEXT"
        )
    outcome = run_cycle(
        open_city(options.workspace),
        options.series,
        approver=options.approve,
        reason=options.reason,
    )
    body = {**asdict(outcome), "quarantined": list(outcome.quarantined)}
    if outcome.release is not None:
        text = f"{outcome.cycle}: release {outcome.release}"
    else:
        text = f"{outcome.cycle or options.series}: no release; {outcome.reason}"
    text = "\n  quarantined: ".join([text, *outcome.quarantined])
    is_stopped = outcome.release is None and (outcome.quarantined or outcome.state == "in-review")
    return Answer(body, text, exit_code=4 if is_stopped else 0)


def status(options: argparse.Namespace) -> Answer:
    """List cycles and what has landed for the next ones."""
    found = cycle_status(open_city(options.workspace), options.series)
    rows = [
        (one.series, one.cycle or "-", one.state, one.release or "-", one.landed,
         ", ".join(one.stale_sources) or "-")
        for one in found
    ]  # fmt: skip
    header = ("series", "cycle", "state", "release", "landed", "stale")
    return Answer({"cycles": [asdict(one) for one in found]}, table(rows, header))


def approve_cycle(options: argparse.Namespace) -> Answer:
    """Approve the candidate in review."""
    city = open_city(options.workspace)
    cycle = _cycle_in_review(city, options.series)
    taken = approve(city, cycle, who=options.by, why=options.reason)
    return Answer(
        {"cycle": cycle, **asdict(taken)},
        f"{cycle}: approved by {taken.who} over candidate {taken.candidate_digest[:16]}",
    )


def return_cycle(options: argparse.Namespace) -> Answer:
    """Send the candidate in review back to its sources."""
    city = open_city(options.workspace)
    cycle = _cycle_in_review(city, options.series)
    taken = send_back(city, cycle, who=options.by, why=options.reason)
    return Answer({"cycle": cycle, **asdict(taken)}, f"{cycle}: returned by {taken.who}")


def _cycle_in_review(city: City, series: str) -> str:
    city.workspace.cycle_series(series)
    cycle = open_cycle_of(city, series)
    if cycle is None:
        raise DeclarationError(
            where=f"series {series}",
            found="no cycle is open",
            remedy=f"run `cityframe cycle run {series}` first",
        )
    return cycle
