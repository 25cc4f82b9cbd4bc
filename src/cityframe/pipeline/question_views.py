"""Questions as people look at them: the list, and one with its evidence side by side."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import pandas as pd

from cityframe.errors import DeclarationError
from cityframe.model.question import ACTIONS, KIND_TITLES, QuestionKind
from cityframe.pipeline.accounts import accounts, delivery_folder
from cityframe.pipeline.city import City
from cityframe.pipeline.current import current_layer
from cityframe.pipeline.features import AFTER, attributes_of
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.plan import cycles_of, newest_cycles
from cityframe.pipeline.questions import (
    STANDING,
    WITHDRAWN,
    AnswerStatus,
    answer_statuses,
    answers_of_cycle,
    as_body,
    first_asked,
    kept_questions,
    questions_by_layer,
)
from cityframe.reconcile.question_findings import QUESTION_RULES

OPEN, ANSWERED = "open", "answered"
_MAP_CRS = "EPSG:4326"


@dataclass(frozen=True, slots=True)
class ListedQuestion:
    """A question in the list.

    Attributes
    ----------
    cycle : str
        The one that asks; of an answered one, the one that asked.
    since : str
        The cycle that asked first.
    records : int
        How many are asked about; of a conflict one.
    uid_1, score_1, uid_2, score_2
        The best candidate of all, and the next of the same record; empty and NaN for none.
    answer : AnswerStatus or None
        None while it is open.
    """

    question: str
    kind: QuestionKind
    layer: str
    source: str
    cycle: str
    since: str
    records: int
    attribute: str
    uid_1: str
    score_1: float
    uid_2: str
    score_2: float
    proposed: str
    answer: AnswerStatus | None

    @property
    def status(self) -> str:
        """``open``, ``answered``, or ``void`` of an answer that can't be followed."""
        if self.answer is None:
            return OPEN
        return ANSWERED if self.answer.status == STANDING else self.answer.status


def list_questions(city: City, *, of: str = "", layer: str = "") -> list[ListedQuestion]:
    """Return the questions of cycles, open ones first, and those that were answered.

    Parameters
    ----------
    of : str
        A cycle, or a series: its newest one. By default the newest cycle of each series, and all
        answers that were given and not taken back.
    layer : str
        Only of this layer.

    Raises
    ------
    DeclarationError
        If there is no such cycle, series or layer.
    PrunedError
        If the questions of a cycle that is named were pruned.
    """
    if layer:
        city.workspace.layer(layer)
    chosen = _cycles(city, of)
    since, given = first_asked(city), _given(city)
    open_ones: dict[str, ListedQuestion] = {}
    for cycle in chosen:
        in_force = {name for account in accounts(city, cycle) for name in account.answers}
        asked = questions_by_layer(city, cycle) if of else kept_questions(city, cycle)
        for one in _listed(asked, cycle, since):
            if _is_open(given.get(one.question), in_force):
                open_ones.setdefault(one.question, one)
    in_these = {one.id for cycle in chosen for one in answers_of_cycle(city, cycle)}
    answered = [
        _answered(status, since)
        for question, status in given.items()
        if question not in open_ones
        and (not of or status.answer.cycle in chosen or status.answer.id in in_these)
    ]
    return [one for one in (*open_ones.values(), *answered) if layer in ("", one.layer)]


def show_question(city: City, question: str) -> dict[str, Any]:
    """Return one question of the newest cycles with its evidence, JSON-ready.

    Parameters
    ----------
    question : str
        Its id, or the beginning of it. Of one that was answered and is not asked any more only the
        answer is left.

    Returns
    -------
    dict
        What `ListedQuestion` has, ``actions``, ``answer``, and ``asked``: for each record its
        number, key, lasting name, attributes, place (in the layer's CRS, longitude and latitude),
        and for each of the two candidates uid, score, evidence, attributes.

    Raises
    ------
    DeclarationError
        If there is no such question, or several.
    """
    listed = [one for one in list_questions(city) if one.question.startswith(question)]
    if not question or len(listed) != 1:
        raise DeclarationError(
            where=f"question {question}",
            found=", ".join(one.question for one in listed[:5]) if question else "no id",
            expected="the id of one, or as much of it as no other begins with",
            remedy="see `cityframe question list`",
        )
    (one,) = listed
    return {
        **as_json(one),
        "actions": [action.value for action in ACTIONS[one.kind]],
        "asked": list(_shown(city, one)),
    }


def as_json(one: ListedQuestion) -> dict[str, Any]:
    """Return a listed question JSON-ready."""
    title = KIND_TITLES[one.kind]
    answer = one.answer and {**as_body(one.answer.answer), "status": one.answer.status,
                             "void_reason": one.answer.why}  # fmt: skip
    scores = {
        name: None if pd.isna(getattr(one, name)) else getattr(one, name)
        for name in ("score_1", "score_2")
    }
    return {
        "question": one.question,
        "status": one.status,
        "kind": one.kind.value,
        "title": {"zh": title.zh, "en": title.en},
        "layer": one.layer,
        "source": one.source,
        "cycle": one.cycle,
        "since": one.since,
        "records": one.records,
        "attribute": one.attribute,
        "uid_1": one.uid_1,
        "uid_2": one.uid_2,
        **scores,
        "proposed": one.proposed,
        "answer": answer,
    }


def _cycles(city: City, of: str) -> tuple[str, ...]:
    if not of:
        return newest_cycles(city)
    if of in city.workspace.series:
        return tuple(entry.subject for entry in cycles_of(city, of)[-1:])
    known = {entry.subject for name in city.workspace.series for entry in cycles_of(city, name)}
    if of not in known:
        raise DeclarationError(
            where=f"cycle {of}",
            found="no such cycle or series",
            remedy="see `cityframe cycle status` for the cycles there are",
        )
    return (of,)


