import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from cityframe.model.finding import DefectClass, Gate
from cityframe.model.report import SupplierCycle, SupplierReport, SupplierRule
from cityframe.model.text import Title
from cityframe.products.report import write_supplier_report
from cityframe.products.report.schema import schema_text, supplier_schema
from cityframe.products.report.supplier import (
    share_chart,
    share_failing,
    stacked,
    supplier_bytes,
    supplier_page,
)

SCHEMA = Path(__file__).parents[3] / "docs" / "formats" / "supplier.schema.json"


def cycle(number, *, read=100, failing=5, by_class=None, rule="r.a", **changed):
    plain = {
        "cycle": f"monthly-{number:04d}",
        "state": "published",
        "cut_off": f"2026-{number:02d}-20T02:00:00Z",
        "delivery": f"registry.{number:016d}" if read else "",
        "observed_at": f"2026-{number:02d}-18T02:00:00Z" if read else "",
        "landed_at": f"2026-{number:02d}-19T02:00:00Z" if read else "",
        "age_days": 2.0 if read else None,
        "is_overdue": not read,
        "is_quarantined": False,
        "read": read,
        "fates": {"published": read},
        "failing": failing,
        "waived": 1,
        "by_class": by_class or {"A": 2, "B": 3},
        "by_rule": {rule: failing},
        "by_state": {"new": 2, "persisting": 3, "come-back": 0, "fixed": 4},
    }
    return SupplierCycle(**{**plain, **changed})


@pytest.fixture
def report():
    return SupplierReport(
        source="registry",
        source_title=Title("登记中心", "Registry"),
        city=Title("江城", "Jiangcheng"),
        as_of="2026-09-20T02:00:00Z",
        time_zone="Asia/Shanghai",
        currency_days=30,
        cycles=(cycle(7), cycle(8, read=0, failing=0, by_class={"A": 0}), cycle(9, failing=1)),
        rules=(SupplierRule("r.a", Title("不重叠", "No overlap"), DefectClass.A, Gate.BLOCK),),
    )


def test_report_is_written_whole_and_the_same_each_time(report, tmp_path):
    for name in ("a", "b"):
        write_supplier_report(tmp_path / name, report)
    names = sorted(one.name for one in (tmp_path / "a").iterdir())
    assert names == ["supplier.en.html", "supplier.json", "supplier.zh.html"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_json_fits_its_published_schema(report):
    published = SCHEMA.read_text(encoding="utf-8")
    assert published == schema_text(supplier_schema()), (
        "write it anew: python -m cityframe.products.report.schema supplier"
        " > docs/formats/supplier.schema.json"
    )
    jsonschema.validate(json.loads(supplier_bytes(report)), json.loads(published))


def test_json_has_every_cycle(report):
    plain = json.loads(supplier_bytes(report))
    assert plain["format"] == "cityframe-supplier/1"
    assert [one["failing"] for one in plain["report"]["cycles"]] == [5, 0, 1]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("zh", ["登记中心", "未提交", "逾期", "按时", "5.00 %", "2026-09-19 10:00", "不重叠"]),
        ("en", ["Registry", "nothing delivered", "overdue", "on time", "No overlap", "+08:00"]),
    ],
)
def test_page_says_how_each_delivery_fared(report, language, expected):
    page = supplier_page(report, language)
    for text in expected:
        assert text in page
    assert "<script" not in page
    assert page.count("<svg viewBox") == 3


def test_bars_of_a_cycle_stand_on_one_another():
    chart = stacked([cycle(1)], ["A", "B"], "by_class")
    lower, upper = chart.columns[0].bars
    assert (lower.count, upper.count) == (2, 3)
    assert upper.y + upper.height == pytest.approx(lower.y, abs=0.02)
    assert lower.height / upper.height == pytest.approx(2 / 3, abs=0.01)


def test_line_of_the_share_breaks_where_nothing_was_delivered():
    cycles = [cycle(1), cycle(2), cycle(3, read=0, failing=0), cycle(4), cycle(5)]
    assert [len(line.split()) for line in share_chart(cycles).lines] == [2, 2]
    assert share_failing(cycles[2]) is None


def test_share_may_be_more_than_the_records_read():
    # blame goes back to features of older deliveries
    chart = share_chart([cycle(1, read=10, failing=40)])
    (bar,) = chart.columns[0].bars
    assert bar.y >= 0


def test_hostile_names_stay_texts(report):
    hostile = '"></title><script>alert(1)</script>'
    page = supplier_page(replace(report, source_title=Title(hostile, hostile)), "en")
    assert "<script" not in page
    assert not re.search(r"<title>[^<]*</title>.*</title>", page)
