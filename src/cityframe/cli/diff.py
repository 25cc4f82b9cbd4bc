"""``cityframe diff A B``: what differs between two releases."""

import argparse

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.difference import difference


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("diff", parents=[common], help="what differs between releases")
    parser.add_argument("older", type=int, metavar="A")
    parser.add_argument("newer", type=int, metavar="B")
    parser.add_argument("--layer", metavar="L")
    parser.add_argument("--features", action="store_true", help="list the features too")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    city = open_city(options.workspace)
    found = difference(city, options.older, options.newer, layer=options.layer)
    body = {
        "from": options.older,
        "to": options.newer,
        "layers": {one.layer.name: one.counts() for one in found},
    }
    rows = [(one.layer.name, kind, count) for one in found for kind, count in one.counts().items()]
    if options.features:
        body["features"] = [
            {"layer": one.layer.name, **feature}
            for one in found
            for feature in one.features.to_dict(orient="records")
        ]
        lines = [
            (one.layer.name, feature.change, feature.uid)
            for one in found
            for feature in one.features.itertuples(index=False)
        ]
        return Answer(body, table(lines, ("layer", "change", "uid")))
    return Answer(body, table(rows, ("layer", "change", "features")) if rows else "no difference")
