"""``cityframe release list|show|name|rollback|recall``: the versions of the framework."""

import argparse
from dataclasses import asdict
from typing import Any

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.model.release import Release
from cityframe.pipeline.city import City, now, open_city, operator
from cityframe.pipeline.naming import name_release, unname_release
from cityframe.pipeline.publishing import publish_release
from cityframe.pipeline.recalling import recall, recalls
from cityframe.pipeline.releasing import roll_back


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("release", help="list, name, roll back and recall releases")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verbs.add_parser("list", parents=[common], help="all releases").set_defaults(run=list_all)
    show_parser = verbs.add_parser("show", parents=[common], help="one release with its proof")
    show_parser.add_argument("number", type=int, metavar="N")
    show_parser.set_defaults(run=show)
    back_parser = verbs.add_parser(
        "rollback", parents=[common], help="a new release that says again what release N said"
    )
    back_parser.add_argument("number", type=int, metavar="N")
    back_parser.add_argument("--by", metavar="NAME", default=operator())
    back_parser.add_argument("--reason", metavar="TEXT", required=True)
    back_parser.set_defaults(run=rollback)
    _register_names(verbs, common)
    recall_parser = verbs.add_parser(
        "recall", parents=[common], help="withdraw release N by a signed statement"
    )
    recall_parser.add_argument("number", type=int, metavar="N")
    recall_parser.add_argument("--by", metavar="NAME", default=operator())
    recall_parser.add_argument("--reason", metavar="TEXT", required=True)
    recall_parser.add_argument("--replaced-by", type=int, metavar="M")
    recall_parser.set_defaults(run=recall_release)


def _register_names(verbs: Commands, common: argparse.ArgumentParser) -> None:
    name_parser = verbs.add_parser(
        "name", parents=[common], help="views of all layers as release N has them"
    )
    name_parser.add_argument("number", type=int, metavar="N")
    name_parser.add_argument("name", metavar="NAME")
    name_parser.set_defaults(run=name_views)
    unname_parser = verbs.add_parser("unname", parents=[common], help="drop the views of a name")
    unname_parser.add_argument("name", metavar="NAME")
    unname_parser.set_defaults(run=drop_views)


def list_all(options: argparse.Namespace) -> Answer:
    """List all releases."""
    city = open_city(options.workspace)
    releases = city.framework.releases()
    recalled = _recalled(city)
    rows = [
        (one.number, one.kind.value, one.created_at, one.cycle,
         sum(layer.count for layer in one.layers), one.digest[:16],
         "recalled" if one.number in recalled else "")
        for one in releases
    ]  # fmt: skip
    text = table(rows, ("release", "kind", "created", "cycle", "features", "digest", ""))
    body = [{**release_body(one), "is_recalled": one.number in recalled} for one in releases]
    return Answer({"releases": body}, text if rows else "no release yet")


def show(options: argparse.Namespace) -> Answer:
    """Show one release."""
    city = open_city(options.workspace)
    made = city.framework.release(options.number)
    is_recalled = made.number in _recalled(city)
    layers = table(
        [
            (layer.layer, layer.count, layer.digest[:16],
             ", ".join(f"{kind} {count}" for kind, count in layer.changes.items()) or "-")
            for layer in made.layers
        ],
        ("layer", "features", "digest", "changes"),
    )  # fmt: skip
    decisions = "\n".join(
        f"{one['what']} by {one['who']} at {one['when']}: {one['why']}"
        for one in made.evidence.get("decisions", [])
    )
    head = f"release {made.number} ({made.kind.value}) of {made.created_at}, cycle {made.cycle}"
    if is_recalled:
        head += "; recalled"
    return Answer(
        {**release_body(made), "is_recalled": is_recalled, "evidence": dict(made.evidence)},
        f"{head}\nreference time {made.valid_at}\ndigest {made.digest}\n{layers}\n{decisions}",
    )


def _recalled(city: City) -> set[int]:
    return {one["release"] for one in recalls(city)}


def rollback(options: argparse.Namespace) -> Answer:
    """Roll back to a release."""
    city = open_city(options.workspace)
    made = roll_back(city, options.number, who=options.by, why=options.reason, at=now())
    publish_release(city, made)
    return Answer(
        release_body(made), f"release {made.number} says again what release {options.number} said"
    )


def name_views(options: argparse.Namespace) -> Answer:
    """Create the views of a named release."""
    views = name_release(open_city(options.workspace), options.number, options.name)
    body = {"release": options.number, "name": options.name, "views": views}
    return Answer(body, f"release {options.number} as {options.name}: {', '.join(views)}")


def drop_views(options: argparse.Namespace) -> Answer:
    """Drop the views of a name."""
    views = unname_release(open_city(options.workspace), options.name)
    return Answer({"name": options.name, "dropped": views}, f"dropped: {', '.join(views)}")


def recall_release(options: argparse.Namespace) -> Answer:
    """Withdraw a release."""
    path = recall(
        open_city(options.workspace),
        options.number,
        who=options.by,
        why=options.reason,
        replaced_by=options.replaced_by,
        at=now(),
    )
    return Answer(
        {"release": options.number, "statement": str(path)},
        f"release {options.number} is recalled; send {path} to every subscriber",
    )


def release_body(made: Release) -> dict[str, Any]:
    """Return a release without its evidence, JSON-ready."""
    return {
        "release": made.number,
        "kind": made.kind.value,
        "created_at": made.created_at,
        "valid_at": made.valid_at,
        "cycle": made.cycle,
        "digest": made.digest,
        "layers": [{**asdict(layer), "changes": dict(layer.changes)} for layer in made.layers],
    }
