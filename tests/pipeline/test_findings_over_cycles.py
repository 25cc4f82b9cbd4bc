"""Findings over cycles: state, first cycle, what is fixed, who is to blame."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cityframe.pipeline.cycle import check_candidate, put_in_review, run_cycle
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.looks import Look
from cityframe.pipeline.reporting import listed_findings
from cityframe.pipeline.review import send_back
from cityframe.store.finding_register import EVENT_COLUMNS, OPENED

Parcel = tuple[str, float, float, str | None]
OVERLAP, USE, TEXT = "parcels.overlap", "parcels.use", "addresses.text"


@pytest.fixture
def town(town: Any) -> Any:
    """Return a town in which overlaps are only reviewed, and addresses need a text."""
    path = town.root / "quality_rules" / "all.yaml"
    rules = path.read_text(encoding="utf-8").replace(
        "gate: block\n    scope: candidate", "gate: review\n    scope: candidate"
    )
    path.write_text(
        rules
        + """\
  - id: addresses.text
    title: {zh: 地址必填, en: Text is given}
    kind: mandatory
    layers: addresses
    parameters: {column: text}
    defect_class: C
    gate: review
    scope: delivery
""",
        encoding="utf-8",
    )
    return town


def parcels(*, shifted: Iterable[str] = (), use: str | None = "1", count: int = 6) -> list[Parcel]:
    """Return parcels in a row; of shifted ones half lies on the one before."""
    return [
        (f"P{n:03d}", n - 0.5 if f"P{n:03d}" in shifted else n, 0, use if n == 5 else "1")
        for n in range(count)
    ]


def found(town: Any, cycle: str, rule: str) -> dict[str, tuple[str, str]]:
    """Return state and first cycle of a rule's findings, fixed ones too, by source key."""
    parts = [frame[frame["rule"] == rule] for frame in listed_findings(town.city, cycle).values()]
    return {
        row.source_key: (row.state, row.first_seen)
        for part in parts
        for row in part.itertuples(index=False)
    }


def overlaps(town: Any, cycle: str) -> dict[str, tuple[str, str]]:
    """Return state and first cycle of the overlaps, by the parcel that is shifted."""
    frame = listed_findings(town.city, cycle)["parcels"].query("rule == @OVERLAP")
    return {
        shifted_at(row.geometry): (row.state, row.first_seen)
        for row in frame.itertuples(index=False)
    }


def shifted_at(place: shapely.Geometry) -> str:
    return f"P{round((place.bounds[0] - 500000) / 20 + 0.5):03d}"


