import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.signature import (
    AcknowledgementStatement,
    LayerCount,
    PackageStatement,
    PublicKey,
    RecallStatement,
    ReceiptStatement,
    Signature,
    SignedStatement,
)
from cityframe.products.signature.statement import STATEMENTS as STATEMENTS_BY_NAME

RECALL = RecallStatement(
    release=4,
    release_digest="44" * 32,
    reason="坐标偏移 shifted",
    replaced_by=None,
    issued_at="2026-11-22T08:00:00Z",
)
STATEMENTS = [
    RECALL,
    RECALL.model_copy(update={"replaced_by": 5}),
    ReceiptStatement(
        subscriber="县局",
        manifest_digest="11" * 32,
        release=4,
        layers={"buildings": LayerCount(count=0, digest="ab" * 16)},
        applied_at="2026-11-22T16:00:00+08:00",
    ),
    AcknowledgementStatement(
        recall="55" * 32, subscriber="县局", acknowledged_at="2026-11-22T16:00:00.5+08:00"
    ),
]


def verify_independently(statement_file: bytes, public_key_file: bytes) -> dict[str, Any]:
    """Verify as docs/formats/signature.md says, with none of cityframe's code."""
    signed, public = json.loads(statement_file), json.loads(public_key_file)
    raw = base64.b64decode(public["public_key"])
    assert hashlib.sha256(raw).hexdigest()[:32] == public["id"]
    canonical = json.dumps(
        signed["statement"], ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
    message = b"cityframe-statement-v1\n" + canonical.encode("utf-8")
    for one in signed["signatures"]:
        if one["key"] == public["id"] and one["algorithm"] == "Ed25519":
            signature = base64.b64decode(one["signature"])
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
            found: dict[str, Any] = signed["statement"]
            return found
    raise InvalidSignature


@pytest.mark.parametrize("body", STATEMENTS, ids=lambda body: body.type)
def test_statement_comes_back_from_its_file(
    body: Any, make_key: Callable[..., Any], tmp_path: Path
) -> None:
    signed = make_key("a").private.sign(body)
    signed.write(tmp_path / "signed.json")
    found = SignedStatement.read(tmp_path / "signed.json")
    assert found == signed
    assert found.text() == signed.text()
    assert found.body_as(type(body)) == body
    assert found.body().statement() == found.statement == body.statement()
    canonical = found.message().removeprefix(b"cityframe-statement-v1\n")
    assert found.digest == hashlib.sha256(canonical).hexdigest()


def test_another_program_verifies_it(
    make_key: Callable[..., Any], package: Callable[[int], PackageStatement], tmp_path: Path
) -> None:
    key, other = make_key("a"), make_key("b")
    signed = other.private.cosign(key.private.sign(package(2)))
    public = key.path.with_name("a.pem.pub").read_bytes()

    assert verify_independently(signed.text().encode(), public) == package(2).statement()
    altered = signed.text().replace('"release": 2', '"release": 3').encode()
    with pytest.raises(InvalidSignature):
        verify_independently(altered, public)


def test_example_of_the_specification_holds() -> None:
    page = Path(__file__).parents[3] / "docs/formats/signature.md"
    text = page.read_text(encoding="utf-8")
    statement, public = (one.partition("```")[0] for one in text.split("```json\n")[1:])

    assert verify_independently(statement.encode(), public.encode())["type"] == "recall"
    signed = SignedStatement.parse(statement.encode())
    assert signed.text() == statement
    assert f"`{signed.digest}`" in text
    key = PublicKey.model_validate_json(public)
    assert key.has_signed(signed.message(), signed.signatures[0].raw)
    assert isinstance(signed.body(), RecallStatement)
    # each field of each type is on the page
    for name, kind in STATEMENTS_BY_NAME.items():
        section = text.partition(f"| `{name}` |")[2].partition("\n\n")[0]
        for field in set(kind.model_fields) - {"type", "format_version"}:
            assert f"`{field}`" in section


def test_layout_of_the_file_does_not_matter(
    make_key: Callable[..., Any], package: Callable[[int], PackageStatement]
) -> None:
    signed = make_key("a").private.sign(package(2))
    flat = json.dumps(dict(reversed(json.loads(signed.text()).items())))
    assert SignedStatement.parse(flat.encode()) == signed


def test_file_that_stands_there_is_kept(make_key: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "signed.json"
    path.write_text("precious")
    with pytest.raises(DeclarationError, match="stands there already"):
        make_key("a").private.sign(RECALL).write(path)
    assert path.read_text() == "precious"


def test_second_signature_of_one_key_takes_the_place_of_the_first(
    make_key: Callable[..., Any],
) -> None:
    one, two = make_key("a"), make_key("b")
    both = two.private.cosign(one.private.sign(RECALL))
    assert set(both.signers) == {one.id, two.id}
    assert list(both.signers) == sorted(both.signers)
    assert one.private.cosign(both) == both


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.update(more=1), "more"),
        (lambda data: data.pop("statement"), "statement"),
        (lambda data: data.update(signatures=[]), "signatures"),
        (lambda data: data["signatures"].append(data["signatures"][0]), "one a key"),
        (lambda data: data["signatures"][0].update(algorithm="none"), "algorithm"),
        (lambda data: data["signatures"][0].update(key="A" * 32), "key"),
        (lambda data: data["signatures"][0].update(signature="AAAA"), "64 bytes"),
        (lambda data: data["signatures"][0].update(signature="*" * 88), "base64"),
        (lambda data: data["statement"].update(release="\ud800"), "surrogates"),
        (lambda data: data["statement"].update(release=2**60), "beyond"),
    ],
)
def test_file_of_another_form_is_refused(
    change: Callable[[dict[str, Any]], object], says: str, make_key: Callable[..., Any]
) -> None:
    data = json.loads(make_key("a").private.sign(RECALL).text())
    change(data)
    with pytest.raises(IntegrityError, match=says):
        SignedStatement.parse(json.dumps(data).encode())


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"null", b"{", b'{"a": 1.5}', b"[" * 99_999, b" " * 2**23]
)
def test_junk_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="a signed statement"):
        SignedStatement.parse(content)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "invoice"),
        ("type", 7),
        ("format_version", 2),
        ("format_version", True),
        ("release", 0),
        ("release", "4"),
        ("release_digest", "44"),
        ("reason", ""),
        ("reason", "a\nb"),
        ("replaced_by", 0),
        ("issued_at", "2026-11-22"),
        ("issued_at", "2026-13-22T08:00:00Z"),
        ("note", "more"),
    ],
)
def test_statement_that_does_not_fit_its_type_is_refused(
    field: str, value: object, make_key: Callable[..., Any]
) -> None:
    signed = make_key("a").private.sign({**RECALL.statement(), field: value})
    with pytest.raises(IntegrityError, match=r"expected"):
        signed.body()


def test_signature_has_one_base64_form() -> None:
    assert Signature(key="0" * 32, signature="A" * 86 + "==").raw == bytes(64)
    # the last letter before the padding has four bits that a careless reader drops
    with pytest.raises(ValueError, match="base64 of 64 bytes"):
        Signature(key="0" * 32, signature="A" * 85 + "B==")


def test_statement_with_a_field_left_out_is_refused(make_key: Callable[..., Any]) -> None:
    said = RECALL.statement()
    del said["format_version"]
    with pytest.raises(IntegrityError, match="another form"):
        make_key("a").private.sign(said).body()


def test_statement_of_another_type_is_refused(make_key: Callable[..., Any]) -> None:
    with pytest.raises(IntegrityError, match="type recall, expected package"):
        make_key("a").private.sign(RECALL).body_as(PackageStatement)


@pytest.mark.parametrize(("kind", "parent"), [("full", "22" * 32), ("change", None)])
def test_only_a_change_package_has_a_parent(kind: Any, parent: str | None) -> None:
    with pytest.raises(ValueError, match="a parent in a change package"):
        PackageStatement(
            manifest_digest="11" * 32, kind=kind, release=2, parent_digest=parent,
            release_digest="33" * 32,
        )  # fmt: skip
