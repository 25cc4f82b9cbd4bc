"""What a report says of questions: those that are open, and the answers that took part."""

from collections.abc import Iterator

import geopandas as gpd
import pandas as pd

from cityframe.model.question import ACTION_TITLES, KIND_TITLES, Action, QuestionKind
from cityframe.model.report import Section
from cityframe.model.text import Title
from cityframe.pipeline.city import City
from cityframe.pipeline.questions import answers_of_cycle, first_asked, questions_by_layer

_SHOWN = 200
"""Rows in a report; the rest is told by `cityframe question list`."""
_NOTHING = Title("", "")


def question_sections(city: City, cycle: str, delivery: str | None = None) -> Iterator[Section]:
    """Yield the open questions of a cycle, or of one delivery, and the answers; what there is.

    Parameters
    ----------
    delivery : str, optional
        Only what this one asks; the answers are left out.
    """
    since = first_asked(city)
    rows = [
        row
        for layer, frame in questions_by_layer(city, cycle, delivery).items()
        for row in _question_rows(frame, city.workspace.layer(layer).title, since, cycle)
    ]
    if rows:
        more = len(rows) - _SHOWN
        yield Section(
            id="questions",
            title=Title("待定问题", "Questions"),
            note=Title(
                f"共 {len(rows)} 个待定问题，所涉记录待答复后处理。"
                + (f"另有 {more} 个未列出。" if more > 0 else ""),
                f"{len(rows)} open; the records wait until somebody answers"
                + (f". {more} more are not listed." if more > 0 else "."),
            ),
            columns=(
                Title("编号", "question"), Title("类型", "kind"), Title("图层", "layer"),
                Title("记录", "records"), Title("属性", "attribute"),
                Title("最佳候选", "best candidate"), Title("次佳候选", "next candidate"),
                Title("建议", "proposed"), Title("始于", "since"),
            ),
            rows=tuple(rows[:_SHOWN]),
        )  # fmt: skip
    taken = answers_of_cycle(city, cycle) if delivery is None else ()
    if taken:
        yield Section(
            id="answers",
            title=Title("人工答复", "Answers"),
            note=_NOTHING,
            columns=(
                Title("问题", "question"), Title("答复", "answer"), Title("要素", "features"),
                Title("理由", "reason"), Title("答复人", "by"), Title("时间", "when"),
            ),
            rows=tuple(
                (
                    _plain(one.question), ACTION_TITLES[one.action], _plain(", ".join(one.uids)),
                    _plain(one.why), _plain(one.who), _plain(one.at),
                )
                for one in taken
            ),
        )  # fmt: skip


def _question_rows(
    frame: gpd.GeoDataFrame, layer: Title, since: dict[str, str], cycle: str
) -> Iterator[tuple[Title, ...]]:
    """Yield one row a question, with the candidates of its best record."""
    keys = frame["source_key"].where(frame["source_key"] != "", frame["record"].astype("str"))
    records = keys.groupby(frame["question"]).agg(lambda one: ", ".join(dict.fromkeys(one)))
    best_first = frame.sort_values("score_1", ascending=False, kind="stable")
    best = best_first.drop_duplicates("question").set_index("question")
    for name in dict.fromkeys(frame["question"]):
        row = best.loc[name]
        proposed = row["proposed"]
        yield (
            _plain(name),
            KIND_TITLES[QuestionKind(row["kind"])],
            layer,
            _plain(records[name]),
            _plain(row["attribute"]),
            *(_candidate(row[f"uid_{place}"], row[f"score_{place}"]) for place in (1, 2)),
            ACTION_TITLES[Action(proposed)] if proposed else _NOTHING,
            _plain(since.get(name, cycle)),
        )


def _candidate(uid: str, score: float) -> Title:
    return _plain(uid if pd.isna(score) or not uid else f"{uid} ({score:.2f})")


def _plain(text: object) -> Title:
    return Title(str(text), str(text))
