import datetime as dt
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cityframe.errors import DeclarationError, IntegrityError, SourceUnreachableError
from cityframe.products.signature import (
    AcknowledgementStatement,
    KeyStatus,
    PackageStatement,
    PublicKey,
    RecallStatement,
    ReceiptStatement,
    RevocationStatement,
    Role,
    RotationStatement,
    SignedStatement,
    Statement,
    TrustStore,
    change_trust,
)

AT = dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)
MakeKey = Callable[..., Any]
Package = Callable[[int], PackageStatement]


def revocation(key: Any, from_release: int, by: Any) -> SignedStatement:
    body = RevocationStatement(key=key.id, reason="lost 遗失", from_release=from_release)
    signed: SignedStatement = by.private.sign(body)
    return signed


def recall(release: int) -> RecallStatement:
    return RecallStatement(
        release=release, release_digest="33" * 32, reason="wrong", replaced_by=None,
        issued_at="2026-11-22T08:00:00Z",
    )  # fmt: skip


def receipt(release: int) -> ReceiptStatement:
    return ReceiptStatement(
        subscriber="b", manifest_digest="11" * 32, release=release, layers={},
        applied_at="2026-11-22T08:00:00Z",
    )  # fmt: skip


def trusting(*keys: Any, **how: Any) -> TrustStore:
    store = TrustStore()
    for key in keys:
        store = store.trust(key.public, at=AT, **how)
    return store


def test_signature_of_a_trusted_key_is_good(make_key: MakeKey, package: Package) -> None:
    key = make_key("a")
    found = trusting(key).check(key.private.sign(package(7)), release=7)
    assert (found.id, found.name, found.status) == (key.id, "a", KeyStatus.TRUSTED)


def test_unknown_key_is_refused(make_key: MakeKey, package: Package) -> None:
    known, stranger = make_key("a"), make_key("b")
    with pytest.raises(IntegrityError, match=f"{stranger.id}, which is not in the trust store"):
        trusting(known).check(stranger.private.sign(package(1)), release=1)


@pytest.mark.parametrize("field", sorted(PackageStatement.model_fields))
def test_no_field_can_be_altered(field: str, make_key: MakeKey, package: Package) -> None:
    key = make_key("a")
    data = json.loads(key.private.sign(package(3)).text())
    was = data["statement"][field]
    data["statement"][field] = (
        was + 1 if isinstance(was, int) else was.translate(str.maketrans("123", "456"))
    )
    if field == "type":
        data["statement"] = recall(3).statement()
    if field == "kind":
        data["statement"].update(kind="full", parent_digest=None)
    altered = SignedStatement.parse(json.dumps(data).encode())
    release = altered.statement["release"]
    says = "format_version" if field == "format_version" else "did not make over it"
    with pytest.raises(IntegrityError, match=says):
        trusting(key).check(altered, release=release)


def test_no_byte_of_a_signature_can_be_altered(make_key: MakeKey, package: Package) -> None:
    key = make_key("a")
    store = trusting(key)
    signed = key.private.sign(package(3))
    for place in range(64):
        raw = bytearray(signed.signatures[0].raw)
        raw[place] ^= 1
        forged = SignedStatement(
            statement=signed.statement, signatures=(signed.signatures[0].of(key.id, bytes(raw)),)
        )
        with pytest.raises(IntegrityError, match="did not make over it"):
            store.check(forged, release=3)


def test_signature_under_another_name_is_refused(make_key: MakeKey, package: Package) -> None:
    key, thief = make_key("a"), make_key("b")
    stolen = thief.private.sign(package(3)).signatures[0].model_copy(update={"key": key.id})
    forged = SignedStatement(statement=package(3).statement(), signatures=(stolen,))
    with pytest.raises(IntegrityError, match="did not make over it"):
        trusting(key).check(forged, release=3)


def test_signature_without_the_domain_is_refused(make_key: MakeKey, package: Package) -> None:
    key = make_key("a")
    signed = key.private.sign(package(3))
    bare = key.private._private.sign(signed.message().partition(b"\n")[2])
    forged = SignedStatement(
        statement=signed.statement, signatures=(signed.signatures[0].of(key.id, bare),)
    )
    with pytest.raises(IntegrityError, match="did not make over it"):
        trusting(key).check(forged, release=3)


def test_one_good_signature_is_enough_and_a_false_one_too_much(
    make_key: MakeKey, package: Package
) -> None:
    key, stranger = make_key("a"), make_key("b")
    both = stranger.private.cosign(key.private.sign(package(3)))
    assert trusting(key).check(both, release=3).id == key.id

    alien = stranger.private.sign(package(4)).signatures[0]
    others = [one if one.key == key.id else alien for one in both.signatures]
    forged = SignedStatement(statement=both.statement, signatures=tuple(others))
    assert trusting(key).check(forged, release=3).id == key.id
    with pytest.raises(IntegrityError, match="did not make over it"):
        trusting(key, stranger).check(forged, release=3)


