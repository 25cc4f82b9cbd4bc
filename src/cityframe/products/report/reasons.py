"""Why a gate is closed, in both languages: a report keeps its reasons in English."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from cityframe.model.report import RuleResult, RuleStatus
from cityframe.model.text import Title

_MORE = re.compile(r" and (\d+) more(?=, expected )")


def reason_titles(
    reasons: Iterable[str], results: Sequence[RuleResult], findings: pd.DataFrame
) -> tuple[Title, ...]:
    """Return the reasons with their Chinese sentences.

    A reason that says what a finding about a whole layer found is told by that finding; one that
    counts the records which fail, or says that a rule could not be checked, by the rule's result.

    Parameters
    ----------
    reasons : iterable of str
        Each ``RULE: TEXT``, or what a guard found.
    results : sequence of RuleResult
        Those of the delivery or the candidate that the reasons are about.
    findings : DataFrame
        Columns ``rule``, ``uid``, ``record`` and the four texts; of the same.

    Returns
    -------
    tuple of Title
        In both languages the English reason where nothing is known of it.
    """
    about_layer = findings[findings["record"].isna() & (findings["uid"] == "")]
    return tuple(
        Title(_by_finding(one, results, about_layer) or _by_result(one, results) or one, one)
        for one in reasons
    )


def _by_finding(reason: str, results: Sequence[RuleResult], about_layer: pd.DataFrame) -> str:
    titles = {one.rule: _named(one) for one in results}
    rule, _, text = reason.partition(": ")
    more = _MORE.search(text)
    text = _MORE.sub("", text)
    found, expected = about_layer["found"], about_layer["expected"]
    # intake tells several things about a layer in one finding
    is_told = (about_layer["rule"] == rule) & (
        (found + ", expected " + expected == text)
        | ("; " + found + "; ").str.contains(f"; {text}; ", regex=False)
    )
    told = about_layer[is_told | (found == reason)]
    if told.empty:
        return ""
    first = told.iloc[0]
    others = f"（共 {int(more.group(1)) + 1} 处）" if more else ""
    english, chinese = first["found"].split("; "), first["found_zh"].split("；")
    parts = dict(zip(english, chinese, strict=True)) if len(english) == len(chinese) else {}
    said = parts.get(text, first["found_zh"])
    return f"{titles.get(first['rule'], first['rule'])}：{said}{others}"


def _by_result(reason: str, results: Sequence[RuleResult]) -> str:
    for one in results:
        if one.status is RuleStatus.NOT_CHECKED:
            if reason == f"{one.rule}: could not be checked: {one.message}":
                return f"{_named(one)}：未能检查：{one.message}"
        elif reason.startswith(f"{one.rule}: {one.failed} of {one.checked} records fail"):
            _, has_limit, tolerated = reason.partition(", tolerated ")
            limit = f"，容许 {tolerated}" if has_limit else ""
            return f"{_named(one)}：{one.checked} 条记录中有 {one.failed} 条不合格{limit}"
    return ""


def _named(result: RuleResult) -> str:
    return f"{result.title.zh}（{result.rule}）"
