"""Questions from a delivery to the answer, and the answer to the release and the next delivery."""

import dataclasses
import datetime as dt
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cityframe.errors import CityframeError, DeclarationError, GateClosedError
from cityframe.model.question import Action, Answer, QuestionKind
from cityframe.pipeline.accounts import ACCOUNT_FILE, Account, delivery_folder, write_account
from cityframe.pipeline.answering import (
    AnswerEffect,
    answer_question,
    take_in_again,
    withdraw_answer,
)
from cityframe.pipeline.cycle import stage, take_in
from cityframe.pipeline.delivery_report import write_delivery_report
from cityframe.pipeline.explaining import explain
from cityframe.pipeline.fsck import check_store
from cityframe.pipeline.plan import PLAN_FILE, Plan, open_cycle, read_plan
from cityframe.pipeline.pull import pull
from cityframe.pipeline.question_views import list_questions, show_question
from cityframe.pipeline.questions import (
    answer_statuses,
    as_body,
    constraints_of,
    first_stale,
    given_answers,
)
from cityframe.pipeline.reporting import cycle_report, findings_by_layer, report_folder
from cityframe.pipeline.review import approve, put_in_review
from cityframe.pipeline.staging import check_candidate
from cityframe.products.report import read_report
from cityframe.store.lineage import Resolution, Status

ROW = [(f"P{n:03d}", n, 0, "1") for n in range(6)]
FAR = ("P005", 60, 60, "1")
"""Its number is that of a parcel a kilometre away."""


def question_of(town: Any) -> str:
    (one,) = [one for one in list_questions(town.city) if one.status == "open"]
    return str(one.question)


def answer(town: Any, question: str, action: Action = Action.SAME, **more: Any) -> Any:
    return answer_question(town.city, question, action, **{"who": "li", "why": "seen", **more})


def uid_of(town: Any, number: str) -> str:
    city = town.city
    current = city.framework.current()
    rows = city.framework.as_of(city.workspace.layer("parcels"), current.number)
    return str(rows.loc[rows["number"] == number, "uid"].iloc[0])


def parcel_changes(town: Any, cycle: str) -> dict[str, int]:
    (found,) = [one for one in cycle_report(town.city, cycle).changes if one.layer == "parcels"]
    return dict(found.changes)


def place_of(town: Any, number: str) -> tuple[float, float]:
    city = town.city
    current = city.framework.current()
    rows = city.framework.as_of(city.workspace.layer("parcels"), current.number)
    (geometry,) = rows.loc[rows["number"] == number, "geometry"]
    return (geometry.bounds[0], geometry.bounds[1])


SECOND = [("P000", 0, 0, "2"), *ROW[1:-1], FAR]
THIRD = [*ROW[:-1], FAR]


@pytest.fixture(scope="module")
def shared(shared_town: Any) -> Any:
    """Return a town with one release, and a cycle in review that asks about one parcel."""
    with (shared_town.root / "cycles" / "monthly.yaml").open("a", encoding="utf-8") as file:
        file.write("packages: {full: false, change: false}\n")
    shared_town.deliver_parcels(ROW)
    shared_town.run()
    shared_town.deliver_parcels(SECOND, at="2026-02-01")
    shared_town.run(approve=False)
    return shared_town


@pytest.fixture
def asked(shared: Any, tmp_path: Path) -> Any:
    """Return a copy of the town that a test may change."""
    root = tmp_path / "town"
    shutil.copytree(shared.root, root)
    return dataclasses.replace(shared, root=root)


def test_a_question_says_what_is_asked_and_what_speaks_for_it(shared: Any) -> None:
    (listed,) = list_questions(shared.city, layer="parcels")
    assert (listed.kind, listed.status, listed.records) == ("implausible", "open", 1)
    assert (listed.cycle, listed.since) == ("monthly-0002", "monthly-0002")
    shown = show_question(shared.city, listed.question[:4])
    assert shown["actions"] == ["same", "other"]
    (record,) = shown["asked"]
    assert (record["subject"], record["source_key"]) == ("key P005", "P005")
    assert record["attributes"]["number"] == "P005"
    assert record["place"]["crs"] == "EPSG:4547"
    assert (record["place"]["x"], record["place"]["y"]) == (501210, 3401210)
    assert record["place"]["longitude"] == pytest.approx(114.01, abs=0.01)
    (candidate,) = record["candidates"]
    assert candidate["uid"] == uid_of(shared, "P005")
    assert candidate["attributes"]["number"] == "P005"
    assert candidate["evidence"]["distance_m"] > 1000
    assert candidate["evidence"]["overlap_share"] == 0
    found = findings_by_layer(shared.city, "monthly-0002")["parcels"]
    assert found["found"].str.endswith(f"question {listed.question}").any()


