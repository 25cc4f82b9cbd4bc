"""Questions as a table, and the findings made of them."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cityframe.core.agreement import Tolerance
from cityframe.model.question import QUESTION_COLUMNS, QuestionKind, question_id
from cityframe.reconcile.asking import Asker, concat_questions, empty_questions, two_best
from cityframe.reconcile.question_findings import QUESTION_RULES, question_findings
from cityframe.reconcile.records import Records

TOLERANCE = Tolerance.between(0.1, 0.1)
HOUSES = (
    {"uid": "U1", "code": "a", "name": "Bakery", "at": "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))"},
    {"uid": "U2", "code": "b", "name": None, "at": "POLYGON ((20 0, 30 0, 30 10, 20 10, 20 0))"},
)
HOUSE = {"code": "a", "name": "Butcher", "at": "POLYGON ((5 0, 15 0, 15 10, 5 10, 5 0))"}


def asker(desk: Any, *records: dict[str, Any]) -> Asker:
    read = Records.read(desk.incoming(*records), desk.layer, desk.feed)
    return Asker(read, desk.current(*HOUSES), "survey", "survey.1")


def links(*rows: tuple[int, int, float, int], kind: QuestionKind) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["incoming", "current", "score", "group"])
    return table.assign(kind=kind.value)


def test_a_question_names_both_candidates_and_what_speaks_for_each(polygons: Any) -> None:
    asked = asker(polygons, HOUSE).about_matches(
        links((0, 1, 0.2, 0), (0, 0, 0.6, 0), kind=QuestionKind.AMBIGUOUS)
    )
    assert tuple(asked.columns) == QUESTION_COLUMNS
    (one,) = asked.to_dict("records")
    assert (one["uid_1"], one["score_1"], one["uid_2"], one["score_2"]) == ("U1", 0.6, "U2", 0.2)
    assert (one["candidates"], one["proposed"], one["subject"]) == ("U1,U2", "same", "key a")
    evidence = json.loads(one["evidence"])
    assert evidence["distance_m_1"] == pytest.approx(5)
    assert evidence["distance_m_2"] == pytest.approx(15)
    assert evidence["overlap_share_1"] == pytest.approx(0.5)
    assert evidence["iou_1"] == pytest.approx(1 / 3, abs=1e-3)
    assert (evidence["equal_1"], evidence["differing_1"]) == ("code", "name")
    assert evidence["differing_2"] == "code,name"


def test_records_of_one_group_share_a_question_about_all_its_features(polygons: Any) -> None:
    other = {**HOUSE, "code": "c"}
    asked = asker(polygons, HOUSE, other).about_matches(
        links((0, 0, 0.4, 7), (1, 0, 0.5, 7), (1, 1, 0.3, 7), kind=QuestionKind.COMPLEX)
    )
    whole = question_id("things", "survey", ["key c", "key a"], QuestionKind.COMPLEX)
    assert asked["question"].tolist() == [whole, whole]
    assert set(asked["candidates"]) == {"U1,U2"}
    assert asked["uid_2"].tolist() == ["", "U2"]
    assert set(asked["proposed"]) == {"replaced"}
    assert "iou_2" in json.loads(asked["evidence"][1])


def test_groups_of_two_tables_are_not_mixed(polygons: Any) -> None:
    other = {**HOUSE, "code": "c"}
    asked = asker(polygons, HOUSE, other).about_matches(
        links((0, 0, 0.6, 0), kind=QuestionKind.UNCERTAIN),
        links((1, 1, 0.4, 0), kind=QuestionKind.UNCERTAIN),
    )
    assert asked["question"].is_unique
    assert asked["proposed"].tolist() == ["same", "other"]


def test_the_id_of_a_question_is_that_of_records_kind_layer_source_and_attribute() -> None:
    one = question_id("things", "survey", ["key a", "key b"], QuestionKind.COMPLEX)
    assert one == question_id("things", "survey", ("key b", "key a"), QuestionKind.COMPLEX)
    others = {
        question_id("roads", "survey", ["key a", "key b"], QuestionKind.COMPLEX),
        question_id("things", "register", ["key a", "key b"], QuestionKind.COMPLEX),
        question_id("things", "survey", ["key a"], QuestionKind.COMPLEX),
        question_id("things", "survey", ["key a", "key b"], QuestionKind.AMBIGUOUS),
        question_id("things", "survey", ["key a", "key b"], QuestionKind.COMPLEX, "name"),
    }
    assert len(others) == 5
    assert one not in others


def test_equally_good_candidates_come_by_uid_and_nothing_is_proposed(polygons: Any) -> None:
    asked = asker(polygons, HOUSE).about_matches(
        links((0, 1, 1.0, 0), (0, 0, 1.0, 0), kind=QuestionKind.AMBIGUOUS)
    )
    assert (asked["uid_1"][0], asked["uid_2"][0], asked["proposed"][0]) == ("U1", "U2", "")


def test_more_candidates_than_two_stand_in_the_list() -> None:
    pairs = pd.DataFrame(
        {"incoming": 3, "uid": ["z", "x", "y"], "score": [0.1, 0.9, 0.5], "kind": "ambiguous",
         "group": 0, "name_similarity": [0.0, 1.0, 0.7]}
    )  # fmt: skip
    (one,) = two_best(pairs).to_dict("records")
    assert (one["uid_1"], one["uid_2"], one["candidates"]) == ("x", "y", "x,y,z")
    assert (one["name_similarity_1"], one["name_similarity_2"]) == (1.0, 0.7)


def test_a_conflict_asks_about_one_attribute_of_one_feature(polygons: Any) -> None:
    said = pd.DataFrame(
        {"incoming": [0, 0], "uid": "U1", "attribute": ["name", "floors"], "digest": ["aa", "bb"],
         "current_value": ["Bakery", 2], "incoming_value": ["Butcher\nand more", 3]}
    )  # fmt: skip
    asked = asker(polygons, HOUSE).about_values(said)
    assert asked["question"].is_unique
    assert asked["subject"].tolist() == ["value U1 aa", "value U1 bb"]
    assert json.loads(asked["evidence"][0]) == {
        "current_value": "Bakery", "incoming_value": "Butcher\nand more",
    }  # fmt: skip
    assert asked["proposed"].tolist() == ["keep", "keep"]


def test_nothing_to_ask_is_an_empty_table(polygons: Any) -> None:
    ask = asker(polygons, HOUSE)
    nothing = links(kind=QuestionKind.COMPLEX)
    for asked in (ask.about_matches(nothing, nothing), ask.about_values(pd.DataFrame())):
        assert (len(asked), tuple(asked.columns)) == (0, QUESTION_COLUMNS)
        assert asked.crs == "EPSG:4547"
    assert len(question_findings(empty_questions(None), polygons.layer, "d", TOLERANCE)) == 0


def test_each_question_is_a_finding_that_names_it(polygons: Any) -> None:
    records = [{**HOUSE, "code": code} for code in "acdef"]
    ask = asker(polygons, *records)
    asked = concat_questions(
        [
            ask.about_far_ids(np.array([0]), np.array([1])),
            ask.about_matches(
                links((1, 0, 1.0, 0), (1, 1, 1.0, 0), kind=QuestionKind.AMBIGUOUS),
                links((2, 0, 0.55, 1), kind=QuestionKind.UNCERTAIN),
                links((3, 0, 0.4, 2), (4, 1, 0.4, 2), kind=QuestionKind.COMPLEX),
            ),
            ask.about_values(
                pd.DataFrame({"incoming": [4], "uid": "U1", "attribute": "name", "digest": "aa"})
            ),
        ],
        polygons.layer.crs,
    )
    found = question_findings(asked, polygons.layer, "survey.1", TOLERANCE)
    assert set(found["rule"]) == set(QUESTION_RULES.values())
    assert set(found["gate"]) == {"review"}
    by_record = asked.groupby("record")["question"].agg(set)
    for finding in found.to_dict("records"):
        question = finding["found"].rpartition("; question ")[2]
        assert question in by_record[finding["record"]]
        assert finding["found_zh"].endswith(question)
    texts = found.set_index("rule")["found"]
    assert texts["reconcile.implausible-match"].startswith(
        "the record lies 15 m away from feature U2 of the same id"
    )
    assert texts["reconcile.uncertain-match"].startswith("it resembles feature U1, score 0.55")
    assert set(texts["reconcile.complex-match"].str[:22]) == {"2 records and 2 featur"}
    assert found["finding_id"].is_unique
