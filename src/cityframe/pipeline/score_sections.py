"""What a cycle's report says of scores, and of the two checks and one acceptance."""

from collections.abc import Iterator

from cityframe.model.acceptance import Inspection, LayerScore, Stage
from cityframe.model.report import Section
from cityframe.model.text import Title
from cityframe.pipeline.city import City
from cityframe.pipeline.inspection import inspections
from cityframe.pipeline.scores import layer_scores

_STAGES = {
    Stage.PROCESS_CHECK: Title("一级检查", "process check"),
    Stage.FINAL_CHECK: Title("二级检查", "final check"),
    Stage.ACCEPTANCE: Title("验收", "acceptance"),
}
_FAILED = Title("不合格", "failed")
_PASSED = Title("合格", "passed")
_AWAITED = Title("待提交", "awaited")


def score_sections(city: City, cycle: str) -> Iterator[Section]:
    """Yield the scores of the units that a cycle changes, and its inspections; what there is."""
    scores = list(layer_scores(city, cycle))
    if scores:
        yield Section(
            id="scores",
            title=Title("质量评分", "Scores"),
            note=Title(
                "对本周期变更涉及的单位成果评分；例外放行的问题不扣分，其余均扣分。",
                "Of the units that this cycle changes; findings without a waiver are deducted.",
            ),
            columns=(
                Title("图层", "layer"), Title("单位成果", "units"), Title("不合格", "failed"),
                Title("得分", "score"), Title("质量元素", "elements"), Title("等级", "grades"),
                Title("最低分单位成果", "lowest units"),
            ),
            rows=tuple(_score_row(city, one) for one in scores),
        )  # fmt: skip
    stages = inspections(city, cycle)
    if stages:
        yield Section(
            id="inspection",
            title=Title("二级检查一级验收", "Two checks and one acceptance"),
            note=Title("", ""),
            columns=(
                Title("阶段", "stage"), Title("结果", "result"), Title("得分", "score"),
                Title("受检单位成果", "inspected"), Title("单位成果总数", "units"),
                Title("随机种子", "seed"), Title("检查人", "by"), Title("时间", "when"),
                Title("不合格单位成果", "failed units"),
            ),
            rows=tuple(_inspection_row(one) for one in stages),
        )  # fmt: skip


def _score_row(city: City, one: LayerScore) -> tuple[Title, ...]:
    titles = {**one.grade_titles, "failed": _FAILED}
    elements = [(one.element_titles[name], f"{score:.2f}") for name, score in one.elements.items()]
    grades = [(titles[name], str(count)) for name, count in one.grades.items()]
    return (
        city.workspace.layer(one.layer).title,
        _same(one.units),
        _same(one.failed),
        _same(f"{one.score:.2f}"),
        _listed(elements),
        _listed(grades),
        _same(", ".join(one.worst[:3])),
    )


def _inspection_row(one: Inspection) -> tuple[Title, ...]:
    verdict = _AWAITED if one.is_passed is None else _PASSED if one.is_passed else _FAILED
    return (
        _STAGES[one.stage],
        verdict,
        _same("" if one.score is None else f"{one.score:.2f}"),
        _same(sum(len(units) for units in one.lots.values())),
        _same(one.units),
        _same(one.seed),
        _same(one.who or one.planned_by),
        _same(one.when or one.planned_at),
        _same(", ".join(one.failed)),
    )


def _same(value: object) -> Title:
    return Title(str(value), str(value))


def _listed(pairs: list[tuple[Title, str]]) -> Title:
    return Title(
        "，".join(f"{title.zh} {value}" for title, value in pairs),
        ", ".join(f"{title.en} {value}" for title, value in pairs),
    )
