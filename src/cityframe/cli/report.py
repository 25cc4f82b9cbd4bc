"""``cityframe report``: the report of a cycle or release, of a delivery, of a supplier."""

import argparse
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import open_city
from cityframe.pipeline.report_export import (
    export_delivery_report,
    export_report,
    export_supplier_report,
)


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("report", parents=[common], help="write a report")
    parser.add_argument(
        "of", nargs="+", metavar="ID",
        help="a cycle's id or a release's number; or `delivery ID`; or `supplier SOURCE`",
    )  # fmt: skip
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FILE",
        help="a folder, or a file ending in .html, .json, .gpkg, .geojson, .csv or .xml",
    )  # fmt: skip
    parser.add_argument("--language", choices=("zh", "en"), default="zh", help="of the HTML")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command.

    Raises
    ------
    DeclarationError
        If what the report is to be of is not one of the three.
    """
    city, to, language = open_city(options.workspace), options.to, options.language
    match options.of:
        case ["delivery", delivery]:
            cycle, written = export_delivery_report(city, delivery, to, language=language)
            answer = {"cycle": cycle, "delivery": delivery, "file": str(written)}
        case ["supplier", source]:
            written = export_supplier_report(city, source, to, language=language)
            answer = {"source": source, "file": str(written)}
        case [report_id]:
            cycle, written = export_report(city, report_id, to, language=language)
            answer = {"cycle": cycle, "file": str(written)}
        case other:
            raise DeclarationError(
                where="cityframe report",
                found=" ".join(other),
                expected="a cycle's id, a release's number, `delivery ID` or `supplier SOURCE`",
            )
    return Answer(answer, str(written))
