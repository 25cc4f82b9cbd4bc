"""``cityframe pull SOURCE``: land a delivery."""

import argparse

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands, moment
from cityframe.pipeline.city import open_city
from cityframe.pipeline.pull import pull


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("pull", parents=[common], help="land a delivery of a source")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--from", dest="place", metavar="PATH", help="instead of the declared one")
    parser.add_argument("--at", type=moment, metavar="TIME", help="when the content was so")
    parser.add_argument(
        "--base", type=int, metavar="N", help="the release that the source worked from"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    outcome = pull(
        open_city(options.workspace),
        options.source,
        place=options.place,
        at=options.at,
        base=options.base,
    )
    delivery = outcome.delivery
    body = {
        "source": options.source,
        "delivery": delivery.id if delivery else None,
        "is_new": outcome.is_new,
        "reason": outcome.reason,
        "files": len(delivery.files) if delivery else 0,
        "bytes": sum(file.size for file in delivery.files) if delivery else 0,
        "observed_at": delivery.observed_at if delivery else None,
    }
    text = delivery.id if delivery else "nothing new"
    return Answer(body, f"{text} ({outcome.reason})" if outcome.reason else text)