def test_a_candidates_finding_is_new_then_persists_then_is_fixed_then_comes_back(
    town: Any,
) -> None:
    town.deliver_parcels(parcels(shifted=["P001"]))
    town.run()
    assert overlaps(town, "monthly-0001") == {"P001": ("new", "monthly-0001")}
    town.deliver_parcels(parcels(shifted=["P001", "P004"]), at="2026-02-01")
    town.run()
    assert overlaps(town, "monthly-0002") == {
        "P001": ("persisting", "monthly-0001"),
        "P004": ("new", "monthly-0002"),
    }
    town.deliver_parcels(parcels(shifted=["P004"]), at="2026-03-01")
    town.run()
    assert overlaps(town, "monthly-0003") == {
        "P001": ("fixed", "monthly-0001"),
        "P004": ("persisting", "monthly-0002"),
    }
    fixed = read_frame(town.city.cycle_folder("monthly-0003") / "candidate/parcels.fixed.parquet")
    was = listed_findings(town.city, "monthly-0002")["parcels"].set_index("finding_id")
    assert fixed.geometry.iloc[0].equals(was.loc[fixed["finding_id"].iloc[0], "geometry"])
    assert fixed["found"].tolist() == ["an overlap of 200.00 m²"]
    town.deliver_parcels(parcels(shifted=["P001", "P004"]), at="2026-04-01")
    town.run()
    assert overlaps(town, "monthly-0004") == {
        "P001": ("come-back", "monthly-0001"),
        "P004": ("persisting", "monthly-0002"),
    }
    # what persists costs the register nothing
    assert [len(town.city.findings.events(f"monthly-000{n}")) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_a_full_delivery_fixes_what_it_holds_mended_and_what_it_lacks(town: Any) -> None:
    town.deliver_parcels(parcels(use=None))
    town.run()
    assert found(town, "monthly-0001", USE) == {"P005": ("new", "monthly-0001")}
    town.deliver_parcels(parcels(use="2"), at="2026-02-01")
    town.run()
    assert found(town, "monthly-0002", USE) == {"P005": ("fixed", "monthly-0001")}
    town.deliver_parcels(parcels(use=None, shifted=["P001"]), at="2026-03-01")
    town.run()
    assert found(town, "monthly-0003", USE) == {"P005": ("come-back", "monthly-0001")}
    town.deliver_parcels(parcels(count=5), at="2026-04-01")
    town.run()
    assert found(town, "monthly-0004", USE) == {"P005": ("fixed", "monthly-0001")}


def test_a_partial_delivery_fixes_only_what_it_holds(town: Any) -> None:
    place = (500010.0, 3400010.0)
    town.deliver_addresses([("A1", *place, ""), ("A2", *place, "")])
    town.run()
    town.deliver_addresses([("A1", *place, "人民路1号")], at="2026-02-01")
    town.run()
    assert found(town, "monthly-0002", TEXT) == {"A1": ("fixed", "monthly-0001")}
    town.deliver_addresses([("A2", *place, "人民路2号")], at="2026-03-01")
    town.run()
    assert found(town, "monthly-0003", TEXT) == {"A2": ("fixed", "monthly-0001")}


def test_a_returned_candidate_opens_findings_and_fixes_none(town: Any) -> None:
    town.deliver_parcels(parcels(shifted=["P001"]))
    town.run()
    town.deliver_parcels(parcels(shifted=["P004"]), at="2026-02-01")
    town.run(approve=False)
    assert overlaps(town, "monthly-0002") == {
        "P001": ("fixed", "monthly-0001"),
        "P004": ("new", "monthly-0002"),
    }
    send_back(town.city, "monthly-0002", who="li", why="mend P004")
    town.deliver_parcels(parcels(shifted=["P001", "P004"], use="2"), at="2026-03-01")
    town.run()
    assert overlaps(town, "monthly-0003") == {
        "P001": ("persisting", "monthly-0001"),
        "P004": ("persisting", "monthly-0002"),
    }


def test_checking_again_says_the_same_once(town: Any) -> None:
    town.deliver_parcels(parcels(shifted=["P001"], use=None))
    town.run()
    town.deliver_parcels(parcels(shifted=["P004"]), at="2026-02-01")
    town.run(approve=False)
    city = town.city
    register = city.workspace.store / "findings" / "monthly-0002.parquet"
    report = city.cycle_folder("monthly-0002") / "report" / "report.json"
    before = register.read_bytes(), report.read_bytes()
    check_candidate(city, "monthly-0002")
    put_in_review(city, "monthly-0002")
    assert (register.read_bytes(), report.read_bytes()) == before


def test_two_series_do_not_mix(town: Any) -> None:
    path = town.root / "cycles" / "weekly.yaml"
    text = (town.root / "cycles" / "monthly.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("monthly", "weekly"), encoding="utf-8")
    town.deliver_parcels(parcels(shifted=["P001"], use=None))
    town.run()
    run_cycle(town.city, "weekly", approver="li", reason="ok")
    assert overlaps(town, "weekly-0001") == {"P001": ("new", "weekly-0001")}
    assert found(town, "weekly-0001", USE) == {"P005": ("new", "weekly-0001")}
    town.deliver_parcels(parcels(shifted=["P001"]), at="2026-02-01")
    town.run()
    assert overlaps(town, "monthly-0002") == {"P001": ("persisting", "monthly-0001")}


def blame(town: Any, cycle: str) -> dict[str, str]:
    frame = listed_findings(town.city, cycle)["parcels"].query("rule == @OVERLAP")
    return {shifted_at(row.geometry): row.delivery for row in frame.itertuples(index=False)}


def test_the_delivery_that_brought_the_features_state_is_to_blame(town: Any) -> None:
    one = town.deliver_parcels(parcels(shifted=["P001"])).delivery.id
    town.run()
    assert blame(town, "monthly-0001") == {"P001": one}
    # P003 stands where it stood: it is P004 that the second delivery moved onto it
    two = town.deliver_parcels(parcels(shifted=["P001", "P004"]), at="2026-02-01").delivery.id
    town.run()
    assert blame(town, "monthly-0002") == {"P001": one, "P004": two}
    changed = [
        (*row[:3], "2") if row[0] == "P003" else row for row in parcels(shifted=["P001", "P004"])
    ]
    three = town.deliver_parcels(changed, at="2026-03-01").delivery.id
    town.run()
    assert blame(town, "monthly-0003") == {"P001": one, "P004": three}


def test_what_is_fixed_after_its_files_were_pruned_has_no_place_left(town: Any) -> None:
    town.deliver_parcels(parcels(shifted=["P001"]))
    town.run()
    candidate: Path = town.city.cycle_folder("monthly-0001") / "candidate"
    for path in candidate.glob("*.parquet"):
        path.unlink()
    town.deliver_parcels(parcels(), at="2026-02-01")
    town.run()
    fixed = listed_findings(town.city, "monthly-0002")["parcels"]
    assert fixed[["rule", "state", "first_seen", "found"]].to_dict("records") == [
        {"rule": OVERLAP, "state": "fixed", "first_seen": "monthly-0001", "found": ""}
    ]
    assert fixed.geometry.isna().all()


def known(**columns: str) -> pd.DataFrame:
    row = {**dict.fromkeys(EVENT_COLUMNS, ""), "event": OPENED, "finding_id": "f", "rule": "r",
           "layer": "parcels", "looked_by": "cadastre", "record": None, **columns}  # fmt: skip
    return pd.DataFrame([row]).astype({"record": "Int64"})


def look(**more: Any) -> Look:
    records = pd.DataFrame(
        {
            "layer": "parcels",
            "source_key": ["a", "b", "stopped"],
            "uid": ["", "", ""],
            "is_checked": [True, True, False],
        }
    )
    given = {
        "looked_by": "cadastre",
        "layers": frozenset(["parcels"]),
        "files": (),
        "met": pd.DataFrame({"finding_id": ["other"]}),
        "ran": frozenset([("r", "parcels")]),
        "declared": frozenset(["r", "broken"]),
        "records": records,
        **more,
    }
    return Look(**given)


@pytest.mark.parametrize(
    ("finding", "made", "expected"),
    [
        ({"source_key": "a"}, {}, True),
        ({"source_key": "a"}, {"met": pd.DataFrame({"finding_id": ["f"]})}, False),
        ({"source_key": "a", "looked_by": "registry"}, {}, False),
        ({"source_key": "a", "layer": "roads"}, {"ran": frozenset([("r", "roads")])}, False),
        ({"source_key": "a", "rule": "broken"}, {}, False),
        ({"source_key": "a", "rule": "intake.bad-code"}, {}, True),
        ({"source_key": "absent"}, {}, False),
        ({"source_key": "absent"}, {"infers_absence": True}, True),
        ({"source_key": "stopped"}, {}, False),
        ({"source_key": "stopped"}, {"infers_absence": True}, False),
        ({"source_key": "a", "partner": "b"}, {}, True),
        ({"source_key": "a", "partner": "absent"}, {}, False),
        ({}, {}, True),
        ({"record": 7}, {}, False),
        ({"record": 7}, {"infers_absence": True}, True),
        ({"uid": "u", "looked_by": ""}, {"looked_by": "", "records": None}, True),
        ({"uid": "u", "rule": "broken", "looked_by": ""}, {"looked_by": "", "records": None},
         False),
    ],
)  # fmt: skip
def test_only_a_rule_that_looked_at_the_feature_again_fixes_its_finding(
    finding: dict[str, Any], made: dict[str, Any], expected: bool
) -> None:
    assert look(**made).passed(known(**finding)).tolist() == [expected]


def test_findings_of_a_delivery_have_their_state_in_their_file(town: Any) -> None:
    delivery = town.deliver_parcels(parcels(use=None)).delivery
    town.run()
    folder = town.city.cycle_folder("monthly-0001") / "deliveries" / delivery.id
    frame: gpd.GeoDataFrame = read_frame(folder / "00-parcels.findings.parquet")
    assert set(frame["state"]) == {"new"}
    assert set(frame["first_seen"]) == {"monthly-0001"}
