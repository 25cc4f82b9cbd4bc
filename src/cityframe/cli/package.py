"""``cityframe package build|verify|pack|invert``, and what `subscription` adds: packages."""

import argparse
from pathlib import Path

from cityframe.cli import subscription
from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.city import open_city
from cityframe.pipeline.publishing import build_packages, verify_package
from cityframe.products.package import invert as invert_package
from cityframe.products.package import pack as pack_package
from cityframe.products.signature import SigningKey, TrustStore


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("package", help="build, verify, apply and undo packages")
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
    verify_parser.add_argument("folder", type=Path, metavar="PACKAGE")
    verify_parser.add_argument("--base", type=Path, metavar="DIR", help="the full package before")
    verify_parser.add_argument(
        "--trust", type=Path, metavar="FILE", help="the signature must be by a key that it trusts"
    )
    verify_parser.set_defaults(run=verify)
    pack_parser = verbs.add_parser("pack", parents=[common], help="a package as one zip file")
    pack_parser.add_argument("folder", type=Path, metavar="DIR")
    pack_parser.add_argument("--to", type=Path, required=True, metavar="ZIP")
    pack_parser.set_defaults(run=pack)
    invert_parser = verbs.add_parser(
        "invert", parents=[common], help="the change package that undoes another one"
    )
    invert_parser.add_argument("folder", type=Path, metavar="PACKAGE")
    invert_parser.add_argument("--to", type=Path, required=True, metavar="DIR")
    invert_parser.add_argument("--key", type=Path, metavar="PEM", help="sign it with this key")
    invert_parser.set_defaults(run=invert)
    subscription.register(verbs, common)


def build(options: argparse.Namespace) -> Answer:
    """Build the packages of a release."""
    built = build_packages(open_city(options.workspace), options.number, options.to)
    body = {"release": options.number, "packages": {kind: str(at) for kind, at in built.items()}}
    return Answer(body, "\n".join(f"{kind}: {path}" for kind, path in built.items()))


def verify(options: argparse.Namespace) -> Answer:
    """Verify a package; needs no workspace."""
    trust = TrustStore.read(options.trust) if options.trust else None
    body = verify_package(options.folder, options.base, trust)
    signed = (
        f"signed by key {body['signed_by']}"
        if trust
        else "signature not checked: name the keys you trust with --trust"
    )
    return Answer(body, f"{options.folder}: verified, {body['proved']}; {signed}")


def pack(options: argparse.Namespace) -> Answer:
    """Write a package as one file."""
    path = pack_package(options.folder, options.to)
    return Answer({"package": str(options.folder), "zip": str(path)}, f"{path}")


def invert(options: argparse.Namespace) -> Answer:
    """Make the inverse of a change package."""
    key = SigningKey.read(options.key) if options.key else None
    manifest = invert_package(options.folder, options.to, key=key)
    body = {
        "package": str(options.to),
        "release": manifest.release.number,
        "digest": manifest.digest,
    }
    return Answer(body, f"{options.to}: leads back to release {manifest.release.number}")