def _given(city: City) -> dict[str, AnswerStatus]:
    """Return the last answer to each question that was not taken back."""
    return {one.answer.question: one for one in answer_statuses(city) if one.status != WITHDRAWN}


def _is_open(given: AnswerStatus | None, in_force: set[str]) -> bool:
    """Tell whether a question that a cycle asks is open: also one asked in spite of an answer."""
    return given is None or given.status != STANDING or given.answer.id in in_force


def _listed(
    asked: Mapping[str, gpd.GeoDataFrame], cycle: str, since: Mapping[str, str]
) -> Iterator[ListedQuestion]:
    for frame in asked.values():
        best_first = frame.sort_values("score_1", ascending=False, kind="stable")
        best = best_first.drop_duplicates("question").set_index("question")
        counts = frame.groupby("question")["record"].nunique()
        for name in dict.fromkeys(frame["question"]):
            row = best.loc[name]
            yield ListedQuestion(
                question=str(name),
                kind=QuestionKind(row["kind"]),
                layer=str(row["layer"]),
                source=str(row["source"]),
                cycle=cycle,
                since=since.get(str(name), cycle),
                records=int(counts[name]),
                attribute=str(row["attribute"]),
                uid_1=str(row["uid_1"]),
                score_1=float(row["score_1"]),
                uid_2=str(row["uid_2"]),
                score_2=float(row["score_2"]),
                proposed=str(row["proposed"]),
                answer=None,
            )


def _answered(status: AnswerStatus, since: Mapping[str, str]) -> ListedQuestion:
    one = status.answer
    uids = (*one.uids, "", "")
    return ListedQuestion(
        question=one.question,
        kind=one.kind,
        layer=one.layer,
        source=one.source,
        cycle=one.cycle,
        since=since.get(one.question, one.cycle),
        records=len(one.subjects),
        attribute=one.attribute,
        uid_1=uids[0],
        score_1=float("nan"),
        uid_2=uids[1],
        score_2=float("nan"),
        proposed="",
        answer=status,
    )


def _shown(city: City, one: ListedQuestion) -> Iterator[dict[str, Any]]:
    """Yield what is asked of each record, as far as the cycle still asks it."""
    for cycle in dict.fromkeys((*newest_cycles(city), one.cycle)):
        frame = kept_questions(city, cycle).get(one.layer)
        rows = None if frame is None else frame[frame["question"] == one.question]
        if rows is not None and len(rows):
            yield from _side_by_side(city, cycle, one, rows)
            return


def _side_by_side(
    city: City, cycle: str, one: ListedQuestion, rows: gpd.GeoDataFrame
) -> Iterator[dict[str, Any]]:
    layer = city.workspace.layer(one.layer)
    current = current_layer(city, cycle, layer)
    wanted = pd.Index([*rows["uid_1"], *rows["uid_2"]]).unique()
    there = wanted[wanted.isin(current.index()["uid"])]
    features = current.rows(there.tolist())
    before = dict(zip(there, attributes_of(features, layer), strict=True))
    after = _as_delivered(city, cycle, one, str(rows["delivery"].iloc[0]))
    places = _places(rows)
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        evidence = {k: v for k, v in json.loads(row["evidence"]).items() if v is not None}
        yield {
            "record": None if pd.isna(row["record"]) else int(row["record"]),
            "source_key": row["source_key"],
            "subject": row["subject"],
            "delivery": row["delivery"],
            "place": place,
            "attributes": after.get(row["record"]),
            "evidence": {k: v for k, v in evidence.items() if k[-2:] not in ("_1", "_2")},
            "candidates": [
                {
                    "uid": row[f"uid_{number}"],
                    "score": None if pd.isna(row[f"score_{number}"]) else row[f"score_{number}"],
                    "evidence": {
                        k[:-2]: v for k, v in evidence.items() if k.endswith(f"_{number}")
                    },
                    "attributes": before.get(row[f"uid_{number}"]),
                }
                for number in (1, 2)
                if row[f"uid_{number}"]
            ],
        }


def _places(rows: gpd.GeoDataFrame) -> list[dict[str, Any] | None]:
    """Return a point of each record in the layer's CRS, and its longitude and latitude."""
    points = rows.geometry.representative_point()
    on_map = points.to_crs(_MAP_CRS) if rows.crs is not None else points
    crs = "" if rows.crs is None else rows.crs.to_string()
    return [
        None
        if point is None or point.is_empty
        else {
            "crs": crs, "x": round(point.x, 2), "y": round(point.y, 2),
            "longitude": round(degrees.x, 6), "latitude": round(degrees.y, 6),
        }
        for point, degrees in zip(points, on_map, strict=True)
    ]  # fmt: skip


def _as_delivered(
    city: City, cycle: str, one: ListedQuestion, delivery: str
) -> dict[int, dict[str, Any]]:
    """Return the attributes of the records asked about, by number: as their findings kept them."""
    found: dict[int, dict[str, Any]] = {}
    folder = delivery_folder(city, cycle, delivery)
    for account in accounts(city, cycle):
        for feed in account.feeds if account.delivery == delivery else ():
            if feed.partition("-")[2] != one.layer:
                continue
            findings = read_frame(folder / f"{feed}.findings.parquet")
            mine = findings[findings["rule"] == QUESTION_RULES[one.kind]]
            features = read_frame(folder / f"{feed}.features.parquet")
            sides = features[features["side"] == AFTER].drop_duplicates("finding_id")
            both = mine.merge(sides[["finding_id", "attributes"]], on="finding_id")
            for record, text in zip(both["record"], both["attributes"], strict=True):
                found[int(record)] = json.loads(text)
    return found
