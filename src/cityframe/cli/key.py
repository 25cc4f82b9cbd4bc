"""``cityframe key new|trust|rotate|revoke|apply|check|list``: keys, and which are trusted."""

import argparse
from pathlib import Path
from typing import Any

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands, moment
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import now
from cityframe.products.signature import (
    PublicKey,
    RevocationStatement,
    Role,
    SignedStatement,
    SigningKey,
    TrustedKey,
    TrustStore,
    change_trust,
    public_path,
    sign_rotation,
)

TRUST_FILE = Path("keys", "trust.json")
DECLARED = ("sources", "schemas", "quality_rules", "cycles")


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("key", help="make keys and say which are trusted")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, run: Any, help_: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = verbs.add_parser(name, parents=[common], help=help_)
        made.set_defaults(run=run)
        return made

    _add_new(verb("new", new, "a new key: FILE and FILE.pub"))
    _add_trust(verb("trust", trust, "trust a public key, which you compared with its owner's"))
    _add_rotate(verb("rotate", rotate, "let a new key take the place of an old one"))
    _add_revoke(verb("revoke", revoke, "make void what a key signed"))
    applying = verb("apply", apply, "take in a rotation or revocation")
    applying.add_argument("statement", type=Path, metavar="STATEMENT")
    _add_store(applying)
    _add_check(verb("check", check, "prove who signed a receipt, acknowledgement or recall"))
    _add_store(verb("list", list_all, "the keys of a trust store"))


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="whose key it is")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE")
    parser.add_argument("--valid-until", type=moment, metavar="DATE")


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("public", type=Path, metavar="PUBFILE")
    parser.add_argument("--role", choices=[role.value for role in Role], default="publisher")
    parser.add_argument("--from-release", type=_release, default=1, metavar="N")
    _add_store(parser)


def _add_rotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--old", type=Path, required=True, metavar="OLD.pem")
    parser.add_argument("--new", type=Path, required=True, metavar="NEW.pem")
    parser.add_argument("--from-release", type=_release, required=True, metavar="N")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE")


def _add_revoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEYID")
    parser.add_argument("--by", type=Path, required=True, metavar="OTHER.pem")
    parser.add_argument("--reason", required=True, metavar="TEXT")
    parser.add_argument("--from-release", type=_release, required=True, metavar="N")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE")


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("statement", type=Path, metavar="STATEMENT")
    parser.add_argument(
        "--release", type=_release, metavar="N",
        help="the release it must be about; of an acknowledgement, that of the recall",
    )  # fmt: skip
    _add_store(parser)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--in", dest="store", type=Path, metavar="TRUST.json",
        help="the trust store; keys/trust.json of the workspace by default",
    )  # fmt: skip


def new(options: argparse.Namespace) -> Answer:
    """Make a key."""
    target = options.to.resolve()
    for folder in DECLARED:
        if target.is_relative_to((options.workspace / folder).resolve()):
            raise DeclarationError(
                where=str(options.to),
                found=f"a private key among the declarations in {folder}/",
                expected="a place that is not shared",
                remedy="keep keys outside of the workspace's declarations",
            )
    made = SigningKey.create(
        options.to, name=options.name, at=now(), valid_until=options.valid_until
    )
    public = public_path(options.to)
    body = {"key": made.id, "name": made.name, "private": str(options.to), "public": str(public)}
    return Answer(
        {**body, "valid_until": made.valid_until},
        f"key {made.id}\n{options.to}: keep it to yourself\n"
        f"{public}: give it to those who verify what you sign",
    )


def trust(options: argparse.Namespace) -> Answer:
    """Trust a key by hand."""
    public = PublicKey.read(options.public)
    role = Role(options.role)
    store, is_changed = change_trust(
        _store(options),
        lambda before: before.trust(public, at=now(), role=role, from_release=options.from_release),
        may_be_new=True,
    )
    said = "is trusted" if is_changed else "was trusted before; nothing changed"
    return Answer(
        {"changed": is_changed, **_body(store.keys[public.id])},
        f"key {public.id} ({public.name}) {said}",
    )


def rotate(options: argparse.Namespace) -> Answer:
    """Sign a rotation with both keys."""
    old, fresh = SigningKey.read(options.old), SigningKey.read(options.new)
    public = PublicKey.read(public_path(options.new))
    signed = sign_rotation(old, fresh, public, options.from_release)
    signed.write(options.to)
    return Answer(
        {"old": old.id, "new": fresh.id, "from_release": options.from_release,
         "statement": str(options.to), "digest": signed.digest},
        f"{options.to}: from release {options.from_release} on {fresh.id} signs for {old.id}",
    )  # fmt: skip


