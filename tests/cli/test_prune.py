"""``cityframe prune`` as other programs call it."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.cli import main
from cityframe.pipeline import retention


class Shell:
    """Runs commands in a workspace and reads what they print."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        assert main(["--workspace", str(self.root), "--output", "json", *arguments]) == code
        return json.loads(self._capsys.readouterr().out)

    def text(self, *arguments: str) -> str:
        assert main(["--workspace", str(self.root), *arguments]) == 0
        return self._capsys.readouterr().out

    def release(self, number: int) -> str:
        """Deliver one parcel, release it and return the delivery."""
        place = 3.4e6 + 20 * number
        frame = gpd.GeoDataFrame(
            {"DJH": [f"P{number}"]},
            geometry=[shapely.box(500000, place, 500020, place + 20)],
            crs="EPSG:4547",
        )
        path = self.root / "parcels.gpkg"
        path.unlink(missing_ok=True)
        frame.to_file(path, driver="GPKG")
        landed = self("pull", "cadastre", "--at", f"2026-01-0{number}")
        self("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
        return str(landed["delivery"])


@pytest.fixture
def shell(
    tmp_path: Path, declare: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> Shell:
    declare(tmp_path, {"cityframe.yaml": "retention: {landed_days: 2, candidate_days: 1}\n"})
    source = tmp_path / "sources" / "cadastre.yaml"
    text = source.read_text(encoding="utf-8")
    # each delivery has one parcel of its own
    source.write_text(text.replace("delivery: full", "delivery: partial"), encoding="utf-8")
    return Shell(tmp_path, capsys)


def days_ahead(days: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def test_it_lists_then_prunes_then_has_nothing_left(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shell.release(1), shell.release(2)
    assert shell("prune") == {"dry_run": False, "bytes": 0, "items": []}
    assert shell.text("prune") == "nothing to prune\n"

    ahead = days_ahead(3).isoformat()
    listed = shell("prune", "--dry-run", "--at", ahead)
    assert listed["dry_run"]
    assert [(one["part"], one["cycle"], one["delivery"]) for one in listed["items"]] == [
        ("landed", "", first), ("candidate", "monthly-0001", ""), ("candidate", "monthly-0002", ""),
    ]  # fmt: skip
    assert listed["bytes"] == sum(one["bytes"] for one in listed["items"]) > 0
    text = shell.text("prune", "--dry-run", "--at", ahead)
    assert first in text
    assert f"{listed['bytes']} bytes would be freed" in text
    refused = shell("prune", "--at", ahead, code=2)
    assert "is to come" in refused["error"]["found"]
    assert shell("prune", "--dry-run", "--at", ahead) == listed

    monkeypatch.setattr(retention, "now", lambda: days_ahead(3))
    # the command counts ages at the present moment unless it is told another
    assert shell("prune") == {**listed, "dry_run": False}
    assert shell("prune")["items"] == []
    failed = shell("report", "1", "--to", str(shell.root / "report.json"), code=2)
    assert failed["error"]["type"] == "PrunedError"
    assert "retention: landed_days 2, candidate_days 1" in failed["error"]["found"]
    assert shell("pull", "cadastre", "--at", "2026-01-05")["delivery"] == second


def test_named_deliveries_go_by_order_of_an_approver(shell: Shell) -> None:
    first = shell.release(1)
    shell.release(2)
    order = ("prune", "--delivery", first, "--by", "li", "--reason", "order 7")
    listed = shell(*order, "--dry-run")
    assert [one["part"] for one in listed["items"]] == ["landed", "candidate", "working"]
    refused = shell("prune", "--delivery", first, "--by", "wang", "--reason", "order 7", code=4)
    assert "approves no cycle" in refused["error"]["found"]
    refused = shell("prune", "--delivery", first, "--by", "li", code=4)
    assert refused["error"]["found"] == "no reason"
    assert shell(*order) == {**listed, "dry_run": False}
    assert shell("release", "show", "1")["release"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--delivery", "a.0123456789abcdef", "--at", "2026-01-01"), "--delivery with --at"),
        (("--reason", "x"), "--reason without --delivery"),
        (("--delivery", "a.0123456789abcdef", "--dry-run"), "no delivery 'a.0123456789abcdef'"),
    ],
)
def test_calls_that_make_no_sense_end_with_2(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    assert shell("prune", *arguments, code=2)["error"]["found"] == said
