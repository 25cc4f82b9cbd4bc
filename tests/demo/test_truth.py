"""The truth of each delivery against the files of two deliveries, compared on our own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.config.workspace import read_workspace
from cityframe.demo.layers import KEYS
from cityframe.demo.truth import (
    TrueChange,
    TrueDefect,
    TrueSame,
    Truth,
    compare,
    read_truth,
    write_truth,
)
from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.finding import Gate

ROOT = Path(__file__).parents[2]
SOURCES = {"parcels": 0.1, "buildings": 0.25, "roads": 0.25, "boundaries": 0.5, "addresses": 0.4}
"""Accuracy in metres of the sources of each layer, where it is not that of the network survey."""
HOUSING = ("structure", "households", "safety_grade")


@dataclass(frozen=True)
class Seen:
    """A change as the files show it."""

    layer: str
    key: str
    kind: str
    attributes: tuple[str, ...]


def accuracy_limit(layer):
    contract = read_workspace(ROOT).layer(layer)
    source = {"sensors": 0.5}.get(layer, SOURCES.get(layer, 0.15))
    return 3 * np.hypot(contract.accuracy_m, source)


def geometry_kind(before, after, limit):
    """Classify by vertices where they pair up, else by distance of the outlines."""
    if shapely.get_num_coordinates(before) == shapely.get_num_coordinates(after):
        old, new = (shapely.get_coordinates(shapely.normalize(one)) for one in (before, after))
        step = new - old
        if np.hypot(*step.T).max() <= limit:
            return "same"
        if np.hypot(*(step - step.mean(axis=0)).T).max() < 0.01:
            return "moved"
        return "reshaped"
    outlines = [shapely.segmentize(one, 0.5) for one in (before, after)]
    return "same" if shapely.hausdorff_distance(*outlines) <= limit else "reshaped"


def is_equal(one, other):
    return (pd.isna(one) and pd.isna(other)) or (not pd.isna(one) and one == other)


def published(city, number, layer, before):
    """Return what the framework holds after a delivery: returned records leave it as it was."""
    frame = city.delivery(number).layer(layer)
    if frame is None:
        return before
    frame = frame.set_index(KEYS[layer], drop=False)
    truth = read_truth(city.delivery(number).folder / "truth.jsonl")
    returned = {
        key for one in truth.defects if one.returned and one.layer == layer for key in one.keys
    }
    kept = before[before.index.isin(returned)] if before is not None else frame.iloc[:0]
    result = pd.concat([frame[~frame.index.isin(returned)], kept])
    assert result.index.is_unique
    return result


def changes_between(layer, before, after):
    limit = accuracy_limit(layer)
    attributes = [name for name in after.columns if name not in ("geometry", "updated_at")]
    attributes = [name for name in attributes if name not in ("调查员", "备注")]
    for key in before.index.difference(after.index):
        yield Seen(layer, key, "removed", ())
    for key in after.index.difference(before.index):
        yield Seen(layer, key, "new", ())
    both = before.index.intersection(after.index)
    old, new = before.loc[both], after.loc[both]
    for place, key in enumerate(both):
        kind = geometry_kind(old.geometry.iloc[place], new.geometry.iloc[place], limit)
        changed = tuple(
            name
            for name in attributes
            if not is_equal(old[name].iloc[place], new[name].iloc[place])
        )
        if kind != "same" or changed:
            yield Seen(layer, key, "attributes" if kind == "same" else kind, changed)


def told(truth, layer):
    """Return the truth in the same form, without what the housing register says."""
    return {
        Seen(layer, one.key, one.change.value, tuple(one.attributes))
        for one in truth.changes
        if one.layer == layer and not set(one.attributes) & set(HOUSING)
    }


@pytest.mark.parametrize("layer", [name for name in KEYS if name != "pois"])
def test_truth_names_exactly_the_changes_between_the_files(city, layer):
    before = published(city, 1, layer, None)
    for number in (2, 3, 4):
        after = published(city, number, layer, before)
        truth = read_truth(city.delivery(number).folder / "truth.jsonl")
        seen = {
            Seen(one.layer, one.key, one.kind, tuple(sorted(one.attributes)))
            for one in changes_between(layer, before, after)
        }
        expected = {
            Seen(one.layer, one.key, one.kind, tuple(sorted(one.attributes)))
            for one in told(truth, layer)
        }
        assert seen == expected
        before = after


def test_truth_names_exactly_the_operations_on_points_of_interest(city):
    places = city.keyed(1, "addresses")
    state = city.delivery(1).pois().set_index("poi_id")
    for number in (2, 3, 4):
        truth = read_truth(city.delivery(number).folder / "truth.jsonl")
        bad = {key for one in truth.defects if one.layer == "pois" for key in one.keys}
        seen = set()
        for record in city.delivery(number).pois().to_dict("records"):
            key, operation = record.pop("poi_id"), record["操作"]
            if key in bad:
                continue
            if operation == "删除":
                state = state.drop(index=key)
                seen.add((key, "removed", ()))
                continue
            old = state.loc[key] if key in state.index else None
            state.loc[key] = record
            if old is None:
                assert operation == "新增"
                seen.add((key, "new", ()))
                continue
            names = [name for name in record if name != "操作"]
            changed = tuple(name for name in names if record[name] != old[name])
            if changed:
                seen.add((key, "moved" if "address" in changed else "attributes", changed))
        expected = {
            (one.key, one.change.value, one.attributes)
            for one in truth.changes
            if one.layer == "pois"
        }
        assert seen == expected
    known = set(places["full_address"])
    assert state["address"].str.normalize("NFKC").str.replace(" ", "").isin(known).all()


def test_truth_names_exactly_the_entries_of_the_register(city):
    register = city.delivery(1).housing().set_index("building_id")
    for number in (2, 3, 4):
        truth = read_truth(city.delivery(number).folder / "truth.jsonl")
        entries = city.delivery(number).housing()
        is_bad = (
            (entries["safety_grade"] == "Z")
            | (entries["households"] == "-3")
            | (entries["building_id"] == "无此楼栋")
        )
        rules = {"buildings.households", "intake.unknown-code", "intake.unmatched-join"}
        spoiled = [one for one in truth.defects if one.layer == "buildings" and one.rule in rules]
        uses = [one for one in spoiled if one.note == "unknown use"]
        assert is_bad.sum() == len(spoiled) - len(uses)
        good = entries[~is_bad].set_index("building_id")
        expected = {
            one.key: one.attributes
            for one in truth.changes
            if one.layer == "buildings" and set(one.attributes) & set(HOUSING)
        }
        assert set(good.index) == set(expected)
        for key, attributes in expected.items():
            known = key in register.index
            changed = [n for n in HOUSING if not known or register.loc[key, n] != good.loc[key, n]]
            assert tuple(changed) == attributes
        register = pd.concat([register.drop(index=good.index, errors="ignore"), good])


def test_noise_is_in_the_files_but_within_tolerance(city):
    truth = read_truth(city.delivery(2).folder / "truth.jsonl")
    for layer in ("buildings", "parcels", "roads"):
        noisy = [one.key for one in truth.same if one.layer == layer and one.why == "noise"]
        assert noisy
        old, new = (city.keyed(number, layer).loc[noisy].geometry for number in (1, 2))
        distance = shapely.hausdorff_distance(old.to_numpy(), new.to_numpy())
        assert (distance > 0).all()
        assert distance.max() < accuracy_limit(layer) / 4
        assert not {one.key for one in truth.changes if one.layer == layer} & set(noisy)


def test_a_parcel_block_surveyed_anew_is_still_a_coverage(city):
    truth = read_truth(city.delivery(2).folder / "truth.jsonl")
    noisy = [one.key for one in truth.same if one.layer == "parcels"]
    assert shapely.coverage_is_valid(city.keyed(2, "parcels").loc[noisy].geometry.to_numpy())


def test_every_kind_of_change_and_defect_is_there(city):
    truth = read_truth(city.delivery(2).folder / "truth.jsonl")
    kinds = {(one.change.value, one.has_new_attributes) for one in truth.changes}
    assert kinds == {
        ("new", False), ("removed", False), ("moved", False), ("moved", True),
        ("reshaped", False), ("reshaped", True), ("attributes", False),
    }  # fmt: skip
    buildings = [one for one in truth.changes if one.layer == "buildings"]
    assert {one.change.value for one in buildings} == {kind for kind, _ in kinds}
    changed = {one.key for one in buildings if not one.note}
    assert 0.005 < len(changed) / len(city.layer(1, "buildings")) < 0.04
    assert len({one.rule for one in truth.defects}) >= 30


def test_defects_name_rules_of_the_workspace_whose_gate_fits(city):
    rules = {rule.id: rule for rule in read_workspace(ROOT).rules}
    truth = read_truth(city.delivery(3).folder / "truth.jsonl")
    changed = {(one.layer, one.key) for one in truth.changes if one.note == "defect"}
    for defect in truth.defects:
        if defect.rule.startswith(("intake.", "reconcile.")):
            assert defect.returned
            continue
        rule = rules[defect.rule]
        assert defect.layer in rule.layers
        assert (rule.gate is Gate.BLOCK) == defect.returned
        if not defect.returned and defect.rule != "addresses.in-city":
            assert any((defect.layer, key) in changed for key in defect.keys)


def test_what_got_in_is_mended_by_the_next_delivery(city):
    truths = [read_truth(city.delivery(n).folder / "truth.jsonl") for n in (2, 3)]
    got_in = {
        (one.layer, one.key): one.change
        for one in truths[0].changes
        if one.note == "defect" and one.layer != "addresses"
    }
    mended = {(one.layer, one.key): one.change for one in truths[1].changes if one.note == "mended"}
    assert got_in
    assert mended == {
        feature: ChangeKind.REMOVED if change is ChangeKind.NEW else change
        for feature, change in got_in.items()
    }


def test_stray_addresses_persist(city):
    strays = [
        {
            one.keys
            for one in read_truth(city.delivery(n).folder / "truth.jsonl").defects
            if one.rule == "addresses.in-city"
        }
        for n in (2, 3, 4)
    ]
    assert strays[0] < strays[1] < strays[2]


# comparing


TRUTH = Truth(
    changes=(
        TrueChange("buildings", "B1", ChangeKind.MOVED),
        TrueChange("buildings", "B2", ChangeKind.MOVED, ("name",)),
        TrueChange("buildings", "B3", ChangeKind.NEW),
    ),
    same=(TrueSame("buildings", "B9", "noise"),),
    defects=(
        TrueDefect("overlaps", "buildings", ("B4", "B5"), "", False, also=("inside",)),
        TrueDefect("valid", "buildings", ("B6",), "", True),
    ),
)


def changes(*rows):
    return pd.DataFrame(rows, columns=["layer", "key", "change", "has_new_attributes"])


def findings(*rows):
    return pd.DataFrame(rows, columns=["layer", "rule", "source_key", "other"])


def test_an_exact_outcome_misses_and_invents_nothing():
    table = compare(
        TRUTH,
        changes(
            ("buildings", "B1", "moved", False),
            ("buildings", "B2", "moved", True),
            ("buildings", "B3", "new", False),
        ),
        findings(
            ("buildings", "overlaps", "B5", "B4"),
            ("buildings", "inside", "B4", ""),
            ("buildings", "valid", "B6", ""),
        ),
    )
    assert table.is_exact
    assert [(row.name, row.expected, row.found) for row in table.changes] == [
        ("moved", 1, 1), ("moved with new attributes", 1, 1), ("new", 1, 1),
    ]  # fmt: skip
    assert [(row.name, row.found) for row in table.rules] == [("overlaps", 1), ("valid", 1)]


def test_what_differs_is_named():
    table = compare(
        TRUTH,
        changes(("buildings", "B1", "reshaped", False), ("buildings", "B9", "moved", False)),
        findings(("buildings", "valid", "B7", ""), ("buildings", "inside", "B6", "")),
    )
    assert not table.is_exact
    assert table.missed == (
        "buildings moved B1",
        "buildings moved with new attributes B2",
        "buildings new B3",
        "buildings overlaps B4+B5",
        "buildings valid B6",
    )
    assert table.invented == (
        "buildings moved B9",
        "buildings reshaped B1",
        "buildings inside B6",
        "buildings valid B7",
    )


def test_layers_that_the_truth_does_not_speak_of_are_left_out():
    table = compare(
        Truth(),
        changes(("sensor_states", "S1", "attributes", False)),
        findings(("sensor_states", "range", "S1", "")),
    )
    assert table.is_exact
    assert table.changes == ()


def test_truth_files_are_read_as_they_were_written(tmp_path):
    lines = [*TRUTH.changes, *TRUTH.same, *TRUTH.defects]
    write_truth(tmp_path / "truth.jsonl", lines[:2])
    write_truth(tmp_path / "truth.jsonl", lines[2:])
    assert read_truth(tmp_path / "truth.jsonl") == TRUTH


def test_a_strange_line_is_told_with_its_number(tmp_path):
    path = tmp_path / "truth.jsonl"
    write_truth(path, TRUTH.changes)
    path.write_text(path.read_text(encoding="utf-8") + '{"is": "guess"}\n', encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"truth\.jsonl:4: no line of a truth file"):
        read_truth(path)
