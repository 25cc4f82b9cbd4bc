"""``cityframe waiver list|withdraw``: findings that somebody accepted."""

import argparse

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.cli.waive import EFFECTS
from cityframe.pipeline.city import now, open_city, operator
from cityframe.pipeline.waiver_standing import WITHDRAWN, waiver_statuses
from cityframe.pipeline.waivers import as_body
from cityframe.pipeline.waiving import withdraw


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("waiver", help="list and withdraw waivers")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    list_parser = verbs.add_parser(
        "list", parents=[common], help="those that stand, have expired or are void"
    )
    list_parser.add_argument("--all", action="store_true", help="also those that were withdrawn")
    list_parser.set_defaults(run=list_waivers)
    withdraw_parser = verbs.add_parser("withdraw", parents=[common], help="take a waiver back")
    withdraw_parser.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    withdraw_parser.add_argument("--by", metavar="NAME", default=operator())
    withdraw_parser.add_argument("--reason", metavar="TEXT", required=True)
    withdraw_parser.set_defaults(run=take_back)


def list_waivers(options: argparse.Namespace) -> Answer:
    """List the waivers."""
    found = [
        one
        for one in waiver_statuses(open_city(options.workspace), now())
        if options.all or one.status != WITHDRAWN
    ]
    rows = [
        (one.waiver.id, one.status, one.waiver.rule, one.waiver.finding_id, one.waiver.expires_at,
         one.waiver.approver, one.waiver.reason, one.why)
        for one in found
    ]  # fmt: skip
    header = ("waiver", "status", "rule", "finding", "expires", "by", "reason", "why")
    body = [{**as_body(one.waiver), "status": one.status, "why": one.why} for one in found]
    return Answer({"waivers": body}, table(rows, header) if rows else "no waiver")


def take_back(options: argparse.Namespace) -> Answer:
    """Withdraw a waiver."""
    taken = withdraw(open_city(options.workspace), options.id, who=options.by, why=options.reason)
    return Answer(
        {**as_body(taken.waiver), "effect": taken.effect.value},
        f"waiver {taken.waiver.id} is withdrawn; {EFFECTS[taken.effect]}",
    )
