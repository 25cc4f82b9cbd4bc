"""Tables of the subscriber's own: columns, names, schema changes, adoption."""

import pyogrio
import pytest

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import AttributeType
from cityframe.products.subscriber import (
    LayerMapping,
    SubscriberMapping,
    apply,
    open_session,
    read_state,
    receipt_of,
    subscribe,
    undo,
)
from cityframe.products.subscriber.proof import prove_layer

MAPPING = SubscriberMapping(
    layers={
        "buildings": LayerMapping(
            table="jianzhu", uid="bianhao", geometry="shape", columns={"floors": "cengshu"}
        )
    }
)


def is_at(database, framework, number):
    with open_session(database.url) as session:
        state = read_state(session)
        found = {
            name: prove_layer(session, table, kept=state.redacted.get(name, {})).state
            for name, table in state.tables().items()
        }
    expected = {one.layer: (one.count, one.digest) for one in framework.releases[number - 1].layers}
    return {name: (one.count, one.digest) for name, one in found.items()} == expected


def test_own_columns_stay_and_new_rows_get_defaults(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at)
    database.run("ALTER TABLE {}buildings ADD COLUMN inspector text DEFAULT 'open'")
    database.run("UPDATE {}buildings SET inspector = 'Wang' WHERE uid IN ('b1', 'b2', 'b5')")
    for number in (2, 3):
        apply(database.url, framework.change(number), trust, at=at)
    found = dict(database.run("SELECT uid, inspector FROM {}buildings"))
    assert {uid for uid, who in found.items() if who == "Wang"} == {"b1", "b2", "b5"}
    assert {found["b3"], found["b6"], found["b9"]} == {"open"}
    assert is_at(database, framework, 3)


def test_only_columns_that_differ_are_written(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at)
    if database.is_postgis:
        schema = database.url.partition("schema=")[2]
        database.run(
            f"CREATE FUNCTION {schema}.stop() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'written'; END$$"
        )
        database.run(
            "CREATE TRIGGER stop BEFORE UPDATE OF material ON {}pipes "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.stop()"
        )
    else:
        database.run(
            "CREATE TRIGGER stop BEFORE UPDATE OF material ON pipes "
            "BEGIN SELECT RAISE(ABORT, 'written'); END"
        )
    apply(database.url, framework.change(2), trust, at=at)
    assert is_at(database, framework, 2)


def test_other_names_of_tables_and_columns(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at, mapping=MAPPING)
    second = framework.change(2)
    apply(database.url, second, trust, at=at)
    assert dict(database.run("SELECT bianhao, cengshu FROM {}jianzhu"))["b2"] is None
    assert is_at(database, framework, 2)
    undo(database.url, second, at=at)
    assert is_at(database, framework, 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"houses": LayerMapping()}, "layer houses"),
        ({"buildings": LayerMapping(columns={"flors": "f"})}, "attribute flors"),
        ({"buildings": LayerMapping(columns={"floors": "name"})}, "column name for two things"),
        ({"buildings": LayerMapping(table="pipes")}, "table pipes for two layers"),
    ],
)
def test_a_wrong_mapping_is_refused(framework, database, trust, at, names, message):
    mapping = SubscriberMapping(layers=names)
    with pytest.raises(DeclarationError, match=message):
        subscribe(database.url, framework.full(1), trust, at=at, mapping=mapping)


def test_tables_with_the_same_rows_are_adopted(framework, database, trust, at):
    package = framework.full(1)
    subscribe(database.url, package, trust, at=at)
    database.run("DROP TABLE {}cityframe_subscription")
    database.run("ALTER TABLE {}buildings ADD COLUMN note text DEFAULT 'mine'")
    before = database.dump("buildings", "pipes")
    subscribe(database.url, package, trust, at=at)
    assert database.dump("buildings", "pipes") == before
    apply(database.url, framework.change(2), trust, at=at)
    assert is_at(database, framework, 2)


