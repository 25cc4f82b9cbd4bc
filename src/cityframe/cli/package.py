"""``cityframe package build|verify``: what subscribers get."""

import argparse
from pathlib import Path

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.publishing import build_packages, verify_package


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("package", help="build and verify packages")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    build_parser = verbs.add_parser("build", parents=[common], help="full and change of a release")
    build_parser.add_argument("number", type=int, metavar="N")
    build_parser.add_argument("--to", type=Path, required=True, metavar="DIR")
    build_parser.set_defaults(run=build)
    verify_parser = verbs.add_parser(
        "verify",
        parents=[common],
        help="prove a package; with its base, that it leads to release N",
    )
    verify_parser.add_argument("folder", type=Path, metavar="DIR")
    verify_parser.add_argument("--base", type=Path, metavar="DIR", help="the full package before")
    verify_parser.set_defaults(run=verify)


def build(options: argparse.Namespace) -> Answer:
    """Build the packages of a release."""
    built = build_packages(open_city(options.workspace), options.number, options.to)
    body = {"release": options.number, "packages": {kind: str(at) for kind, at in built.items()}}
    return Answer(body, "\n".join(f"{kind}: {path}" for kind, path in built.items()))


def verify(options: argparse.Namespace) -> Answer:
    """Verify a package; needs no workspace."""
    body = verify_package(options.folder, options.base)
    return Answer(body, f"{options.folder}: verified, {body['proved']}")