def test_statement_about_another_release_is_refused(make_key: MakeKey, package: Package) -> None:
    key = make_key("a")
    with pytest.raises(IntegrityError, match="about release 3, expected release 4"):
        trusting(key).check(key.private.sign(package(3)), release=4)


def test_statement_of_another_type_is_refused(make_key: MakeKey, package: Package) -> None:
    key, new = make_key("a"), make_key("b")
    store = trusting(key)
    with pytest.raises(IntegrityError, match="type recall, expected package"):
        store.check(key.private.sign(recall(3)), release=3, expected=PackageStatement)
    with pytest.raises(IntegrityError, match="type 'invoice'"):
        store.check(key.private.sign({"type": "invoice"}), release=3)
    with pytest.raises(IntegrityError, match="about keys"):
        store.check(key.replaced_by(new, 3), release=3)
    with pytest.raises(IntegrityError, match="type package, expected key-rotation or"):
        store.apply(key.private.sign(package(3)), at=AT)


def test_expired_key_signs_nothing_new(make_key: MakeKey, package: Package) -> None:
    end = AT + dt.timedelta(days=1)
    key, new = make_key("a", valid_until=end), make_key("b")
    store = trusting(key)
    signed = key.private.sign(package(3))

    assert store.check(signed, release=3, at=end - dt.timedelta(seconds=1)).id == key.id
    with pytest.raises(IntegrityError, match=r"was valid until 2026-11-23T08:00:00\+00:00"):
        store.check(signed, release=3, at=end)
    # what was taken in when the key was good stays proved
    assert store.check(signed, release=3).id == key.id
    for statement in (key.replaced_by(new, 4), revocation(key, 4, by=key)):
        with pytest.raises(IntegrityError, match="was valid until"):
            store.apply(statement, at=end)


def test_chain_of_three_keys_each_for_its_releases(make_key: MakeKey, package: Package) -> None:
    one, two, three = make_key("a"), make_key("b"), make_key("c")
    store = trusting(one)
    store = store.apply(one.replaced_by(two, 4), at=AT)
    store = store.apply(two.replaced_by(three, 6), at=AT)

    signers = {release: key for key, span in ((one, (1, 2, 3)), (two, (4, 5)), (three, (6, 99)))
               for release in span}  # fmt: skip
    for release, signer in signers.items():
        for key in (one, two, three):
            signed = key.private.sign(package(release))
            if key is signer:
                assert store.check(signed, release=release).id == key.id
            else:
                with pytest.raises(IntegrityError, match=r"was replaced from|signs packages from"):
                    store.check(signed, release=release)
    assert [store.keys[key.id].status.value for key in (one, two, three)] == [
        "replaced", "replaced", "trusted",
    ]  # fmt: skip
    assert store.keys[three.id].introduced_by == two.id


def test_rotations_out_of_order_are_refused(make_key: MakeKey) -> None:
    one, two, three = make_key("a"), make_key("b"), make_key("c")
    with pytest.raises(IntegrityError, match="not in the trust store"):
        trusting(one).apply(two.replaced_by(three, 6), at=AT)


def test_rotation_needs_both_signatures_and_no_other(make_key: MakeKey) -> None:
    one, two, other = make_key("a"), make_key("b"), make_key("c")
    both = one.replaced_by(two, 4)
    store = trusting(one)
    for key in (one, two):
        alone = [signature for signature in both.signatures if signature.key == key.id]
        half = SignedStatement(statement=both.statement, signatures=tuple(alone))
        with pytest.raises(IntegrityError, match="expected a signature by key"):
            store.apply(half, at=AT)
    with pytest.raises(IntegrityError, match="alone"):
        store.apply(other.private.cosign(both), at=AT)


@pytest.mark.parametrize("field", ["old", "new", "from_release"])
def test_no_field_of_a_rotation_can_be_altered(field: str, make_key: MakeKey) -> None:
    one, two, thief = make_key("a"), make_key("b"), make_key("c")
    store = trusting(one, thief)
    signed = one.replaced_by(two, 4)
    forged = {"old": thief.id, "new": thief.public.model_dump(mode="json"), "from_release": 3}
    altered = SignedStatement(
        statement={**signed.statement, field: forged[field]}, signatures=signed.signatures
    )
    with pytest.raises(IntegrityError, match=r"a signature that key|expected a signature by"):
        store.apply(altered, at=AT)