def test_tables_with_other_rows_are_not_adopted(framework, database, trust, at):
    package = framework.full(1)
    subscribe(database.url, package, trust, at=at)
    database.run("DROP TABLE {}cityframe_subscription")
    database.run("DELETE FROM {}permits")
    with pytest.raises(IntegrityError, match="table permits: 0 features"):
        subscribe(database.url, package, trust, at=at)


def test_a_table_without_a_column_is_not_adopted(framework, database, trust, at):
    package = framework.full(1)
    subscribe(database.url, package, trust, at=at)
    database.run("DROP TABLE {}cityframe_subscription")
    database.run("ALTER TABLE {}permits DROP COLUMN holder")
    with pytest.raises(DeclarationError, match="no column holder"):
        subscribe(database.url, package, trust, at=at)


def test_an_attribute_that_comes_gets_a_column_and_undo_takes_it_away(
    make_framework, rows, database, trust, at
):
    city = make_framework("wide")
    city.commit(buildings={"b1": rows.building(), "b2": rows.building(20)})
    wide = rows.wider(rows.buildings, owner=AttributeType.STRING, area_m2=AttributeType.REAL)
    city.commit(wide, buildings={"b2": rows.building(20, owner="市政", area_m2=99.5)})
    subscribe(database.url, city.full(1), trust, at=at)
    change = city.change(2)
    apply(database.url, change, trust, at=at)
    assert database.run("SELECT uid, owner, area_m2 FROM {}buildings ORDER BY uid") == [
        ("b1", None, None),
        ("b2", "市政", 99.5),
    ]
    assert is_at(database, city, 2)
    undo(database.url, change, at=at)
    assert is_at(database, city, 1)
    with pytest.raises(Exception, match="owner"):
        database.run("SELECT owner FROM {}buildings")
    apply(database.url, change, trust, at=at)
    assert is_at(database, city, 2)


def test_a_column_that_is_in_the_way_can_be_mapped(make_framework, rows, database, trust, at):
    city = make_framework("wide")
    city.commit(buildings={"b1": rows.building()})
    city.commit(
        rows.wider(rows.buildings, owner=AttributeType.STRING),
        buildings={"b1": rows.building(owner="市政")},
    )
    subscribe(database.url, city.full(1), trust, at=at)
    database.run("ALTER TABLE {}buildings ADD COLUMN owner text DEFAULT 'mine'")
    change = city.change(2)
    with pytest.raises(DeclarationError, match="a column owner"):
        apply(database.url, change, trust, at=at)
    mapping = SubscriberMapping(layers={"buildings": LayerMapping(columns={"owner": "owner_2"})})
    apply(database.url, change, trust, at=at, mapping=mapping)
    assert database.run("SELECT owner, owner_2 FROM {}buildings") == [("mine", "市政")]


def test_a_layer_that_comes_gets_a_table_and_undo_takes_it_away(
    make_framework, rows, database, trust, at
):
    city = make_framework("more")
    city.commit(buildings={"b1": rows.building()})
    city.commit(rows.permits, permits={"m1": {"holder": "李"}})
    city.commit(permits={"m1": {"holder": "王"}})
    subscribe(database.url, city.full(1), trust, at=at)
    change = city.change(2)
    apply(database.url, change, trust, at=at)
    assert is_at(database, city, 2)
    undo(database.url, change, at=at)
    with open_session(database.url) as session:
        assert not session.has_table("permits")
    apply(database.url, change, trust, at=at)
    apply(database.url, city.change(3), trust, at=at)
    assert is_at(database, city, 3)


def test_a_layer_without_features_is_subscribed(make_framework, rows, database, trust, at):
    city = make_framework("empty")
    city.commit()
    city.commit(buildings={"b1": rows.building()})
    subscribe(database.url, city.full(1), trust, at=at)
    apply(database.url, city.change(2), trust, at=at)
    assert is_at(database, city, 2)


def test_a_lost_receipt_is_made_again(framework, database, trust, at, answer):
    subscribe(database.url, framework.full(1), trust, at=at)
    apply(database.url, framework.change(2), trust, at=at, answer=answer("first.json"))
    again = receipt_of(database.url, answer("again.json"), at=at)
    assert again.text() == answer("first.json").path.read_text()
    database.run("UPDATE {}permits SET holder = 'x'")
    with pytest.raises(IntegrityError, match="changed since the last package"):
        receipt_of(database.url, answer("third.json"), at=at)


