"""Provenance: kept and proved by its release; a redaction clears what losers said."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.candidate import read_candidate, write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework
from cityframe.store.fsck import fsck
from cityframe.store.redaction import forget, plan_redaction, redact

Make = Callable[..., Release]
SECRET = "Ms 王's number"


def said(uid: str, attribute: str, losers: object = None, **more: Any) -> dict[str, Any]:
    return {
        "uid": uid, "attribute": attribute, "source": "survey", "delivery": "survey.1",
        "record": 7, "rule": "authority", "decided_by": None, "score": None, "margin": None,
        "losers": None if losers is None else json.dumps(losers, ensure_ascii=False), **more,
    }  # fmt: skip


MATCH = said("u1", "", rule="shape", score=0.9, margin=0.25, record=None)
LOST = said("u1", "number", [{"source": "permits", "delivery": "permits.4", "value": SECRET}])
KEPT = said("u1", "floors", [{"source": "permits", "value": 3}], decided_by="dora")


@pytest.fixture
def make(
    framework: Framework, tmp_path: Path, buildings: Layer,
    make_changes: Callable[..., gpd.GeoDataFrame],
) -> Make:  # fmt: skip
    """Commit changes with provenance."""

    def commit_it(
        rows: Sequence[tuple[str, str, float, int]], said: Sequence[dict[str, Any]], **options: Any
    ) -> Release:
        number = len(framework.releases()) + 1
        moment = dt.datetime(2020, number, 1, tzinfo=dt.UTC)
        layers = {"buildings": buildings}
        candidate = write_candidate(
            tmp_path / f"p{number}", framework,
            {"buildings": make_changes(rows, **options)} if rows else {}, layers,
            valid_at=moment, provenance={"buildings": pd.DataFrame(said)} if said else {},
        )  # fmt: skip
        assert read_candidate(candidate.folder) == candidate
        return commit(
            framework, candidate, layers, kind=ReleaseKind.CYCLE, cycle=f"cycle-{number}",
            evidence={}, at=moment,
        )  # fmt: skip

    return commit_it


FIRST = [("u1", "new", 0, 1), ("u2", "new", 20, 2)]


def test_provenance_is_read_by_feature_and_release(
    framework: Framework, make: Make, buildings: Layer, register: Layer
) -> None:
    assert framework.provenance(buildings, ["u1"]).empty
    made = make(FIRST, [LOST, MATCH, said("u2", "")])
    make([("u1", "attributes", 0, 4)], [KEPT], valid_from="2020-02-01")
    rows = framework.provenance(buildings, ["u1"])
    assert rows[["release", "attribute", "rule"]].to_numpy().tolist() == [
        [1, "", "shape"], [2, "floors", "authority"], [1, "number", "authority"],
    ]  # fmt: skip
    assert rows["record"].isna().tolist() == [True, False, False]
    assert rows["score"].tolist()[0] == 0.9
    assert rows["decided_by"].tolist()[1] == "dora"
    assert json.loads(rows["losers"].tolist()[2])[0]["value"] == SECRET
    assert framework.provenance(buildings, ["u1"], release=1)["attribute"].tolist() == [
        "", "number",
    ]  # fmt: skip
    assert framework.provenance(buildings, ["u1", "u2"])["uid"].tolist() == ["u1"] * 3 + ["u2"]
    assert framework.provenance(register, ["u1"]).empty
    assert made.evidence["reconciliation"]["provenance"]["count"] == 3
    assert fsck(framework).damages == ()


def test_provenance_alone_is_no_change_and_none_leaves_the_digest_alone(
    framework: Framework, buildings: Layer, tmp_path: Path, make: Make
) -> None:
    make(FIRST, [])
    moment = dt.datetime(2020, 6, 1, tzinfo=dt.UTC)
    layers = {"buildings": buildings}
    digests = []
    for name, rows in (("none", None), ("empty", []), ("some", [MATCH])):
        frames = None if rows is None else {"buildings": pd.DataFrame(rows, columns=list(MATCH))}
        candidate = write_candidate(
            tmp_path / name, framework, {}, layers, valid_at=moment, provenance=frames
        )
        assert not candidate.has_changes
        digests.append(candidate.digest)
    assert digests[0] == digests[1] != digests[2]
    assert "reconciliation" not in framework.release(1).evidence


def test_provenance_of_no_feature_is_refused(make: Make) -> None:
    with pytest.raises(IntegrityError, match="no feature nobody"):
        make(FIRST, [said("nobody", "")])


def test_a_redaction_clears_what_losers_said_and_older_releases_stay_provable(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    make(FIRST, [LOST, MATCH, KEPT])
    plan = plan_redaction(framework, "buildings", ["u1"], ["number"])
    assert plan.deliveries == ("permits.4", "survey.0")
    made = redact(framework, plan, decision="order 7", evidence={}, at=dt.datetime.now(dt.UTC))
    forget(framework, buildings)
    rows = framework.provenance(buildings, ["u1"]).set_index("attribute")
    assert rows["losers"].isna().to_dict() == {"": True, "floors": False, "number": True}
    assert made.evidence["redaction"]["losers"]["count"] == 1
    assert fsck(framework).damages == ()
    if framework.label.endswith(".gpkg"):
        for file in Path(framework.label).parent.glob("framework.gpkg*"):
            assert SECRET.encode() not in file.read_bytes()
    with pytest.raises(DeclarationError, match="no value"):
        redact(
            framework, plan_redaction(framework, "buildings", ["u1"], ["number"]),
            decision="again", evidence={}, at=dt.datetime.now(dt.UTC),
        )  # fmt: skip


def test_a_value_that_only_losers_said_can_be_redacted(
    framework: Framework, make: Make, buildings: Layer
) -> None:
    make(FIRST, [said("u1", "is_listed", [{"source": "permits", "value": True}])])
    plan = plan_redaction(framework, "buildings", ["u1"], ["is_listed"])
    made = redact(framework, plan, decision="order 8", evidence={}, at=dt.datetime.now(dt.UTC))
    assert framework.provenance(buildings, ["u1"])["losers"].isna().all()
    assert made.evidence["redaction"]["features"] == 1
    assert dict(made.layers[0].changes) == {}
    assert fsck(framework).damages == ()


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cf_provenance SET rule = 'own-value' WHERE attribute = 'number'",
        "UPDATE cf_provenance SET losers = '[]' WHERE attribute = 'floors'",
        "UPDATE cf_provenance SET losers = NULL WHERE attribute = 'floors'",
        "UPDATE cf_provenance SET losers = NULL, redacted = 2 WHERE attribute = 'floors'",
        "UPDATE cf_provenance SET losers = 'x' WHERE attribute = 'number'",
        "UPDATE cf_provenance SET redacted = NULL WHERE attribute = 'number'",
        "UPDATE cf_provenance SET record = 'seven' WHERE attribute = 'number'",
        "DELETE FROM cf_provenance WHERE attribute = ''",
    ],
)
def test_provenance_changed_by_hand_is_damage(
    framework: Framework, make: Make, damage: str
) -> None:
    make(FIRST, [LOST, MATCH, KEPT])
    plan = plan_redaction(framework, "buildings", ["u1"], ["number"])
    redact(framework, plan, decision="order 7", evidence={}, at=dt.datetime.now(dt.UTC))
    with framework.home.transaction() as connection:
        connection.exec_driver_sql(damage)
    found = fsck(framework, quick=True).damages
    assert found
    assert {one.where.partition(".")[0] for one in found} == {"cf_provenance"}
