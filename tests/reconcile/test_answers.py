"""Answers as constraints on matches."""

import dataclasses
from typing import Any

import pandas as pd
import pytest

from cityframe.model.question import Action, Answer, QuestionKind, question_id, subject_of_value
from cityframe.reconcile.answers import NO_CONSTRAINTS, Constraints

ONE = Answer(
    id="a1",
    question="q1",
    kind=QuestionKind.AMBIGUOUS,
    layer="things",
    source="survey",
    action=Action.SAME,
    subjects=("key a",),
    subject="key a",
    uids=("U1",),
    attribute="",
    who="li",
    at="2026-01-01T00:00:00+00:00",
    why="seen",
    cycle="monthly-0001",
)


def of(*answers: Answer) -> Constraints:
    return Constraints.of(answers, "things", "survey")


def answer(**more: Any) -> Answer:
    return dataclasses.replace(ONE, **more)


def test_same_links_the_record_to_its_feature() -> None:
    subjects = pd.Series(["key b", "key a"], index=[7, 8])
    linked = of(ONE).must_linked(subjects)
    assert linked.isna().tolist() == [True, False]
    assert linked[8] == "U1"
    assert NO_CONSTRAINTS.must_linked(subjects).isna().all()


def test_in_a_group_the_other_records_are_not_the_feature() -> None:
    found = of(answer(subjects=("key a", "key b"), kind=QuestionKind.COMPLEX))
    assert dict(found.must_link) == {"key a": "U1"}
    pairs = pd.Series(["key a", "key b", "key b"]), pd.Series(["U1", "U1", "U2"])
    assert found.is_forbidden(*pairs).tolist() == [False, True, False]


def test_other_forbids_every_record_every_candidate() -> None:
    found = of(
        answer(action=Action.OTHER, subject="", subjects=("key a", "key b"), uids=("U1", "U2"))
    )
    assert not found.must_link
    pairs = pd.Series(["key a", "key b", "key b"]), pd.Series(["U2", "U1", "U3"])
    assert found.is_forbidden(*pairs).tolist() == [True, True, False]
    assert not NO_CONSTRAINTS.is_forbidden(*pairs).any()


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_answers_about_a_pair_the_later_one_counts(is_first: bool) -> None:
    two = [ONE, answer(id="a2", action=Action.OTHER, subject="")]
    found = of(*(two if is_first else two[::-1]))
    forbidden = found.is_forbidden(pd.Series(["key a"]), pd.Series(["U1"])).tolist()
    assert (dict(found.must_link), forbidden) == (
        ({}, [True]) if is_first else ({"key a": "U1"}, [False])
    )


def test_replaced_names_the_question_by_its_records() -> None:
    subjects = ("key a", "key b")
    question = question_id("things", "survey", subjects, QuestionKind.COMPLEX)
    found = of(
        answer(question=question, action=Action.REPLACED, subjects=subjects, uids=("U1", "U2"))
    )
    assert found.is_replaced("things", "survey", ["key b", "key a"])
    assert not found.is_replaced("things", "survey", ["key b"])
    assert not found.must_link
    assert not found.cannot_link


def test_a_value_is_decided_for_what_was_said_only() -> None:
    found = of(
        answer(
            kind=QuestionKind.CONFLICT,
            action=Action.TAKE,
            attribute="name",
            subject="",
            subjects=(subject_of_value("U0", "aa"),),
        )
    )
    # the feature is U1 by now
    assert dict(found.values) == {("U1", "name", "aa"): (Action.TAKE, "li")}
    assert not found.must_link
    assert found.taking_part([], [("U1", "name", "aa"), ("U1", "name", "bb")]) == ("a1",)


def test_answers_about_another_layer_or_source_do_not_count() -> None:
    assert not of(answer(layer="roads"), answer(source="register"))
    assert of(ONE)


def test_the_answers_that_take_part_are_those_about_the_records_there() -> None:
    found = of(
        ONE, answer(id="a0", subjects=("key a", "key c")), answer(id="a9", subjects=("id 9",))
    )
    assert found.taking_part(["key a", "key z"]) == ("a0", "a1")
    assert NO_CONSTRAINTS.taking_part(["key a"]) == ()