def test_reports_of_cycle_and_delivery_list_the_question(shared: Any, tmp_path: Any) -> None:
    question = question_of(shared)
    (delivery,) = read_plan(shared.city, "monthly-0002").deliveries
    write_delivery_report(shared.city, delivery, tmp_path / "report")
    reports = [cycle_report(shared.city, "monthly-0002")]
    reports.append(read_report((tmp_path / "report" / "report.json").read_bytes()).report)
    for report in reports:
        (section,) = [one for one in report.sections if one.id == "questions"]
        (row,) = section.rows
        assert (row[0].en, row[1].en) == (question, "the same id, elsewhere")
        assert (row[1].zh, row[3].zh, row[7].zh) == ("同号而位置不合理", "P005", "不是候选要素")


def test_an_answer_takes_the_delivery_in_again_and_holds_for_later_ones(asked: Any) -> None:
    city, question, uid = asked.city, question_of(asked), uid_of(asked, "P005")
    before = (report_folder(city, "monthly-0002") / "report.json").read_bytes()
    done = answer(asked, question[:5], uid=uid[:12])
    assert (done.effect, done.cycles) == (AnswerEffect.REVIEWED, ("monthly-0002",))
    assert (report_folder(city, "monthly-0002") / "report.json").read_bytes() != before
    assert [one.status for one in list_questions(city)] == ["answered"]
    report = cycle_report(city, "monthly-0002")
    assert "questions" not in [section.id for section in report.sections]
    (section,) = [one for one in report.sections if one.id == "answers"]
    assert [cell.en for cell in section.rows[0][:5]] == [question, "the same", uid, "seen", "li"]
    assert parcel_changes(asked, "monthly-0002") == {"attributes": 1, "moved": 1}
    assert asked.run().release == 2
    assert place_of(asked, "P005") == (501200, 3401200)
    assert uid_of(asked, "P005") == uid
    # home again, a kilometre away, under the same number
    asked.deliver_parcels(ROW, at="2026-03-01")
    assert asked.run().release == 3
    for number in (2, 3):
        assert city.framework.release(number).evidence["answers"] == [as_body(done.answer)]
    assert not [one for one in list_questions(city) if one.status == "open"]
    assert [(one.status, one.why) for one in answer_statuses(city)] == [("standing", "")]
    assert check_store(city).damages == ()


def test_another_than_all_candidates_is_new_and_the_feature_goes(asked: Any) -> None:
    uid = uid_of(asked, "P005")
    answer(asked, question_of(asked), Action.OTHER)
    assert asked.run().release == 2
    assert uid_of(asked, "P005") != uid
    assert place_of(asked, "P005") == (501200, 3401200)
    (told,) = explain(asked.city, uid).answers
    assert (told["action"], told["who"]) == ("other", "li")


def test_an_open_question_comes_again_and_its_answer_then_counts_from_the_next_delivery(
    asked: Any,
) -> None:
    city, question = asked.city, question_of(asked)
    assert asked.run().release == 2
    asked.deliver_parcels(THIRD, at="2026-03-01")
    assert asked.run().release == 3
    (again,) = list_questions(city)
    assert (again.question, again.cycle, again.since) == (question, "monthly-0003", "monthly-0002")
    assert [one.question for one in list_questions(city, of="monthly-0002")] == [question]
    done = answer(asked, question, uid=uid_of(asked, "P005"))
    assert (done.effect, done.cycles) == (AnswerEffect.NEXT_INTAKE, ())
    assert [one.status for one in list_questions(city)] == ["answered"]
    asked.deliver_parcels(SECOND, at="2026-04-01")
    # an answer given once a cycle has taken the delivery in is obeyed in it
    withdraw_answer(city, question, who="li", why="look again")
    cycle = open_cycle(city, "monthly")
    assert cycle is not None
    take_in(city, cycle, "cadastre")
    done = answer(asked, question, uid=uid_of(asked, "P005"))
    assert (done.effect, done.cycles) == (AnswerEffect.TAKEN_IN, (cycle,))
    assert first_stale(city, cycle) is None
    stage(city, cycle)
    check_candidate(city, cycle)
    put_in_review(city, cycle)
    assert parcel_changes(asked, cycle) == {"attributes": 1, "moved": 1}


