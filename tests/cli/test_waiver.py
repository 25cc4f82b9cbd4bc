"""``cityframe waive`` and ``cityframe waiver`` as people and programs call them."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.cli import main
from cityframe.pipeline.city import open_city
from cityframe.pipeline.reporting import findings_by_layer

MORE = {
    "quality_rules/all.yaml": """\
rules:
  - id: parcels.overlap
    title: {zh: 不得重叠, en: No overlap}
    kind: overlaps
    layers: parcels
    defect_class: A
    gate: block
    scope: candidate
    tolerated: 0.0
""",
    "cycles/monthly.yaml": "packages: {full: false, change: false}\n",
}


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], declare: Any) -> Any:
    """Return a function that runs a command in a workspace with an overlap in review."""
    declare(tmp_path, MORE)
    squares = [shapely.box(500000 + x, 3400000, 500020 + x, 3400020) for x in (0, 10)]
    frame = gpd.GeoDataFrame({"DJH": ["a", "b"]}, geometry=squares, crs="EPSG:4547")
    frame.to_file(tmp_path / "parcels.gpkg", driver="GPKG")

    def run(*arguments: str, code: int = 0) -> Any:
        assert main(["--workspace", str(tmp_path), "--output", "json", *arguments]) == code
        return json.loads(capsys.readouterr().out)

    run("pull", "cadastre", "--at", "2026-01-01")
    run("cycle", "run", "monthly", code=4)
    return run


@pytest.fixture
def finding(run: Any, tmp_path: Path) -> str:
    found = findings_by_layer(open_city(tmp_path), "monthly-0001")["parcels"]
    return str(found["finding_id"].iloc[0])


def test_a_finding_is_waived_listed_and_withdrawn(run: Any, finding: str) -> None:
    who = ("--by", "li", "--reason", "as in the field")
    run("cycle", "approve", "monthly", *who, code=4)
    given = run("waive", finding[:8], *who, "--expires", "2099-01-01")
    assert (given["finding_id"], given["scope"], given["effect"]) == (
        finding, "standing", "reviewed",
    )  # fmt: skip
    (listed,) = run("waiver", "list")["waivers"]
    assert (listed["id"], listed["status"], listed["why"]) == (given["id"], "standing", "")
    assert (listed["reason"], listed["approver"]) == ("as in the field", "li")
    taken = run("waiver", "withdraw", given["id"], "--by", "li", "--reason", "mistake")
    assert taken["effect"] == "reviewed"
    assert run("waiver", "list")["waivers"] == []
    (every,) = run("waiver", "list", "--all")["waivers"]
    assert (every["status"], every["why"]) == ("withdrawn", "li: mistake")
    run("waive", finding, *who, "--expires", "2099-01-01", "--scope", "cycle")
    run("cycle", "approve", "monthly", *who)


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("nothing", "--by", "li", "--reason", "x", "--expires", "2099-01-01"), 2, "no such one"),
        (("", "--by", "li", "--reason", " ", "--expires", "2099-01-01"), 4, "no reason"),
        (("", "--by", "li", "--reason", "x", "--expires", "2001-01-01"), 2, "is past"),
    ],
)
def test_a_waiver_that_can_not_be_given_says_why(
    run: Any, arguments: tuple[str, ...], code: int, found: str
) -> None:
    assert found in run("waive", *arguments, code=code)["error"]["found"]


def test_the_list_of_no_waivers_says_so(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(tmp_path), "waiver", "list"]) == 0
    assert capsys.readouterr().out == "no waiver\n"
