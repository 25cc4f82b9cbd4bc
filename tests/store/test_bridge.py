"""The bridge of the sources' names: what holds, from when until when, and what ends it."""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import Candidate, write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework
from cityframe.store.fsck import fsck

Make = Callable[..., Release]
Named = tuple[str, str, str | None]


def bridge_of(rows: Sequence[Named]) -> pd.DataFrame:
    """Rows (source, source_id, uid) matched by name."""
    frame = pd.DataFrame(rows, columns=["source", "source_id", "uid"], dtype="str")
    return frame.assign(matched_by="id", score=0.75, margin=None)


@pytest.fixture
def stage(
    framework: Framework, tmp_path: Path, buildings: Layer,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> Callable[..., Candidate]:  # fmt: skip
    """Stage changes with rows of the bridge and lineage (event, parent, child)."""

    def make(
        rows: Sequence[tuple[str, str, float, int]],
        names: Sequence[Named] = (),
        *,
        events: Sequence[tuple[str, str, str]] = (),
        folder: str = "",
        **options: Any,
    ) -> Candidate:
        number = len(framework.releases()) + 1
        lineage = [
            {"layer": "buildings", "event": event, "parent": parent, "child": child, "share": None}
            for event, parent, child in events
        ]
        return write_candidate(
            tmp_path / (folder or f"b{number}"),
            framework,
            {"buildings": make_changes(rows, **options)} if rows else {},
            {"buildings": buildings},
            valid_at=dt.datetime(2020, number, 1, tzinfo=dt.UTC),
            lineage=lineage,
            bridge={"buildings": bridge_of(names)},
        )

    return make


@pytest.fixture
def make(framework: Framework, buildings: Layer, stage: Callable[..., Candidate]) -> Make:
    """Commit what `stage` stages."""

    def commit_it(*parts: Any, **options: Any) -> Release:
        return committed(framework, stage(*parts, **options), buildings)

    return commit_it


def committed(framework: Framework, candidate: Candidate, layer: Layer) -> Release:
    number = len(framework.releases()) + 1
    is_back = candidate.restores is not None
    return commit(
        framework, candidate, {layer.name: layer},
        kind=ReleaseKind.ROLLBACK if is_back else ReleaseKind.CYCLE,
        cycle=f"cycle-{number}", evidence={}, at=dt.datetime(2020, number, 2, tzinfo=dt.UTC),
    )  # fmt: skip


def names(framework: Framework, layer: Layer, release: int | None = None) -> dict[str, str]:
    frame = framework.bridge(layer, release=release)
    return dict(zip(frame["source_id"], frame["uid"], strict=True))


FIRST = [("u1", "new", 0, 1), ("u2", "new", 20, 2), ("u3", "new", 40, 3)]
NAMED = [("survey", "a", "u1"), ("survey", "b", "u2"), ("permits", "a", "u2")]


def test_names_point_to_features_as_matched(
    framework: Framework, make: Make, buildings: Layer, register: Layer
) -> None:
    assert framework.bridge(buildings).empty
    make(FIRST, NAMED)
    frame = framework.bridge(buildings)
    assert frame[["source", "source_id", "uid"]].to_numpy().tolist() == [
        ["permits", "a", "u2"], ["survey", "a", "u1"], ["survey", "b", "u2"],
    ]  # fmt: skip
    assert frame["matched_by"].tolist() == ["id"] * 3
    assert frame["score"].tolist() == [0.75] * 3
    assert frame["margin"].isna().all()
    assert framework.bridge(buildings, "permits")["uid"].tolist() == ["u2"]
    assert framework.bridge(register).empty
    assert fsck(framework).damages == ()


def test_a_name_that_points_elsewhere_leaves_its_former_row(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    make(FIRST, NAMED)
    made = make(
        [("u3", "attributes", 40, 9)],
        [("survey", "a", "u3"), ("survey", "b", None), ("permits", "a", "u2")],
        valid_from="2020-02-01",
    )
    assert framework.bridge(buildings)["uid"].tolist() == ["u2", "u3"]
    assert framework.bridge(buildings, release=1)["uid"].tolist() == ["u2", "u1", "u2"]
    counts = made.evidence["reconciliation"]["bridge"]
    assert (counts["opened"]["count"], counts["closed"]["count"]) == (1, 2)
    assert fsck(framework).damages == ()