def test_after_an_answer_the_same_bytes_come_in_once_more(asked: Any) -> None:
    city, question, uid = asked.city, question_of(asked), uid_of(asked, "P005")
    at = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert asked.run().release == 2
    assert not pull(city, "cadastre", at=at).is_new
    answer(asked, question, uid=uid)
    again = pull(city, "cadastre", at=at)
    assert (again.is_new, again.reason) == (
        True,
        "landed again, for a question about it was answered",
    )
    assert asked.run().release == 3
    assert (uid_of(asked, "P005"), place_of(asked, "P005")) == (uid, (501200, 3401200))
    assert not pull(city, "cadastre", at=at).is_new


def test_a_withdrawn_answer_asks_again(asked: Any) -> None:
    question, uid = question_of(asked), uid_of(asked, "P005")
    given = answer(asked, question, uid=uid).answer
    taken = withdraw_answer(asked.city, question[:6], who="li", why="mistake")
    assert (taken.answer, taken.effect) == (given, AnswerEffect.REVIEWED)
    assert question_of(asked) == question
    assert [one.status for one in answer_statuses(asked.city)] == ["withdrawn"]
    with pytest.raises(DeclarationError, match="no such one"):
        withdraw_answer(asked.city, question, who="li", why="again")
    other = answer(asked, question, Action.OTHER).answer
    assert other.id != given.id
    assert given_answers(asked.city, "cadastre") == (other,)


@pytest.mark.parametrize("killed_at", ["take_in", "stage"])
def test_nobody_approves_over_a_report_without_the_answer(asked: Any, killed_at: str) -> None:
    question, uid = question_of(asked), uid_of(asked, "P005")

    def killed(*_: Any) -> None:
        message = "killed"
        raise RuntimeError(message)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(f"cityframe.pipeline.answering.{killed_at}", killed)
        with pytest.raises(RuntimeError, match="killed"):
            answer(asked, question, uid=uid)
    with pytest.raises(GateClosedError):
        approve(asked.city, "monthly-0002", who="li", why="ok")
    again = asked.run()
    assert (again.state, again.release) == ("in-review", None)
    assert asked.run().release == 2
    assert place_of(asked, "P005") == (501200, 3401200)


def test_a_review_is_refused_of_what_was_taken_in_with_other_answers(asked: Any) -> None:
    city, question = asked.city, question_of(asked)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("cityframe.pipeline.answering.take_in_again", lambda *_: False)
        answer(asked, question, uid=uid_of(asked, "P005"))
    with pytest.raises(GateClosedError, match="taken in with other answers"):
        put_in_review(city, "monthly-0002")
    with pytest.raises(GateClosedError, match="run the cycle again"):
        approve(city, "monthly-0002", who="li", why="ok")


def test_what_came_after_a_stale_delivery_goes_first_and_all_is_taken_in_again(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    city, plan = town.city, ("cadastre.1", "cadastre.2", "registry.1")
    body = asdict(Plan("c", "monthly", "", 0, plan, {}, (), ""))
    city.ledger.append("frozen", "c", {"plan": body}, who="li", at=town.moment("2026-01-01"))
    given = as_body(given_answer(Action.SAME, "U1"))
    city.ledger.append("answered", given["id"], given, who="li", at=town.moment("2026-01-01"))
    city.cycle_folder("c").mkdir(parents=True)
    (city.cycle_folder("c") / PLAN_FILE).write_text(json.dumps(body), encoding="utf-8")
    files = [delivery_folder(city, "c", one) / ACCOUNT_FILE for one in plan]
    for file, name, answers in zip(files, plan, ((given["id"],), (), ()), strict=True):
        write_account(file, Account(name, (), (), (), (), answers=answers))
    removed: list[Path] = []
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda one: (removed.append(one), unlink(one)))
    taken: list[str] = []
    monkeypatch.setattr(
        "cityframe.pipeline.answering.take_in", lambda _, __, source: taken.append(source)
    )
    assert first_stale(city, "c") == 1
    assert take_in_again(city, "c")
    assert (removed, taken) == ([files[2], files[1]], ["cadastre", "registry"])
    assert not take_in_again(city, "c")


