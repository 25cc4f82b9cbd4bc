import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from cityframe.errors import IntegrityError
from cityframe.products.report.document import (
    FindingTotals,
    read_report,
    report_bytes,
    report_digest,
)
from cityframe.products.report.listing import finding_totals, list_findings
from cityframe.products.report.schema import report_schema, schema_text

SCHEMA = Path(__file__).parents[3] / "docs" / "formats" / "report.schema.json"


@pytest.fixture
def totals(sample):
    return finding_totals(list_findings(sample.findings, sample.layers, sample.waived))


def test_report_reads_back_as_written(sample, totals):
    document = read_report(report_bytes(sample.report, totals))
    assert document.report == sample.report
    assert document.findings == totals


def test_report_bytes_do_not_show_in_which_order_mappings_were_filled(sample, totals):
    turned = replace(
        sample.report,
        changes=tuple(
            replace(one, changes=dict(reversed(one.changes.items())))
            for one in sample.report.changes
        ),
    )
    assert report_bytes(turned, totals) == report_bytes(sample.report, totals)


def test_report_digest_moves_with_any_finding(sample, totals):
    other = replace(totals, digest="0" * 64)
    before = report_digest(report_bytes(sample.report, totals))
    assert before != report_digest(report_bytes(sample.report, other))
    assert len(before) == 64


def test_report_fits_its_schema(sample, totals):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(report_bytes(sample.report, totals)), schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "cityframe-report/3"),
        (("report", "results", 0, "status"), "perhaps"),
        (("report", "unknown"), 1),
        (("findings", "total"), "many"),
    ],
)
def test_schema_refuses_what_is_no_report(sample, totals, path, value):
    document = json.loads(report_bytes(sample.report, totals))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, report_schema())


def test_published_schema_is_current():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(report_schema()), (
        "write it anew: python -m cityframe.products.report.schema"
        " > docs/formats/report.schema.json"
    )


def test_damaged_report_is_an_integrity_error():
    with pytest.raises(IntegrityError, match=r"cycle-7/report\.json.*cityframe-report/2"):
        read_report(b'{"format": "cityframe-report/2"}', where="cycle-7/report.json")


def test_totals_have_every_gate_and_class_even_without_findings(sample):
    totals = finding_totals(list_findings({}, sample.layers))
    assert totals == FindingTotals(
        total=0,
        waived=0,
        fixed=0,
        by_state={"new": 0, "persisting": 0, "come-back": 0, "fixed": 0},
        open_by_gate={"block": 0, "review": 0, "note": 0},
        open_by_class={"A": 0, "B": 0, "C": 0, "D": 0},
        digest=totals.digest,
    )
