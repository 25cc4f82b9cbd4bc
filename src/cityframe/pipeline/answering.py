"""Give answers and take them back; a cycle in review takes its deliveries in again with them.

An answer is in the ledger before anything else happens. Then the check of the candidate goes,
without which nobody can approve. What was taken in without the answer is dropped from the end of
the plan backwards, so that what is left at any moment is the beginning of the plan, then taken in
again, staged, checked and put in review. A process killed in between leaves a cycle that
``cityframe cycle run`` completes (`take_in_again`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

import geopandas as gpd

from cityframe.errors import DeclarationError
from cityframe.model.cycle import CycleState
from cityframe.model.question import ACTIONS, Action, Answer, QuestionKind
from cityframe.pipeline.accounts import ACCOUNT_FILE, accounts, delivery_folder
from cityframe.pipeline.city import City, now
from cityframe.pipeline.current import current_layer
from cityframe.pipeline.decisions import require_approver
from cityframe.pipeline.intake import take_in
from cityframe.pipeline.plan import (
    cycle_state,
    newest_cycles,
    read_plan,
    source_of,
)
from cityframe.pipeline.prefixes import require_one
from cityframe.pipeline.questions import (
    ANSWER_WITHDRAWN,
    ANSWERED,
    answers,
    as_body,
    first_stale,
    given_answers,
    kept_questions,
    void_reason,
    withdrawn_answers,
)
from cityframe.pipeline.review import put_in_review
from cityframe.pipeline.staging import CHECK_FILE, check_candidate, stage
from cityframe.pipeline.turns import turn_of
from cityframe.store.pruned import sync_folder


class AnswerEffect(StrEnum):
    """From when on an answer, or its withdrawal, counts.

    ============  =======================================================================
    reviewed      at once: the deliveries were taken in again, and the cycle is in review
                  with a new report
    taken-in      at once: the deliveries were taken in again; the cycle goes on from there
    next-intake   from the next delivery of the record on
    ============  =======================================================================
    """

    REVIEWED = "reviewed"
    TAKEN_IN = "taken-in"
    NEXT_INTAKE = "next-intake"


@dataclass(frozen=True, slots=True)
class Answering:
    """What giving or withdrawing an answer came to.

    Attributes
    ----------
    cycles : tuple of str
        Those whose deliveries were taken in again.
    """

    answer: Answer
    effect: AnswerEffect
    cycles: tuple[str, ...]


def answer_question(
    city: City,
    question: str,
    action: Action,
    *,
    who: str,
    why: str,
    uid: str = "",
    record: int | None = None,
) -> Answering:
    """Answer a question of the newest cycle of a series.

    Parameters
    ----------
    question : str
        Its id, or the beginning of it.
    who, why : str
        An approver of a series, and the reason; both are kept for ever.
    uid : str
        Of `Action.SAME`: the feature; a candidate, or any other that the layer has.
    record : int, optional
        Of `Action.SAME`, where several records are asked about: the one that is the feature.

    Raises
    ------
    GateClosedError
        If ``who`` approves no cycle, or there is no reason.
    DeclarationError
        If there is no such question or several, it is answered, or can't be answered so.
    SourceUnreachableError
        If another process is at work on the series.
    """
    require_approver(city, who, why, what=f"answer question {question}")
    cycle, asked = _find(city, question)
    with _turns(city, str(asked["source"].iloc[0])):
        _require_open(city, cycle, asked)
        answer = _answer(city, cycle, asked, action, who=who, why=why, uid=uid, record=record)
        city.ledger.append(ANSWERED, answer.id, as_body(answer), who=who, at=now())
        return _put_in_force(city, answer)


def withdraw_answer(city: City, question: str, *, who: str, why: str) -> Answering:
    """Take back the answer to a question, the last one that was given.

    Raises
    ------
    GateClosedError
        If ``who`` approves no cycle, or there is no reason.
    DeclarationError
        If there is no such answer, or answers to several questions.
    SourceUnreachableError
        If another process is at work on the series.
    """
    require_approver(city, who, why, what=f"withdraw the answer to question {question}")
    taken_back = withdrawn_answers(city)
    found = {
        one.question: one
        for one in answers(city)
        if question and one.question.startswith(question) and one.id not in taken_back
    }
    require_one(
        f"answer to question {question}", list(found), "see `cityframe question list --answered`"
    )
    (answer,) = found.values()
    with _turns(city, answer.source):
        city.ledger.append(ANSWER_WITHDRAWN, answer.id, {"why": why}, who=who, at=now())
        return _put_in_force(city, answer)


def take_in_again(city: City, cycle: str) -> bool:
    """Take deliveries in again that were taken in with other answers than stand now.

    A cycle in review is staged too, and must be checked and put in review afterwards.

    Returns
    -------
    bool
        Whether there was any; the state of what is left is that of a cycle that was never stopped.
    """
    is_in_review = cycle_state(city, cycle) is CycleState.IN_REVIEW
    check = city.cycle_folder(cycle) / "candidate" / CHECK_FILE
    if is_in_review and first_stale(city, cycle) is not None and check.exists():
        # from here on the old candidate can't be approved any more
        check.unlink()
        sync_folder(check.parent)
    dropped = _drop_stale(city, cycle)
    if not dropped and not (is_in_review and not check.exists()):
        return False
    wanted = read_plan(city, cycle).deliveries if is_in_review else dropped
    for source in dict.fromkeys(source_of(one) for one in wanted):
        take_in(city, cycle, source)
    if is_in_review:
        stage(city, cycle)
    return True


def _drop_stale(city: City, cycle: str) -> tuple[str, ...]:
    """Drop the accounts from the first stale delivery on, the last one first; return whose."""
    first = first_stale(city, cycle)
    if first is None:
        return ()
    dropped = []
    for delivery in reversed(read_plan(city, cycle).deliveries[first:]):
        folder = delivery_folder(city, cycle, delivery)
        if (folder / ACCOUNT_FILE).exists():
            (folder / ACCOUNT_FILE).unlink()
            sync_folder(folder)
            dropped.append(delivery)
    return tuple(reversed(dropped))


def _put_in_force(city: City, answer: Answer) -> Answering:
    taken, effect = [], AnswerEffect.NEXT_INTAKE
    for cycle in newest_cycles(city):
        state = cycle_state(city, cycle)
        is_open = state in (CycleState.FROZEN, CycleState.IN_REVIEW)
        is_concerned = bool(read_plan(city, cycle).deliveries_of(answer.source))
        if not (is_open and is_concerned and take_in_again(city, cycle)):
            continue
        taken.append(cycle)
        if state is CycleState.IN_REVIEW:
            check_candidate(city, cycle)
            put_in_review(city, cycle)
            effect = AnswerEffect.REVIEWED
        elif effect is AnswerEffect.NEXT_INTAKE:
            effect = AnswerEffect.TAKEN_IN
    return Answering(answer, effect, tuple(taken))


@contextmanager
def _turns(city: City, source: str) -> Iterator[None]:
    """Hold the turns of all series that take a source in."""
    with ExitStack() as stack:
        for name, series in sorted(city.workspace.series.items()):
            if source in series.sources:
                stack.enter_context(turn_of(city, name))
        yield


def _find(city: City, prefix: str) -> tuple[str, gpd.GeoDataFrame]:
    """Return the newest cycle that asks the question of a prefix, and its rows."""
    found: dict[str, tuple[str, gpd.GeoDataFrame]] = {}
    for cycle in newest_cycles(city):
        for frame in kept_questions(city, cycle).values():
            mine = frame[frame["question"].str.startswith(prefix)] if prefix else frame[:0]
            for name, rows in mine.groupby("question"):
                found.setdefault(str(name), (cycle, rows.reset_index(drop=True)))
    if not found:
        _refuse_answered(city, prefix)
    require_one(f"question {prefix}", sorted(found), "see `cityframe question list`")
    (only,) = found.values()
    return only


def _refuse_answered(city: City, prefix: str) -> None:
    taken_back = withdrawn_answers(city)
    for one in answers(city):
        if prefix and one.question.startswith(prefix) and one.id not in taken_back:
            raise _answered(one)


def _answered(answer: Answer) -> DeclarationError:
    return DeclarationError(
        where=f"question {answer.question}",
        found=f"answered `{answer.action}` by {answer.who} at {answer.at}: {answer.why}",
        expected="a question that is open",
        remedy=f"take that back first: `cityframe question answer {answer.question} --withdraw`",
    )


def _require_open(city: City, cycle: str, asked: gpd.GeoDataFrame) -> None:
    """Refuse a second answer, unless the question was asked in spite of the first."""
    question, delivery = str(asked["question"].iloc[0]), str(asked["delivery"].iloc[0])
    obeyed = {
        name
        for account in accounts(city, cycle)
        if account.delivery == delivery
        for name in account.answers
    }
    for one in given_answers(city, str(asked["source"].iloc[0])):
        if one.question == question and one.id not in obeyed and not void_reason(city, one):
            raise _answered(one)


def _answer(
    city: City,
    cycle: str,
    asked: gpd.GeoDataFrame,
    action: Action,
    *,
    who: str,
    why: str,
    uid: str,
    record: int | None,
) -> Answer:
    """Return the answer in full, or refuse what does not fit the question."""
    first = asked.iloc[0]
    question, kind = str(first["question"]), QuestionKind(first["kind"])
    if action not in ACTIONS[kind]:
        raise DeclarationError(
            where=f"question {question}",
            found=f"{action} for a question of kind {kind}",
            expected=f"one of {', '.join(ACTIONS[kind])}",
        )
    candidates = tuple(dict.fromkeys(",".join(asked["candidates"]).split(",")))
    is_same = action is Action.SAME
    if not is_same and (uid or record is not None):
        raise DeclarationError(
            where=f"question {question}",
            found=f"{action} with a feature or a record",
            expected=f"{action} alone, which is about all records and candidates of the question",
        )
    given = Answer(
        id="",
        question=question,
        kind=kind,
        layer=str(first["layer"]),
        source=str(first["source"]),
        action=action,
        subjects=tuple(dict.fromkeys(asked["subject"])),
        subject=_record_of(asked, record) if is_same else "",
        uids=(_feature(city, cycle, asked, uid, candidates),) if is_same else candidates,
        attribute=str(first["attribute"]),
        who=who,
        at=now().isoformat(timespec="seconds"),
        why=why,
        cycle=cycle,
    )
    made = "\x1f".join([question, action, *given.uids, who, why, str(len(answers(city)))])
    return replace(given, id=hashlib.blake2b(made.encode(), digest_size=5).hexdigest())


def _record_of(asked: gpd.GeoDataFrame, record: int | None) -> str:
    """Return the lasting name of the record that is the feature."""
    question = asked["question"].iloc[0]
    told = ", ".join(
        f"{number} ({subject})"
        for number, subject in zip(asked["record"], asked["subject"], strict=True)
    )
    mine = asked if record is None else asked[asked["record"] == record]
    if record is None and asked["subject"].nunique() > 1:
        raise DeclarationError(
            where=f"question {question}",
            found=f"{len(asked)} records: {told}",
            expected="the one of them that is the feature",
            remedy="name it with --record NUMBER; the others are then not the feature",
        )
    if mine.empty:
        raise DeclarationError(
            where=f"question {question}", found=f"no record {record}", expected=f"one of {told}"
        )
    subject = str(mine["subject"].iloc[0])
    if (asked["subject"] == subject).sum() > 1:
        raise DeclarationError(
            where=f"question {question}",
            found=f"several records with the name `{subject}`",
            expected="a name of its own for each record",
            remedy="have the source mend them; or answer `other`",
        )
    return subject


def _feature(
    city: City, cycle: str, asked: gpd.GeoDataFrame, uid: str, candidates: Sequence[str]
) -> str:
    """Return the feature meant: a candidate, by as much of its uid as is clear; or another one."""
    question, layer = asked["question"].iloc[0], city.workspace.layer(asked["layer"].iloc[0])
    begins = [one for one in candidates if uid and one.startswith(uid)]
    if len(begins) == 1 or uid in candidates:
        return uid if uid in candidates else begins[0]
    if uid and not begins and (current_layer(city, cycle, layer).index()["uid"] == uid).any():
        return uid
    raise DeclarationError(
        where=f"question {question}",
        found=f"feature {uid!r}" if uid else "no feature",
        expected=f"a candidate ({', '.join(candidates)}), or a uid that {layer.name} has",
        remedy="same UID names the feature that the record is; `other` says that it is none",
    )