def given_answer(action: Action, *uids: str) -> Answer:
    return Answer(
        id=f"{action}-{'-'.join(uids)}",
        question="feedfeedfeed",
        kind=QuestionKind.AMBIGUOUS,
        layer="parcels",
        source="cadastre",
        action=action,
        subjects=("key P001",),
        subject="key P001" if action is Action.SAME else "",
        uids=uids,
        attribute="",
        who="li",
        at="2026-01-01T00:00:00+00:00",
        why="seen",
        cycle="monthly-0001",
    )


def resolved(framework: object, uid: str) -> Resolution:
    """Lead U1 to U9, U2 to two others, U3 to nothing; know no others."""
    led = {"U1": ("U9",), "U2": ("U7", "U8"), "U3": ()}
    if uid not in led:
        raise DeclarationError(found=f"no feature {uid!r}")
    return Resolution("parcels", uid, Status.SUCCEEDED, led[uid], ())


def test_an_answer_follows_its_feature_to_one_successor_and_is_void_without(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cityframe.pipeline.questions.resolve", resolved)
    city, there = asked.city, pd.Series(["U4", "U9"])
    for uid, expected in (("U1", "U9"), ("U4", "U4"), ("U5", "U5"), ("U2", None), ("U3", None)):
        found = constraints_of(city, [given_answer(Action.SAME, uid)], "parcels", there)
        assert found.must_link.get("key P001") == expected
    other = constraints_of(city, [given_answer(Action.OTHER, "U1", "U3")], "parcels", there)
    assert other.cannot_link == {("key P001", "U9")}
    assert not constraints_of(city, [given_answer(Action.SAME, "U4")], "addresses", there)
    for one in (Action.SAME, "U1"), (Action.SAME, "U2"), (Action.OTHER, "U2", "U3"):
        body = as_body(given_answer(*one))
        city.ledger.append("answered", body["id"], body, who="li", at=asked.moment("2026-01-01"))
    assert [(one.status, one.why) for one in answer_statuses(city)] == [
        ("standing", ""),
        ("void", "U2 ended; in its place are U7, U8"),
        ("void", "U2, U3 ended; in its place are U7, U8"),
    ]


@pytest.mark.parametrize(
    ("more", "error", "found"),
    [
        ({"question": "zz"}, DeclarationError, "no such one"),
        ({"question": ""}, DeclarationError, "no such one"),
        ({"who": "wang"}, GateClosedError, "who approves no cycle"),
        ({"why": " "}, GateClosedError, "no reason"),
        ({"action": Action.TAKE}, DeclarationError, "take for a question of kind implausible"),
        ({"action": Action.REPLACED}, DeclarationError, "one of same, other"),
        ({"action": Action.SAME}, DeclarationError, "no feature"),
        ({"action": Action.SAME, "uid": "nobody"}, DeclarationError, "feature 'nobody'"),
        ({"action": Action.SAME, "uid": "*", "record": 4}, DeclarationError, "no record 4"),
        ({"action": Action.OTHER, "uid": "x"}, DeclarationError, "with a feature or a record"),
    ],
)
def test_an_answer_that_can_not_be_given_says_why(
    shared: Any, more: dict[str, Any], error: type[CityframeError], found: str
) -> None:
    given = {"question": question_of(shared), "action": Action.OTHER, **more}
    if given.get("uid") == "*":
        given["uid"] = uid_of(shared, "P005")
    with pytest.raises(error, match=found):
        answer(shared, **given)
    assert not list(answer_statuses(shared.city))


def test_a_question_is_answered_once_by_a_feature_that_the_layer_has(asked: Any) -> None:
    question = question_of(asked)
    # no candidate, but there
    given = answer(asked, question, uid=uid_of(asked, "P000")).answer
    assert given.uids == (uid_of(asked, "P000"),)
    with pytest.raises(DeclarationError, match="answered `same` by li"):
        answer(asked, question, Action.OTHER)