def test_qgis_and_gdal_open_what_was_made(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at)
    if database.is_postgis:
        found = database.run(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = 'buildings'",
            database.url.partition("schema=")[2],
        )
        assert any("gist" in row[0] for row in found)
        return
    for number in (2, 3):
        apply(database.url, framework.change(number), trust, at=at)
    info = pyogrio.read_info(database.url, layer="buildings", force_total_bounds=True)
    assert (info["geometry_type"], info["crs"], info["features"]) == ("Polygon", "EPSG:4547", 7)
    assert info["capabilities"]["fast_spatial_filter"]
    near = pyogrio.read_dataframe(
        database.url, layer="buildings", bbox=(500_300, 3_400_000, 500_305, 3_400_001)
    )
    assert list(near["uid"]) == ["b9"]
    assert database.run("SELECT rtreecheck('rtree_buildings_geom')") == [("ok",)]
    extent = "SELECT max_x FROM gpkg_contents WHERE table_name = 'buildings'"
    assert database.run(extent)[0][0] == pytest.approx(500_311, abs=0.1)


def test_other_tables_of_a_geopackage_stay(framework, database, trust, at):
    if database.is_postgis:
        database.run("CREATE TABLE {}mine (id integer)")
    else:
        frame = framework.frame("buildings", 1)[["uid", "geometry"]]
        pyogrio.write_dataframe(frame, database.url, layer="mine", driver="GPKG")
    before = database.dump("mine")
    subscribe(database.url, framework.full(1), trust, at=at)
    apply(database.url, framework.change(2), trust, at=at)
    assert database.dump("mine") == before
    assert is_at(database, framework, 2)
    if not database.is_postgis:
        names = {str(name) for name in pyogrio.list_layers(database.url)[:, 0]}
        assert {"mine", "buildings", "pipes", "permits"} <= names


def test_redacted_values_are_cleared_and_the_digest_stays(
    make_framework, rows, database, trust, at
):
    from cityframe.core.digest import row_digests

    city = make_framework("secret")
    city.commit(buildings={"b1": rows.building(name="李宅"), "b2": rows.building(20)})
    subscribe(database.url, city.full(1), trust, at=at)
    digest = row_digests(city.frame("buildings", 1, ["b1"]), rows.buildings)[0]
    kept = {("buildings", "b1"): digest}
    # the publisher has cleared the value in all of history; digests are those from before
    cleared = city.states[0]["buildings"]["b1"] | {"name": None}
    city.states[0]["buildings"]["b1"] = cleared
    city.commit(kept=kept, buildings={"b2": rows.building(21)})
    redaction = {
        "layer": "buildings",
        "uid": "b1",
        "attributes": ("name",),
        "decision": "order 7",
        "digest": digest.hex(),
    }
    change = city.change(2, kept=kept, redactions=[redaction])
    outcome = apply(database.url, change, trust, at=at)
    assert [(one.uid, one.attributes) for one in outcome.redactions] == [("b1", ("name",))]
    assert dict(database.run("SELECT uid, name FROM {}buildings"))["b1"] is None
    assert is_at(database, city, 2)
    with pytest.raises(Exception, match="redacted values"):
        undo(database.url, change, at=at)
    # what was cleared is still watched, and goes on counting
    city.commit(kept=kept, buildings={"b2": rows.building(22)})
    third = city.change(3, kept=kept, redactions=[redaction])
    database.run("UPDATE {}buildings SET floors = 1 WHERE uid = 'b1'")
    with pytest.raises(IntegrityError, match="does not change"):
        apply(database.url, third, trust, at=at)
    database.run("UPDATE {}buildings SET floors = 6 WHERE uid = 'b1'")
    assert apply(database.url, third, trust, at=at).redactions == ()
    assert is_at(database, city, 3)
