from collections import Counter
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.errors import DeclarationError, GateClosedError
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.cycle import approve, release, run_cycle
from cityframe.pipeline.difference import difference
from cityframe.pipeline.pull import pull
from cityframe.pipeline.releasing import roll_back
from cityframe.pipeline.reporting import cycle_report, findings_by_layer
from cityframe.pipeline.review import send_back

Parcel = tuple[str, float, float, str | None]
Town = Any

ADDRESSES = [("A1", 500010.0, 3400010.0, "人民路1号"), ("A2", 500030.0, 3400010.0, "人民路3号")]


def fates(town: Town, cycle: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for account in accounts(town.city, cycle):
        for layer in account.layers:
            assert sum(layer.fates.values()) == layer.read
            total.update(layer.fates)
    return total


def test_a_first_cycle_makes_release_1_over_all_layers(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.deliver_addresses(ADDRESSES)
    outcome = town.run()
    assert (outcome.release, outcome.state, outcome.reason) == (1, "published", "")
    made = town.city.framework.release(1)
    assert {layer.layer: layer.count for layer in made.layers} == {"addresses": 2, "parcels": 100}
    assert made.evidence["decisions"][0]["why"] == "合格"
    assert fates(town, "monthly-0001") == {"published": 102}


def test_a_second_run_makes_no_release_and_says_why(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.run()
    outcome = town.run()
    assert outcome.release is None
    assert "nothing landed since the last cycle of monthly; release 1 stays" in outcome.reason
    assert len(town.city.framework.releases()) == 1


def test_the_same_bytes_again_are_the_same_delivery(town: Town, grid: list[Parcel]) -> None:
    town.deliver_addresses(ADDRESSES)
    town.run()
    again = town.deliver_addresses(ADDRESSES, at="2026-02-01")
    assert not again.is_new
    assert town.run().cycle is None


def test_the_same_content_in_other_bytes_changes_nothing(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels(grid[::-1], at="2026-02-01")
    outcome = town.run()
    assert outcome.release is None
    assert "no change" in outcome.reason
    assert fates(town, "monthly-0002") == {"unchanged": 100}


def test_each_kind_of_change_is_told_apart(town: Town, grid: list[Parcel]) -> None:
    grid = grid[:50]
    town.deliver_parcels(grid)
    town.run()
    later = [("P000", 0.0, 0.0, "2"), *grid[1:49], ("P900", 0.0, 7.0, "1")]
    town.deliver_parcels(
        later,
        at="2026-02-01",
        P001=shapely.affinity.translate(town.square(1, 0), 0, -30),
        P010=shapely.box(500000, 3400020, 500012, 3400040),
        P011=shapely.affinity.translate(town.square(1, 1), 0.03, 0.03),
    )
    outcome = town.run()
    assert outcome.release == 2
    (found,) = difference(town.city, 1, 2)
    assert found.counts() == {
        "attributes": 1, "moved": 1, "new": 1, "removed": 1, "reshaped": 1,
    }  # fmt: skip
    assert fates(town, "monthly-0002") == {"published": 4, "unchanged": 46}
    inverse = difference(town.city, 2, 1)[0].counts()
    assert inverse == {"attributes": 1, "moved": 1, "new": 1, "removed": 1, "reshaped": 1}


def test_a_record_that_fails_a_blocking_rule_is_returned_and_the_old_one_stays(
    town: Town, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.run()
    bow_tie = shapely.Polygon(
        [(500000, 3400000), (500020, 3400020), (500020, 3400000), (500000, 3400020)]
    )
    town.deliver_parcels(
        [("P000", 0, 0, "1"), ("P001", 1, 0, "2"), *grid[2:]], at="2026-02-01", P000=bow_tie
    )
    outcome = town.run()
    assert outcome.release == 2
    assert fates(town, "monthly-0002") == {"published": 1, "returned": 1, "unchanged": 98}
    layer = town.city.framework.contract("parcels")
    now: gpd.GeoDataFrame = town.city.framework.as_of(layer, 2)
    assert now.set_index("number").geometry["P000"].equals(town.square(0, 0))
    findings = findings_by_layer(town.city, "monthly-0002")["parcels"]
    assert findings["rule"].tolist() == ["parcels.valid"]
    assert findings.geometry.iloc[0].distance(shapely.Point(500010, 3400010)) < 0.01


def test_a_run_without_approval_stops_at_review_and_goes_on_after_it(
    town: Town, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    stopped = town.run(approve=False)
    assert (stopped.state, stopped.release) == ("in-review", None)
    assert town.city.framework.releases() == ()
    with pytest.raises(GateClosedError, match="no decision over candidate"):
        release(town.city, "monthly-0001")
    approve(town.city, "monthly-0001", who="li", why="looked at it")
    outcome = town.run(approve=False)
    assert (outcome.state, outcome.release) == ("published", 1)


@pytest.mark.parametrize(("who", "why"), [("li", "  "), ("wang", "because")])
def test_a_decision_needs_an_approver_and_a_reason(
    town: Town, grid: list[Parcel], who: str, why: str
) -> None:
    town.deliver_parcels(grid)
    town.run(approve=False)
    with pytest.raises(DeclarationError, match=r"no reason given|'wang' is no approver"):
        approve(town.city, "monthly-0001", who=who, why=why)


def test_a_returned_cycle_makes_no_release_and_the_next_one_can(
    town: Town, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.run(approve=False)
    send_back(town.city, "monthly-0001", who="li", why="wrong year")
    with pytest.raises(GateClosedError, match="returned by li: wrong year"):
        release(town.city, "monthly-0001")
    town.deliver_parcels(grid[:90], at="2026-02-01")
    assert town.run().release == 1


def test_a_blocking_rule_over_the_candidate_closes_the_gate(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid, P001=shapely.box(500010, 3400000, 500040, 3400020))
    with pytest.raises(GateClosedError, match=r"parcels\.overlap"):
        town.run()
    report = cycle_report(town.city, "monthly-0001")
    assert report.gate_reasons
    place = findings_by_layer(town.city, "monthly-0001")["parcels"].geometry.iloc[0]
    assert place.area == pytest.approx(200)


def test_mass_removal_is_quarantined_whole(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels(grid[:60], at="2026-02-01")
    outcome = town.run()
    assert outcome.release is None
    assert outcome.quarantined
    assert fates(town, "monthly-0002") == {"waiting": 60}
    rules = set(findings_by_layer(town.city, "monthly-0002")["parcels"]["rule"])
    assert "guard.mass-removal" in rules


def test_a_delivery_with_another_schema_is_set_aside_and_the_others_go_on(town: Town) -> None:
    town.deliver_addresses(ADDRESSES)
    path = town.root / "feeds" / "addresses.csv"
    path.write_text("id,x,y,address,phone\nA1,1,2,3,4\n", encoding="utf-8")
    pull(town.city, "registry", at=town.moment("2026-02-01"))
    outcome = town.run()
    assert outcome.release == 1
    assert any("phone" in why for why in outcome.quarantined)
    assert fates(town, "monthly-0001") == {"published": 2, "waiting": 1}


def test_roll_back_says_again_what_the_older_release_said(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels(
        [("P000", 0.0, 0.0, "2"), *grid[1:99], ("P900", 0.0, 11.0, "1")], at="2026-02-01"
    )
    town.run()
    made = roll_back(town.city, 1, who="li", why="mistake", at=town.moment("2026-03-01"))
    first, second, third = town.city.framework.releases()
    assert made == third
    assert third.layers[0].digest == first.layers[0].digest != second.layers[0].digest
    assert difference(town.city, 1, 3) == []
    layer = town.city.framework.contract("parcels")
    for day in ("2026-01-15", "2026-02-15"):
        then = town.city.framework.as_of(layer, 3, valid_at=town.moment(day))
        assert sorted(then["number"]) == sorted(one[0] for one in grid)
    assert town.city.ledger.verify() > 0


def test_deliveries_after_the_cut_off_go_to_the_next_cycle(town: Town, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.run(approve=False)
    town.deliver_addresses(ADDRESSES)
    outcome = run_cycle(town.city, "monthly", approver="li", reason="ok")
    assert outcome.release == 1
    assert [layer.layer for layer in town.city.framework.release(1).layers] == ["parcels"]
    assert town.run().release == 2


def test_a_cycle_staged_before_the_store_was_migrated_starts_over(
    town: Town, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    waiting = town.run(approve=False)
    # what the first layout left in place of tables in Parquet
    folder = town.city.cycle_folder(waiting.cycle) / "candidate"
    (folder / "candidate.gpkg").touch()
    (folder / "candidate.json").write_text('{"layers": {}}', encoding="utf-8")
    again = town.run(approve=False)
    assert (again.cycle, again.state) == (waiting.cycle, "in-review")
    assert again.candidate_digest
    assert town.run().release == 1


def test_a_contract_that_gains_an_attribute_goes_on(town, grid):
    town.deliver_parcels(grid)
    town.run()
    schema = town.root / "schemas" / "parcels.yaml"
    gained = "  floors: {type: integer, title: {zh: 层数, en: Floors}}\n"
    schema.write_text(schema.read_text(encoding="utf-8") + gained, encoding="utf-8")
    town.deliver_parcels([(name, x, y, "2") for name, x, y, _ in grid], at="2026-02-01")
    assert town.run().release == 2
    framework, layer = town.city.framework, town.city.workspace.layer("parcels")
    assert framework.as_of(layer, 2)["floors"].isna().all()
    assert framework.as_of(layer, 1)["use"].eq("residential").all()
