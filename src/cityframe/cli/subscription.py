"""``cityframe package apply|undo|compare|receipt|acknowledge``: the subscriber's own database."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.config.document import read_declaration
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import now
from cityframe.products import subscriber
from cityframe.products.package import PackageKind, opened, read_manifest
from cityframe.products.signature import SignedStatement, SigningKey, TrustStore
from cityframe.products.subscriber import SubscriberMapping

_SHOWN = 20


def register(verbs: Commands, common: argparse.ArgumentParser) -> None:
    """Add the subscriber's verbs."""
    apply_parser = _verb(verbs, common, "apply", "load a full package, or apply a change", apply)
    apply_parser.add_argument("package", type=Path, metavar="PACKAGE")
    apply_parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="names of your tables and columns"
    )
    undo_parser = _verb(verbs, common, "undo", "take a change back", undo)
    undo_parser.add_argument("package", type=Path, metavar="PACKAGE")
    compare_parser = _verb(verbs, common, "compare", "hold the database against a release", compare)
    compare_parser.add_argument("package", type=Path, metavar="FULL")
    _verb(verbs, common, "receipt", "prove what the database stands at, and sign it", receipt)
    told = _verb(verbs, common, "acknowledge", "say that a recall was read", acknowledge)
    told.add_argument("statement", type=Path, metavar="RECALL")


def _verb(
    verbs: Commands, common: argparse.ArgumentParser, name: str, help_: str, run: Any
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, parents=[common], help=help_)
    parser.set_defaults(run=run)
    parser.add_argument(
        "--into",
        required=True,
        metavar="DATABASE",
        help="a GeoPackage, or postgresql://user@host:port/name?schema=NAME",
    )
    if name not in {"undo", "receipt"}:
        parser.add_argument(
            "--trust", type=Path, required=True, metavar="FILE", help="the keys that are trusted"
        )
    if name != "compare":
        parser.add_argument("--as", dest="subscriber", metavar="NAME", help="who answers")
        parser.add_argument("--key", type=Path, metavar="PEM", help="the key that signs the answer")
        parser.add_argument("--answer", type=Path, metavar="FILE", help="where to write it")
    return parser


def apply(options: argparse.Namespace) -> Answer:
    """Apply a package to the subscriber's database, in one transaction."""
    with opened(options.package) as folder:
        is_full = read_manifest(folder).kind is PackageKind.FULL
    run = subscriber.subscribe if is_full else subscriber.apply
    mapping = read_declaration(options.mapping, SubscriberMapping) if options.mapping else None
    outcome = run(
        options.into,
        options.package,
        TrustStore.read(options.trust),
        at=now(),
        mapping=mapping,
        answer=_answer(options),
    )
    return _say(outcome, options)


def undo(options: argparse.Namespace) -> Answer:
    """Take a change back."""
    outcome = subscriber.undo(
        options.into,
        options.package,
        at=now(),
        answer=_answer(options),
    )
    return _say(outcome, options)


def compare(options: argparse.Namespace) -> Answer:
    """Say which features differ from a release's."""
    found = subscriber.compare(options.into, options.package, TrustStore.read(options.trust))
    body = {
        layer: {
            "missing": list(one.missing), "added": list(one.added), "altered": list(one.altered),
        }
        for layer, one in found.items()
    }  # fmt: skip
    lines = [line for layer, parts in body.items() for line in _differences(layer, parts)]
    return Answer({"layers": body}, "\n".join(lines) or "the same")


def _differences(layer: str, parts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"{layer}: {', '.join(f'{len(uids)} {what}' for what, uids in parts.items())}"
    for what, uids in parts.items():
        yield from (f"  {what} {uid}" for uid in uids[:_SHOWN])
        if len(uids) > _SHOWN:
            yield f"  and {len(uids) - _SHOWN} more {what}; --output json names all"


def receipt(options: argparse.Namespace) -> Answer:
    """Sign a receipt again: one that was lost, or could not be written."""
    answer = _needed_answer(options)
    signed = subscriber.receipt_of(options.into, answer, at=now())
    return Answer(
        {"receipt": str(answer.path), "statement": signed.statement},
        f"send {answer.path} to the publisher",
    )


def acknowledge(options: argparse.Namespace) -> Answer:
    """Acknowledge a recall."""
    answer = _needed_answer(options)
    subscriber.acknowledge(
        options.into,
        SignedStatement.read(options.statement),
        TrustStore.read(options.trust),
        answer=answer,
        at=now(),
    )
    return Answer({"acknowledgement": str(answer.path)}, f"send {answer.path} to the publisher")


def _needed_answer(options: argparse.Namespace) -> subscriber.Answer:
    answer = _answer(options)
    if answer is None:
        raise DeclarationError(
            where="package",
            found="no answer",
            expected="--as NAME --key PEM --answer FILE, for the publisher",
        )
    return answer


def _answer(options: argparse.Namespace) -> subscriber.Answer | None:
    given = [options.subscriber, options.key, options.answer]
    if not any(given):
        return None
    if not all(given):
        raise DeclarationError(
            where="package",
            found="not all of --as, --key, --answer",
            expected="all three for a signed answer, or none",
        )
    return subscriber.Answer(options.subscriber, SigningKey.read(options.key), options.answer)


def _say(outcome: subscriber.Outcome, options: argparse.Namespace) -> Answer:
    state = outcome.state.current
    body = {
        "database": str(options.into),
        "release": state.release,
        "release_digest": state.release_digest,
        "layers": {
            name: {"count": one.count, "digest": one.digest} for name, one in outcome.layers.items()
        },
        "redactions": [one.model_dump(mode="json") for one in outcome.redactions],
        "receipt": None if outcome.receipt is None else str(options.answer),
    }
    text = f"{options.into} stands at release {state.release}, proved"
    for one in outcome.redactions:
        text += f"\nredacted: {one.layer} {one.uid} {', '.join(one.attributes)}: {one.decision}"
    if outcome.receipt is not None:
        text += f"\nreceipt: send {options.answer} to the publisher"
    return Answer(body, text)
