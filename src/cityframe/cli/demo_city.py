"""``cityframe demo-city DIR``: generate a city with its feeds and the truth about its changes."""

import argparse
import sys
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("demo-city", parents=[common], help="generate a plausible city")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--buildings", type=int, default=2000, metavar="N")
    parser.add_argument("--deliveries", type=int, default=2, metavar="K")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    from cityframe.demo import generate_city

    manifest = generate_city(
        options.folder,
        buildings=options.buildings,
        deliveries=options.deliveries,
        seed=options.seed,
        progress=lambda text: print(text, file=sys.stderr),  # noqa: T201
    )
    body = {"folder": str(options.folder), **manifest.as_dict()}
    return Answer(body, f"{options.folder}: {options.deliveries} deliveries")