def test_key_is_replaced_once(make_key: MakeKey) -> None:
    one, two, thief = make_key("a"), make_key("b"), make_key("c")
    store = trusting(one).apply(one.replaced_by(two, 4), at=AT)
    # whatever release a thief of the old key names
    for release in (1, 3, 4, 9):
        with pytest.raises(IntegrityError, match="was replaced from release 4 on"):
            store.apply(one.replaced_by(thief, release), at=AT)
    with pytest.raises(IntegrityError, match="stands for releases from 4 on"):
        store.apply(two.replaced_by(thief, 3), at=AT)


def test_rotation_between_two_keys_trusted_by_hand_keeps_the_new_one(
    make_key: MakeKey, package: Package
) -> None:
    one, two = make_key("a"), make_key("b")
    store = trusting(one, two).apply(one.replaced_by(two, 4), at=AT)
    assert store.check(two.private.sign(package(2)), release=2).introduced_by is None
    assert store.keys[one.id].to_release == 4


def test_revoked_key_still_proves_older_releases(make_key: MakeKey, package: Package) -> None:
    key, other = make_key("a"), make_key("b")
    store = trusting(key, other).apply(revocation(key, 5, by=other), at=AT)

    assert store.check(key.private.sign(package(4)), release=4).status is KeyStatus.REVOKED
    for release in (5, 6):
        with pytest.raises(IntegrityError, match="revoked from release 5 on: lost 遗失"):
            store.check(key.private.sign(package(release)), release=release)
    assert store.check(other.private.sign(package(6)), release=6).id == other.id


@pytest.mark.parametrize("field", ["key", "reason", "from_release"])
def test_no_field_of_a_revocation_can_be_altered(field: str, make_key: MakeKey) -> None:
    key, other = make_key("a"), make_key("b")
    signed = revocation(key, 5, by=other)
    forged = {"key": other.id, "reason": "found", "from_release": 9}
    altered = SignedStatement(
        statement={**signed.statement, field: forged[field]}, signatures=signed.signatures
    )
    with pytest.raises(IntegrityError, match="did not make over it"):
        trusting(key, other).apply(altered, at=AT)


def test_key_revokes_itself(make_key: MakeKey) -> None:
    key = make_key("a")
    store = trusting(key).apply(revocation(key, 5, by=key), at=AT)
    assert store.keys[key.id].revoked_from == 5


def test_earlier_release_of_two_revocations_counts(make_key: MakeKey) -> None:
    key, other = make_key("a"), make_key("b")
    store = trusting(key, other)
    for release, counts in ((5, 5), (7, 5), (2, 2)):
        store = store.apply(revocation(key, release, by=other), at=AT)
        assert store.keys[key.id].revoked_from == counts


def test_replayed_rotation_does_not_undo_a_revocation(make_key: MakeKey, package: Package) -> None:
    one, two, other = make_key("a"), make_key("b"), make_key("c")
    rotation = one.replaced_by(two, 4)
    store = trusting(one, other).apply(rotation, at=AT)
    store = store.apply(revocation(two, 6, by=other), at=AT)

    assert store.apply(rotation, at=AT) == store
    assert store.keys[two.id].status is KeyStatus.REVOKED
    with pytest.raises(IntegrityError, match="revoked from release 6"):
        store.check(two.private.sign(package(6)), release=6)
    # nor does another rotation to the revoked key, or trusting it again
    with pytest.raises(IntegrityError, match=r"is known, revoked.*does not come back"):
        store.apply(other.replaced_by(two, 7), at=AT)
    with pytest.raises(IntegrityError, match="in the trust store, revoked"):
        store.trust(two.public, at=AT)


def test_rotation_by_a_revoked_key_is_refused_whatever_release_it_names(
    make_key: MakeKey,
) -> None:
    key, thief, other = make_key("a"), make_key("b"), make_key("c")
    store = trusting(key, other).apply(revocation(key, 5, by=other), at=AT)
    for release in (1, 4, 5):
        for statement in (key.replaced_by(thief, release), revocation(other, release, by=key)):
            with pytest.raises(IntegrityError, match="revoked from release 5 on"):
                store.apply(statement, at=AT)


