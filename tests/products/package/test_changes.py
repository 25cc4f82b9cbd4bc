import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from cityframe.core.digest import row_digests
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import Attribute, AttributeType
from cityframe.model.text import Title
from cityframe.products.package import (
    LayerDelta,
    apply_change,
    build_change,
    invert,
    overlay,
    read_changes,
    read_manifest,
    verify,
)
from cityframe.products.package.change_table import change_table


def changes_of(folder, layer="buildings"):
    return read_changes(folder, read_manifest(folder), layer)


def row_of(table, uid):
    return next(row for row in table.to_pylist() if row["uid"] == uid)


def with_values(table, at_uid, **values):
    place = table["uid"].to_pylist().index(at_uid)
    for name, value in values.items():
        column = table[name].to_pylist()
        column[place] = value
        at = table.schema.get_field_index(name)
        field = table.schema.field(name)
        table = table.set_column(at, field, pa.array(column, field.type))
    return table


def refused(folder, message, **options):
    with pytest.raises(IntegrityError, match=message):
        verify(folder, **options)


def test_a_change_is_one_row_a_feature_with_what_differs_only(folders, town):
    table = changes_of(folders / "change2")
    assert table["uid"].to_pylist() == ["b00", "b01", "b02", "b49", "b99"]
    kinds = ["removed", "reshaped", "attributes", "new", "new"]
    assert table["change"].to_pylist() == kinds
    assert table["changed"].to_pylist() == ["", "geometry", "name", "", ""]
    assert table["has_new_attributes"].to_pylist() == [False, False, True, False, False]
    renamed = row_of(table, "b02")
    assert (renamed["old_name"], renamed["new_name"]) == ("教学楼", "图书馆")
    assert {renamed[name] for name in ("old_floors", "new_floors", "old_geometry")} == {None}
    assert renamed["valid_from_before"] < renamed["valid_from"]


def test_new_and_removed_features_have_their_whole_row_on_one_side(folders, town):
    table = changes_of(folders / "change2")
    removed, new = row_of(table, "b00"), row_of(table, "b49")
    assert removed["old_floors"] == new["new_floors"] == 6
    before, after = (town.content("buildings", number).set_index("uid") for number in (1, 2))
    assert removed["old_geometry"] == shapely.to_wkb(before.geometry["b00"], flavor="iso")
    assert new["new_geometry"] == shapely.to_wkb(after.geometry["b49"], flavor="iso")
    for name in ("new_floors", "new_geometry", "valid_from", "digest_after"):
        assert removed[name] is None
    for name in ("old_floors", "old_geometry", "valid_from_before", "digest_before"):
        assert new[name] is None


def test_digests_are_those_of_the_rows_before_and_after(folders, town):
    table = changes_of(folders / "change2")
    for number, column in ((1, "digest_before"), (2, "digest_after")):
        frame = town.content("buildings", number)
        digests = dict(zip(frame["uid"], row_digests(frame, town.layers["buildings"]), strict=True))
        for row in table.to_pylist():
            assert row[column] == digests.get(row["uid"])


def test_provenance_of_both_sides_and_of_what_ended_a_feature(folders):
    table = changes_of(folders / "change2")
    removed, moved = row_of(table, "b00"), row_of(table, "b01")
    assert (removed["delivery_before"], removed["delivery"]) == ("survey-2026", "survey-end")
    assert removed["record"] is None
    assert (moved["record_before"], moved["record"], moved["basis"]) == (20, 20, "rule 3")


def test_values_differ_to_the_last_bit(new_town, make_building):
    town = new_town()
    town.commit(buildings={"b1": make_building(height_m=0.0, name="\u00e9")})
    town.commit(buildings={"b1": make_building(height_m=-0.0, name="e\u0301")})
    delta = town.deltas(2)[0]
    frames = [town.content("buildings", number) for number in (1, 2)]
    delta = LayerDelta(delta.layer, frames[0].assign(change="attributes"), frames[1])
    (row,) = change_table(delta).to_pylist()
    assert row["changed"] == "name,height_m"


def test_a_uid_that_stands_twice_on_one_side_is_refused(town):
    delta = town.deltas(2)[0]
    twice = dataclasses.replace(delta, added=delta.added.iloc[[0, 0]])
    with pytest.raises(IntegrityError, match="uid b01: two rows of one side"):
        change_table(twice)


