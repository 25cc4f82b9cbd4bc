import base64
import datetime as dt
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.signature import (
    PASSPHRASE_VARIABLE,
    PackageStatement,
    PublicKey,
    SigningKey,
    key_id,
    public_path,
    sign_rotation,
)

# RFC 8032, section 7.1, TEST 2 and TEST 3: secret key, public key, message, signature
RFC_8032 = [
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


def write_key(path: Path, private: Any, mode: int = 0o600) -> Path:
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(mode)
    return path


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_keys_and_signatures_are_those_of_rfc_8032(
    secret: str, public: str, message: str, signature: str, tmp_path: Path
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    key = SigningKey.read(write_key(tmp_path / "key.pem", private))
    raw = bytes.fromhex(public)
    known = PublicKey(
        name="RFC 8032",
        id=key.id,
        public_key=base64.b64encode(raw).decode(),
        created_at="2017-01-01T00:00:00Z",
    )

    assert key.public_bytes == raw
    assert known.has_signed(bytes.fromhex(message), bytes.fromhex(signature))
    assert not known.has_signed(bytes.fromhex(message) + b"\0", bytes.fromhex(signature))
    signed = key.sign({"type": "any", "format_version": 1})
    assert known.has_signed(signed.message(), signed.signatures[0].raw)


def test_id_is_the_first_half_of_the_sha_256_of_the_key() -> None:
    raw = bytes.fromhex(RFC_8032[0][1])
    assert key_id(raw) == "39f713d0a644253f04529421b9f51b9b"


def test_new_key_is_for_its_owner_alone(tmp_path: Path, at: dt.datetime) -> None:
    old_mask = os.umask(0)
    try:
        made = SigningKey.create(tmp_path / "key.pem", name="测绘院", at=at)
    finally:
        os.umask(old_mask)
    path = tmp_path / "key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.read(path).id == made.id
    assert PublicKey.read(public_path(path)) == made
    assert made.created_at == "2026-11-22T08:00:00+00:00"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["key.pem", "key.pem.pub"]


@pytest.mark.parametrize("name", ["key.pem", "key.pem.pub"])
def test_nothing_is_overwritten(name: str, tmp_path: Path, at: dt.datetime) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(DeclarationError, match="stands there already"):
        SigningKey.create(tmp_path / "key.pem", name="a", at=at)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_key_that_others_may_use_is_refused(
    mode: int, make_key: Callable[..., Any], tmp_path: Path
) -> None:
    path = make_key("a").path
    path.chmod(mode)
    with pytest.raises(DeclarationError, match=rf"mode {mode:04o}.*chmod 600"):
        SigningKey.read(path)


def test_key_with_a_passphrase_is_of_no_use_without_it(
    tmp_path: Path, at: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.pem"
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "一二三 four")
    made = SigningKey.create(path, name="a", at=at)
    assert b"ENCRYPTED" in path.read_bytes()
    assert SigningKey.read(path).id == made.id

    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(DeclarationError, match=PASSPHRASE_VARIABLE):
        SigningKey.read(path)
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    with pytest.raises(DeclarationError, match="no passphrase"):
        SigningKey.read(path)


def test_open_key_is_read_though_a_passphrase_is_set(
    make_key: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_key("a")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "for another")
    assert SigningKey.read(made.path).id == made.id


def test_other_files_are_no_key(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="No such file"):
        SigningKey.read(tmp_path / "none.pem")
    other = write_key(tmp_path / "ec.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(DeclarationError, match="Ed25519"):
        SigningKey.read(other)
    other.write_text("no key")
    with pytest.raises(DeclarationError, match="PEM"):
        SigningKey.read(other)


def test_secret_is_in_no_text_of_the_key(make_key: Callable[..., Any]) -> None:
    assert repr(make_key("a").private) == "SigningKey()"


@pytest.mark.parametrize("name", ["", "bell\a", "x" * 1001])
def test_name_must_be_fit_for_a_terminal(name: str, tmp_path: Path, at: dt.datetime) -> None:
    with pytest.raises(DeclarationError, match="printable"):
        SigningKey.create(tmp_path / "key.pem", name=name, at=at)
    assert list(tmp_path.iterdir()) == []


def test_key_must_not_be_expired_at_birth(tmp_path: Path, at: dt.datetime) -> None:
    with pytest.raises(DeclarationError, match="a time to come"):
        SigningKey.create(tmp_path / "key.pem", name="a", at=at, valid_until=at)


def test_equal_statements_give_equal_bytes(
    make_key: Callable[..., Any], package: Callable[[int], PackageStatement]
) -> None:
    key = make_key("a")
    said = package(3).statement()
    turned = dict(reversed(said.items()))
    assert key.private.sign(package(3)).text() == SigningKey.read(key.path).sign(turned).text()


def test_statement_without_canonical_form_is_not_signed(make_key: Callable[..., Any]) -> None:
    with pytest.raises(DeclarationError, match="float"):
        make_key("a").private.sign({"type": "package", "area": 1.5})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "0" * 32),
        ("public_key", base64.b64encode(bytes(32)).decode()),
        ("public_key", "!"),
        ("algorithm", "RSA"),
        ("name", "\x1b[2J"),
        ("created_at", "yesterday"),
        ("valid_until", "2027-01-01"),
        ("format_version", 2),
        ("format_version", "1"),
        ("more", 1),
    ],
)
def test_public_key_with_an_altered_field_is_refused(
    field: str, value: object, make_key: Callable[..., Any]
) -> None:
    data = {**make_key("a").public.model_dump(mode="json"), field: value}
    with pytest.raises(ValueError, match=r"."):
        PublicKey.model_validate(data)


def test_damaged_public_key_file_is_refused(make_key: Callable[..., Any]) -> None:
    path = public_path(make_key("a").path)
    path.write_text(path.read_text().replace('"name": "a"', '"name": "a", "name": "b"'))
    with pytest.raises(IntegrityError, match="twice"):
        PublicKey.read(path)
    path.write_bytes(b"\xff")
    with pytest.raises(IntegrityError, match="utf-8"):
        PublicKey.read(path)


def test_rotation_needs_the_right_public_half(make_key: Callable[..., Any]) -> None:
    old, new, other = make_key("a"), make_key("b"), make_key("c")
    with pytest.raises(DeclarationError, match="public half of another key"):
        sign_rotation(old.private, new.private, other.public, 2)
    with pytest.raises(DeclarationError, match="two different keys"):
        sign_rotation(old.private, old.private, old.public, 2)
