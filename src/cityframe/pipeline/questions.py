"""Questions that a cycle's deliveries raise, and the answers of people, read from the ledger.

A delivery's questions lie beside its account; which ones a cycle asked stays when they are pruned
(`QUESTIONS_FILE`). An answer counts wherever its source delivers the record again, until somebody
takes it back or its feature is gone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import geopandas as gpd
import pandas as pd

from cityframe.errors import DeclarationError, PrunedError
from cityframe.model.cycle import CycleState
from cityframe.model.question import Action, Answer, QuestionKind
from cityframe.pipeline.accounts import ACCOUNT_FILE, accounts, delivery_folder, read_account
from cityframe.pipeline.city import City, replaced_whole
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.plan import read_plan, source_of
from cityframe.reconcile.answers import NO_CONSTRAINTS, Constraints
from cityframe.store.ledger import Entry
from cityframe.store.lineage import resolve
from cityframe.store.pruned import require_kept

ANSWERED, ANSWER_WITHDRAWN = "answered", "answer-withdrawn"
QUESTIONS_FILE = "questions.json"
STANDING, VOID, WITHDRAWN = "standing", "void", "withdrawn"


@dataclass(frozen=True, slots=True)
class AnswerStatus:
    """An answer as it is now.

    Attributes
    ----------
    status : str
        ``standing``, ``void`` or ``withdrawn``.
    why : str
        What made it void, or who took it back and why; empty while it stands.
    """

    answer: Answer
    status: str
    why: str


def answers(city: City) -> tuple[Answer, ...]:
    """Return all answers that were ever given, oldest first."""
    return tuple(_answer(entry) for entry in city.ledger.entries(what=ANSWERED))


def withdrawn_answers(city: City) -> dict[str, Entry]:
    """Return the entries that took answers back, by the answer's id."""
    return {entry.subject: entry for entry in city.ledger.entries(what=ANSWER_WITHDRAWN)}


def given_answers(city: City, source: str) -> tuple[Answer, ...]:
    """Return the answers about a source's records that nobody took back, oldest first."""
    taken_back = withdrawn_answers(city)
    return tuple(one for one in answers(city) if one.source == source and one.id not in taken_back)


def constraints_of(city: City, given: Iterable[Answer], layer: str, uids: pd.Series) -> Constraints:
    """Return what the answers about a source's records come to in a layer.

    Parameters
    ----------
    given : iterable of Answer
        `given_answers` of one source.
    uids : Series of str
        The features of the layer as the delivery finds it. An answer about another one follows its
        lineage to the one successor; where there is none, or several, it is void.
    """
    mine = [one for one in given if one.layer == layer]
    if not mine:
        return NO_CONSTRAINTS
    named = pd.Index([uid for one in mine for uid in one.uids]).unique()
    led = {uid: _successor(city, uid) for uid in named[~named.isin(uids)]}
    return Constraints.of(_followed(mine, led), layer, mine[0].source)


def _followed(given: Iterable[Answer], led: Mapping[str, str]) -> Iterator[Answer]:
    for one in given:
        now = tuple(led.get(uid, uid) for uid in one.uids)
        kept = tuple(dict.fromkeys(uid for uid in now if uid))
        if kept or one.action is Action.REPLACED:
            yield replace(one, uids=kept)


def _successor(city: City, uid: str) -> str:
    """Return the one feature that a uid leads to today; empty for none or several."""
    try:
        successors = resolve(city.framework, uid).successors
    except DeclarationError:
        # never released: a feature of a cycle that was returned, or that another delivery brings
        return uid
    return successors[0] if len(successors) == 1 else ""


def answer_statuses(city: City) -> Iterator[AnswerStatus]:
    """Yield all answers with what they are now, oldest first."""
    taken_back = withdrawn_answers(city)
    for answer in answers(city):
        entry = taken_back.get(answer.id)
        if entry is not None:
            yield AnswerStatus(answer, WITHDRAWN, f"{entry.who}: {entry.body['why']}")
        elif why := void_reason(city, answer):
            yield AnswerStatus(answer, VOID, why)
        else:
            yield AnswerStatus(answer, STANDING, "")


