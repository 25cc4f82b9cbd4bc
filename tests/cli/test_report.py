"""``cityframe report`` of a cycle, a delivery and a supplier."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.cli import main


class Shell:
    """Runs commands in a workspace and reads what they print."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._capsys = root, capsys

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        assert main(["--workspace", str(self.root), "--output", "json", *arguments]) == code
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], declare: Any) -> Shell:
    shell = Shell(tmp_path / "w", capsys)
    declare(shell.root)
    squares = [shapely.box(500000 + 20 * n, 3.4e6, 500020 + 20 * n, 3.40002e6) for n in range(3)]
    frame = gpd.GeoDataFrame({"DJH": list("abc")}, geometry=squares, crs="EPSG:4547")
    frame.to_file(shell.root / "parcels.gpkg", driver="GPKG")
    return shell


def test_report_of_a_cycle_a_delivery_and_a_supplier(shell: Shell, tmp_path: Path) -> None:
    delivery = shell("pull", "cadastre", "--at", "2026-01-01")["delivery"]
    assert shell("cycle", "run", "monthly", code=4)["state"] == "in-review"

    quality = tmp_path / "q.xml"
    answer = shell("report", "monthly-0001", "--to", str(quality))
    assert answer == {"cycle": "monthly-0001", "file": str(quality)}
    assert b"<mdb:MD_Metadata" in quality.read_bytes()

    listed = tmp_path / "mend.csv"
    answer = shell("report", "delivery", delivery, "--to", str(listed))
    assert answer == {"cycle": "monthly-0001", "delivery": delivery, "file": str(listed)}
    assert listed.read_bytes().startswith(b"\xef\xbb\xbf")

    page = tmp_path / "trend.html"
    answer = shell("report", "supplier", "cadastre", "--to", str(page), "--language", "en")
    assert answer == {"source": "cadastre", "file": str(page)}
    assert "Cadastral survey" in page.read_text(encoding="utf-8")

    refused = shell("report", "delivery", "--to", str(page), code=2)
    assert "delivery" in refused["error"]["found"]
    refused = shell("report", "one", "two", "three", "--to", str(page), code=2)
    assert refused["error"]["found"] == "one two three"
    refused = shell("report", "supplier", "nobody", "--to", str(page), code=2)
    assert "nobody" in refused["error"]["found"]
