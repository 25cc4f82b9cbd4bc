"""``cityframe waive FINDING``: accept a finding for as long as its reason holds."""

import argparse

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands, moment
from cityframe.model.waiver import WaiverScope
from cityframe.pipeline.city import open_city, operator
from cityframe.pipeline.waivers import as_body
from cityframe.pipeline.waiving import Effect, waive

EFFECTS = {
    Effect.REVIEWED: "the candidate was checked and put in review again: look at the new report",
    Effect.NEXT_CHECK: "it counts from the next check of a candidate on",
    Effect.NEXT_INTAKE: "it counts from the next intake of the record on: what was returned stays "
    "returned until the source delivers it again",
}


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("waive", parents=[common], help="accept a finding")
    parser.add_argument("finding", metavar="FINDING", help="its id, or the beginning of it")
    parser.add_argument("--by", metavar="NAME", default=operator())
    parser.add_argument("--reason", metavar="TEXT", required=True)
    parser.add_argument("--expires", type=moment, required=True, metavar="TIME")
    parser.add_argument(
        "--scope", choices=[one.value for one in WaiverScope], default=WaiverScope.STANDING.value,
        help="count in this cycle only, or in each until it expires",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    given = waive(
        open_city(options.workspace),
        options.finding,
        who=options.by,
        why=options.reason,
        expires=options.expires,
        scope=WaiverScope(options.scope),
    )
    waiver = given.waiver
    return Answer(
        {**as_body(waiver), "effect": given.effect.value},
        f"waiver {waiver.id} of finding {waiver.finding_id} ({waiver.rule}) until "
        f"{waiver.expires_at}; {EFFECTS[given.effect]}",
    )