@pytest.mark.parametrize(
    ("uid", "values", "message"),
    [
        ("b02", {"change": "painted"}, "uid b02: a kind of change that is not known"),
        ("b02", {"change": "removed"}, "uid b02: valid_from that does not fit"),
        ("b49", {"change": "moved"}, "uid b49: valid_from_before that does not fit"),
        ("b02", {"digest_before": None}, "uid b02: digest_before that does not fit"),
        ("b02", {"changed": ""}, "uid b02: a value of name"),
        ("b02", {"changed": "name,secret"}, "uid b02: names that are no attributes"),
        ("b02", {"changed": "floors,name"}, "uid b02: floors null as before"),
        ("b02", {"new_floors": 3}, "uid b02: a value of floors"),
        ("b01", {"old_floors": 3}, "uid b01: a value of floors"),
        ("b49", {"new_floors": 7}, "uid b49: digest_after that the row does not give"),
        ("b00", {"old_floors": 7}, "uid b00: digest_before that the row does not give"),
        ("b00", {"uid": "b03"}, "uid b01: a row out of order"),
        ("b00", {"uid": "b01"}, "uid b01: a row out of order"),
    ],
)
def test_rows_that_do_not_hold_together_are_refused(folders, forge_changes, uid, values, message):
    forge_changes(folders / "change2", "buildings", lambda table: with_values(table, uid, **values))
    refused(folders / "change2", message)


@pytest.mark.parametrize(
    ("uid", "values", "message"),
    [
        ("b02", {"new_name": "市图书馆"}, "uid b02: another row than the change promises"),
        ("b02", {"digest_before": b"0" * 16}, "uid b02: another content"),
        ("b02", {"uid": "b03"}, "uid b03: another content"),
        ("b02", {"uid": "b30"}, "uid b30: no such feature"),
        ("b49", {"uid": "b11"}, "uid b11: a feature, expected none"),
    ],
)
def test_a_forged_change_does_not_fit_the_true_base(folders, forge_changes, uid, values, message):
    # the forger seals rows, counts and digests; the base tells
    def edit(table):
        return with_values(table, uid, **values).sort_by("uid")

    forge_changes(folders / "change2", "buildings", edit)
    verify(folders / "change2")
    refused(folders / "change2", message, base=folders / "full1")
    with pytest.raises(IntegrityError, match=message):
        apply_change(folders / "full1", folders / "change2", folders / "into")
    assert not (folders / "into").exists()


def test_another_column_is_refused_though_resealed(folders, reseal):
    path = folders / "change2" / "buildings.changes.parquet"
    pq.write_table(pq.read_table(path).drop_columns("old_floors"), path)
    reseal(folders / "change2")
    refused(folders / "change2", r"buildings\.changes\.parquet: columns")
    path.write_bytes(b"PAR1 not really")
    reseal(folders / "change2")
    refused(folders / "change2", r"buildings\.changes\.parquet: can't be read")


def test_changes_of_another_package_are_refused_though_resealed(folders, town, reseal):
    town.commit(buildings={"b02": None})
    town.build_change(folders / "change3", 3)
    path = folders / "change2" / "buildings.changes.parquet"
    path.write_bytes((folders / "change3" / path.name).read_bytes())
    reseal(folders / "change2")
    refused(folders / "change2", "rows 1, expected 5")


def test_only_a_change_package_has_changes(folders):
    with pytest.raises(DeclarationError, match="a full package"):
        changes_of(folders / "full1")
    with pytest.raises(DeclarationError, match="expected a change package with layer parks"):
        changes_of(folders / "change2", "parks")


# laying over


def test_an_overlay_needs_just_the_features_that_change(folders, town):
    manifest = read_manifest(folders / "change2")
    layer = manifest.layer("buildings")
    changes = changes_of(folders / "change2")
    before = town.content("buildings", 1)
    touched = before[before["uid"].isin(["b00", "b01", "b02"])].reset_index(drop=True)
    after = overlay(touched, changes, layer)
    expected = town.content("buildings", 2).set_index("uid")
    assert list(after["uid"]) == ["b01", "b02", "b49", "b99"]
    for row in after.itertuples():
        assert row.name == expected.loc[row.uid, "name"]
        assert row.geometry == expected.loc[row.uid, "geometry"]
        assert row.record == expected.loc[row.uid, "record"]
    assert list(after["digest"]) == list(row_digests(after, layer.contract))


def test_an_overlay_of_a_base_that_drifted_names_the_feature(folders, town):
    layer = read_manifest(folders / "change2").layer("buildings")
    changes = changes_of(folders / "change2")
    drifted = town.content("buildings", 1)
    drifted.loc[drifted["uid"] == "b02", "floors"] = 7
    with pytest.raises(IntegrityError, match="here uid b02: another content"):
        overlay(drifted, changes, layer, where="here")


# contracts that change


