"""What a database refuses; each time its rows stay as they were."""

import dataclasses
import datetime as dt
import json
import shutil

import pytest

from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.products.package import pack
from cityframe.products.signature import RecallStatement, RevocationStatement, TrustStore
from cityframe.products.subscriber import acknowledge, apply, open_session, read_state, subscribe

LAYERS = ("buildings", "pipes", "permits", "cityframe_subscription")


@pytest.fixture
def subscribed(framework, database, trust, at):
    """The database at release 1, and what checks that it is still there, row for row."""
    subscribe(database.url, framework.full(1), trust, at=at)
    return database


@pytest.fixture
def refused(subscribed, trust, at):
    def check(package, error, message, trust=trust):
        before = subscribed.dump(*LAYERS)
        with pytest.raises(error, match=message) as caught:
            apply(subscribed.url, package, trust, at=at)
        assert subscribed.dump(*LAYERS) == before
        return caught.value

    return check


def test_a_gap_names_the_missing_releases(framework, refused):
    refused(framework.change(4), DeclarationError, "apply first, in order, the changes to: 2, 3")


def test_a_replay_is_said_to_be_one(framework, subscribed, refused, trust, at):
    apply(subscribed.url, framework.change(2), trust, at=at)
    refused(framework.change(2), DeclarationError, "release 2, which has been applied already")
    apply(subscribed.url, framework.change(3), trust, at=at)
    refused(framework.change(2), DeclarationError, "release 2, which has been applied already")


def test_a_change_of_another_framework_is_a_wrong_base(framework, make_framework, rows, refused):
    other = make_framework("other", *framework.contracts[0].values())
    other.commit(buildings={"b1": rows.building()})
    other.commit(buildings={"b1": rows.building(5)})
    error = refused(other.change(2), IntegrityError, "a change from release 1")
    assert framework.releases[0].digest in error.expected


def test_mixed_up_files_are_refused(framework, refused):
    second, third = framework.change(2), framework.change(3)
    shutil.copy(third / "buildings.changes.parquet", second / "buildings.changes.parquet")
    refused(second, IntegrityError, "buildings.changes.parquet")


def test_the_signature_of_another_package_is_refused(framework, refused):
    second, third = framework.change(2), framework.change(3)
    shutil.copy(third / "signature.json", second / "signature.json")
    refused(second, IntegrityError, "about release 3")


def test_a_flipped_byte_is_refused(framework, refused):
    package = framework.change(2)
    path = package / "pipes.changes.parquet"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    refused(package, IntegrityError, "pipes.changes.parquet: SHA-256")


def test_a_manifest_that_was_altered_is_refused(framework, refused):
    package = framework.change(2)
    path = package / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["title"]["en"] = "Another City"
    text = json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")
    refused(package, IntegrityError, "digest")


def test_an_unsigned_package_is_refused(framework, refused):
    refused(framework.change(2, key=None), IntegrityError, "no signature")


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_truncated_zip_is_refused(framework, refused, tmp_path, part):
    path = pack(framework.change(2), tmp_path / "change.zip")
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * part)])
    refused(path, IntegrityError, "change.zip")


def test_an_unknown_key_is_refused(framework, refused, make_key):
    other, _public = make_key("stranger")
    refused(framework.change(2, key=other), IntegrityError, "key")


def test_a_revoked_key_is_refused(framework, refused, publisher, make_key, at):
    key, public = make_key("second")
    store = TrustStore().trust(publisher[1], at=at).trust(public, at=at)
    revoked = key.sign(RevocationStatement(key=public.id, reason="lost", from_release=2))
    package = framework.change(2, key=key)
    refused(package, IntegrityError, "revoked", trust=store.apply(revoked, at=at))


def test_an_expired_key_is_refused(framework, subscribed, publisher, trust, at, make_key):
    key, public = make_key("short", valid_until=at + dt.timedelta(days=1))
    store = trust.trust(public, at=at)
    package = framework.change(2, key=key)
    with pytest.raises(IntegrityError, match="which was valid until"):
        apply(subscribed.url, package, store, at=at + dt.timedelta(days=2))
    apply(subscribed.url, package, store, at=at)


def test_rows_edited_by_hand_are_refused_with_the_feature(framework, subscribed, refused):
    subscribed.run("UPDATE {}buildings SET floors = 99 WHERE uid = 'b2'")
    subscribed.run("DELETE FROM {}buildings WHERE uid = 'b3'")
    error = refused(framework.change(2), IntegrityError, "table buildings")
    assert "b2 is another" in error.found
    assert "b3 is missing" in error.found
    assert "b1" not in error.found


def test_a_feature_added_by_hand_under_a_coming_uid_is_refused(framework, subscribed, refused):
    subscribed.run("UPDATE {}permits SET uid = 'm2'")
    error = refused(framework.change(2), IntegrityError, "table permits")
    assert "m2 is there" in error.found
    assert "m1 is missing" in error.found


def test_an_edit_of_a_feature_that_does_not_change_is_refused(framework, subscribed, refused):
    subscribed.run("UPDATE {}buildings SET name = 'x' WHERE uid = 'b7'")
    refused(framework.change(2), IntegrityError, "that the package does not change")


def test_rows_that_changed_places_are_refused(framework, subscribed, refused):
    subscribed.run("UPDATE {}buildings SET uid = 'x' WHERE uid = 'b6'")
    subscribed.run("UPDATE {}buildings SET uid = 'b6' WHERE uid = 'b7'")
    subscribed.run("UPDATE {}buildings SET uid = 'b7' WHERE uid = 'x'")
    refused(framework.change(2), IntegrityError, "the right rows under wrong uids")


