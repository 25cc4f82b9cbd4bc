"""States of releases where several things meet: each is proved from the rows themselves."""

import datetime as dt
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, layer_sum
from cityframe.core.frames import with_column_types
from cityframe.errors import DeclarationError, GateClosedError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import Candidate, write_candidate
from cityframe.store.chain import chain_digest
from cityframe.store.commit import commit
from cityframe.store.difference import difference_of
from cityframe.store.framework import Framework
from cityframe.store.geopackage_home import GeoPackageHome
from cityframe.store.layout import prepare
from cityframe.store.release_entry import enter_release
from cityframe.store.views import name_views

Changes = Callable[..., gpd.GeoDataFrame]
Stage = Callable[..., Candidate]
Commit = Callable[..., Release]


def entries(layer: Layer, uids: list[str], valid_from: str = "2020-01-01") -> gpd.GeoDataFrame:
    """New features of the layer without geometry."""
    frame = gpd.GeoDataFrame(
        {
            "uid": uids,
            "change": "new",
            "has_new_attributes": False,
            "delivery": "register.0",
            "record": range(len(uids)),
            "basis": "key",
            "valid_from": pd.to_datetime([valid_from] * len(uids), utc=True),
            "valid_to": pd.Series(pd.NaT, index=range(len(uids)), dtype="datetime64[us, UTC]"),
            "number": uids,
        },
        geometry=[None] * len(uids),
        crs=layer.crs,
    )
    return with_column_types(frame, layer)


@pytest.fixture
def stage(framework: Framework, tmp_path: Path, buildings: Layer, register: Layer) -> Stage:
    both = {"buildings": buildings, "register": register}
    folders = iter(range(100))

    def write(
        changes: Mapping[str, Any], valid_at: str, layers: Mapping[str, Layer] = both
    ) -> Candidate:
        moment = dt.datetime.fromisoformat(valid_at).replace(tzinfo=dt.UTC)
        folder = tmp_path / f"candidate-{next(folders)}"
        return write_candidate(folder, framework, changes, layers, valid_at=moment)

    return write


@pytest.fixture
def make(framework: Framework, buildings: Layer, register: Layer) -> Commit:
    both = {"buildings": buildings, "register": register}

    def make(
        candidate: Candidate, layers: Mapping[str, Layer] = both, cycle: str | None = None
    ) -> Release:
        return commit(
            framework,
            candidate,
            layers,
            kind=ReleaseKind.CYCLE,
            cycle=cycle or candidate.folder.name,
            evidence={},
            at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        )

    return make


def assert_proved(framework: Framework) -> None:
    """Each release's digests, counts and changes are those of what it answers."""
    for made in framework.releases():
        assert chain_digest(framework.chain(made.number)) == made.digest
        for version in made.layers:
            layer = framework.contract(version.layer)
            rows = framework.as_of(layer, made.number)
            found = layer_digest(layer_sum(rows["digest"].to_numpy()), len(rows))
            assert (version.count, version.digest) == (len(rows), found)
            difference = difference_of(framework, layer, made.number - 1, made.number)
            assert difference.counts() == version.changes


def test_a_rebased_release_has_what_fell_due_in_a_layer_that_it_does_not_change(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes, register: Layer
) -> None:
    first = {"buildings": make_changes([("a", "new", 0, 1)]), "register": entries(register, ["r"])}
    make(stage(first, "2020-01-01"))
    candidate = stage({"buildings": make_changes([("b", "new", 50, 1)])}, "2020-03-01")
    make(stage({"register": entries(register, ["s"], "2020-02-01")}, "2020-01-15"))
    made = make(candidate)
    assert {one.layer: one.count for one in made.layers} == {"buildings": 2, "register": 2}
    assert_proved(framework)


def test_first_rows_moved_onto_a_later_reference_time_are_counted_at_it(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes, register: Layer
) -> None:
    make(stage({"register": entries(register, ["r"])}, "2020-01-01"))
    rows = make_changes([("a", "new", 0, 1)], valid_from="2020-02-01")
    candidate = stage({"buildings": rows}, "2020-01-05")
    assert candidate.layers["buildings"].version.count == 0
    make(stage({"register": entries(register, ["s"])}, "2020-03-01"))
    made = make(candidate)
    assert {one.layer: one.count for one in made.layers} == {"buildings": 1, "register": 2}
    assert_proved(framework)


def test_rows_of_a_layer_that_is_declared_no_more_fall_due(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes,
    buildings: Layer, register: Layer,
) -> None:  # fmt: skip
    first = {
        "buildings": make_changes([("a", "new", 0, 1)]),
        "register": entries(register, ["r"], "2020-02-01"),
    }
    make(stage(first, "2020-01-01"))
    left = {"buildings": buildings}
    rows = {"buildings": make_changes([("b", "new", 50, 1)])}
    made = make(stage(rows, "2020-03-01", left), left)
    assert {one.layer: one.count for one in made.layers} == {"buildings": 2, "register": 1}
    assert_proved(framework)


