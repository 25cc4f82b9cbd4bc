import pytest

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package import pack
from cityframe.products.signature import ReceiptStatement, Role, SignedStatement, TrustStore
from cityframe.products.subscriber import (
    LayerDifference,
    apply,
    compare,
    open_session,
    read_state,
    subscribe,
    undo,
)
from cityframe.products.subscriber.proof import prove_layer

LAYERS = ("buildings", "pipes", "permits")


def states(framework, number):
    return {one.layer: (one.count, one.digest) for one in framework.releases[number - 1].layers}


def found_states(database):
    with open_session(database.url) as session:
        return {
            name: (proof.state.count, proof.state.digest)
            for name, table in read_state(session).tables().items()
            for proof in [prove_layer(session, table)]
        }


def test_a_chain_of_releases_gives_the_digests_of_each(framework, database, trust, at):
    outcome = subscribe(database.url, framework.full(1), trust, at=at)
    assert outcome.state.current.release == 1
    assert found_states(database) == states(framework, 1)
    for number in (2, 3):
        outcome = apply(database.url, framework.change(number), trust, at=at)
        assert outcome.state.current.release == number
        found = {name: (one.count, one.digest) for name, one in outcome.layers.items()}
        assert found == found_states(database) == states(framework, number)


def test_applied_changes_give_the_rows_of_a_full_load(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at)
    for number in (2, 3):
        apply(database.url, framework.change(number), trust, at=at)
    names = "uid, valid_from, name, floors, height_m, is_listed, built, surveyed_at"
    found = database.run(f"SELECT {names} FROM {{}}buildings ORDER BY uid")
    rows = framework.frame("buildings", 3)
    assert [row[0] for row in found] == list(rows["uid"])
    by_uid = {row[0]: row[1:] for row in found}
    assert by_uid["b2"][1:3] == ("新楼", None)
    assert str(by_uid["b2"][0])[:10] == "2026-10-02"
    assert str(by_uid["b7"][0])[:10] == "2026-10-01"
    assert str(by_uid["b7"][6])[:23].replace("T", " ") == "2026-09-30 10:20:30.123"


def test_a_zip_is_applied_as_its_folder(framework, database, trust, at, tmp_path):
    subscribe(database.url, pack(framework.full(1), tmp_path / "full.zip"), trust, at=at)
    apply(database.url, pack(framework.change(2), tmp_path / "change.zip"), trust, at=at)
    assert found_states(database) == states(framework, 2)


def test_a_receipt_says_what_stands_here(framework, database, trust, at, answer, own_key):
    reply = answer()
    subscribe(database.url, framework.full(1), trust, at=at, answer=reply)
    signed = SignedStatement.read(reply.path)
    body = signed.body_as(ReceiptStatement)
    assert (body.subscriber, body.release) == ("Water works", 1)
    found = {name: (one.count, one.digest) for name, one in body.layers.items()}
    assert found == states(framework, 1)
    publishers = TrustStore().trust(own_key[1], at=at, role=Role.SUBSCRIBER)
    assert publishers.check(signed, release=1).key == own_key[1]
    with pytest.raises(IntegrityError, match="not in the trust store"):
        trust.check(signed, release=1)


def test_a_second_subscription_is_refused(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at)
    with pytest.raises(DeclarationError, match="a subscription at release 1"):
        subscribe(database.url, framework.full(2), trust, at=at)


def test_a_change_without_a_subscription_is_refused(framework, database, trust, at):
    with pytest.raises(DeclarationError, match="subscribe with a full package first"):
        apply(database.url, framework.change(2), trust, at=at)


def test_the_other_kind_of_package_is_refused(framework, database, trust, at):
    with pytest.raises(DeclarationError, match="a change package, expected a full"):
        subscribe(database.url, framework.change(2), trust, at=at)
    subscribe(database.url, framework.full(1), trust, at=at)
    with pytest.raises(DeclarationError, match="a full package, expected a change"):
        apply(database.url, framework.full(2), trust, at=at)


def test_undo_gives_the_release_before_and_the_change_applies_again(
    framework, database, trust, at, answer
):
    subscribe(database.url, framework.full(1), trust, at=at)
    before = database.dump(*LAYERS)
    second, third = framework.change(2), framework.change(3)
    apply(database.url, second, trust, at=at)
    apply(database.url, third, trust, at=at)
    with pytest.raises(DeclarationError, match="applied last: release 3"):
        undo(database.url, second, at=at)
    undo(database.url, third, at=at)
    assert found_states(database) == states(framework, 2)
    outcome = undo(database.url, second, at=at, answer=answer())
    assert outcome.state.current.release == 1
    assert found_states(database) == states(framework, 1)
    body = outcome.receipt.body_as(ReceiptStatement)
    assert body.release == 1
    after = database.dump(*LAYERS)
    for layer in LAYERS:
        # all but fid, which a row that came back has anew
        found, expected = ({row[1:] for row in rows[layer]} for rows in (after, before))
        assert found == expected
    apply(database.url, second, trust, at=at)
    assert found_states(database) == states(framework, 2)


def test_comparing_names_what_was_changed_by_hand(framework, database, trust, at):
    package = framework.full(1)
    subscribe(database.url, package, trust, at=at)
    assert compare(database.url, package, trust) == {}
    database.run("UPDATE {}buildings SET floors = 99 WHERE uid = 'b2'")
    database.run("UPDATE {}permits SET uid = 'm7'")
    assert compare(database.url, package, trust) == {
        "buildings": LayerDifference(missing=(), added=(), altered=("b2",)),
        "permits": LayerDifference(missing=("m1",), added=("m7",), altered=()),
    }
    with pytest.raises(DeclarationError, match="release 2, expected release 1"):
        compare(database.url, framework.full(2), trust)
