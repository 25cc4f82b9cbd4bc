"""``cityframe diff A B``: what differs between two releases."""

import argparse
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.difference import LayerDifference, difference

_HEADER = ("layer", "change", "uid", "attribute", "old", "new")


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("diff", parents=[common], help="what differs between releases")
    parser.add_argument("older", type=int, metavar="A")
    parser.add_argument("newer", type=int, metavar="B")
    parser.add_argument("--layer", metavar="L")
    parser.add_argument(
        "--features", action="store_true", help="list the features and their values too"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    city = open_city(options.workspace)
    found = difference(city, options.older, options.newer, layer=options.layer)
    body: dict[str, Any] = {
        "from": options.older,
        "to": options.newer,
        "layers": {one.layer.name: one.counts() for one in found},
    }
    rows = [(one.layer.name, kind, count) for one in found for kind, count in one.counts().items()]
    if options.features:
        features = [feature for one in found for feature in _features(one)]
        return Answer(body | {"features": features}, table(_lines(features), _HEADER))
    return Answer(body, table(rows, ("layer", "change", "features")) if rows else "no difference")


def _features(one: LayerDifference) -> Iterator[dict[str, Any]]:
    """Yield the features that differ, with old and new values of their attributes."""
    values: dict[str, dict[str, Any]] = {}
    for uid, name, old, new in one.attribute_changes().to_numpy().tolist():
        old_and_new = {"old": _plain(old), "new": _plain(new)}
        values.setdefault(uid, {})[name] = old_and_new
    for feature in one.features.to_dict(orient="records"):
        ended_by = feature["ended_by"] if isinstance(feature["ended_by"], str) else None
        yield {
            "layer": one.layer.name,
            **{name: feature[name] for name in ("uid", "change", "has_new_attributes")},
            "ended_by": ended_by,
            "attributes": values.get(feature["uid"], {}),
        }


def _lines(features: Iterable[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    for feature in features:
        head = (feature["layer"], feature["change"], feature["uid"])
        for name, value in feature["attributes"].items():
            yield (*head, name, _shown(value["old"]), _shown(value["new"]))
        if not feature["attributes"]:
            yield (*head, "", "", "")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else value


def _shown(value: object) -> object:
    return "-" if value is None else value
