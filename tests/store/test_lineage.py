import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import sqlalchemy as sa

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import write_candidate, write_restoring_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework
from cityframe.store.fsck import fsck
from cityframe.store.lineage import Status, ancestors, descendants, resolve
from cityframe.store.tables import LINEAGE

Make = Callable[..., Release]
Event = tuple[str, str, str | None, float | None]


@pytest.fixture
def retire(
    framework: Framework, tmp_path: Path, buildings: Layer,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> Make:  # fmt: skip
    """Commit changes together with lineage events (event, parent, child, share)."""

    def make(
        rows: Sequence[tuple[str, str, float, int]], events: Sequence[Event], **options: Any
    ) -> Release:
        number = len(framework.releases()) + 1
        moment = dt.datetime(2020, number, 1, tzinfo=dt.UTC)
        lineage = [
            {"layer": "buildings", "event": one[0], "parent": one[1], "child": one[2],
             "share": one[3]}
            for one in events
        ]  # fmt: skip
        layers = {"buildings": buildings}
        candidate = write_candidate(
            tmp_path / f"r{number}",
            framework,
            {"buildings": make_changes(rows, **options)},
            layers,
            valid_at=moment,
            lineage=lineage,
        )
        return commit(
            framework, candidate, layers, kind=ReleaseKind.CYCLE, cycle=f"retire-{number}",
            evidence={}, at=moment,
        )  # fmt: skip

    return make


def test_a_current_uid_leads_to_itself(framework: Framework, release: Make) -> None:
    release([("u1", "new", 0, 1)])
    found = resolve(framework, "u1")
    assert (found.status, found.successors, found.ended) == (Status.CURRENT, ("u1",), ())


def test_a_split_and_a_replacement_after_it_are_followed_to_what_is_there(
    framework: Framework, release: Make, retire: Make
) -> None:
    release([("u1", "new", 0, 1)])
    retire(
        [("u1", "removed", 0, 1), ("u2", "new", 0, 1), ("u3", "new", 5, 1)],
        [("split", "u1", "u2", 0.6), ("split", "u1", "u3", 0.4)],
        valid_from="2020-02-01",
    )
    retire(
        [("u3", "removed", 5, 1), ("u4", "new", 6, 9)],
        [("replaced", "u3", "u4", 1.0)],
        valid_from="2020-03-01",
    )
    found = resolve(framework, "u1")
    assert (found.status, found.successors) == (Status.SUCCEEDED, ("u2", "u4"))
    assert [(one.release, one.event, one.child) for one in found.ended] == [
        (2, "split", "u2"), (2, "split", "u3"), (3, "replaced", "u4"),
    ]  # fmt: skip
    assert [one.parent for one in ancestors(framework, "u4")] == ["u1", "u3"]
    assert [one.child for one in descendants(framework, "u1")] == ["u2", "u3", "u4"]
    assert fsck(framework, quick=True).damages == ()


def test_a_removed_uid_leads_to_its_tombstone(framework: Framework, release: Make) -> None:
    release([("u1", "new", 0, 1), ("u2", "new", 20, 1)])
    release([("u1", "removed", 0, 1)], valid_from="2020-02-01")
    found = resolve(framework, "u1")
    assert (found.status, found.successors) == (Status.REMOVED, ())
    assert [(one.release, one.event) for one in found.ended] == [(2, "removed")]


def test_a_uid_that_came_back_is_judged_by_its_last_life(
    framework: Framework, release: Make, retire: Make, tmp_path: Path
) -> None:
    release([("u1", "new", 0, 1)])
    retire(
        [("u1", "removed", 0, 1), ("u2", "new", 0, 2)],
        [("replaced", "u1", "u2", 1.0)],
        valid_from="2020-02-01",
    )
    commit(
        framework,
        write_restoring_candidate(tmp_path / "back", framework, 1),
        framework.contracts(),
        kind=ReleaseKind.ROLLBACK,
        cycle="back",
        evidence={},
        at=dt.datetime(2020, 4, 1, tzinfo=dt.UTC),
    )
    assert resolve(framework, "u1").status is Status.CURRENT
    assert resolve(framework, "u2").status is Status.REMOVED
    retire([("u1", "removed", 0, 1)], [], valid_from="2020-03-15")
    found = resolve(framework, "u1")
    assert (found.status, found.successors) == (Status.REMOVED, ())
    assert [one.release for one in found.ended] == [4]
    assert fsck(framework, quick=True).damages == ()


def test_a_future_end_told_in_advance_still_leads_to_the_successor(
    framework: Framework, release: Make, retire: Make
) -> None:
    release([("u1", "new", 0, 1)])
    retire(
        [("u1", "removed", 0, 1), ("u2", "new", 0, 2)],
        [("replaced", "u1", "u2", 1.0)],
        valid_from="2020-02-15",
    )
    assert resolve(framework, "u1").status is Status.CURRENT
    assert resolve(framework, "u2").status is Status.NOT_IN_EFFECT
    release([("u9", "new", 90, 1)], valid_from="2020-03-01")
    found = resolve(framework, "u1")
    assert (found.status, found.successors) == (Status.SUCCEEDED, ("u2",))
    assert [one.event for one in found.ended] == ["replaced", "removed"]


def test_an_unknown_uid_is_told(framework: Framework, release: Make) -> None:
    release([("u1", "new", 0, 1)])
    with pytest.raises(DeclarationError, match="no feature 'nobody'"):
        resolve(framework, "nobody")


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_an_end_without_an_event_is_damage(framework: Framework, release: Make) -> None:
    release([("u1", "new", 0, 1), ("u2", "new", 20, 1)])
    release([("u1", "removed", 0, 1)], valid_from="2020-02-01")
    with framework.home.transaction() as connection:
        connection.execute(sa.delete(LINEAGE))
    with pytest.raises(IntegrityError, match="u1"):
        resolve(framework, "u1")
