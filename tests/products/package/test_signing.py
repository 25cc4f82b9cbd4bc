import datetime as dt
import shutil

import pytest

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package import (
    apply_change,
    invert,
    pack,
    package_statement,
    read_manifest,
    sign_package,
    verify,
)
from cityframe.products.signature import (
    PublicKey,
    RevocationStatement,
    SigningKey,
    TrustStore,
    public_path,
)

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@pytest.fixture
def make_key(tmp_path):
    def make(name):
        path = tmp_path / f"{name}.pem"
        SigningKey.create(path, name=name, at=AT)
        return SigningKey.read(path), PublicKey.read(public_path(path))

    return make


@pytest.fixture
def publisher(make_key):
    return make_key("publisher")


@pytest.fixture
def trust(publisher):
    return TrustStore().trust(publisher[1], at=AT)


@pytest.fixture
def signed(folders, publisher):
    sign_package(folders / "change2", publisher[0])
    return folders / "change2"


def test_a_signed_package_holds_as_folder_and_zip(folders, signed, trust):
    assert verify(signed, base=folders / "full1", trust=trust).manifest.release.number == 2
    assert verify(pack(signed, folders / "change2.zip"), trust=trust).rows == 6


def test_building_with_a_key_signs(tmp_path, town, publisher, trust, same_bytes):
    town.build_change(tmp_path / "one", 2, key=publisher[0])
    town.build_change(tmp_path / "two", 2, key=publisher[0])
    verify(tmp_path / "one", trust=trust)
    assert same_bytes(tmp_path / "one", tmp_path / "two") == []


def test_no_signature_is_refused(folders, trust):
    with pytest.raises(IntegrityError, match=r"signature\.json: no signature"):
        verify(folders / "change2", trust=trust)


def test_a_key_that_is_not_known_is_refused(folders, make_key, trust):
    sign_package(folders / "change2", make_key("stranger")[0])
    with pytest.raises(IntegrityError, match="key"):
        verify(folders / "change2", trust=trust)


def test_a_revoked_key_is_refused(signed, make_key, publisher, trust):
    key, public = make_key("second")
    revocation = RevocationStatement(key=publisher[1].id, reason="lost", from_release=2)
    revoked = trust.trust(public, at=AT).apply(key.sign(revocation), at=AT)
    with pytest.raises(IntegrityError, match="revoked"):
        verify(signed, trust=revoked)


def test_the_signature_of_another_package_is_refused(folders, town, signed, publisher, trust):
    other = folders / "other"
    town.build_change(other, 2, formats=["geoparquet"], key=publisher[0])
    shutil.copy(other / "signature.json", signed / "signature.json")
    with pytest.raises(IntegrityError, match="a signature over the manifest"):
        verify(signed, trust=trust)


def test_an_altered_package_does_not_fit_its_signature(signed, reseal, trust):
    reseal(signed, lambda data: data["release"].update(cycle="forged"))
    verify(signed)
    with pytest.raises(IntegrityError, match="a signature over the manifest"):
        verify(signed, trust=trust)


def test_a_signed_package_is_not_signed_again(signed, publisher):
    with pytest.raises(DeclarationError):
        sign_package(signed, publisher[0])


def test_results_and_inverses_are_signed_by_their_makers_only(folders, signed, publisher, trust):
    apply_change(folders / "full1", signed, folders / "applied")
    with pytest.raises(IntegrityError, match="no signature"):
        verify(folders / "applied", trust=trust)
    invert(signed, folders / "inverse")
    with pytest.raises(IntegrityError, match="no signature"):
        verify(folders / "inverse", trust=trust)
    invert(signed, folders / "signed_inverse", key=publisher[0])
    assert verify(folders / "signed_inverse", trust=trust).manifest.inverse


def test_the_statement_says_where_the_package_leads(folders):
    manifest = read_manifest(folders / "change2")
    statement = package_statement(manifest)
    assert statement.manifest_digest == manifest.digest
    assert statement.parent_digest == manifest.parent.digest
    assert package_statement(read_manifest(folders / "full1")).parent_digest is None


def test_a_key_that_has_expired_is_refused_for_what_is_taken_in_only(folders, tmp_path):
    path = tmp_path / "short.pem"
    end = AT + dt.timedelta(days=1)
    SigningKey.create(path, name="short", at=AT, valid_until=end)
    public = PublicKey.read(public_path(path))
    sign_package(folders / "change2", SigningKey.read(path))
    store = TrustStore().trust(public, at=AT)
    assert verify(folders / "change2", trust=store, at=AT).signer.id == public.id
    with pytest.raises(IntegrityError, match="was valid until"):
        verify(folders / "change2", trust=store, at=end)
    assert verify(folders / "change2", trust=store).signer.id == public.id
    assert verify(folders / "change2").signer is None
