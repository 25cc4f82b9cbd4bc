"""``cityframe init``: make an empty workspace."""

import argparse

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.init import init_workspace


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("init", parents=[common], help="make an empty workspace")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    made = init_workspace(options.workspace)
    paths = [str(path) for path in made]
    return Answer({"workspace": str(options.workspace), "made": paths}, "\n".join(paths))
