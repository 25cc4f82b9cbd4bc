"""Keys of a test, and statements to sign with them."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cityframe.products.signature import (
    PASSPHRASE_VARIABLE,
    PackageStatement,
    PublicKey,
    SignedStatement,
    SigningKey,
    public_path,
    sign_rotation,
)

AT = dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)


class Pair(NamedTuple):
    """Both halves of a key."""

    private: SigningKey
    public: PublicKey
    path: Path

    @property
    def id(self) -> str:
        return self.public.id

    def replaced_by(self, other: "Pair", from_release: int) -> SignedStatement:
        return sign_rotation(self.private, other.private, other.public, from_release)


MakeKey = Callable[..., Pair]


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)


@pytest.fixture
def make_key(tmp_path: Path) -> MakeKey:
    def make(name: str, valid_until: dt.datetime | None = None) -> Pair:
        path = tmp_path / f"{name}.pem"
        SigningKey.create(path, name=name, at=AT, valid_until=valid_until)
        return Pair(SigningKey.read(path), PublicKey.read(public_path(path)), path)

    return make


@pytest.fixture
def package() -> Callable[[int], PackageStatement]:
    """Return what states the change package of a release."""

    def state(release: int) -> PackageStatement:
        return PackageStatement(
            manifest_digest="11" * 32,
            kind="change",
            release=release,
            parent_digest="22" * 32,
            release_digest="33" * 32,
        )

    return state


@pytest.fixture
def at() -> dt.datetime:
    return AT
