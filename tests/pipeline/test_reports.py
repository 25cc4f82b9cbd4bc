"""The three kinds of report of a town: a cycle's, a delivery's, a supplier's."""

import csv
import json

import jsonschema
import pytest

from cityframe.errors import DeclarationError
from cityframe.pipeline.delivery_report import answers_for
from cityframe.pipeline.report_export import (
    export_delivery_report,
    export_report,
    export_supplier_report,
)
from cityframe.pipeline.supplier_report import supplier_report
from cityframe.products.report import read_report
from cityframe.products.report.schema import report_schema


@pytest.fixture(scope="module")
def troubled(shared_town):
    """Two cycles: a sound one, then one with parcels without a use and one that overlaps."""
    town, grid = shared_town, [(f"P{n:03d}", n % 10, n // 10, "1") for n in range(100)]
    town.deliver_parcels(grid)
    town.deliver_addresses([("A1", 500010, 3400010, "建设路1号")])
    town.run()
    parcels = [
        (number, x, y, None if number in ("P001", "P002") else use) for number, x, y, use in grid
    ]
    big = town.square(5, 5).buffer(3, join_style="mitre")
    town.deliver_parcels(parcels, at="2026-02-01", P055=big)
    town.run(approve=False)
    return town


def delivery_of(town, cycle, source):
    content = (town.city.cycle_folder(cycle) / "report" / "report.json").read_bytes()
    deliveries = read_report(content).report.deliveries
    return next(one.delivery.id for one in deliveries if one.delivery.source == source)


def test_cycles_report_says_the_time_zone_of_the_workspace(troubled):
    content = (troubled.city.cycle_folder("monthly-0002") / "report" / "report.json").read_bytes()
    assert read_report(content).report.time_zone == "Asia/Shanghai"


def test_delivery_report_has_its_own_findings_and_fates_only(troubled, tmp_path):
    delivery = delivery_of(troubled, "monthly-0002", "cadastre")
    cycle, _ = export_delivery_report(troubled.city, delivery, tmp_path / "out", language="zh")
    assert cycle == "monthly-0002"
    content = (tmp_path / "out" / "report.json").read_bytes()
    jsonschema.validate(json.loads(content), report_schema())
    report = read_report(content).report
    assert report.kind == "delivery"
    assert [one.delivery.id for one in report.deliveries] == [delivery]
    assert (report.changes, report.decisions) == ((), ())
    with (tmp_path / "out" / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["批次 Delivery"] for row in rows} == {delivery}
    missing = [row for row in rows if row["规则 Rule"].startswith("用途必填")]
    assert {row["来源编号 Source key"] for row in missing} == {"P001", "P002"}
    overlaps = [row for row in rows if row["规则 Rule"].startswith("不得重叠")]
    assert overlaps, "a candidate's findings stand in the report of the delivery to blame"


@pytest.mark.parametrize(
    ("delivery", "answered"),
    [
        ("cadastre.c", {"cadastre.a", "cadastre.c"}),  # a was taken in by a cycle before
        ("cadastre.b", {"cadastre.b"}),
        ("registry.d", {"registry.d"}),
    ],
)
def test_the_newest_delivery_answers_for_those_before(delivery, answered):
    answers = answers_for(delivery, ["cadastre.b", "registry.d", "cadastre.c"])
    every = ["cadastre.a", "cadastre.b", "cadastre.c", "registry.d"]
    assert {one for one in every if answers(one)} == answered


def test_delivery_that_no_cycle_took_in_has_no_report(troubled, tmp_path):
    with pytest.raises(DeclarationError, match="no cycle took it in"):
        export_delivery_report(
            troubled.city, "cadastre.0000000000000000", tmp_path / "o", language="zh"
        )


def test_supplier_report_counts_findings_by_cycle(troubled, tmp_path):
    report = supplier_report(troubled.city, "cadastre")
    first, second = report.cycles
    assert (first.cycle, first.read, first.failing, sum(first.by_class.values())) == (
        "monthly-0001", 100, 0, 0,
    )  # fmt: skip
    assert second.read == 100
    assert second.by_rule["parcels.use"] == 2
    assert second.by_class["A"] > 0
    assert sum(second.fates.values()) == second.read
    assert {"parcels.use", "parcels.overlap"} <= {rule.rule for rule in report.rules}
    written = export_supplier_report(troubled.city, "cadastre", tmp_path / "s.json", language="zh")
    plain = json.loads(written.read_text(encoding="utf-8"))
    assert plain["format"] == "cityframe-supplier/1"
    assert [one["cycle"] for one in plain["report"]["cycles"]] == ["monthly-0001", "monthly-0002"]


def test_supplier_report_shows_a_cycle_that_got_nothing(troubled):
    first, second = supplier_report(troubled.city, "registry").cycles
    assert first.delivery
    assert (second.delivery, second.read, second.age_days) == ("", 0, None)


def test_supplier_report_of_an_unknown_source_is_refused(troubled):
    with pytest.raises(DeclarationError, match="nobody"):
        supplier_report(troubled.city, "nobody")


@pytest.mark.parametrize("ending", ["csv", "xml", "gpkg", "geojson", "html", "json"])
def test_each_file_of_a_report_can_be_had_alone(troubled, tmp_path, ending):
    target = tmp_path / "alone" / f"r.{ending}"
    assert export_report(troubled.city, "1", target, language="en") == ("monthly-0001", target)
    assert [one.name for one in target.parent.iterdir()] == [target.name]
    assert target.stat().st_size > 0


def test_unknown_ending_is_refused(troubled, tmp_path):
    with pytest.raises(DeclarationError, match=r"ending '\.docx'.*\.csv, \.xml"):
        export_report(troubled.city, "1", tmp_path / "r.docx", language="zh")
