"""``cityframe report ID``: the report of a cycle, or of the cycle behind a release."""

import argparse
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.report_export import export_report


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("report", parents=[common], help="write a cycle's report")
    parser.add_argument("id", metavar="ID", help="a cycle's id or a release's number")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FILE",
        help="a folder, or a file ending in .html, .json, .gpkg or .geojson",
    )  # fmt: skip
    parser.add_argument("--language", choices=("zh", "en"), default="zh", help="of the HTML")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    city = open_city(options.workspace)
    cycle, written = export_report(city, options.id, options.to, language=options.language)
    return Answer({"cycle": cycle, "file": str(written)}, str(written))
