import datetime as dt
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import read_candidate, write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework
from cityframe.store.tables import Moment, history_table

Make = Callable[..., Release]
START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
FIRST = [("u1", "new", 0, 1), ("u2", "new", 20, 2), ("u3", "new", 40, 3)]
SECOND = [("u1", "attributes", 0, 5), ("u2", "removed", 20, 2), ("u4", "new", 60, 4)]


def floors(frame: gpd.GeoDataFrame) -> dict[str, int]:
    return {str(uid): int(n) for uid, n in zip(frame["uid"], frame["floors"], strict=True)}


def test_an_empty_store_has_no_releases(framework: Framework, buildings: Layer) -> None:
    assert framework.releases() == ()
    assert framework.current() is None
    assert framework.index(buildings).empty
    assert framework.as_of(buildings, 1).empty


def test_each_release_stays_as_it_was(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    assert floors(framework.as_of(buildings, 1)) == {"u1": 1, "u2": 2, "u3": 3}
    assert floors(framework.as_of(buildings, 2)) == {"u1": 5, "u3": 3, "u4": 4}
    assert [one.layers[0].count for one in framework.releases()] == [3, 3]


def test_valid_time_is_answered_apart_from_release_time(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST, valid_from="2020-01-01")
    release(SECOND, valid_from="2020-02-01")

    def at(release_number: int, day: str) -> dict[str, int]:
        moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
        return floors(framework.as_of(buildings, release_number, valid_at=moment))

    assert at(2, "2020-01-15") == {"u1": 1, "u2": 2, "u3": 3}
    assert at(2, "2020-02-01") == {"u1": 5, "u3": 3, "u4": 4}
    assert at(1, "2020-02-15") == {"u1": 1, "u2": 2, "u3": 3}
    assert at(2, "2019-12-31") == {}


def test_backdated_correction_replaces_what_was_known_from_then_on(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release([("u1", "new", 0, 1)], valid_from="2020-01-01")
    release([("u1", "attributes", 0, 2)], valid_from="2020-03-01")
    release([("u1", "attributes", 0, 9)], valid_from="2020-02-01")
    moment = dt.datetime(2020, 3, 15, tzinfo=dt.UTC)
    assert floors(framework.as_of(buildings, 2, valid_at=moment)) == {"u1": 2}
    assert floors(framework.as_of(buildings, 3, valid_at=moment)) == {"u1": 9}
    early = dt.datetime(2020, 1, 15, tzinfo=dt.UTC)
    assert floors(framework.as_of(buildings, 3, valid_at=early)) == {"u1": 1}


def test_layer_digest_of_a_release_is_recomputed_from_its_rows(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    made = release(SECOND)
    rows = framework.as_of(buildings, 2)
    digest = layer_digest(layer_sum(row_digests(rows, buildings)), len(rows))
    assert made.layers[0].digest == digest


def test_bounding_box_selects_by_the_spatial_index(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    box = (500035.0, 2.9e6, 500045.0, 3.1e6)
    assert floors(framework.as_of(buildings, 2, bbox=box)) == {"u3": 3}
    old = dt.datetime(2020, 1, 15, tzinfo=dt.UTC)
    box = (500015.0, 2.9e6, 500025.0, 3.1e6)
    assert floors(framework.as_of(buildings, 2, bbox=box, valid_at=old)) == {"u2": 2}


def test_same_candidate_committed_twice_is_one_release(
    framework: Framework, buildings: Layer, make_changes: Callable[..., gpd.GeoDataFrame],
    tmp_path: Path,
) -> None:  # fmt: skip
    layers = {"buildings": buildings}
    candidate = write_candidate(
        tmp_path / "c", framework, {"buildings": make_changes(FIRST)}, layers, valid_at=START
    )
    made = [
        commit(
            framework, read_candidate(tmp_path / "c"), layers, kind=ReleaseKind.CYCLE,
            cycle="one", evidence={}, at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        )
        for _ in range(2)
    ]  # fmt: skip
    assert made[0] == made[1]
    assert len(framework.releases()) == 1
    assert made[0].evidence["candidate_digest"] == candidate.digest


def test_candidate_over_an_older_release_is_rebased_when_it_touches_other_features(
    framework: Framework, release: Make, buildings: Layer, tmp_path: Path,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> None:  # fmt: skip
    release(FIRST)
    changes = {"buildings": make_changes([("u3", "attributes", 40, 33), ("u9", "new", 90, 1)])}
    late = write_candidate(
        tmp_path / "late", framework, changes, {"buildings": buildings}, valid_at=LATER
    )
    release(SECOND)
    made = commit(
        framework, late, {"buildings": buildings}, kind=ReleaseKind.CYCLE, cycle="late",
        evidence={}, at=LATER,
    )  # fmt: skip
    assert made.evidence["rebased_from"] == 1
    rows = framework.as_of(buildings, 3)
    assert floors(rows) == {"u1": 5, "u3": 33, "u4": 4, "u9": 1}
    assert made.layers[0].count == 4
    digest = layer_digest(layer_sum(row_digests(rows, buildings)), len(rows))
    assert made.layers[0].digest == digest


def test_candidate_over_an_older_release_is_told_what_collides(
    framework: Framework, release: Make, buildings: Layer, tmp_path: Path,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> None:  # fmt: skip
    release(FIRST)
    changes = {"buildings": make_changes([("u1", "attributes", 0, 7), ("u9", "new", 90, 1)])}
    late = write_candidate(
        tmp_path / "late", framework, changes, {"buildings": buildings}, valid_at=LATER
    )
    release(SECOND)
    with pytest.raises(GateClosedError, match="layer buildings that it changes too: u1"):
        commit(
            framework, late, {"buildings": buildings}, kind=ReleaseKind.CYCLE, cycle="late",
            evidence={}, at=LATER,
        )  # fmt: skip
    assert len(framework.releases()) == 2


def test_two_candidates_that_bring_the_same_feature_as_new_collide_by_its_key(
    framework: Framework, release: Make, buildings: Layer, tmp_path: Path,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> None:  # fmt: skip
    release(FIRST)
    same = make_changes([("x1", "new", 60, 4)]).assign(number="甲u4")
    late = write_candidate(
        tmp_path / "late", framework, {"buildings": same}, {"buildings": buildings}, valid_at=LATER
    )
    release(SECOND)
    with pytest.raises(GateClosedError, match="甲u4"):
        commit(
            framework, late, {"buildings": buildings}, kind=ReleaseKind.CYCLE, cycle="late",
            evidence={}, at=LATER,
        )  # fmt: skip


def test_a_period_that_ends_before_it_begins_is_refused_when_staged(release: Make) -> None:
    with pytest.raises(DeclarationError, match=r"uid u1.*an end after the beginning"):
        release([("u1", "new", 0, 1)], valid_from="2020-03-01", valid_to="2020-02-01")


def test_a_change_dated_in_the_future_enters_the_state_when_it_falls_due(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    second = release([("u1", "attributes", 0, 8)], valid_from="2020-06-15")
    assert floors(framework.as_of(buildings, 2))["u1"] == 1
    assert second.layers[0].changes == {}
    third = release([("u4", "new", 60, 4)], valid_at=dt.datetime(2020, 7, 1, tzinfo=dt.UTC))
    rows = framework.as_of(buildings, 3)
    assert floors(rows) == {"u1": 8, "u2": 2, "u3": 3, "u4": 4}
    assert third.layers[0].changes == {"attributes": 1, "new": 1}
    digest = layer_digest(layer_sum(row_digests(rows, buildings)), len(rows))
    assert third.layers[0].digest == digest
    before, after, _ = framework.changed_rows(buildings, 2, 3)
    assert sorted(before["uid"].to_pylist()) == ["u1"]
    assert sorted(after["uid"].to_pylist()) == ["u1", "u4"]


def test_a_correction_of_a_past_period_leaves_what_came_after(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release([("u1", "new", 0, 1)], valid_from="2019-01-01")
    made = release([("u1", "attributes", 0, 7)], valid_from="2019-03-01", valid_to="2019-05-01")

    def at(day: str) -> dict[str, int]:
        moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
        return floors(framework.as_of(buildings, 2, valid_at=moment))

    assert [at(day)["u1"] for day in ("2019-02-01", "2019-04-01", "2019-05-01")] == [1, 7, 1]
    assert made.layers[0].changes == {}


@pytest.mark.parametrize("valid_to", ["2020-02-01", None])
def test_the_store_itself_refuses_overlapping_periods(
    framework: Framework, release: Make, buildings: Layer, valid_to: str | None
) -> None:
    release(FIRST)
    table = history_table(buildings)
    columns = [column.name for column in table.columns if column.name != "fid"]
    new = {"valid_from": sa.literal("2020-01-15T00:00:00Z", Moment()),
           "valid_to": sa.literal(valid_to and f"{valid_to}T00:00:00Z", Moment()),
           "release_from": sa.literal(2)}  # fmt: skip
    query = sa.insert(table).from_select(
        columns, sa.select(*(new.get(name, table.c[name]) for name in columns))
    )
    with (
        pytest.raises(IntegrityError, match=r"overlap|hold at the same time"),
        framework.home.transaction() as connection,
    ):
        connection.execute(query)
    assert len(framework.history("u1")) == 1


def test_candidate_altered_after_staging_is_refused(
    framework: Framework, buildings: Layer, tmp_path: Path,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> None:  # fmt: skip
    layers = {"buildings": buildings}
    candidate = write_candidate(
        tmp_path / "c", framework, {"buildings": make_changes(FIRST)}, layers, valid_at=START
    )
    path = candidate.path("buildings")
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    with pytest.raises(IntegrityError, match="SHA-256"):
        commit(
            framework, candidate, layers, kind=ReleaseKind.CYCLE, cycle="c", evidence={},
            at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        )  # fmt: skip
    assert framework.releases() == ()


def test_history_lists_each_knowledge_of_a_feature(framework: Framework, release: Make) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    history = framework.history("u1")
    assert history[["release_from", "floors"]].to_numpy().tolist() == [[1, 1], [2, 1], [2, 5]]
    assert framework.history("nobody").empty


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_an_independent_reader_sees_the_current_layer_and_the_history(
    framework: Framework, release: Make
) -> None:
    release(FIRST)
    release(SECOND, valid_from="2020-02-01")
    path = Path(framework.label)
    names = dict(pyogrio.list_layers(path))
    assert names["buildings"] == "Polygon"
    current = pyogrio.read_dataframe(path, layer="buildings")
    assert sorted(current["uid"]) == ["u1", "u3", "u4"]
    assert current.crs.to_epsg() == 4547
    assert len(pyogrio.read_dataframe(path, layer="buildings_history")) == 7


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="no ogrinfo: install gdal-bin")
def test_ogrinfo_opens_the_store_without_a_complaint(framework: Framework, release: Make) -> None:
    release(FIRST)
    done = subprocess.run(
        ["ogrinfo", "-so", "-al", framework.label], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "Layer name: buildings\n" in done.stdout
    assert "Feature Count: 3" in done.stdout
    assert "CGCS2000" in done.stdout


def test_uids_that_the_framework_ever_knew(
    framework: Framework, release: Callable[..., Release], buildings: Layer, register: Layer
) -> None:
    assert framework.known_uids(buildings, ["u1"]) == frozenset()
    release([("u1", "new", 0, 1), ("u2", "new", 20, 2)])
    release([("u1", "removed", 0, 1)], valid_from="2020-02-01")
    assert framework.known_uids(buildings, ["u1", "u2", "u3"]) == {"u1", "u2"}
    assert framework.known_uids(buildings, []) == frozenset()
    assert framework.known_uids(register, ["u1"]) == frozenset()
