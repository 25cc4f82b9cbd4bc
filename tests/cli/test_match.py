"""``cityframe match train`` as it is called."""

import json

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cityframe.cli import main
from cityframe.core.matching.learned import read_scorer

pytest.importorskip("sklearn", reason="the extra learned is not installed")


@pytest.fixture
def call(tmp_path):
    """Return a function that trains on two surveys of two places."""
    number = pd.Series(range(80))
    west = number // 40 * 5000.0 + number % 40 * 30
    gone = number % 2 * 13.0
    for name, away in (("old", 0.0), ("new", gone)):
        geometry = shapely.box(west + away, 0, west + away + 10, 10)
        frame = {"id": name + number.astype("str"), "place": (number // 40).astype("str")}
        gpd.GeoDataFrame(frame, geometry=geometry, crs="EPSG:4547").to_file(
            tmp_path / "houses.gpkg", layer=name
        )
    pairs = {"id_existing": "old" + number.astype("str"), "id_new": "new" + number.astype("str")}
    pd.DataFrame({**pairs, "match": gone == 0}).to_csv(tmp_path / "pairs.csv", index=False)

    def train(*more: str) -> int:
        return main(
            [
                "match", "train", "--pairs", str(tmp_path / "pairs.csv"),
                "--before", f"{tmp_path}/houses.gpkg:old", "--after", f"{tmp_path}/houses.gpkg:new",
                "--id", "id", "--place", "place", "--out", str(tmp_path / "models/houses.json"),
                *more,
            ]
        )  # fmt: skip

    return train


def test_a_model_is_written_and_its_figures_are_told(call, tmp_path, capsys):
    assert call("--output", "json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["record"]["pairs"]["count"] == 80
    assert set(body["record"]["figures_on_other_places"]) == {
        "precision", "recall", "f1", "questions", "errors_outside_questions",
    }  # fmt: skip
    assert read_scorer(tmp_path / "models/houses.json").record == body["record"]


def test_a_call_that_is_wrong_says_how_to_mend_it(call, tmp_path, capsys):
    assert call("--before", f"{tmp_path}/houses.gpkg:old") == 2
    assert "2 and 1 files" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_an_accuracy_is_a_length(call, capsys):
    with pytest.raises(SystemExit):
        call("--accuracy", "-1")
    assert "no length in metres" in capsys.readouterr().err
