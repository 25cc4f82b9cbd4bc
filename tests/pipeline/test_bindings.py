"""What a decision binds to, and what happens to deliveries that are overtaken or come back."""

from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

from cityframe.errors import GateClosedError, IntegrityError
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.cycle import approve, open_cycle, release, stage, take_in
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.pull import pull
from cityframe.pipeline.releasing import roll_back
from cityframe.pipeline.reporting import report_folder
from cityframe.pipeline.staging import candidate_of

Parcel = tuple[str, float, float, str | None]
ADDRESSES = [("A1", 500010.0, 3400010.0, "人民路1号")]


def uses(town: Any, number: int, day: str | None = None) -> dict[str, str]:
    framework = town.city.framework
    layer = framework.contract("parcels")
    at = town.moment(day) if day else None
    rows = framework.as_of(layer, number, valid_at=at)
    return dict(zip(rows["number"], rows["use"], strict=True))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("valid_from", pd.Timestamp("1999-01-01", tz="UTC")),
        ("delivery", "forged"),
        ("change", "moved"),
        ("uid", "X1"),
    ],
)
def test_a_candidate_altered_after_its_approval_is_not_released(
    town: Any, grid: list[Parcel], column: str, value: object
) -> None:
    town.deliver_parcels(grid)
    town.run(approve=False)
    approve(town.city, "monthly-0001", who="li", why="ok")
    path = candidate_of(town.city, "monthly-0001").path("parcels")
    frame = gpd.read_parquet(path)
    frame.loc[frame["number"] == "P003", column] = value
    frame.to_parquet(path)
    with pytest.raises(IntegrityError, match="stage the cycle again"):
        release(town.city, "monthly-0001")
    assert town.city.framework.releases() == ()


