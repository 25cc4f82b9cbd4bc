"""``cityframe redact LAYER UID``: clear attributes of features in all of history."""

import argparse
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City, now, open_city, operator
from cityframe.pipeline.publishing import publish_release
from cityframe.pipeline.redacting import Leftovers, carry_out, leftovers, plan
from cityframe.store.redaction import RedactionPlan


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "redact",
        parents=[common],
        help="clear attributes of features in all of history, by decision",
    )
    parser.add_argument("layer", metavar="LAYER")
    parser.add_argument("uid", metavar="UID", nargs="*")
    parser.add_argument("--uids", type=Path, metavar="FILE", help="more uids, one a line")
    parser.add_argument("--attributes", required=True, metavar="A,B", help="what to clear")
    parser.add_argument(
        "--decision", default="", metavar="TEXT",
        help="the decision: kept for ever and sent to subscribers, so no personal data",
    )  # fmt: skip
    parser.add_argument("--by", metavar="NAME", default=operator(), help="who decided it")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be cleared, and what is left"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    city = open_city(options.workspace)
    names = [one.strip() for one in options.attributes.split(",") if one.strip()]
    planned = plan(city, options.layer, [*options.uid, *_listed(options.uids)], names)
    if options.dry_run:
        return _answer(city, planned, leftovers(city, planned), release=None)
    made = carry_out(city, planned, who=options.by, decision=options.decision, at=now())
    publish_release(city, made)
    return _answer(city, planned, leftovers(city, planned), release=made.number)


def _listed(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(
            where=str(path), found=f"no list of uids ({error})", expected="UTF-8 text, one a line"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _answer(city: City, planned: RedactionPlan, left: Leftovers, *, release: int | None) -> Answer:
    features = len(set(planned.rows.column("uid").to_pylist()))
    body = {
        "release": release,
        "dry_run": release is None,
        "layer": planned.layer.name,
        "attributes": list(planned.attributes),
        "features": features,
        "rows": planned.rows.num_rows,
        "left_in": {
            "packages": [str(path) for path in left.packages],
            "deliveries": list(left.deliveries),
            "cycles": list(left.cycles),
        },
    }
    done = "would be cleared" if release is None else f"cleared in release {release}"
    lines = [
        (
            f"{planned.layer.name}: {', '.join(planned.attributes)} {done} "
            f"(features: {features}, rows: {planned.rows.num_rows})"
        ),
        *(f"still in package {path}" for path in left.packages),
        *(f"still in landed bytes of {one}" for one in left.deliveries),
        *(f"still in working files or report of cycle {one}" for one in left.cycles),
    ]
    if left.deliveries:
        lines.append("prune them with `cityframe prune --delivery ID --by NAME --reason TEXT`")
    if city.workspace.framework_url is not None:
        lines.append("PostGIS: run VACUUM FULL on the layer's history, and mind logs and backups")
    return Answer(body, "\n".join(lines))