def test_a_value_of_another_type_is_refused(framework, subscribed, refused):
    if subscribed.is_postgis:
        subscribed.run("ALTER TABLE {}buildings ALTER floors TYPE text")
        subscribed.run("UPDATE {}buildings SET floors = 'six' WHERE uid = 'b1'")
        refused(framework.change(2), DeclarationError, "invalid input syntax")
    else:
        subscribed.run("UPDATE {}buildings SET floors = 'six' WHERE uid = 'b1'")
        refused(framework.change(2), IntegrityError, "a value of floors that is no integer")


def test_a_constraint_of_the_owner_holds(framework, subscribed, refused):
    subscribed.run("CREATE TABLE {0}visits (building text REFERENCES {0}buildings (uid))")
    subscribed.run("INSERT INTO {}visits VALUES ('b3')")
    refused(framework.change(2), GateClosedError, "(?i)foreign key")


def test_a_trigger_that_alters_rows_is_found(framework, subscribed, refused):
    if subscribed.is_postgis:
        schema = subscribed.url.partition("schema=")[2]
        subscribed.run(
            f"CREATE FUNCTION {schema}.loud() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN NEW.holder := 'nobody'; RETURN NEW; END$$"
        )
        subscribed.run(
            "CREATE TRIGGER loud BEFORE UPDATE ON {}permits "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.loud()"
        )
    else:
        subscribed.run(
            "CREATE TRIGGER loud AFTER UPDATE OF holder ON permits WHEN NEW.holder <> 'nobody' "
            "BEGIN UPDATE permits SET holder = 'nobody' WHERE uid = NEW.uid; END"
        )
    refused(framework.change(2), IntegrityError, "after the change")


def test_a_state_changed_by_hand_is_refused(framework, subscribed, refused):
    subscribed.run("UPDATE {}cityframe_subscription SET release_number = 2")
    refused(framework.change(2), IntegrityError, "release 2, but release 1 applied last")


def test_a_recall_must_be_acknowledged_first(
    framework, subscribed, refused, trust, at, publisher, answer
):
    first = framework.releases[0]
    recalls = [{"release": 1, "digest": first.digest}]
    package = framework.change(2, recalls=recalls)
    refused(package, GateClosedError, "recall of release 1, not acknowledged here")
    recall = publisher[0].sign(
        RecallStatement(
            release=1,
            release_digest=first.digest,
            reason="a street was shifted",
            replaced_by=2,
            issued_at="2026-11-22T08:00:00+00:00",
        )
    )
    reply = answer("acknowledgement.json")
    signed = acknowledge(subscribed.url, recall, trust, answer=reply, at=at)
    assert json.loads(reply.path.read_text())["statement"]["recall"] == recall.digest
    assert signed.statement["subscriber"] == "Water works"
    apply(subscribed.url, package, trust, at=at)
    with open_session(subscribed.url) as session:
        state = read_state(session)
    assert state.current.release == 2
    assert [one.reason for one in state.recalls] == ["a street was shifted"]


def test_a_recall_by_a_stranger_is_refused(subscribed, framework, trust, at, make_key, answer):
    recall = make_key("stranger")[0].sign(
        RecallStatement(
            release=1,
            release_digest=framework.releases[0].digest,
            reason="never mind",
            replaced_by=None,
            issued_at="2026-11-22T08:00:00+00:00",
        )
    )
    reply = answer("acknowledgement.json")
    with pytest.raises(IntegrityError, match="key"):
        acknowledge(subscribed.url, recall, trust, answer=reply, at=at)
    assert not reply.path.exists()


def test_a_receipt_file_that_is_there_stops_before_anything(
    framework, subscribed, trust, at, answer
):
    reply = answer()
    reply.path.write_text("mine")
    before = subscribed.dump(*LAYERS)
    with pytest.raises(DeclarationError, match="stands there already"):
        apply(subscribed.url, framework.change(2), trust, at=at, answer=reply)
    assert subscribed.dump(*LAYERS) == before
    assert reply.path.read_text() == "mine"


def test_a_recall_by_an_expired_key_is_refused(subscribed, framework, trust, at, make_key, answer):
    key, public = make_key("short", valid_until=at + dt.timedelta(days=1))
    recall = key.sign(
        RecallStatement(
            release=1,
            release_digest=framework.releases[0].digest,
            reason="a street was shifted",
            replaced_by=None,
            issued_at="2026-11-22T08:00:00+00:00",
        )
    )
    store = trust.trust(public, at=at)
    late = at + dt.timedelta(days=2)
    with pytest.raises(IntegrityError, match="was valid until"):
        acknowledge(subscribed.url, recall, store, answer=answer("late.json"), at=late)
    acknowledge(subscribed.url, recall, store, answer=answer("in-time.json"), at=at)


@pytest.mark.parametrize("name", ["", "water\nworks"])
def test_a_name_that_cannot_be_signed_stops_before_anything(
    framework, subscribed, trust, at, answer, name
):
    before = subscribed.dump(*LAYERS)
    reply = dataclasses.replace(answer(), subscriber=name)
    with pytest.raises(DeclarationError, match="printable"):
        apply(subscribed.url, framework.change(2), trust, at=at, answer=reply)
    assert subscribed.dump(*LAYERS) == before


@pytest.mark.parametrize("database", ["geopackage"], indirect=True)  # PostGIS takes none such
def test_a_geometry_damaged_by_hand_is_refused(subscribed, framework, trust, at):
    for (trigger,) in subscribed.run("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        subscribed.run(f"DROP TRIGGER {trigger}")
    for blob in ("x'4750'", "x'4750000F0000000000'", "'text'", "x'47500001E61000000102'"):
        subscribed.run(f"UPDATE buildings SET geom = {blob} WHERE uid = 'b7'")
        with pytest.raises(IntegrityError, match=r"(table|layer) buildings"):
            apply(subscribed.url, framework.change(2), trust, at=at)