def void_reason(city: City, answer: Answer) -> str:
    """Return why an answer can't be followed any more; empty while it can."""
    if answer.action is Action.REPLACED or any(_successor(city, uid) for uid in answer.uids):
        return ""
    ended = [resolve(city.framework, uid) for uid in answer.uids]
    heirs = sorted({uid for one in ended for uid in one.successors})
    gone = ", ".join(answer.uids)
    return f"{gone} ended" + (f"; in its place are {', '.join(heirs)}" if heirs else "")


def answers_of_cycle(city: City, cycle: str) -> tuple[Answer, ...]:
    """Return the answers that took part in what a cycle's deliveries brought in, oldest first."""
    met = {
        name
        for account in accounts(city, cycle)
        if not account.quarantine_reasons
        for name in account.answers_met
    }
    return tuple(one for one in answers(city) if one.id in met)


def as_body(answer: Answer) -> dict[str, Any]:
    """Return an answer JSON-ready, as it stands in the ledger and in a release's evidence."""
    body = {**asdict(answer), "kind": answer.kind.value, "action": answer.action.value}
    return {**body, "subjects": list(answer.subjects), "uids": list(answer.uids)}


def _answer(entry: Entry) -> Answer:
    body = dict(entry.body)
    body |= {"kind": QuestionKind(body["kind"]), "action": Action(body["action"])}
    return Answer(**{**body, "subjects": tuple(body["subjects"]), "uids": tuple(body["uids"])})


def questions_by_layer(
    city: City, cycle: str, delivery: str | None = None
) -> dict[str, gpd.GeoDataFrame]:
    """Return the questions that the deliveries of a cycle raise, by layer.

    Parameters
    ----------
    delivery : str, optional
        Only of this one.

    Returns
    -------
    dict of str to GeoDataFrame
        `cityframe.model.question.QUESTION_COLUMNS`; in the order of deliveries and records.

    Raises
    ------
    PrunedError
        If they were pruned.
    """
    parts: dict[str, list[gpd.GeoDataFrame]] = {}
    for account in accounts(city, cycle):
        if delivery not in (None, account.delivery):
            continue
        folder = delivery_folder(city, cycle, account.delivery)
        require_kept(folder)
        for feed in account.feeds:
            path = folder / f"{feed}.questions.parquet"
            # a delivery that was taken in by an older program asks nothing
            if path.exists():
                parts.setdefault(feed.partition("-")[2], []).append(read_frame(path))
    return {
        name: gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=frames[0].crs)
        for name, frames in parts.items()
        if any(len(frame) for frame in frames)
    }


def kept_questions(city: City, cycle: str) -> dict[str, gpd.GeoDataFrame]:
    """Return the same as `questions_by_layer`, and nothing where they were pruned."""
    try:
        return questions_by_layer(city, cycle)
    except PrunedError:
        return {}


def note_questions(city: City, cycle: str) -> None:
    """Leave the ids of a cycle's questions where pruning does not reach them."""
    asked = questions_by_layer(city, cycle).values()
    ids = sorted({str(one) for frame in asked for one in frame["question"]})
    with replaced_whole(city.cycle_folder(cycle) / QUESTIONS_FILE) as temporary:
        temporary.write_text(json.dumps(ids), encoding="utf-8")


def first_asked(city: City) -> dict[str, str]:
    """Return the cycle that asked a question first, by its id."""
    found: dict[str, str] = {}
    for entry in city.ledger.entries(what=CycleState.FROZEN):
        path = city.cycle_folder(entry.subject) / QUESTIONS_FILE
        if path.exists():
            for one in json.loads(path.read_text(encoding="utf-8")):
                found.setdefault(one, entry.subject)
    return found


def first_stale(city: City, cycle: str) -> int | None:
    """Return the first delivery of a plan that was not taken in with the answers that stand.

    Returns
    -------
    int or None
        Its place in the plan; None if there is none. One that is not taken in counts.
    """
    standing: dict[str, tuple[str, ...]] = {}
    for place, delivery in enumerate(read_plan(city, cycle).deliveries):
        source = source_of(delivery)
        if source not in standing:
            standing[source] = tuple(one.id for one in given_answers(city, source))
        path = delivery_folder(city, cycle, delivery) / ACCOUNT_FILE
        if not path.exists() or read_account(path).answers != standing[source]:
            return place
    return None
