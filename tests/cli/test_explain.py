"""``cityframe explain``: facts as JSON, sentences in two languages, errors that name the remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.cli import main


def test_a_feature_is_explained_in_words_and_as_json(
    tmp_path: Path, declare: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    declare(tmp_path)
    frame = gpd.GeoDataFrame(
        {"DJH": ["P1"]}, geometry=[shapely.box(500000, 3.4e6, 500020, 3.40002e6)], crs="EPSG:4547"
    )
    frame.to_file(tmp_path / "parcels.gpkg", driver="GPKG")

    def call(*arguments: str, code: int = 0) -> str:
        assert main(["--workspace", str(tmp_path), *arguments]) == code
        return capsys.readouterr().out

    def facts(*arguments: str, code: int = 0) -> Any:
        return json.loads(call("--output", "json", *arguments, code=code))

    call("pull", "cadastre", "--at", "2026-01-01")
    call("cycle", "run", "monthly", "--approve", "li", "--reason", "checked")
    (feature,) = facts("diff", "0", "1", "--features")["features"]
    found = facts("explain", feature["uid"], "--release", "1")
    assert (found["layer"], found["key"], found["presence"]) == ("parcels", "P1", "there")
    assert found["state"]["delivery"].startswith("cadastre.")
    chinese = call("explain", feature["uid"])
    assert chinese.startswith("宗地（编号 P1）")
    english = call("explain", feature["uid"], "--language", "en")
    assert "li approved release 1 on" in english
    assert "Cadastral survey (delivery cadastre." in english
    assert "no feature 'U0'" in facts("explain", "U0", code=2)["error"]["found"]
    assert facts("explain", feature["uid"], "--release", "7", code=2)["error"]["exit_code"] == 2