@pytest.mark.parametrize(
    ("later", "expected"), [(("reshaped", 5, 2), "attributes"), (("attributes", 9, 1), "reshaped")]
)
def test_the_kind_of_a_row_that_falls_due_is_told_by_the_state_before(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes,
    later: tuple[str, float, int], expected: str,
) -> None:  # fmt: skip
    make(stage({"buildings": make_changes([("a", "new", 0, 1)])}, "2020-01-01"))
    rows = [
        make_changes([("a", "reshaped", 5, 1)], valid_from="2020-01-10"),
        make_changes([("a", *later)], valid_from="2020-06-01"),
    ]
    make(stage({"buildings": pd.concat(rows)}, "2020-02-01"))
    made = make(stage({"buildings": make_changes([("b", "new", 50, 1)])}, "2020-07-01"))
    assert made.layers[0].changes == {"new": 1, expected: 1}
    assert_proved(framework)


def test_the_kind_of_a_row_that_is_cut_before_it_falls_due_is_that_of_its_copy(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes
) -> None:
    rows = [
        make_changes([("a", "new", 0, 1)]),
        make_changes([("a", "moved", 5, 1)], valid_from="2020-06-01"),
    ]
    make(stage({"buildings": pd.concat(rows)}, "2020-01-01"))
    cut = make_changes([("a", "attributes", 5, 2)], valid_from="2021-01-01")
    made = make(stage({"buildings": cut}, "2020-07-01"))
    assert made.layers[0].changes == {"reshaped": 1}
    assert_proved(framework)


def test_reference_times_beyond_2262_are_held(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes
) -> None:
    make(stage({"buildings": make_changes([("a", "new", 0, 1)])}, "2300-01-01"))
    make(stage({"buildings": make_changes([("a", "attributes", 0, 2)])}, "2300-01-02"))
    assert_proved(framework)


def test_a_second_candidate_of_a_released_cycle_is_refused(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes
) -> None:
    make(stage({"buildings": make_changes([("a", "new", 0, 1)])}, "2020-01-01"), cycle="c")
    other = stage({"buildings": make_changes([("b", "new", 0, 1)])}, "2020-01-02")
    with pytest.raises(GateClosedError, match="another candidate of it is release 1"):
        make(other, cycle="c")
    assert len(framework.releases()) == 1


@pytest.mark.parametrize("name", ["v1", "history"])
def test_a_name_that_would_replace_a_layer_is_refused(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes,
    buildings: Layer, name: str,
) -> None:  # fmt: skip
    layers = {"buildings": buildings, "buildings_v1": replace(buildings, name="buildings_v1")}
    rows = make_changes([("a", "new", 0, 1)])
    make(stage(dict.fromkeys(layers, rows), "2020-01-01", layers), layers)
    with pytest.raises(DeclarationError, match=f"buildings_{name} is there"):
        name_views(framework, 1, name)


def test_a_new_layer_of_the_name_of_a_view_is_refused(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes, buildings: Layer
) -> None:
    rows = make_changes([("a", "new", 0, 1)])
    make(stage({"buildings": rows}, "2020-01-01"))
    name_views(framework, 1, "v1")
    layers = {"buildings_v1": replace(buildings, name="buildings_v1")}
    with pytest.raises(DeclarationError, match="a view buildings_v1 of a named release"):
        make(stage({"buildings_v1": rows}, "2020-01-02", layers), layers)


def test_a_reader_between_two_commits_sees_whole_releases(
    framework: Framework, stage: Stage, make: Commit, make_changes: Changes, buildings: Layer
) -> None:
    first = make(stage({"buildings": make_changes([("a", "new", 0, 1)])}, "2020-01-01"))
    head = {
        "number": 2, "kind": "cycle", "created_at": "", "valid_at": first.valid_at,
        "cycle": "next", "candidate": "", "parent": first.digest,
    }  # fmt: skip
    engine, asked = framework.home.engine, []

    def overtake(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        """Commit the next release before the second statement of the reader."""
        asked.append(statement)
        if len(asked) == 2:
            with framework.home.transaction() as connection:
                enter_release(connection, head, [], {"buildings": buildings}, [], {})

    sa.event.listen(engine, "before_cursor_execute", overtake)
    try:
        current = framework.current()
    finally:
        sa.event.remove(engine, "before_cursor_execute", overtake)
    assert current == first
    assert len(framework.releases()) == 2


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_first_rows_are_loaded_while_another_has_the_file_open(
    stage: Stage, make: Commit, make_changes: Changes, framework: Framework
) -> None:
    home = framework.home
    assert isinstance(home, GeoPackageHome)
    candidate = stage({"buildings": make_changes([("a", "new", 0, 1)])}, "2020-01-01")
    with home.exclusive():
        prepare(home)
    other = sqlite3.connect(home.path, isolation_level=None)
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM cf_release").fetchone() == (0,)
    make(candidate)
    other.execute("ROLLBACK")
    assert other.execute("SELECT count(*) FROM cf_release").fetchone() == (1,)
    other.close()
    assert_proved(framework)
