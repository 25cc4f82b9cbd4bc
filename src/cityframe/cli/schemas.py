"""``cityframe schemas``: write JSON Schemas of the declarations, for editors."""

import argparse
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.validate import write_json_schemas


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "schemas", parents=[common], help="write JSON Schemas of the declarations, for editors"
    )
    parser.add_argument("--to", type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    paths = [str(path) for path in write_json_schemas(options.to)]
    return Answer({"written": paths}, "\n".join(paths))
