"""Five real deliveries of the City of Cambridge, by declarations only."""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyogrio
import pytest

from cityframe.pipeline.city import City, open_city
from cityframe.pipeline.cycle import CycleOutcome, run_cycle
from cityframe.pipeline.pull import pull
from cityframe.pipeline.reporting import cycle_report, findings_by_layer

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CITYFRAME_DATA", ROOT.parent / "shared" / "data"))
DELIVERIES = DATA / "epochs" / "cambridge_ma"
pytestmark = [
    pytest.mark.city,
    pytest.mark.skipif(not DELIVERIES.exists(), reason=f"no real data at {DELIVERIES}"),
]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    root = tmp_path_factory.mktemp("cambridge")
    shutil.copytree(ROOT / "examples" / "cambridge", root / "w")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CITYFRAME_CAMBRIDGE_STORE", str(root / "store"))
        yield open_city(root / "w")


def deliver(city: City, day: str) -> CycleOutcome:
    at = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    pull(city, "cambridge", place=str(DELIVERIES / f"cambridge_{day}.zip"), at=at)
    return run_cycle(city, "city", approver="reviewer", reason="ok")


@pytest.fixture(scope="module")
def outcomes(city: City) -> dict[str, CycleOutcome]:
    days = ("2014-02-13", "2016-03-15", "2017-03-07", "2019-02-04", "2019-04-02")
    return {day: deliver(city, day) for day in days}


def exact_difference(older: str, newer: str) -> tuple[int, int, int, int, str]:
    """New, removed, other geometry, other attributes by the key, straight from the files."""

    def read(day: str) -> pd.DataFrame:
        path = f"/vsizip/{DELIVERIES}/cambridge_{day}.zip/TRANS_Centerlines.geojson"
        frame = pyogrio.read_dataframe(path, use_arrow=True).to_crs("EPSG:26986")
        frame = frame[frame["ID"].notna() & ~frame["ID"].duplicated(keep="last")]
        return frame.set_index("ID").drop(columns=["GlobalID", "EditDate"])

    old, new = read(older), read(newer)
    common = old.index.intersection(new.index)
    a, b = old.loc[common], new.loc[common]
    other_geometry = ~a.geometry.geom_equals_exact(b.geometry, 0.001)
    columns = a.columns.intersection(b.columns).drop("geometry")
    same = (a[columns] == b[columns]) | (a[columns].isna() & b[columns].isna())
    other_attributes = ~same.all(axis=1)
    far = a.centroid.distance(b.centroid) > 1000
    assert far.sum() == 1
    assert (other_geometry & other_attributes)[far].all()
    return (
        len(new.index.difference(old.index)),
        len(old.index.difference(new.index)),
        int(other_geometry.sum()),
        int(other_attributes.sum()),
        str(far.index[far][0]),
    )


def test_centreline_counts_are_those_of_the_files_less_one_question(
    city: City, outcomes: dict[str, CycleOutcome]
) -> None:
    assert exact_difference("2014-02-13", "2016-03-15") == (20, 14, 52, 149, "Memoria_Dr_45")
    cycle = outcomes["2016-03-15"].cycle
    assert cycle is not None
    found = next(one for one in cycle_report(city, cycle).changes if one.layer == "centerlines")
    kinds = found.changes
    assert (kinds["new"], kinds["removed"]) == (20, 14)
    assert kinds.get("moved", 0) + kinds["reshaped"] == 52 - 1
    assert kinds["attributes"] + found.with_new_attributes == 149 - 1
    findings = findings_by_layer(city, cycle)["centerlines"]
    question = findings[findings["rule"] == "reconcile.implausible-match"]
    assert question["source_key"].tolist() == ["Memoria_Dr_45"]


def test_a_delivery_that_shifts_whole_layers_is_quarantined_and_says_so(
    city: City, outcomes: dict[str, CycleOutcome]
) -> None:
    outcome = outcomes["2019-04-02"]
    assert outcome.release is None
    assert any(
        "the whole layer centerlines is shifted by dx = -0.042 m, dy = 0.961 m" in why
        for why in outcome.quarantined
    )
    assert outcome.cycle is not None
    findings = findings_by_layer(city, outcome.cycle)["centerlines"]
    shift = findings[findings["rule"] == "guard.layer-shift"]
    assert len(shift) == 1
    assert shift.geometry.notna().all()
    assert len(city.framework.releases()) == 4


def test_every_record_has_one_fate_and_missing_layers_stay_unchanged(
    city: City, outcomes: dict[str, CycleOutcome]
) -> None:
    for outcome in outcomes.values():
        assert outcome.cycle is not None
        for delivery in cycle_report(city, outcome.cycle).deliveries:
            for account in delivery.layers:
                assert sum(account.fates.values()) == account.read
    poles = [
        next(layer for layer in release.layers if layer.layer == "utility_poles")
        for release in city.framework.releases()
    ]
    assert {pole.digest for pole in poles} == {poles[0].digest}


def test_the_same_delivery_again_changes_nothing(
    city: City, outcomes: dict[str, CycleOutcome]
) -> None:
    assert outcomes["2019-02-04"].release == 4
    again = deliver(city, "2019-02-04")
    assert again.release is None
    assert "no change" in again.reason
