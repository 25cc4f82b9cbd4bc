"""``cityframe explain UID``: why a feature is as it is."""

import argparse

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.explaining import explain
from cityframe.pipeline.explanation_words import in_words


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("explain", parents=[common], help="why a feature is as it is")
    parser.add_argument("uid", metavar="UID")
    parser.add_argument("--release", type=int, metavar="N", help="as it was in this release")
    parser.add_argument("--language", choices=("zh", "en"), default="zh", help="of the sentences")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    found = explain(open_city(options.workspace), options.uid, options.release)
    return Answer(found.as_body(), in_words(found, options.language))
