"""A scorer is trained from judged pairs, and tested on places that it was not trained on."""

import datetime as dt

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.matching.learned import read_scorer
from cityframe.core.matching.polygons import match_polygons
from cityframe.errors import DeclarationError
from cityframe.pipeline.judged_pairs import Judged, Side, judged_pairs, read_pairs, read_side
from cityframe.pipeline.match_training import file_digest, fit, held_out, train, write_scorer

pytest.importorskip("sklearn", reason="the extra learned is not installed")

IMAGERY = Tolerance.between(2.0, 2.0)
DATE = dt.date(2026, 1, 31)
PLACES, HOUSES = 4, 40


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two surveys of houses in a few places, half of them gone, and what people said of them."""
    folder = tmp_path_factory.mktemp("judged")
    random = np.random.default_rng(1)
    number = np.arange(PLACES * HOUSES)
    place = number // HOUSES
    west, south = place * 5000.0 + number % 8 * 30, number % HOUSES // 8 * 30.0
    before = shapely.box(west, south, west + random.uniform(8, 14, len(number)), south + 10)
    away = np.where(number % 2 == 0, 0.0, 13.0) + random.normal(0, 0.3, len(number))
    after = shapely.transform(before, lambda xy: xy + np.repeat(away, 5)[:, None] * [1.0, 0.0])
    for name, geometry in (("old", before), ("new", after)):
        frame = gpd.GeoDataFrame(
            {"id": [f"{name}{one}" for one in number], "place": [f"p{one}" for one in place]},
            geometry=geometry,
            crs="EPSG:4547",
        )
        frame.to_file(folder / "houses.gpkg", layer=name)
    judged = pd.DataFrame(
        {
            "id_existing": [f"old{one}" for one in number],
            "id_new": [f"new{one}" for one in number],
            "match": number % 2 == 0,
        }
    )
    judged.to_csv(folder / "pairs.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def survey(files) -> tuple[Side, Side]:
    return tuple(read_side(f"{files}/houses.gpkg:{name}", "id", "place") for name in ("old", "new"))


@pytest.fixture(scope="module")
def judged(files, survey) -> Judged:
    return judged_pairs(read_pairs(files / "pairs.csv"), [survey], IMAGERY)


def test_a_trained_scorer_tells_pairs_and_keeps_its_record(files, judged, survey, tmp_path):
    training = train(judged, IMAGERY, digest=file_digest(files / "pairs.csv"), date=DATE)
    assert training.figures["f1"] >= 0.98
    write_scorer(training.scorer, tmp_path / "models" / "houses.json")
    scorer = read_scorer(tmp_path / "models" / "houses.json")
    record = scorer.record
    assert record["date"] == "2026-01-31"
    assert record["places"] == ["p0", "p1", "p2", "p3"]
    assert record["pairs"] == {
        "digest": file_digest(files / "pairs.csv"),
        "count": PLACES * HOUSES,
        "matches": PLACES * HOUSES // 2,
        "within_reach": int(judged.pairs["is_near"].sum()),
        "left_out": 0,
    }
    assert record["figures_on_other_places"] == training.figures
    links = match_polygons(*(side.geometry for side in survey), IMAGERY, scorer=scorer).links
    is_right = (links["before"] == links["after"]) & (links["before"] % 2 == 0)
    assert is_right[links["is_sure"]].all()
    assert is_right.sum() >= 0.95 * PLACES * HOUSES // 2


def test_the_same_pairs_give_the_same_model(judged):
    one, other = (fit(judged.pairs, {}) for _ in range(2))
    assert one.document() == other.document()


def test_no_place_is_scored_by_what_it_taught(judged):
    seen = np.zeros(len(judged.pairs), dtype=int)
    for _, rows in held_out(judged.pairs):
        seen += rows
        inside = set(judged.pairs["place"][rows])
        assert not inside & set(judged.pairs["place"][~rows])
    assert (seen == 1).all()


def test_pairs_beyond_reach_stay_judged_without_features(files, survey):
    pairs = read_pairs(files / "pairs.csv")
    pairs.loc[0, "id_new"] = "new159"
    pairs.loc[0, "match"] = False
    judged = judged_pairs(pairs, [survey], IMAGERY).pairs
    assert not judged.loc[0, "is_near"]
    assert np.isnan(judged.loc[0, "distance_m"])
    assert judged["is_near"].sum() > 0


def test_unknown_ids_are_refused_or_left_out_and_counted(files, survey):
    pairs = read_pairs(files / "pairs.csv")
    pairs.loc[3, "id_new"] = "moon"
    with pytest.raises(DeclarationError, match=r"1 pairs .*: moon.*--skip-unknown"):
        judged_pairs(pairs, [survey], IMAGERY)
    assert judged_pairs(pairs, [survey], IMAGERY, skip_unknown=True).left_out == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: pairs[pairs["match"]], "80 pairs, all a match"),
        (lambda pairs: pairs[~pairs["match"]], "80 pairs, none a match"),
        (lambda pairs: pairs[:HOUSES], "one place"),
        (lambda pairs: pairs[:0], "0 pairs"),
    ],
)
def test_pairs_that_teach_nothing_are_refused(files, survey, change, message):
    with pytest.raises(DeclarationError, match=message):
        judged_pairs(change(read_pairs(files / "pairs.csv")), [survey], IMAGERY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id_existing,match\na,True\n", r"no column id_new"),
        ("id_existing,id_new,match\na,b,true\na,c,maybe\n", r"csv:3: match is 'maybe'"),
        ("", "EmptyDataError"),
    ],
)
def test_a_table_of_pairs_that_says_something_else_is_refused(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(DeclarationError, match=message):
        read_pairs(path)


def test_pairs_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(DeclarationError, match="FileNotFoundError"):
        read_pairs(tmp_path / "none.csv")


def test_a_survey_without_the_column_is_refused(files):
    with pytest.raises(DeclarationError, match="no column number, expected one of id, place"):
        read_side(f"{files}/houses.gpkg:old", "number", "place")


def test_a_survey_whose_ids_stand_twice_is_refused(files):
    with pytest.raises(DeclarationError, match="stand twice: p0"):
        read_side(f"{files}/houses.gpkg:old", "place", "id")


def test_a_survey_in_degrees_is_refused(files, tmp_path):
    frame = gpd.read_file(files / "houses.gpkg", layer="old").to_crs("EPSG:4490")
    frame.to_file(tmp_path / "degrees.gpkg")
    with pytest.raises(DeclarationError, match="a projected CRS in metres"):
        read_side(str(tmp_path / "degrees.gpkg"), "id", "place")


def test_surveys_in_two_systems_are_refused(files, survey, tmp_path):
    frame = gpd.read_file(files / "houses.gpkg", layer="new").to_crs("EPSG:4548")
    frame.to_file(tmp_path / "other.gpkg")
    other = read_side(str(tmp_path / "other.gpkg"), "id", "place")
    with pytest.raises(DeclarationError, match="one CRS"):
        judged_pairs(read_pairs(files / "pairs.csv"), [(survey[0], other)], IMAGERY)
