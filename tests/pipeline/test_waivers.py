"""Waivers from the finding to the release, and what makes them void."""

import datetime as dt
import json
from typing import Any

import pandas as pd
import pytest
import shapely

from cityframe.errors import DeclarationError, GateClosedError
from cityframe.model.waiver import WaiverScope
from cityframe.pipeline import review
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.city import now
from cityframe.pipeline.frames_on_disk import read_frame, read_table, write_frame
from cityframe.pipeline.fsck import check_store
from cityframe.pipeline.reporting import cycle_report, findings_by_layer, report_folder
from cityframe.pipeline.review import approve
from cityframe.pipeline.staging import check_results
from cityframe.pipeline.waiver_standing import waiver_statuses
from cityframe.pipeline.waivers import as_body
from cityframe.pipeline.waiving import Effect, waive, withdraw

YEAR = dt.timedelta(days=365)
OVERLAP, VALID = "parcels.overlap", "parcels.valid"
BOW_TIE = shapely.Polygon(
    [(500040, 3400000), (500060, 3400020), (500060, 3400000), (500040, 3400020)]
)
Parcel = tuple[str, float, float, str | None]


def parcels(*, shift: float = 0.5, use: str = "1") -> list[Parcel]:
    """Return four parcels in a row; the second lies on the first by the shift."""
    return [("P000", 0, 0, "1"), ("P001", 1 - shift, 0, "1"), ("P002", 2, 0, "1"),
            ("P003", 3, 0, use)]  # fmt: skip


def finding_of(town: Any, cycle: str, rule: str = OVERLAP) -> str:
    frame = findings_by_layer(town.city, cycle)["parcels"]
    return str(frame.loc[frame["rule"] == rule, "finding_id"].iloc[0])


def waiver_of(town: Any, finding: str, **more: Any) -> Any:
    given = {"who": "li", "why": "as in the field", "expires": now() + YEAR, **more}
    return waive(town.city, finding, **given)


def statuses(town: Any) -> list[tuple[str, str]]:
    return [(one.status, one.why) for one in waiver_statuses(town.city, now())]


def test_a_waiver_of_a_candidate_lets_it_be_approved_until_a_feature_changes(town: Any) -> None:
    town.deliver_parcels(parcels())
    town.run(approve=False)
    before = (report_folder(town.city, "monthly-0001") / "report.json").read_bytes()
    with pytest.raises(GateClosedError, match=r"parcels\.overlap"):
        approve(town.city, "monthly-0001", who="li", why="ok")
    given = waiver_of(town, finding_of(town, "monthly-0001")[:6])
    assert (given.effect, given.cycle) == (Effect.REVIEWED, "monthly-0001")
    assert len(given.waiver.features) == 2
    assert (report_folder(town.city, "monthly-0001") / "report.json").read_bytes() != before
    report = cycle_report(town.city, "monthly-0001")
    (result,) = [one for one in report.results if one.rule == OVERLAP]
    assert (result.failed, result.waived) == (0, 1)
    assert "waivers" in [section.id for section in report.sections]
    assert town.run().release == 1
    # the release and its package say by what it was let in
    made = town.city.framework.release(1)
    assert made.evidence["waivers"] == [as_body(given.waiver)]
    package = town.city.package_folder(1, "full")
    quality = json.loads((package / "quality.json").read_text(encoding="utf-8"))
    assert quality["evidence"]["waivers"] == [as_body(given.waiver)]
    assert check_store(town.city).damages == ()

    town.deliver_parcels(parcels(use="2"), at="2026-02-01")
    assert town.run().release == 2
    assert town.city.framework.release(2).evidence["waivers"] == [as_body(given.waiver)]
    assert statuses(town) == [("standing", "")]

    town.deliver_parcels(parcels(shift=0.6), at="2026-03-01")
    town.run(approve=False)
    assert statuses(town) == [("void", "feature-changed (monthly-0003)")]
    with pytest.raises(GateClosedError, match=r"parcels\.overlap"):
        approve(town.city, "monthly-0003", who="li", why="ok")


def test_a_withdrawn_waiver_closes_the_gate_again(town: Any) -> None:
    town.deliver_parcels(parcels())
    town.run(approve=False)
    waiver = waiver_of(town, finding_of(town, "monthly-0001")).waiver
    taken = withdraw(town.city, waiver.id[:5], who="li", why="mistake")
    assert taken.effect is Effect.REVIEWED
    assert check_results(town.city, "monthly-0001").void_waivers == {waiver.id: "withdrawn"}
    assert statuses(town) == [("withdrawn", "li: mistake")]
    with pytest.raises(GateClosedError, match=r"parcels\.overlap"):
        approve(town.city, "monthly-0001", who="li", why="ok")
    with pytest.raises(DeclarationError, match="withdrawn by li"):
        withdraw(town.city, waiver.id, who="li", why="again")


