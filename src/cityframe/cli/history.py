"""``cityframe history UID``: all that was known of a feature, and where its uid leads today."""

import argparse
from typing import Any

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
    head = f"{found['layer']} {found['uid']}: {found['status']}"
    if found["status"] == "succeeded":
        head += f" by {', '.join(found['successors'])}"
    lines = [head, table(rows, header)]
    for name in ("ancestors", "descendants"):
        lines += [f"{name}: {_event(one)}" for one in found[name]]
    return Answer(found, "\n".join(lines))


def _event(one: dict[str, Any]) -> str:
    share = "" if one["share"] is None else f" ({one['share']:.0%})"
    return f"release {one['release']} {one['event']} {one['parent']} > {one['child'] or '-'}{share}"
