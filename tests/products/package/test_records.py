import json

import pytest

from cityframe.core.digest import row_digests
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package import (
    LayerDelta,
    apply_change,
    build_change,
    build_full,
    invert,
    read_changes,
    read_lineage,
    read_manifest,
    read_redactions,
    verify,
)

SPLIT = {
    "release": 2, "event": "split", "layer": "buildings",
    "parent": "b00", "child": "b49", "share": 0.6,
}  # fmt: skip
END = {"release": 1, "event": "removed", "layer": "permits", "parent": "d0"}


def test_lineage_adds_up_and_the_inverse_takes_it_back(tmp_path, town, same_bytes):
    town.build_full(tmp_path / "full1", 1, lineage=[END])
    town.build_full(tmp_path / "full2", 2, lineage=[SPLIT, END])
    town.build_change(tmp_path / "change2", 2, lineage=[SPLIT])
    verify(tmp_path / "change2", base=tmp_path / "full1")
    apply_change(tmp_path / "full1", tmp_path / "change2", tmp_path / "applied2")
    assert same_bytes(tmp_path / "full2", tmp_path / "applied2") == []
    assert [event.parent for event in read_lineage(tmp_path / "applied2")] == ["d0", "b00"]
    invert(tmp_path / "change2", tmp_path / "inverse")
    apply_change(tmp_path / "full2", tmp_path / "inverse", tmp_path / "applied1")
    assert read_lineage(tmp_path / "applied1") == read_lineage(tmp_path / "full1")


def test_lineage_of_features_that_do_not_change_is_refused(tmp_path, town):
    stray = {**SPLIT, "parent": "b03", "child": "b04"}
    with pytest.raises(IntegrityError, match="uid b03: split in the lineage of a feature that"):
        town.build_change(tmp_path / "change2", 2, lineage=[SPLIT, stray])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["lineage.json", "redactions.json"])
@pytest.mark.parametrize("content", ["{}", "nonsense", '[{"release": 1}]', "[ ]"])
def test_records_in_another_form_are_refused_though_resealed(folders, reseal, name, content):
    (folders / "change2" / name).write_text(content)
    reseal(folders / "change2")
    with pytest.raises(IntegrityError, match=name):
        verify(folders / "change2")


def test_a_record_with_a_field_too_many_is_refused(tmp_path, town):
    with pytest.raises(DeclarationError, match=r"lineage\.json"):
        town.build_change(tmp_path / "change2", 2, lineage=[{**SPLIT, "extra": 1}])
    with pytest.raises(DeclarationError, match="recalls"):
        town.build_change(tmp_path / "change2", 2, recalls=[{"release": 1}])


def test_recalls_stand_in_the_manifest(tmp_path, town):
    recall = {"release": 1, "digest": town.releases[0].digest}
    manifest = town.build_change(tmp_path / "change2", 2, recalls=[recall])
    assert [(one.release, one.digest) for one in manifest.recalls] == [(1, recall["digest"])]


# redaction: the holder of d2 was cleared in all of history, and b02's name


@pytest.fixture
def redacted(town):
    """The packages of release 2 as a store gives them after the redaction."""
    layers = town.layers

    def clear(frame, layer):
        frame["digest"] = row_digests(frame, layers[layer])
        for uid, name in (("b02", "name"), ("b11", "name")):
            if layer == "buildings":
                frame.loc[frame["uid"] == uid, name] = None
        return frame

    full = clear(town.content("buildings", 2), "buildings")
    digests = dict(zip(full["uid"], full["digest"], strict=True))
    redactions = [
        {
            "layer": "buildings", "uid": uid, "attributes": ["name"], "decision": "2026-17",
            "digest": digests[uid].hex(),
        }
        for uid in ("b02", "b11")
    ]  # fmt: skip
    contents = town.contents(2)
    contents[0] = type(contents[0])(contents[0].layer, [full])
    deltas = town.deltas(2)
    removed, added = (clear(frame, "buildings") for frame in (deltas[0].removed, deltas[0].added))
    removed["withheld"] = ["name" if uid == "b02" else "" for uid in removed["uid"]]
    deltas[0] = LayerDelta(deltas[0].layer, removed, added)
    return contents, deltas, redactions


@pytest.fixture
def redacted_packages(tmp_path, town, redacted):
    contents, deltas, redactions = redacted
    first, second = town.releases
    options = {
        "chain": town.chains[1], "title": town.layers["pipes"].title, "quality": {},
        "redactions": redactions,
    }  # fmt: skip
    town.build_full(tmp_path / "full1", 1)
    build_full(tmp_path / "full2", second, contents, **options)
    build_change(tmp_path / "change2", second, first, deltas, **options)
    return tmp_path


def test_a_redacted_change_is_applied_and_clears_what_it_must(redacted_packages, same_bytes):
    folder = redacted_packages
    manifest = read_manifest(folder / "change2")
    row = read_changes(folder / "change2", manifest, "buildings").to_pylist()[2]
    assert (row["uid"], row["withheld"], row["old_name"]) == ("b02", "name", None)
    assert row["digest_before"] is not None
    verify(folder / "full2")
    verify(folder / "change2", base=folder / "full1")
    apply_change(folder / "full1", folder / "change2", folder / "applied2")
    assert same_bytes(folder / "full2", folder / "applied2") == []
    assert [one.uid for one in read_redactions(folder / "applied2")] == ["b02", "b11"]


def test_a_change_with_withheld_values_is_not_inverted(redacted_packages):
    with pytest.raises(IntegrityError, match="uid b02: values of name that a redaction withholds"):
        invert(redacted_packages / "change2", redacted_packages / "inverse")
    assert not (redacted_packages / "inverse").exists()


def test_a_value_that_should_be_cleared_is_refused(tmp_path, town, redacted):
    options = {"chain": town.chains[1], "title": town.layers["pipes"].title, "quality": {}}
    with pytest.raises(IntegrityError, match="uid b02: a value of name, expected none: decision"):
        build_full(
            tmp_path / "full2",
            town.releases[1],
            town.contents(2),
            redactions=redacted[2],
            **options,
        )


def test_rows_cleared_without_a_redaction_are_refused(tmp_path, town, redacted):
    options = {"chain": town.chains[1], "title": town.layers["pipes"].title, "quality": {}}
    with pytest.raises(IntegrityError, match="layer buildings: rows digest"):
        build_full(tmp_path / "full2", town.releases[1], redacted[0], **options)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("lineage.json", {**SPLIT, "layer": "roads"}),
        ("lineage.json", {**SPLIT, "release": 1}),
        (
            "redactions.json",
            {"attributes": ["name"], "decision": "1", "digest": None, "layer": "roads",
             "uid": "b02"},
        ),
    ],
)  # fmt: skip
def test_records_of_other_layers_and_releases_are_refused(folders, reseal, name, record):
    text = json.dumps([record], indent=2, sort_keys=True) + "\n"
    (folders / "change2" / name).write_text(text)
    reseal(folders / "change2")
    with pytest.raises(IntegrityError, match=name):
        verify(folders / "change2")


def test_a_quality_record_nested_without_end_is_refused(folders, reseal):
    (folders / "change2" / "quality.json").write_text("[" * 200_000)
    reseal(folders / "change2")
    with pytest.raises(IntegrityError, match="quality"):
        verify(folders / "change2")
