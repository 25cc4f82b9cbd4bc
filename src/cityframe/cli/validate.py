"""``cityframe validate``: read all declarations and check them against one another."""

import argparse

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.validate import validate_workspace


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("validate", parents=[common], help="check all declarations")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    counts = validate_workspace(options.workspace)
    text = ", ".join(f"{count} {what}" for what, count in counts.items())
    return Answer({"workspace": str(options.workspace), **counts}, f"valid: {text}")