def test_a_report_altered_after_the_approval_holds_the_release(
    town: Any, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.run(approve=False)
    approve(town.city, "monthly-0001", who="li", why="ok")
    path = report_folder(town.city, "monthly-0001") / "report.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(IntegrityError, match="a report other than the one"):
        release(town.city, "monthly-0001")


def test_a_report_altered_before_the_decision_is_not_approved(
    town: Any, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.run(approve=False)
    path = report_folder(town.city, "monthly-0001") / "report.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(GateClosedError, match="not those that were put in review"):
        approve(town.city, "monthly-0001", who="li", why="ok")


def test_a_planned_delivery_that_was_not_taken_in_holds_the_cycle(
    town: Any, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.deliver_addresses(ADDRESSES)
    cycle = open_cycle(town.city, "monthly")
    assert cycle is not None
    take_in(town.city, cycle, "cadastre")
    with pytest.raises(GateClosedError, match=r"not taken in: registry\."):
        stage(town.city, cycle)


def test_a_cycle_overtaken_by_another_release_starts_over(town: Any, grid: list[Parcel]) -> None:
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels([("P000", 0, 0, "2"), *grid[1:]], at="2026-02-01")
    town.run()
    town.deliver_parcels([("P000", 0, 0, "2"), ("P001", 1, 0, "2"), *grid[2:]], at="2026-03-01")
    town.run(approve=False)
    approve(town.city, "monthly-0003", who="li", why="ok")
    roll_back(town.city, 1, who="li", why="mistake", at=town.moment("2026-03-02"))
    assert read_plan(town.city, "monthly-0003").parent == 2
    again = town.run(approve=False)
    assert (again.state, read_plan(town.city, "monthly-0003").parent) == ("in-review", 3)
    assert town.run().release == 4
    assert uses(town, 4)["P000"] == uses(town, 4)["P001"] == "industrial"


def test_a_roll_back_answers_as_the_older_release_on_both_axes(
    town: Any, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels([("P000", 0, 0, "2"), *grid[1:], ("P900", 0, 11, "1")], at="2026-02-01")
    town.run()
    town.deliver_parcels([*grid[:99], ("P901", 1, 11, "1")], at="2026-03-01")
    town.run()
    roll_back(town.city, 1, who="li", why="mistake", at=town.moment("2026-04-01"))
    for day in ("2025-12-01", "2026-01-15", "2026-02-15", "2026-03-15"):
        assert uses(town, 4, day) == uses(town, 1, day)
    assert uses(town, 3, "2026-02-15")["P000"] == "industrial"
    layer = town.city.framework.contract("parcels")
    near = town.city.framework.as_of(layer, 4, bbox=(499999.0, 3399999.0, 500001.0, 3400001.0))
    assert near["number"].tolist() == ["P000"]


def test_content_that_comes_back_in_one_cycle_counts_last(town: Any, grid: list[Parcel]) -> None:
    other = [("P000", 0.0, 0.0, "2"), *grid[1:]]
    town.deliver_parcels(grid, at="2026-01-01")
    town.deliver_parcels(other, at="2026-02-01")
    town.deliver_parcels(grid, at="2026-03-01")
    town.run()
    assert uses(town, 1)["P000"] == "residential"


def test_a_return_to_earlier_bytes_is_valid_from_when_it_came_back(
    town: Any, grid: list[Parcel]
) -> None:
    other = [("P000", 0.0, 0.0, "2"), *grid[1:]]
    for day, parcels in (("2026-01-01", grid), ("2026-02-01", other), ("2026-03-01", grid)):
        town.deliver_parcels(parcels, at=day)
        town.run()
    assert [uses(town, 3, day)["P000"] for day in ("2026-01-15", "2026-02-15", "2026-03-15")] == [
        "residential", "industrial", "residential",
    ]  # fmt: skip


def test_a_quarantined_delivery_is_landed_again_once_its_guard_allows_it(
    town: Any, grid: list[Parcel]
) -> None:
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels(grid[:60], at="2026-02-01")
    assert town.run().quarantined
    path = town.root / "sources" / "cadastre.yaml"
    text = path.read_text(encoding="utf-8")
    wide = "guards: {removed_share: 0.5, removed_cell_share: 1.0}"
    path.write_text(text.replace("guards: {removed_min: 4}", wide), encoding="utf-8")
    again = pull(town.city, "cadastre", at=town.moment("2026-02-01"))
    assert again.is_new
    assert "landed again" in again.reason
    assert town.run().release == 2
    assert len(uses(town, 2)) == 60


def test_a_source_that_joins_a_series_later_brings_what_it_had_landed(
    town: Any, grid: list[Parcel]
) -> None:
    path = town.root / "cycles" / "monthly.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[cadastre, registry]", "[cadastre]"), encoding="utf-8")
    town.deliver_addresses(ADDRESSES)
    town.deliver_parcels(grid)
    town.run()
    path.write_text(text, encoding="utf-8")
    assert town.run().release == 2
    assert [one.delivery.partition(".")[0] for one in accounts(town.city, "monthly-0002")] == [
        "registry"
    ]


def test_a_feature_dated_in_advance_is_not_new_again_in_the_next_delivery(town: Any) -> None:
    path = town.root / "sources" / "registry.yaml"
    text = path.read_text(encoding="utf-8")
    columns = "columns: {number: id, text: address}"
    valid_from = '\n    valid_from: {column: von, format: "%Y-%m-%d"}'
    path.write_text(text.replace(columns, columns + valid_from), encoding="utf-8")
    for day, address in (("2026-01-01", "x"), ("2026-02-01", "x2")):
        feed = town.root / "feeds" / "addresses.csv"
        feed.parent.mkdir(exist_ok=True)
        rows = [f"N1,500000,3400000,{address},{day}", "N2,500010,3400000,y,2127-06-01"]
        feed.write_text("\n".join(["id,x,y,address,von", *rows]) + "\n", encoding="utf-8")
        pull(town.city, "registry", at=town.moment(day))
        town.run()
    framework = town.city.framework
    layer = framework.contract("addresses")
    assert framework.as_of(layer, 2)["number"].tolist() == ["N1"]
    later = framework.as_of(layer, 2, valid_at=town.moment("2128-01-01"))
    assert sorted(later["number"]) == ["N1", "N2"]