def test_keys_that_a_void_rotation_brought_fall(make_key: MakeKey, package: Package) -> None:
    one, thief, heir, other = (make_key(name) for name in "abcd")
    store = trusting(one, other).apply(one.replaced_by(thief, 4), at=AT)
    store = store.apply(thief.replaced_by(heir, 5), at=AT)

    later = store.apply(revocation(one, 5, by=other), at=AT)
    assert later.keys[thief.id].status is KeyStatus.REPLACED
    assert later.check(heir.private.sign(package(5)), release=5).id == heir.id

    earlier = later.apply(revocation(one, 4, by=other), at=AT)
    assert earlier.check(one.private.sign(package(3)), release=3).id == one.id
    for key, statement in ((thief, package(4)), (heir, package(5)), (heir, recall(2))):
        with pytest.raises(IntegrityError, match="came by a rotation of"):
            earlier.check(key.private.sign(statement), release=statement.about)


def test_successor_revokes_its_lost_predecessor_and_stays(
    make_key: MakeKey, package: Package
) -> None:
    one, two, three = make_key("a"), make_key("b"), make_key("c")
    store = trusting(one).apply(one.replaced_by(two, 4), at=AT)
    store = store.apply(two.replaced_by(three, 6), at=AT)
    store = store.apply(revocation(one, 2, by=three), at=AT)

    with pytest.raises(IntegrityError, match="revoked from release 2"):
        store.check(one.private.sign(package(2)), release=2)
    assert store.check(two.private.sign(package(5)), release=5).id == two.id
    assert store.check(three.private.sign(package(6)), release=6).id == three.id


def test_only_a_key_in_force_revokes(make_key: MakeKey) -> None:
    one, two, stranger = make_key("a"), make_key("b"), make_key("c")
    store = trusting(one).apply(one.replaced_by(two, 4), at=AT)
    with pytest.raises(IntegrityError, match="was replaced from release 4 on"):
        store.apply(revocation(two, 4, by=one), at=AT)
    with pytest.raises(IntegrityError, match="was replaced from release 4 on"):
        store.apply(revocation(one, 1, by=one), at=AT)
    with pytest.raises(IntegrityError, match="not in the trust store"):
        store.apply(revocation(two, 4, by=stranger), at=AT)
    with pytest.raises(IntegrityError, match="it revokes key"):
        store.apply(revocation(stranger, 4, by=two), at=AT)
    third = make_key("d")
    store = store.trust(third.public, at=AT)
    with pytest.raises(IntegrityError, match="alone"):
        store.apply(third.private.cosign(revocation(one, 4, by=two)), at=AT)


def test_subscriber_answers_and_no_more(make_key: MakeKey, package: Package) -> None:
    publisher, node = make_key("a"), make_key("b")
    store = trusting(publisher).trust(node.public, at=AT, role=Role.SUBSCRIBER, from_release=9)
    answers: list[tuple[Statement, int]] = [
        (receipt(3), 3),
        (
            AcknowledgementStatement(
                recall="55" * 32, subscriber="b", acknowledged_at="2026-11-22T08:00:00Z"
            ),
            5,
        ),
    ]
    for answer, release in answers:
        found = store.check(node.private.sign(answer), release=release)
        assert (found.id, found.role) == (node.id, Role.SUBSCRIBER)
    for statement in (package(9), recall(9)):
        with pytest.raises(IntegrityError, match="belongs to a subscriber"):
            store.check(node.private.sign(statement), release=9)
    with pytest.raises(IntegrityError, match="may revoke itself only"):
        store.apply(revocation(publisher, 1, by=node), at=AT)

    heir = make_key("c")
    store = store.apply(node.replaced_by(heir, 10), at=AT)
    assert store.keys[heir.id].role is Role.SUBSCRIBER
    with pytest.raises(IntegrityError, match="of a publisher"):
        store.apply(publisher.replaced_by(heir, 10), at=AT)
    assert store.apply(revocation(heir, 1, by=heir), at=AT).keys[heir.id].revoked_from == 1


def test_new_key_recalls_what_an_older_one_published(make_key: MakeKey) -> None:
    one, two = make_key("a"), make_key("b")
    store = trusting(one).apply(one.replaced_by(two, 6), at=AT)
    assert store.check(two.private.sign(recall(3)), release=3).id == two.id
    with pytest.raises(IntegrityError, match="was replaced from release 6"):
        store.check(one.private.sign(recall(6)), release=6)


def test_trusting_twice_changes_nothing(make_key: MakeKey) -> None:
    key = make_key("a")
    store = trusting(key)
    assert store.trust(key.public, at=AT + dt.timedelta(days=1)) == store
    with pytest.raises(IntegrityError, match="in the trust store, trusted"):
        store.trust(key.public, at=AT, from_release=2)
    with pytest.raises(IntegrityError, match="in the trust store, trusted"):
        store.trust(key.public, at=AT, role=Role.SUBSCRIBER)


