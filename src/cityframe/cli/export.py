"""``cityframe export N``: one layer as a release knew it, to a file."""

import argparse
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands, bbox, moment
from cityframe.pipeline.city import open_city
from cityframe.pipeline.export import export_layer


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("export", parents=[common], help="write a layer to a file")
    parser.add_argument("number", type=int, metavar="N")
    parser.add_argument("--layer", required=True, metavar="L")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE")
    parser.add_argument("--valid-at", type=moment, metavar="TIME", help="as it was in the world")
    parser.add_argument("--bbox", type=bbox, metavar="XMIN,YMIN,XMAX,YMAX")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    count = export_layer(
        open_city(options.workspace),
        options.number,
        layer=options.layer,
        to=options.to,
        valid_at=options.valid_at,
        bbox=options.bbox,
    )
    body = {
        "release": options.number,
        "layer": options.layer,
        "file": str(options.to),
        "features": count,
    }
    return Answer(body, f"{options.to}: {count} features")
