"""``cityframe question list|show|answer``: what reconciliation could not decide."""

import argparse
import math
from typing import Any

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.errors import DeclarationError
from cityframe.model.question import EVIDENCE, KIND_TITLES, Action
from cityframe.pipeline.answering import AnswerEffect, answer_question, withdraw_answer
from cityframe.pipeline.city import open_city, operator
from cityframe.pipeline.question_views import (
    OPEN,
    ListedQuestion,
    as_json,
    list_questions,
    show_question,
)
from cityframe.pipeline.questions import as_body

_EFFECTS = {
    AnswerEffect.REVIEWED: "the deliveries were taken in again and the cycle was put in review "
    "again: look at the new report",
    AnswerEffect.TAKEN_IN: "the deliveries were taken in again; go on with `cityframe cycle run`",
    AnswerEffect.NEXT_INTAKE: "it counts when the record comes again; the same delivery may "
    "be pulled once more",
}


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("question", help="list, show and answer questions")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    list_parser = verbs.add_parser("list", parents=[common], help="those that are open, answered")
    list_parser.add_argument("--cycle", metavar="CYCLE", default="", help="or a series")
    list_parser.add_argument("--layer", metavar="LAYER", default="")
    status = list_parser.add_mutually_exclusive_group()
    status.add_argument("--open", action="store_true", help="only those that are open")
    status.add_argument("--answered", action="store_true", help="only those that were answered")
    list_parser.set_defaults(run=list_them)
    show_parser = verbs.add_parser(
        "show", parents=[common], help="one with its evidence and candidates, side by side"
    )
    show_parser.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    show_parser.set_defaults(run=show)
    answer_parser = verbs.add_parser("answer", parents=[common], help="answer one, or take it back")
    answer_parser.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    answer_parser.add_argument(
        "action", choices=[one.value for one in Action], nargs="?", help="as `show` tells"
    )
    answer_parser.add_argument("uid", metavar="UID", nargs="?", default="", help="of `same`")
    answer_parser.add_argument(
        "--record", type=int, metavar="NUMBER", help="of `same`, among several records"
    )
    answer_parser.add_argument("--withdraw", action="store_true", help="take the answer back")
    answer_parser.add_argument("--by", metavar="NAME", default=operator())
    answer_parser.add_argument("--reason", metavar="TEXT", required=True)
    answer_parser.set_defaults(run=answer)


def list_them(options: argparse.Namespace) -> Answer:
    """List the questions."""
    found = [
        one
        for one in list_questions(
            open_city(options.workspace), of=options.cycle, layer=options.layer
        )
        if not (options.open and one.status != OPEN)
        and not (options.answered and one.status == OPEN)
    ]
    header = ("question", "status", "kind", "layer", "records", "candidates", "proposed", "since")
    text = table([_row(one) for one in found], header) if found else "no question"
    return Answer({"questions": [as_json(one) for one in found]}, text)


def show(options: argparse.Namespace) -> Answer:
    """Show one question."""
    found = show_question(open_city(options.workspace), options.id)
    asked = f"asked in {found['cycle']}, since {found['since']}"
    lines = [
        f"{found['question']}: {found['title']['en']} ({found['kind']}), {found['status']}",
        f"layer {found['layer']}, source {found['source']}, {asked}",
    ]
    if found["attribute"]:
        lines.append(f"attribute {found['attribute']}")
    for one in found["asked"]:
        lines += ["", *_side_by_side(one)]
    if found["answer"]:
        lines += ["", _answered(found["answer"])]
    else:
        proposed = f"; proposed: {found['proposed']}" if found["proposed"] else ""
        lines += ["", f"answer with {', '.join(found['actions'])}{proposed}"]
    return Answer(found, "\n".join(lines))


def answer(options: argparse.Namespace) -> Answer:
    """Answer a question, or take the answer back."""
    city = open_city(options.workspace)
    if options.withdraw == bool(options.action):
        raise DeclarationError(
            where=f"question {options.id}",
            found="both an answer and --withdraw" if options.withdraw else "no answer",
            expected=f"one of {', '.join(Action)}, or --withdraw",
        )
    if options.withdraw:
        done = withdraw_answer(city, options.id, who=options.by, why=options.reason)
        what = f"the answer to question {done.answer.question} is withdrawn"
    else:
        done = answer_question(
            city,
            options.id,
            Action(options.action),
            who=options.by,
            why=options.reason,
            uid=options.uid,
            record=options.record,
        )
        what = f"question {done.answer.question} is answered: {done.answer.action}"
    body = {**as_body(done.answer), "effect": done.effect.value, "cycles": list(done.cycles)}
    return Answer(body, f"{what}; {_EFFECTS[done.effect]}")


def _row(one: ListedQuestion) -> tuple[str, ...]:
    candidates = ", ".join(
        uid if math.isnan(score) else f"{uid} ({score:.2f})"
        for uid, score in ((one.uid_1, one.score_1), (one.uid_2, one.score_2))
        if uid
    )
    status = one.status if one.answer is None else f"{one.status}: {one.answer.answer.action}"
    kind = KIND_TITLES[one.kind].en + (f": {one.attribute}" if one.attribute else "")
    return (
        one.question, status, kind, one.layer, str(one.records), candidates, one.proposed,
        one.since,
    )  # fmt: skip


def _side_by_side(one: dict[str, Any]) -> list[str]:
    """Return a record and its candidates as columns; what differs from the record has a star."""
    place = one["place"]
    where = (
        f" at {place['x']} {place['y']} ({place['crs']}), "
        f"longitude {place['longitude']}, latitude {place['latitude']}"
        if place
        else ""
    )
    candidates = one["candidates"]
    said = one["attributes"] or {}
    told = [name for name in EVIDENCE if any(name in each["evidence"] for each in candidates)]
    rows = [["score", "", *(_cell(each["score"]) for each in candidates)]]
    rows += [
        [EVIDENCE[name].en, "", *(_cell(each["evidence"].get(name)) for each in candidates)]
        for name in told
        if name not in ("equal", "differing")
    ]
    rows += [[EVIDENCE[name].en, _cell(value)] + [""] * len(candidates)
             for name, value in one["evidence"].items()]  # fmt: skip
    names = dict.fromkeys([*said, *(n for each in candidates for n in each["attributes"] or {})])
    for name in names:
        others = [(each["attributes"] or {}).get(name) for each in candidates]
        marks = ["*" if name in said and other != said[name] else "" for other in others]
        cells = [_cell(other) + mark for other, mark in zip(others, marks, strict=True)]
        rows.append([name, _cell(said.get(name)), *cells])
    header = ("", f"record {one['record']}", *(each["uid"] for each in candidates))
    return [f"{one['subject']} of {one['delivery']}{where}", table(rows, header)]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _answered(given: dict[str, Any]) -> str:
    what = " ".join([given["action"], *(given["uids"] if given["action"] == Action.SAME else ())])
    void = f"; void: {given['void_reason']}" if given["void_reason"] else ""
    return f"answered by {given['who']} at {given['at']}: {what} ({given['why']}){void}"
