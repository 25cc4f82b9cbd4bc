"""``cityframe fsck``: check the store against itself, and name what is damaged."""

import argparse
from dataclasses import asdict

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.errors import IntegrityError
from cityframe.pipeline.city import open_city
from cityframe.pipeline.fsck import check_store


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "fsck", parents=[common], help="check the store: rows, releases, evidence, landed bytes"
    )
    parser.add_argument("--release", type=int, metavar="N", help="this release only")
    parser.add_argument(
        "--quick", action="store_true", help="without landed bytes, candidates and SQLite's indexes"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    found = check_store(open_city(options.workspace), release=options.release, quick=options.quick)
    body = {
        "releases": found.releases,
        "rows": dict(found.rows),
        "is_sound": not found.damages,
        "damages": [asdict(one) for one in found.damages],
    }
    rows = ", ".join(f"{count} rows of {layer}" for layer, count in found.rows.items()) or "no rows"
    checked = f"checked {found.releases} releases, {rows}"
    if not found.damages:
        return Answer(body, f"{checked}: sound")
    lines = [
        (one.where, one.layer or "-", one.uid or "-", "-" if one.fid is None else one.fid,
         one.release or "-", one.found, one.expected or "-")
        for one in found.damages
    ]  # fmt: skip
    header = ("where", "layer", "uid", "row", "release", "found", "expected")
    text = f"{checked}: not sound, {len(lines)} found\n{table(lines, header)}"
    return Answer(body, text, exit_code=IntegrityError.exit_code)
