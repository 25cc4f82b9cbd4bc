"""A layer without keys over three cycles: split, explained, packed, rolled back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.cli import main

WEST, SOUTH = 500000.0, 3.4e6


def box(west: float, east: float) -> shapely.Polygon:
    return shapely.box(WEST + west, SOUTH, WEST + east, SOUTH + 30)


def test_a_split_is_released_and_a_retired_uid_resolves(
    tmp_path: Path, declare: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    declare(tmp_path)
    schema = tmp_path / "schemas" / "parcels.yaml"
    text = schema.read_text("utf-8").replace("key: number\n", "reconcile: {split: retire}\n")
    schema.write_text(text.replace(", nullable: false", ""), "utf-8")
    source = tmp_path / "sources" / "cadastre.yaml"
    feed = "    columns: {}\n    id: OID\n    ignore: [DJH]\n    guards: {removed_min: 5}\n"
    source.write_text(source.read_text("utf-8").replace("    columns: {number: DJH}\n", feed))

    def call(*arguments: str) -> Any:
        assert main(["--workspace", str(tmp_path), "--output", "json", *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    def cycle(day: str, parcels: dict[int, shapely.Polygon]) -> None:
        frame = gpd.GeoDataFrame(
            {"DJH": "", "OID": list(parcels)}, geometry=list(parcels.values()), crs="EPSG:4547"
        )
        path = tmp_path / "parcels.gpkg"
        path.unlink(missing_ok=True)
        frame.to_file(path, driver="GPKG")
        call("pull", "cadastre", "--at", day)
        call("cycle", "run", "monthly", "--approve", "li", "--reason", "checked")

    cycle("2026-01-01", {1: box(0, 40), 2: box(60, 90)})
    west = {
        one["uid"]: shapely.from_wkt(call("history", one["uid"])["rows"][0]["geometry"]).bounds[0]
        for one in call("diff", "0", "1", "--features")["features"]
    }
    whole, other = sorted(west, key=lambda uid: west[uid])
    # the source numbers its records anew, so that nothing but shapes can tell
    cycle("2026-02-01", {11: box(0, 15), 12: box(15, 40), 13: box(60, 90)})
    changed = {
        one["uid"]: one["change"] for one in call("diff", "1", "2", "--features")["features"]
    }
    assert changed[whole] == "removed"
    assert other not in changed

    path = tmp_path / "store" / "cycles" / "monthly-0002" / "report" / "report.json"
    report = json.loads(path.read_text("utf-8"))["report"]
    (section,) = [one for one in report["sections"] if one["id"] == "lineage"]
    assert section["note"] == {"zh": "拆分 1 个要素。", "en": "1 features split."}
    assert sorted(row[4]["zh"] for row in section["rows"]) == ["37.5%", "62.5%"]

    led = call("history", whole)
    assert led["status"] == "succeeded"
    assert set(led["successors"]) == set(changed) - {whole}
    assert {(one["event"], round(one["share"], 3)) for one in led["descendants"]} == {
        ("split", 0.375), ("split", 0.625),
    }  # fmt: skip
    child = led["successors"][0]
    assert {one["parent"] for one in call("history", child)["ancestors"]} == {whole}

    # and by its new number the source means the same feature from now on
    cycle("2026-03-01", {11: box(0, 15), 12: box(15, 40), 13: box(62, 92)})
    (moved,) = call("diff", "2", "3", "--features")["features"]
    assert (moved["uid"], moved["change"]) == (other, "moved")
    assert call("history", other)["rows"][-1]["change"] == "moved"
    told = call("explain", other, "--release", "3")
    assert told["uid"] == other

    call("release", "rollback", "1", "--by", "li", "--reason", "the split was wrong")
    assert call("history", whole)["status"] == "current"
    call("fsck")