def revoke(options: argparse.Namespace) -> Answer:
    """Sign a revocation."""
    signer = SigningKey.read(options.by)
    try:
        body = RevocationStatement(
            key=options.key, reason=options.reason, from_release=options.from_release
        )
    except ValueError as error:
        raise DeclarationError(
            where="key revoke",
            found=f"key {options.key!r}, reason {options.reason!r}",
            expected="a key id of 32 hexadecimal digits and a printable reason",
            remedy="cityframe key list shows the ids",
        ) from error
    signed = signer.sign(body)
    signed.write(options.to)
    return Answer(
        {"key": body.key, "by": signer.id, "from_release": body.from_release,
         "reason": body.reason, "statement": str(options.to), "digest": signed.digest},
        f"{options.to}: revokes {body.key} from release {body.from_release} on",
    )  # fmt: skip


def apply(options: argparse.Namespace) -> Answer:
    """Take in a rotation or revocation."""
    signed = SignedStatement.read(options.statement)
    store, is_changed = change_trust(_store(options), lambda before: before.apply(signed, at=now()))
    keys = [_body(key) for key in store.keys.values()]
    said = "applied" if is_changed else "was applied before; nothing changed"
    return Answer(
        {"changed": is_changed, "type": signed.claimed_type, "digest": signed.digest, "keys": keys},
        f"{signed.claimed_type} {said}\n{_table(store)}",
    )


def check(options: argparse.Namespace) -> Answer:
    """Prove who signed a statement about a release."""
    signed = SignedStatement.read(options.statement)
    body = signed.body()
    release = options.release or body.about
    if release is None and not body.is_about_keys:
        raise DeclarationError(
            where=str(options.statement),
            found=f"{body.type}, which names no release",
            expected="--release N: the release that was recalled",
        )
    signer = TrustStore.read(_store(options)).check(signed, release=release or 1, at=now())
    shown = signed.statement.keys() - {"type", "format_version", "layers"}
    lines = [f"{name}: {signed.statement[name]}" for name in sorted(shown)]
    lines.append(f"digest: {signed.digest}")
    lines += [
        f"layer {name}: {layer['count']} features, digest {layer['digest']}"
        for name, layer in signed.statement.get("layers", {}).items()
    ]
    return Answer(
        {"type": body.type, "digest": signed.digest, "signed_by": signer.id, "name": signer.name,
         "statement": signed.statement},
        "\n".join([f"{body.type} signed by key {signer.id} ({signer.name})", *lines]),
    )  # fmt: skip


def list_all(options: argparse.Namespace) -> Answer:
    """List the keys of a trust store."""
    store = TrustStore.read(_store(options))
    return Answer({"keys": [_body(key) for key in store.keys.values()]}, _table(store))


def _store(options: argparse.Namespace) -> Path:
    path: Path = options.store or options.workspace / TRUST_FILE
    return path


def _release(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        message = f"{text!r} is no release; write a number from 1 on"
        raise argparse.ArgumentTypeError(message)
    return number


def _body(key: TrustedKey) -> dict[str, Any]:
    """Return a key with its standing; ``status`` is ``expired`` where only time has ended it."""
    body = key.body()
    public = body.pop("key")
    return {
        "key": key.id,
        "name": key.name,
        **body,
        "status": _status(key),
        "valid_until": public["valid_until"],
    }


def _status(key: TrustedKey) -> str:
    is_over = key.status.value == "trusted" and key.key.is_expired(now())
    return "expired" if is_over else key.status.value


def _table(store: TrustStore) -> str:
    rows = [
        (key.id, key.name, key.role.value, _status(key), _releases(key),
         key.key.valid_until or "-", key.reason or "-")
        for key in store.keys.values()
    ]  # fmt: skip
    header = ("key", "name", "role", "status", "releases", "valid until", "reason")
    return table(rows, header)


def _releases(key: TrustedKey) -> str:
    ends = [one for one in (key.to_release, key.revoked_from) if one is not None]
    if not ends:
        return f"{key.from_release}-"
    last = min(ends) - 1
    return f"{key.from_release}-{last}" if last >= key.from_release else "none"