def test_a_waiver_that_expires_before_the_approval_must_be_given_anew(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.deliver_parcels(parcels())
    town.run(approve=False)
    finding = finding_of(town, "monthly-0001")
    first = waiver_of(town, finding, expires=now() + dt.timedelta(days=1))
    with monkeypatch.context() as late:
        late.setattr(review, "now", lambda: now() + dt.timedelta(days=2))
        with pytest.raises(GateClosedError, match=f"waiver {first.waiver.id} .* is expired"):
            approve(town.city, "monthly-0001", who="li", why="ok")
        second = waiver_of(town, finding)
        approve(town.city, "monthly-0001", who="li", why="ok")
    assert second.waiver.id != first.waiver.id


def test_a_check_without_its_report_is_not_approved_but_reviewed_again(town: Any) -> None:
    town.deliver_parcels(parcels())
    town.run(approve=False)
    finding = finding_of(town, "monthly-0001")
    given = waiver_of(town, finding)
    withdraw(town.city, given.waiver.id, who="li", why="mistake")
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr("cityframe.pipeline.waiving.put_in_review", lambda *_: None)
        waiver_of(town, finding, why="after all")
    with pytest.raises(GateClosedError, match="not those that were put in review"):
        approve(town.city, "monthly-0001", who="li", why="ok")
    again = town.run()
    assert (again.state, again.release) == ("in-review", None)
    assert "put in review again" in again.reason
    assert town.run().release == 1


def test_a_waived_record_comes_in_at_its_next_intake_and_its_fate_says_so(town: Any) -> None:
    town.deliver_parcels(parcels(shift=0), P002=BOW_TIE)
    town.run()
    given = waiver_of(town, finding_of(town, "monthly-0001", VALID))
    assert given.effect is Effect.NEXT_INTAKE
    delivery = town.deliver_parcels(parcels(shift=0, use="2"), at="2026-02-01", P002=BOW_TIE)
    assert town.run().release == 2
    (account,) = accounts(town.city, "monthly-0002")
    assert account.layers[0].fates == {"published": 1, "unchanged": 2, "waived": 1}
    assert account.waivers == (given.waiver.id,)
    folder = town.city.cycle_folder("monthly-0002") / "deliveries" / delivery.delivery.id
    fates = read_table(folder / "00-parcels.fates.parquet").set_index("source_key")
    assert fates.loc["P002", ["fate", "reason"]].tolist() == [
        "waived",
        f"waiver {given.waiver.id}",
    ]
    assert town.city.framework.release(2).evidence["waivers"] == [as_body(given.waiver)]
    assert town.city.framework.release(2).layers[0].count == 4


def test_a_waiver_for_one_cycle_does_not_count_in_the_next(town: Any) -> None:
    town.deliver_parcels(parcels())
    town.run(approve=False)
    waiver_of(town, finding_of(town, "monthly-0001"), scope=WaiverScope.CYCLE)
    assert town.run().release == 1
    assert statuses(town) == [("void", "monthly-0001 has ended")]
    town.deliver_parcels(parcels(use="2"), at="2026-02-01")
    town.run(approve=False)
    assert set(check_results(town.city, "monthly-0002").void_waivers.values()) == {"other-cycle"}


@pytest.fixture(scope="module")
def reviewed(shared_town: Any) -> Any:
    """Return a town whose second cycle is in review: an overlap, an invalid record, one fixed."""
    town = shared_town
    town.deliver_parcels([*parcels(shift=0), ("P005", 5, 0, None)])
    town.run()
    mended = [*parcels(), ("P005", 5, 0, "1"), ("P006", 6, 0, "1"), ("P006", 7, 0, "1")]
    town.deliver_parcels(mended, at="2026-02-01", P002=BOW_TIE)
    town.run(approve=False)
    return town


@pytest.mark.parametrize(
    ("rule", "more", "error", "message"),
    [
        ("", {}, DeclarationError, "no such one"),
        ("no-such", {}, DeclarationError, "no such one"),
        (OVERLAP, {"why": "  "}, GateClosedError, "no reason"),
        (OVERLAP, {"who": "wang"}, GateClosedError, "who approves no cycle"),
        (OVERLAP, {"expires": now() - YEAR}, DeclarationError, "is past"),
        (VALID, {"scope": WaiverScope.CYCLE}, DeclarationError, "has taken the delivery in"),
        ("intake.duplicate-key", {}, DeclarationError, "no workspace declares"),
    ],
)
def test_what_can_not_be_waived_is_refused_and_leaves_no_entry(
    reviewed: Any, rule: str, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    is_rule = "." in rule
    finding = finding_of(reviewed, "monthly-0002", rule) if is_rule else rule
    with pytest.raises(error, match=message):
        waiver_of(reviewed, finding, **more)
    assert statuses(reviewed) == []


def test_a_fixed_finding_is_not_waived(reviewed: Any) -> None:
    folder = reviewed.city.cycle_folder("monthly-0002") / "candidate"
    fixed = pd.read_parquet(folder / "parcels.fixed.parquet", columns=["finding_id"])
    with pytest.raises(DeclarationError, match="it is fixed: monthly-0002"):
        waiver_of(reviewed, fixed["finding_id"].iloc[0])


def test_an_ambiguous_beginning_names_the_findings(reviewed: Any) -> None:
    path = reviewed.city.cycle_folder("monthly-0002") / "candidate" / "parcels.findings.parquet"
    frame = read_frame(path)
    one = frame["finding_id"].iloc[0]
    twin = frame.iloc[[0]].assign(finding_id=one[:-1] + ("0" if one[-1] != "0" else "1"))
    write_frame(path, pd.concat([frame, twin]))
    try:
        with pytest.raises(DeclarationError, match="as much of it as no other begins with"):
            waiver_of(reviewed, one[:-1])
    finally:
        write_frame(path, frame)


def test_an_unknown_waiver_is_not_withdrawn(reviewed: Any) -> None:
    with pytest.raises(DeclarationError, match="no such one"):
        withdraw(reviewed.city, "beef", who="li", why="x")
