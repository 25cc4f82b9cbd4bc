"""``cityframe prune``: remove what is old and no open cycle needs, or named deliveries."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands, moment
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City, now, open_city, operator
from cityframe.pipeline.prunable import Prunable, due, of_deliveries
from cityframe.pipeline.retention import prune, prune_deliveries, unfinished


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "prune", parents=[common], help="remove old landed bytes, candidates and working files"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would go")
    parser.add_argument("--at", type=moment, metavar="TIME", help="count ages at TIME, not now")
    parser.add_argument(
        "--delivery", action="append", metavar="ID", default=[],
        help="this one whatever its age, by order; may be repeated",
    )  # fmt: skip
    parser.add_argument("--by", metavar="NAME", default=operator(), help="who ordered it")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why it was ordered")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    city = open_city(options.workspace)
    if options.delivery and options.at:
        raise DeclarationError(
            where="prune",
            found="--delivery with --at",
            expected="either: named deliveries go whatever their age",
        )
    if options.reason and not options.delivery:
        raise DeclarationError(
            where="prune", found="--reason without --delivery", remedy="name what is ordered to go"
        )
    return _look_ahead(city, options) if options.dry_run else _carry_out(city, options)


def _look_ahead(city: City, options: argparse.Namespace) -> Answer:
    begun = unfinished(city)
    items = list(begun.items) if begun else []
    if options.delivery:
        found = of_deliveries(city, options.delivery)
    else:
        found = due(city, options.at or now())
    known = {(one.part, one.cycle, one.delivery) for one in items}
    items += [one for one in found if (one.part, one.cycle, one.delivery) not in known]
    return _answer(items, is_dry_run=True)


def _carry_out(city: City, options: argparse.Namespace) -> Answer:
    if options.delivery:
        done = prune_deliveries(city, options.delivery, who=options.by, why=options.reason)
        return _answer(done.items, is_dry_run=False)
    done_in_turn = prune(city, at=options.at)
    return _answer([item for one in done_in_turn for item in one.items], is_dry_run=False)


def _answer(items: Sequence[Prunable], *, is_dry_run: bool) -> Answer:
    total = sum(one.bytes for one in items)
    body = {"dry_run": is_dry_run, "bytes": total, "items": [asdict(one) for one in items]}
    if not items:
        return Answer(body, "nothing to prune")
    rows = [
        (one.part.value, one.cycle or "-", one.delivery or "-", one.since, one.bytes)
        for one in items
    ]
    said = "would be freed" if is_dry_run else "freed"
    lines = table(rows, ("part", "cycle", "delivery", "since", "bytes"))
    return Answer(body, f"{lines}\n{total} bytes {said}")
