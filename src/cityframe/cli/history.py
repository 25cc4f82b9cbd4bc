"""``cityframe history UID``: all that was ever known of a feature."""

import argparse

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.history import feature_history


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("history", parents=[common], help="what was known of a feature")
    parser.add_argument("uid", metavar="UID")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    found = feature_history(open_city(options.workspace), options.uid)
    rows = [
        (
            row["release_from"], row["release_to"] or "now", row["valid_from"],
            row["valid_to"] or "now", row["change"] or "-", row["delivery"],
            ", ".join(f"{k}={v}" for k, v in row["attributes"].items() if v is not None),
        )
        for row in found["rows"]
    ]  # fmt: skip
    header = ("from", "to", "valid from", "valid to", "change", "delivery", "attributes")
    return Answer(found, f"{found['layer']} {found['uid']}\n{table(rows, header)}")
