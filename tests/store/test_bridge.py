"""The bridge of the sources' names: what holds, from when until when, and what ends it."""

import datetime as dt
import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

from cityframe.errors import GateClosedError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import Candidate, write_candidate, write_restoring_candidate
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


def test_a_name_said_as_it_is_changes_nothing(
    framework: Framework, make: Make, stage: Callable[..., Candidate], buildings: Layer
) -> None:
    make(FIRST, NAMED)
    again = stage([], NAMED)
    assert not again.has_changes
    assert again.reconciliation == {}
    assert stage([], [("survey", "a", "u2")], folder="other").has_changes
    assert stage([], [("survey", "new", "u2"), ("survey", "x", None)]).reconciliation.keys() == {
        "buildings.bridge"
    }
    assert framework.bridge(buildings)["uid"].tolist() == ["u2", "u1", "u2"]


def test_of_several_rows_of_a_name_the_last_counts(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    make(FIRST, [("survey", "a", "u1"), ("survey", "a", "u3")])
    assert names(framework, buildings) == {"a": "u3"}


def test_a_name_may_have_any_character(framework: Framework, make: Make, buildings: Layer) -> None:
    odd = ["it's", "a:b", "a\\:b", "50 %", "%(x)s", "?", "甲 1", '"', "\\"]
    make(FIRST, [("survey", one, "u1") for one in odd])
    made = make([("u3", "attributes", 40, 9)], [("survey", one, "u2") for one in odd],
                valid_from="2020-02-01")  # fmt: skip
    assert made.evidence["reconciliation"]["bridge"]["closed"]["count"] == len(odd)
    assert names(framework, buildings) == dict.fromkeys(odd, "u2")


def test_a_feature_that_ends_takes_its_names_along_or_hands_them_on(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    first = [(f"u{number}", "new", 20.0 * number, 1) for number in range(1, 6)]
    make(first, [("survey", f"n{number}", f"u{number}") for number in range(1, 6)])
    make(
        [
            *((f"u{number}", "removed", 20.0 * number, 1) for number in range(1, 5)),
            *((uid, "new", 200.0 + 20 * at, 1) for at, uid in enumerate(["v1", "v2", "v3"])),
        ],
        events=[
            ("replaced", "u1", "v1"), ("split", "u2", "v1"), ("split", "u2", "v2"),
            ("merged", "u4", "u3"), ("merged", "u3", "v3"),
        ],
        valid_from="2020-02-01",
    )  # fmt: skip
    frame = framework.bridge(buildings).set_index("source_id")
    assert frame["uid"].to_dict() == {"n1": "v1", "n3": "v3", "n4": "v3", "n5": "u5"}
    assert frame["matched_by"].to_dict() == {
        "n1": "replaced", "n3": "merged", "n4": "merged", "n5": "id",
    }  # fmt: skip
    assert len(framework.bridge(buildings, release=1)) == 5
    assert fsck(framework).damages == ()


def test_an_event_told_ahead_hands_the_names_on_when_it_comes(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    make([("u1", "new", 0, 1)], [("survey", "a", "u1")])
    make(
        [("u1", "removed", 0, 1), ("u2", "new", 0, 2)],
        events=[("replaced", "u1", "u2")],
        valid_from="2020-02-15",
    )
    assert names(framework, buildings) == {"a": "u1"}
    make([("u9", "new", 90, 1)], valid_from="2020-03-01")
    assert names(framework, buildings) == {"a": "u2"}


def test_what_a_release_says_of_a_name_outweighs_the_heir(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    make(FIRST, NAMED)
    make(
        [("u1", "removed", 0, 1), ("v1", "new", 0, 1)],
        [("survey", "a", "u3")],
        events=[("replaced", "u1", "v1")],
        valid_from="2020-02-01",
    )
    assert names(framework, buildings)["b"] == "u2"
    assert framework.bridge(buildings, "survey")["uid"].tolist() == ["u3", "u2"]


def test_a_roll_back_says_again_what_the_bridge_said(
    framework: Framework, make: Make, buildings: Layer, tmp_path: Path
) -> None:
    make(FIRST, NAMED)
    make([], [("survey", "a", "u3"), ("survey", "c", "u3")])
    make([("u2", "removed", 20, 2)], valid_from="2020-03-01")
    assert names(framework, buildings) == {"a": "u3", "c": "u3"}
    for restores in (2, 1):
        candidate = write_restoring_candidate(tmp_path / f"r{restores}", framework, restores)
        assert candidate.has_changes
        committed(framework, candidate, buildings)
        columns = ["source", "source_id", "uid", "matched_by", "score"]
        now, then = framework.bridge(buildings), framework.bridge(buildings, release=restores)
        assert now[columns].equals(then[columns])
    assert framework.bridge(buildings)["uid"].tolist() == ["u2", "u1", "u2"]
    assert fsck(framework).damages == ()


def test_a_name_of_no_feature_is_refused(stage: Callable[..., Candidate]) -> None:
    with pytest.raises(IntegrityError, match="no feature nobody"):
        stage(FIRST, [("survey", "a", "nobody")])


def test_a_bridge_altered_after_the_decision_is_refused(
    framework: Framework, stage: Callable[..., Candidate], buildings: Layer
) -> None:
    candidate = stage(FIRST, NAMED)
    bridge_of([("survey", "a", "u3")]).to_parquet(candidate.folder / "buildings.bridge.parquet")
    with pytest.raises(IntegrityError, match="SHA-256"):
        committed(framework, candidate, buildings)


def test_two_candidates_that_speak_of_one_name_collide(
    framework: Framework, make: Make, stage: Callable[..., Candidate], buildings: Layer
) -> None:
    make(FIRST, NAMED)
    mine = stage([], [("survey", "a", "u2")], folder="mine")
    other = stage([], [("permits", "z", "u3")], folder="other")
    make([], [("survey", "a", "u3")])
    with pytest.raises(GateClosedError, match="stage the cycle again"):
        committed(framework, mine, buildings)
    assert committed(framework, other, buildings).evidence["rebased_from"] == 1
    assert fsck(framework).damages == ()


def test_a_staged_bridge_is_gone_when_the_cycle_is_staged_again(
    stage: Callable[..., Candidate],
) -> None:
    first = stage(FIRST, NAMED, folder="one")
    again = stage(FIRST, folder="one")
    assert first.digest != again.digest
    assert not (again.folder / "buildings.bridge.parquet").exists()
    assert json.loads((again.folder / "candidate.json").read_text()).get("reconciliation") is None


def test_the_evidence_is_over_the_rows_as_the_specification_says(
    framework: Framework, make: Make
) -> None:
    made = make(FIRST, NAMED[:2])

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value.encode())) + value.encode()

    seals = []
    for source, source_id, uid in NAMED[:2]:
        texts = b"".join(text(one) for one in ("buildings", source, source_id, str(uid), "id"))
        numbers = struct.pack("<d", 0.75) + bytes.fromhex("000000000000f87f") + struct.pack("<q", 1)
        seals.append(hashlib.blake2b(texts + numbers, digest_size=16).digest())
    digest = hashlib.blake2b(b"".join(sorted(seals)), digest_size=32).hexdigest()
    assert made.evidence["reconciliation"] == {"bridge": {"opened": {"count": 2, "digest": digest}}}


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cf_bridge SET uid = 'u3' WHERE source = 'permits'",
        "UPDATE cf_bridge SET score = 0.5 WHERE source = 'permits'",
        "UPDATE cf_bridge SET release_to = 2 WHERE source = 'permits'",
        "UPDATE cf_bridge SET release_to = NULL WHERE release_to = 2 AND source_id = 'b'",
        "DELETE FROM cf_bridge WHERE source = 'permits'",
        (
            "INSERT INTO cf_bridge (layer, source, source_id, uid, matched_by, release_from) "
            "VALUES ('buildings', 's', 'x', 'u1', 'id', 2)"
        ),
    ],
)
def test_a_bridge_changed_by_hand_is_damage(framework: Framework, make: Make, damage: str) -> None:
    make(FIRST, NAMED)
    make([], [("survey", "b", None)])
    with framework.home.transaction() as connection:
        connection.exec_driver_sql(damage)
    found = fsck(framework, quick=True).damages
    assert found
    assert {one.where for one in found} == {"cf_bridge"}


def test_a_name_of_an_unknown_feature_is_damage(framework: Framework, make: Make) -> None:
    make(FIRST, NAMED)
    with framework.home.transaction() as connection:
        connection.exec_driver_sql("UPDATE cf_bridge SET uid = 'ghost' WHERE source = 'permits'")
    assert "ghost" in {one.uid for one in fsck(framework, quick=True).damages}