def with_attribute(layer, name):
    added = Attribute(name=name, type=AttributeType.REAL, title=Title(zh=name, en=name))
    return dataclasses.replace(layer, attributes=(*layer.attributes, added))


def test_an_attribute_may_come_and_the_inverse_takes_it_away(tmp_path, town, same_bytes):
    town.layers["permits"] = with_attribute(town.layers["permits"], "fee")
    row = {"valid_from": "2026-11-01T00:00:00Z", "holder": "李四", "fee": 3.5, "geometry": None}
    town.commit(permits={"d2": row, "d3": row})
    town.build_full(tmp_path / "full2", 2)
    town.build_full(tmp_path / "full3", 3)
    manifest = town.build_change(tmp_path / "change3", 3)
    permits = manifest.layer("permits")
    assert [one.name for one in permits.contract_before.attributes] == ["holder"]
    assert manifest.layer("pipes").contract_before is None
    verify(tmp_path / "change3", base=tmp_path / "full2")
    apply_change(tmp_path / "full2", tmp_path / "change3", tmp_path / "applied3")
    assert same_bytes(tmp_path / "full3", tmp_path / "applied3") == []

    inverse = invert(tmp_path / "change3", tmp_path / "inverse")
    assert inverse.layer("permits").contract == permits.contract_before
    apply_change(tmp_path / "full3", tmp_path / "inverse", tmp_path / "back2")
    differing = same_bytes(tmp_path / "full2", tmp_path / "back2")
    assert not [name for name in differing if name.endswith((".parquet", ".gpkg"))]


def test_a_contract_that_can_not_follow_is_refused(tmp_path, town):
    other = dataclasses.replace(town.layers["permits"], attributes=())
    town.layers["permits"] = with_attribute(other, "fee")
    town.commit(permits={"d2": None})
    with pytest.raises(DeclarationError, match="layer permits: a contract that can't follow"):
        town.build_change(tmp_path / "change3", 3)


def test_a_base_in_another_contract_is_refused(folders, town, reseal):
    def add(data):
        contract = data["layers"][1]["contract"]
        contract["attributes"][0]["max_length"] = 9

    reseal(folders / "full1", add)
    refused(folders / "change2", "contract of permits", base=folders / "full1")


# the chain


def test_a_chain_that_is_not_the_releases_is_refused(tmp_path, town):
    first, second = town.releases
    options = {"title": Title(zh="", en=""), "quality": {}}
    with pytest.raises(IntegrityError, match="release 2: a chain that gives the digest"):
        build_change(tmp_path / "a", second, first, town.deltas(2), chain=town.chains[0], **options)
    other = dataclasses.replace(first, digest="0" * 64)
    with pytest.raises(IntegrityError, match="expected a seal that names the parent"):
        build_change(tmp_path / "a", second, other, town.deltas(2), chain=town.chains[1], **options)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda seal: seal.update(number=7), "a seal that gives the chain digest"),
        (lambda seal: seal.pop("layers"), "a seal that gives the chain digest"),
    ],
)
def test_a_seal_that_does_not_give_the_digest_is_refused(folders, edit, message):
    path = folders / "change2" / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data["release"]["seal"])
    path.write_text(json.dumps(data), encoding="utf-8")
    refused(folders / "change2", message)


@pytest.mark.parametrize("uid", ["b02", "b49"])
def test_what_no_redaction_clears_is_not_withheld(folders, forge_changes, uid):
    forge_changes(
        folders / "change2",
        "buildings",
        lambda table: with_values(table, uid, withheld="name", old_name=None),
    )
    refused(folders / "change2", f"uid {uid}: name withheld")


def test_no_other_value_changes_behind_a_redaction(folders, forge_changes):
    def hide(table):
        digest = row_of(table, "b02")["digest_before"]
        return with_values(table, "b02", changed="floors", old_name=None, new_name=None,
                           old_floors=6, new_floors=60, digest_after=digest)  # fmt: skip

    redaction = {"attributes": ["name"], "decision": "17", "digest": "00" * 16,
                 "layer": "buildings", "uid": "b02"}  # fmt: skip
    text = json.dumps([redaction], indent=2, sort_keys=True) + "\n"
    (folders / "change2" / "redactions.json").write_text(text)
    forge_changes(folders / "change2", "buildings", hide)
    refused(folders / "change2", "uid b02: floors withheld or altered")


def test_a_layer_without_changes_has_the_state_of_before(folders, reseal):
    def forge(data):
        pipes = next(one for one in data["layers"] if one["contract"]["name"] == "pipes")
        pipes["after"]["digest"] = "00" * 16

    reseal(folders / "change2", forge)
    refused(folders / "change2", "no changes, state after")
