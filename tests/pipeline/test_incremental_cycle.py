"""Incremental checks of candidates: equal to full ones, and full where they must be."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cityframe.pipeline.check_basis import FULL, INCREMENTAL
from cityframe.pipeline.cycle import approve, check_candidate, put_in_review
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.releasing import roll_back
from cityframe.pipeline.reporting import cycle_report
from cityframe.pipeline.retention import prune_deliveries
from cityframe.pipeline.staging import check_results

SERIES = "packages: {full: false, change: false}\n"
RULES = """\
  - id: addresses.inside
    title: {zh: 地址在宗地内, en: Address in a parcel}
    kind: covered_by
    layers: addresses
    parameters: {layer: parcels}
    defect_class: C
    gate: review
    scope: candidate
  - id: parcels.same
    title: {zh: 重复, en: Duplicates}
    kind: duplicate_geometry
    layers: parcels
    defect_class: C
    gate: review
    scope: candidate
  - id: addresses.text
    title: {zh: 地址必填, en: Text is given}
    kind: mandatory
    layers: addresses
    parameters: {column: text}
    defect_class: C
    gate: review
    scope: candidate
"""


@pytest.fixture
def town(town: Any) -> Any:
    """Return a town whose candidates are checked by four rules and always let in."""
    path = town.root / "quality_rules" / "all.yaml"
    text = path.read_text(encoding="utf-8").replace(
        "gate: block\n    scope: candidate", "gate: review\n    scope: candidate"
    )
    path.write_text(text + RULES, encoding="utf-8")
    with (town.root / "cycles" / "monthly.yaml").open("a", encoding="utf-8") as file:
        file.write(SERIES)
    return town


def check_every(town: Any, full_every: int) -> None:
    path = town.root / "cycles" / "monthly.yaml"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if "checks" not in line]
    kept.append(f"checks: {{full_every: {full_every}}}")
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")


def extent(town: Any, cycle: str) -> tuple[str, str]:
    check = check_results(town.city, cycle)
    return check.extent, check.why.en


def said(town: Any, cycle: str) -> tuple[object, ...]:
    """Return all that the check of a candidate says, apart from how far it went."""
    folder = town.city.cycle_folder(cycle) / "candidate"
    check = check_results(town.city, cycle)
    paths = [*folder.glob("*.findings.parquet"), *folder.glob("*.fixed.parquet")]
    frames = {path.name: read_frame(path).to_wkb().to_csv() for path in sorted(paths)}
    return check.results, check.gate_reasons, frames


def deliver(town: Any, month: int, *, shift: float = 0.0) -> None:
    rows = [(f"P{n}", n - (shift if n == 2 else 0.0), 0, "1") for n in range(4)]
    town.deliver_parcels(rows, at=f"2026-{month:02d}-01")


def test_incremental_checks_say_what_full_ones_say(town: Any) -> None:
    random = np.random.default_rng(20260101)
    parcels = [(f"P{n:03d}", float(n % 6), float(n // 6), "1") for n in range(30)]
    addresses = [(f"A{n}", 500010.0 + 20 * n, 3400010.0, f"{n}号") for n in range(6)]
    for month in (1, 2, 3, 4):
        for row in random.choice(len(parcels), 3, replace=False):
            number, x, y, use = parcels[row]
            parcels[row] = (number, x + random.choice([-0.5, 1.0]), y, use)
        gone = int(random.integers(len(parcels)))
        town.deliver_parcels(parcels[:gone] + parcels[gone + 1 :], at=f"2026-0{month}-01")
        if month != 3:
            addresses = [
                (number, x + random.choice([0.0, 150.0]), y, random.choice([text, ""]))
                for number, x, y, text in addresses
            ]
            town.deliver_addresses(addresses, at=f"2026-0{month}-01")
        cycle = f"monthly-000{month}"
        check_every(town, 12)
        town.run(approve=False)
        assert extent(town, cycle)[0] == (FULL if month == 1 else INCREMENTAL)
        incremental = said(town, cycle)
        check_every(town, 1)
        check_candidate(town.city, cycle)
        assert extent(town, cycle) == (FULL, "the series checks in full each time")
        assert said(town, cycle) == incremental
        check_every(town, 12)
        check_candidate(town.city, cycle)
        put_in_review(town.city, cycle)
        approve(town.city, cycle, who="li", why="ok")
        assert town.run().release == month
    overlaps = [one for one in incremental[0] if one.rule == "parcels.overlap"]  # type: ignore[attr-defined]
    assert overlaps[0].failed > 0


def test_every_so_many_cycles_all_is_checked(town: Any) -> None:
    check_every(town, 2)
    extents = []
    for month in (1, 2, 3, 4):
        deliver(town, month, shift=month / 10)
        town.run()
        extents.append(extent(town, f"monthly-000{month}"))
    assert extents == [
        (FULL, "there is no release to build on"),
        (INCREMENTAL, "what changed since monthly-0001"),
        (FULL, "1 checks in a row were incremental"),
        (INCREMENTAL, "what changed since monthly-0003"),
    ]
    section = next(one for one in cycle_report(town.city, "monthly-0004").sections)
    assert [cell.en for cell in section.rows[0]] == list(extents[3])


def _prune(town: Any) -> None:
    deliver(town, 2, shift=0.25)  # the newest delivery of a source is never pruned by age
    old = town.city.framework.release(1).evidence["deliveries"]
    prune_deliveries(town.city, old, who="li", why="asked for")


def _other_rules(town: Any) -> None:
    path = town.root / "quality_rules" / "all.yaml"
    text = path.read_text(encoding="utf-8").replace("min_area_m2: 0.01", "min_area_m2: 0.02")
    path.write_text(text, encoding="utf-8")


def _other_contract(town: Any) -> None:
    path = town.root / "schemas" / "parcels.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("en: Parcels", "en: Lots"), "utf-8")


def _lost_check(town: Any) -> None:
    shutil.rmtree(town.city.cycle_folder("monthly-0001") / "candidate")


def _edited_findings(town: Any) -> None:
    folder = town.city.cycle_folder("monthly-0001") / "candidate"
    (folder / "parcels.findings.parquet").unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_edited_findings, "the findings of monthly-0001 are not those that its check left"),
        (_prune, "the findings of monthly-0001 were pruned"),
        (_other_rules, "rules, contracts or program have changed"),
        (_other_contract, "rules, contracts or program have changed"),
        (_lost_check, "release 1 is not what a cycle checked"),
    ],
)
def test_where_the_check_before_is_no_ground_all_is_checked(
    town: Any, change: Callable[[Any], None], why: str
) -> None:
    deliver(town, 1)
    town.run()
    change(town)
    deliver(town, 2, shift=0.25)
    assert town.run().release == 2
    assert extent(town, "monthly-0002") == (FULL, why)
    # the register survives, so the cycle knows what is new
    findings = read_frame(
        town.city.cycle_folder("monthly-0002") / "candidate" / "parcels.findings.parquet"
    )
    assert findings["state"].tolist() == ["new"]


def test_after_a_roll_back_all_is_checked(town: Any) -> None:
    deliver(town, 1)
    town.run()
    deliver(town, 2, shift=0.25)
    town.run()
    roll_back(town.city, 1, who="li", why="mistake", at=town.moment("2026-02-02"))
    deliver(town, 3, shift=0.5)
    assert town.run().release == 4
    assert extent(town, "monthly-0003") == (FULL, "release 3 is not what a cycle checked")
