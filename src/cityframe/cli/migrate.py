"""``cityframe migrate``: bring a store to the newest layout."""

import argparse

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.store.layout import migrate


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "migrate", parents=[common], help="bring a store to this version's layout"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Migrate the store in one transaction."""
    framework = open_city(options.workspace).framework
    before, after = migrate(framework.home)
    said = f"was layout {before}, is layout {after}" if before != after else f"has layout {after}"
    return Answer({"before": before, "after": after}, f"{framework.label} {said}")
