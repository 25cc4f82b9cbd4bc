from dataclasses import replace

import pandas as pd
import pytest

from cityframe.model.report import RuleStatus
from cityframe.model.text import Title
from cityframe.products.report.reasons import reason_titles

FINDINGS = pd.DataFrame(
    {
        "rule": ["intake.missing-column", "guard.mass-removal", "parcel.tiling", "parcel.tiling"],
        "uid": ["", "", "", "U1"],
        "record": pd.array([pd.NA, pd.NA, pd.NA, 7], "Int64"),
        "found": ["a.csv: no x; b.csv: no y", "20 of 200 features", "a gap of 2.00 m²", "overlap"],
        "expected": ["every column", "at most 5.00%", "no gap", "none"],
        "found_zh": ["a.csv：缺少 x；b.csv：缺少 y", "200 个要素中 20 个", "缝隙 2.00 m²", "重叠"],
    }
)


@pytest.fixture
def results(sample):
    like = sample.report.results[0]

    def result(rule, zh, **changed):
        return replace(like, rule=rule, title=Title(zh, rule), **changed)

    return [
        result("intake.missing-column", "缺少列", checked=9, failed=1),
        result("parcel.tiling", "宗地无缝", checked=50, failed=3),
        result("pipe.depth", "埋深", status=RuleStatus.NOT_CHECKED, message="no terrain"),
        result("road.code", "道路代码", checked=40, failed=4, layer="road"),
        result("road.code", "道路代码", checked=80, failed=6, layer="street"),
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "intake.missing-column: b.csv: no y",
            "缺少列（intake.missing-column）：b.csv：缺少 y",
        ),
        ("20 of 200 features", "guard.mass-removal：200 个要素中 20 个"),
        (
            "parcel.tiling: a gap of 2.00 m², expected no gap",
            "宗地无缝（parcel.tiling）：缝隙 2.00 m²",
        ),
        (
            "parcel.tiling: a gap of 2.00 m² and 3 more, expected no gap",
            "宗地无缝（parcel.tiling）：缝隙 2.00 m²（共 4 处）",
        ),
        (
            "pipe.depth: could not be checked: no terrain",
            "埋深（pipe.depth）：未能检查：no terrain",
        ),
        (
            "road.code: 6 of 80 records fail, tolerated 1.0%",
            "道路代码（road.code）：80 条记录中有 6 条不合格，容许 1.0%",
        ),
    ],
)
def test_reasons_of_rules_and_guards_are_told_in_chinese(results, reason, expected):
    assert reason_titles([reason], results, FINDINGS) == (Title(expected, reason),)


@pytest.mark.parametrize(
    "reason",
    ["office.01: no file matches 'a.csv'", "road.code: 5 of 80 records fail", "parcel.tiling: "],
)
def test_other_reasons_stay_as_they_are(results, reason):
    assert reason_titles([reason], results, FINDINGS) == (Title(reason, reason),)
