"""Results of the rules that no workspace declares: of intake, of the guards, of matching."""

from collections.abc import Iterator

import geopandas as gpd

from cityframe.conform import INTAKE_RULES
from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.report import RuleResult, RuleStatus
from cityframe.model.text import Title

_MEASURES = {
    "6": "number of missing items",
    "10": "number of items not compliant with the rules of the conceptual schema",
    "30": "number of positional uncertainties above a given threshold",
    "128": "bias of positions",
}
REMOVALS_HELD = "reconcile.removals-held"
_RULES = {
    REMOVALS_HELD: ("6", Title("暂不推断删除", "removals not inferred")),
    "guard.mass-removal": ("6", Title("大量删除", "mass removal")),
    "guard.mass-removal-in-cell": ("6", Title("局部大量删除", "mass removal in a grid cell")),
    "guard.layer-shift": ("128", Title("整层偏移", "shift of the whole layer")),
    "guard.axis-swap": ("128", Title("坐标轴对调", "axes swapped")),
    "guard.churn": ("10", Title("变更量异常", "more changes than usual")),
    "reconcile.implausible-match": ("30", Title("同号要素位置不合理", "implausible match by key")),
    "reconcile.ambiguous-match": ("10", Title("匹配不唯一", "ambiguous match")),
    "reconcile.uncertain-match": ("10", Title("匹配不确定", "uncertain match")),
    "reconcile.complex-match": ("10", Title("多对多匹配", "complex match")),
    "reconcile.conflict": ("10", Title("属性值冲突", "conflict of values")),
    "reconcile.unknown-target": ("10", Title("操作对象不存在", "unknown target of a change")),
    "reconcile.same-target": ("10", Title("多条记录指向同一要素", "several records for a feature")),
    "reconcile.insert-of-known": ("10", Title("新增的要素已存在", "insert of a known feature")),
}
GUARDS = (
    "guard.mass-removal",
    "guard.mass-removal-in-cell",
    "guard.layer-shift",
    "guard.axis-swap",
    "guard.churn",
)
"""Always reported, passed or failed; of the others those that found something."""


def built_in_results(
    findings: gpd.GeoDataFrame, *, layer: str, delivery: str, checked: int
) -> Iterator[RuleResult]:
    """Yield a result for each guard and for each built-in rule with findings.

    Parameters
    ----------
    findings : GeoDataFrame
        Those of one feed of a delivery; findings of declared rules are passed over.
    checked : int
        Records of the feed.
    """
    counts = findings.groupby("rule").size()
    first = findings.drop_duplicates("rule").set_index("rule")
    for rule in sorted({*GUARDS, *(one for one in counts.index if _is_built_in(one))}):
        failed = int(counts.get(rule, 0))
        title, measure = _title_and_measure(rule)
        yield RuleResult(
            rule=rule,
            kind=rule.partition(".")[0],
            version=1,
            title=title,
            measure=measure,
            defect_class=DefectClass(first.loc[rule, "defect_class"]) if failed else DefectClass.A,
            gate=Gate(first.loc[rule, "gate"]) if failed else Gate.BLOCK,
            scope=Scope.DELIVERY,
            layer=layer,
            delivery=delivery,
            checked=checked,
            failed=failed,
            status=RuleStatus.FAILED if failed else RuleStatus.PASSED,
            is_within_tolerance=not failed,
        )


def _is_built_in(rule: str) -> bool:
    return rule in INTAKE_RULES or rule in _RULES


def _title_and_measure(rule: str) -> tuple[Title, Measure]:
    if rule in INTAKE_RULES:
        return INTAKE_RULES[rule].title, INTAKE_RULES[rule].measure
    measure, title = _RULES[rule]
    return title, Measure("ISO 19157:2013", measure, _MEASURES[measure])
