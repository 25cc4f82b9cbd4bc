"""What the columns of findings and their codes are called, in both languages."""

from cityframe.model.text import Title

FIELD_TITLES = {
    "finding_id": Title("问题编号", "Finding"),
    "rule": Title("规则", "Rule"),
    "kind": Title("规则类型", "Rule kind"),
    "defect_class": Title("缺陷类别", "Defect class"),
    "gate": Title("关口", "Gate"),
    "scope": Title("范围", "Scope"),
    "layer": Title("图层", "Layer"),
    "uid": Title("标识", "uid"),
    "source_key": Title("来源编号", "Source key"),
    "record": Title("记录号", "Record"),
    "other": Title("相关要素", "Other features"),
    "delivery": Title("批次", "Delivery"),
    "found": Title("实际（英文）", "Found"),
    "expected": Title("要求（英文）", "Expected"),
    "found_zh": Title("实际", "Found, in Chinese"),
    "expected_zh": Title("要求", "Expected, in Chinese"),
    "partner": Title("同时不合格的要素", "Partner"),
    "rule_version": Title("规则版本", "Rule version"),
    "waiver": Title("例外编号", "Waiver"),
    "state": Title("问题状态", "State"),
    "first_seen": Title("首见周期", "First seen in"),
    "is_waived": Title("是否例外", "Waived"),
    "is_fixed": Title("是否已消除", "Fixed"),
}

GATES = {
    "block": Title("阻断", "block"),
    "review": Title("复核", "review"),
    "note": Title("提示", "note"),
}
STATES = {
    "new": Title("新问题", "new"),
    "persisting": Title("仍存在", "persisting"),
    "come-back": Title("复现", "come back"),
    "fixed": Title("已消除", "fixed"),
}
CLASSES = {
    "A": Title("A 类（极重）", "A severe"),
    "B": Title("B 类（重）", "B heavy"),
    "C": Title("C 类（较重）", "C moderate"),
    "D": Title("D 类（轻）", "D slight"),
}


def both(title: Title) -> str:
    """Return a title in both languages on one line."""
    return title.zh if title.zh == title.en else f"{title.zh} {title.en}"
