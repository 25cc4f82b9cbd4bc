"""Differences between releases: by kind and value, inverse, concatenation, a second witness."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import hypothesis.strategies as st
import pandas as pd
import pygeodiff
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import write_candidate
from cityframe.store.commit import commit
from cityframe.store.difference import LayerDifference, concatenate, difference_of, inverse
from cityframe.store.framework import Framework, open_framework

Make = Callable[..., Release]
Changes = Callable[..., gpd.GeoDataFrame]
FIRST = [("u1", "new", 0, 1), ("u2", "new", 20, 2), ("u3", "new", 40, 3), ("u5", "new", 80, 5)]
SECOND = [
    ("u1", "attributes", 0, 9),
    ("u2", "removed", 20, 2),
    ("u3", "moved", 43, 4),
    ("u4", "new", 60, 4),
    ("u5", "attributes", 80, 5),
]


def kinds(difference: LayerDifference) -> dict[str, str]:
    return dict(zip(difference.features["uid"], difference.features["change"], strict=True))


def assert_same(found: LayerDifference, expected: LayerDifference) -> None:
    assert (found.older, found.newer) == (expected.older, expected.newer)
    assert found.features.equals(expected.features), (found.features, expected.features)
    assert found.before.to_wkb().equals(expected.before.to_wkb())
    assert found.after.to_wkb().equals(expected.after.to_wkb())


def test_kinds_values_geometry_and_provenance_of_a_difference(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    found = difference_of(framework, buildings, 1, 2)
    # u5 was delivered again with a new date of survey and nothing else
    assert kinds(found) == {
        "u1": "attributes", "u2": "removed", "u3": "moved", "u4": "new", "u5": "attributes",
    }  # fmt: skip
    assert found.counts() == {"attributes": 2, "moved": 1, "new": 1, "removed": 1}
    flags = found.features.set_index("uid")["has_new_attributes"]
    assert flags.to_dict() == {"u1": True, "u2": False, "u3": True, "u4": False, "u5": True}
    changes = found.attribute_changes().set_index(["uid", "attribute"])
    assert changes.loc[("u1", "floors")].tolist() == [1, 9]
    assert changes.loc[("u3", "height_m")].tolist() == [9.0, 12.0]
    assert changes.loc["u5"].index.tolist() == ["surveyed_at"]
    assert found.before.set_index("uid").geometry["u3"].bounds[0] == 500040
    assert found.after.set_index("uid").geometry["u3"].bounds[0] == 500043
    assert found.after.set_index("uid").loc["u3", ["delivery", "record", "basis"]].tolist() == [
        "survey.0", 2, "key",
    ]  # fmt: skip
    assert found.features.set_index("uid")["ended_by"].dropna().to_dict() == {"u2": "survey.0"}


def test_nothing_differs_where_rows_were_written_anew_and_say_the_same(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release(FIRST, valid_from="2019-06-01", valid_to="2019-07-01")
    release([("u1", "attributes", 0, 9)], valid_from="2030-01-01")
    assert difference_of(framework, buildings, 1, 3).features.empty
    assert difference_of(framework, buildings, 2, 2).features.empty


def test_a_moved_feature_that_is_only_drawn_otherwise_did_not_move(
    framework: Framework, buildings: Layer, make_changes: Changes, tmp_path: Path
) -> None:
    first = make_changes(FIRST)
    again = make_changes([("u1", "moved", 0, 2)])
    again["geometry"] = again.geometry.reverse()
    again["number"] = "\u0041\u030a"
    first.loc[0, "number"] = "\u00c5"
    for number, changes in enumerate((first, again), 1):
        add(framework, tmp_path, buildings, changes, dt.datetime(2020, number, 1, tzinfo=dt.UTC))
    found = difference_of(framework, buildings, 1, 2)
    assert kinds(found) == {"u1": "attributes"}
    assert found.attribute_changes()["attribute"].tolist() == ["floors", "height_m"]


def test_difference_from_the_empty_framework_is_all_new(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    assert difference_of(framework, buildings, 0, 2).counts() == {"new": 4}
    assert difference_of(framework, buildings, 2, 0).counts() == {"removed": 4}
    with pytest.raises(DeclarationError, match="no release 7"):
        difference_of(framework, buildings, 1, 7)


def test_only_differences_that_follow_one_another_can_be_concatenated(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    first, second = (difference_of(framework, buildings, n, n + 1) for n in (0, 1))
    with pytest.raises(DeclarationError, match="from release 0 to 1 of layer buildings after"):
        concatenate(second, first)
    with pytest.raises(DeclarationError, match="to a later one"):
        concatenate(first, inverse(first))


# one change: uid, kind, x, floors, begins on day, lasts days
CHANGE = st.tuples(
    st.sampled_from(["u1", "u2", "u3"]),
    st.sampled_from(["new", "removed", "moved", "reshaped", "attributes"]),
    st.sampled_from([0, 20, 40]),
    st.integers(1, 3),
    st.integers(0, 12),
    st.one_of(st.none(), st.integers(1, 9)),
)
# days are whole numbers; each release's reference time is two days after the one before
HISTORY = st.lists(st.lists(CHANGE, max_size=5), min_size=3, max_size=3)
DAY_ZERO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def add(
    framework: Framework, folder: Path, layer: Layer, changes: Any, valid_at: dt.datetime
) -> Release:
    number = len(framework.releases()) + 1
    layers = {layer.name: layer}
    candidate = write_candidate(
        folder / f"c{number}", framework, {layer.name: changes}, layers, valid_at=valid_at
    )
    return commit(
        framework, candidate, layers, kind=ReleaseKind.CYCLE, cycle=f"cycle-{number}",
        evidence={}, at=valid_at,
    )  # fmt: skip


def changes_of(drawn: list[Any], number: int, make_changes: Changes) -> gpd.GeoDataFrame:
    changes = make_changes([one[:4] for one in drawn])
    days = pd.Series([one[4] for one in drawn])
    lasts = pd.Series([one[5] for one in drawn], dtype="Float64")
    changes["valid_from"] = pd.Timestamp(DAY_ZERO) + pd.to_timedelta(days, unit="D")
    changes["valid_to"] = changes["valid_from"] + pd.to_timedelta(lasts, unit="D")
    changes["delivery"] = [f"survey.{number}.{place}" for place in range(len(drawn))]
    return changes.astype(dict.fromkeys(("valid_from", "valid_to"), "datetime64[us, UTC]"))


@settings(
    max_examples=12, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate],
)  # fmt: skip
@given(history=HISTORY)
def test_concatenated_differences_are_the_direct_one_and_inverses_undo(
    history: list[list[Any]], buildings: Layer, make_changes: Changes
) -> None:
    with TemporaryDirectory() as folder:
        store = open_framework(Path(folder) / "store")
        add(store, Path(folder), buildings, make_changes([("u9", "new", 0, 1)]), DAY_ZERO)
        for number, drawn in enumerate(history, 2):
            changes = changes_of(drawn, number, make_changes) if drawn else []
            add(store, Path(folder), buildings, changes, DAY_ZERO + dt.timedelta(2 * number))
        last = len(history) + 1
        pairs = [(older, newer) for newer in range(last + 1) for older in range(newer)]
        direct = {pair: difference_of(store, buildings, *pair) for pair in pairs}
        undone = difference_of(store, buildings, last, 1)
        states = [digests(store.as_of(buildings, number)) for number in range(1, last + 1)]
    assert_same(inverse(direct[1, last]), undone)
    for older, newer in pairs:
        for middle in range(older + 1, newer):
            found = concatenate(direct[older, middle], direct[middle, newer])
            assert_same(found, direct[older, newer])
    backwards = concatenate(inverse(direct[2, last]), inverse(direct[1, 2]))
    assert_same(backwards, undone)
    for older, newer in pairs:
        if older:
            differs = states[older - 1].items() ^ states[newer - 1].items()
            assert set(direct[older, newer].features["uid"]) == {uid for uid, _ in differs}


def digests(rows: gpd.GeoDataFrame) -> dict[str, bytes]:
    return dict(zip(rows["uid"], rows["digest"], strict=True))


def test_pygeodiff_finds_the_same_features_between_two_exports(
    framework: Framework, release: Make, buildings: Layer, tmp_path: Path
) -> None:
    many = [(f"b{n:03d}", "new", 20.0 * n, 1 + n % 7) for n in range(60)]
    release(many)
    release(
        [(uid, "attributes", x, floors + 1) for uid, _, x, floors in many[:10]]
        + [(uid, "moved", x + 2, floors) for uid, _, x, floors in many[10:17]]
        + [(uid, "removed", x, floors) for uid, _, x, floors in many[17:22]]
        + [(f"c{n}", "new", -20.0 * n, 1) for n in range(1, 5)],
        valid_from="2020-02-01",
    )
    found = difference_of(framework, buildings, 1, 2)
    uids = sorted({*found.before["uid"], *found.after["uid"], *(row[0] for row in many)})
    for number in (1, 2):
        rows = framework.as_of(buildings, number)
        # geodiff knows features by their fid
        rows["fid"] = [uids.index(uid) + 1 for uid in rows["uid"]]
        columns = ["fid", "uid", *buildings.attribute_names, "geometry"]
        rows[columns].to_file(tmp_path / f"{number}.gpkg", layer="buildings", engine="pyogrio")
    witness = pygeodiff.GeoDiff()
    paths = [str(tmp_path / name) for name in ("1.gpkg", "2.gpkg", "changeset", "list.json")]
    witness.create_changeset(*paths[:3])
    witness.list_changes(*paths[2:])
    listed = json.loads(Path(paths[3]).read_text(encoding="utf-8"))["geodiff"]
    seen: dict[str, set[str]] = {"insert": set(), "update": set(), "delete": set()}
    for entry in listed:
        if entry["table"] == "buildings":
            values = {one["column"]: one for one in entry["changes"]}
            fid = values[0].get("old", values[0].get("new"))
            seen[entry["type"]].add(uids[fid - 1])
    of_kind = {uid: {"new": "insert", "removed": "delete"}.get(kind, "update")
               for uid, kind in kinds(found).items()}  # fmt: skip
    assert {name: len(some) for name, some in seen.items()} == {
        "insert": 4, "update": 17, "delete": 5,
    }  # fmt: skip
    for name, some in seen.items():
        assert some == {uid for uid, kind in of_kind.items() if kind == name}