def test_two_keys_of_one_id_are_refused(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = make_key("a"), make_key("b"), make_key("c")
    store = trusting(one, three)
    # nobody can make such keys: let all keys have one id
    monkeypatch.setattr("cityframe.products.signature.public_key.key_id", lambda raw: one.id)
    twin = PublicKey.model_validate({**two.public.model_dump(), "id": one.id})
    with pytest.raises(IntegrityError, match="another key of the same id"):
        store.trust(twin, at=AT)
    body = RotationStatement(old=three.id, new=twin, from_release=3)
    signed = three.private.sign(body)
    by_twin = signed.signatures[0].of(one.id, two.private._private.sign(signed.message()))
    both = sorted((*signed.signatures, by_twin), key=lambda signature: signature.key)
    with pytest.raises(IntegrityError, match="another key of the same id"):
        store.apply(SignedStatement(statement=signed.statement, signatures=tuple(both)), at=AT)


def test_store_comes_back_from_its_file(make_key: MakeKey, tmp_path: Path) -> None:
    one, two = make_key("a"), make_key("b", valid_until=AT + dt.timedelta(days=9))
    node = make_key("c")
    store = trusting(one).trust(node.public, at=AT, role=Role.SUBSCRIBER)
    store = store.apply(one.replaced_by(two, 4), at=AT)
    store = store.apply(revocation(one, 2, by=two), at=AT)
    path = tmp_path / "trust.json"
    store.write(path)
    found = TrustStore.read(path)
    assert found == store
    assert found.text() == path.read_text() == store.text()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["keys"][0].update(status="trusted"),
        lambda data: data["keys"][0].update(revoked_from=None),
        lambda data: data["keys"].pop(),
        lambda data: data["history"].pop(),
        lambda data: data["history"].pop(0),
        lambda data: data["history"].reverse(),
        lambda data: data["history"][1]["applied"]["statement"].update(from_release=9),
        lambda data: data["history"][0].update(role="owner"),
        lambda data: data["history"][0].update(from_release=0),
        lambda data: data.update(more=1),
        lambda data: data.update(format_version=2),
    ],
)
def test_damaged_store_is_refused(
    change: Callable[[Any], object], make_key: MakeKey, tmp_path: Path
) -> None:
    one, two = make_key("a"), make_key("b")
    store = trusting(one).apply(one.replaced_by(two, 4), at=AT)
    store = store.apply(revocation(one, 2, by=two), at=AT)
    path = tmp_path / "trust.json"
    data = json.loads(store.text())
    data["keys"].sort(key=lambda body: body["status"] != "revoked")
    change(data)
    data["keys"].sort(key=lambda body: body["key"]["id"])
    path.write_text(json.dumps(data))
    with pytest.raises(IntegrityError, match=r"trust\.json"):
        TrustStore.read(path)


def test_missing_store_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="cityframe key trust makes one"):
        TrustStore.read(tmp_path / "trust.json")
    with pytest.raises(DeclarationError, match="cityframe key trust makes one"):
        change_trust(tmp_path / "trust.json", lambda store: store)
    with pytest.raises(DeclarationError, match="folder"):
        change_trust(tmp_path / "none" / "trust.json", lambda store: store)
    assert list(tmp_path.iterdir()) == []


def test_refused_change_leaves_the_file_as_it_was(make_key: MakeKey, tmp_path: Path) -> None:
    one, stranger = make_key("a"), make_key("b")
    path = tmp_path / "keys" / "trust.json"
    _, is_changed = change_trust(
        path, lambda store: store.trust(one.public, at=AT), may_be_new=True
    )
    before = path.read_bytes()
    assert is_changed
    with pytest.raises(IntegrityError, match="not in the trust store"):
        change_trust(path, lambda store: store.apply(revocation(one, 1, by=stranger), at=AT))
    _, is_changed = change_trust(path, lambda store: store.trust(one.public, at=AT))
    assert not is_changed
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["trust.json"]


def test_failed_write_leaves_the_file_as_it_was(
    make_key: MakeKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make_key("a"), make_key("b")
    path = tmp_path / "keys" / "trust.json"
    path.parent.mkdir()
    trusting(one).write(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeclarationError, match="No space left"):
        change_trust(path, lambda store: store.trust(two.public, at=AT))
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["trust.json"]


def test_two_changes_at_once_wait_for_one_another(make_key: MakeKey, tmp_path: Path) -> None:
    key = make_key("a")
    path = tmp_path / "keys" / "trust.json"
    path.parent.mkdir()
    trusting(key).write(path)
    held = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SourceUnreachableError, match="try again"):
            change_trust(path, lambda store: store)
    finally:
        os.close(held)
    assert change_trust(path, lambda store: store)[1] is False
