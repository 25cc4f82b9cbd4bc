"""The page in a real browser: its script runs, lists every finding and shows one."""

import os
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from cityframe.products.report import write_report

pytestmark = pytest.mark.server
WIDE, NARROW = (1440, 900), (400, 800)


@pytest.fixture
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI must have chromium: apt-get install chromium")
    if found is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    return found


@pytest.fixture
def load(chromium, sample, tmp_path):
    """Write the report, open a page of it and return the document as the script left it."""

    def dump(address="", *, size=WIDE, language="zh", report=sample.report, **changed):
        write_report(tmp_path / "report", report, **{**sample.arguments, **changed})
        page = (tmp_path / "report" / f"report.{language}.html").as_uri()
        command = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--window-size={size[0]},{size[1]}",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            f"{page}{address}",
        ]
        # headless chromium now and then dumps a page before its script has run: look once more
        for _ in range(2):
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=120, check=True
            )
            if 'data-state="ready"' in result.stdout:
                break
        document = result.stdout
        assert 'data-state="ready"' in document, result.stderr[-2000:]
        assert "data-error" not in document, re.findall(r'data-error="[^"]*"', document)
        return document

    return dump


def mark(document, name):
    found = re.search(rf'<html[^>]* data-{name}="([^"]*)"', document)
    return found and found.group(1)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_lists_every_finding(load, sample, size, language):
    document = load(size=size, language=language)
    (frame,) = sample.findings.values()
    assert mark(document, "listed") == str(len(frame))
    rows = re.findall(r'class="row ', document)
    assert 4 < len(rows) < 40, "rows are made for what is on the screen only"
    assert f'aria-setsize="{len(frame)}"' in document


def test_address_chooses_the_findings(load, sample):
    document = load("#rule=parcel.overlap&layer=parcel")
    (frame,) = sample.findings.values()
    assert mark(document, "listed") == str((frame["rule"] == "parcel.overlap").sum())


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_address_shows_one_finding_before_and_after(load, sample, size):
    (frame,) = sample.findings.values()
    features = sample.features["building"]
    known = features.loc[features["side"] == "before", "finding_id"].iloc[0]
    finding = frame.set_index("finding_id").loc[known]
    document = load(f"#finding={known}", size=size)
    detail = document[document.index('id="detail-body"') :]
    assert mark(document, "selected") == known
    assert finding["uid"] in detail
    assert "砖混" in detail, "what it was"
    assert "钢混" in detail, "what it is"
    assert detail.count('class="is-changed"') == 2
    assert "图形有变" in detail
    assert f'id="row-{int(re.search("row-([0-9]+)", document).group(1))}"' in document
    assert re.search(r'aria-selected="true"', document)


def test_record_without_a_uid_is_shown_beside_the_feature_that_it_would_change(load, sample):
    features = sample.features["building"].copy()
    known = features.loc[features["side"] == "before", "finding_id"].iloc[0]
    features.loc[features["side"] == "after", "uid"] = ""
    document = load(f"#finding={known}", features={"building": features})
    detail = document[document.index('id="detail-body"') :]
    assert detail.count('class="feature"') == 1
    assert detail.count('class="is-changed"') == 2


def test_hostile_texts_do_not_run(load, sample):
    (frame,) = sample.findings.values()
    hostile = "<img src=x onerror=\"document.documentElement.dataset.error='ran'\">"
    known = frame["finding_id"].iloc[0]
    frame = frame.assign(found=hostile, uid=hostile)
    document = load(f"#finding={known}", findings={"one": frame})
    assert "<img" not in document
    assert "&lt;img src=x" in document


def test_page_without_findings_says_so_and_runs(load, sample):
    report = replace(sample.report, gate_reasons=(), results=())
    document = load(report=report, findings={}, features={}, context={}, waived=frozenset())
    assert "没有问题。" in document
    assert "<canvas" not in document


def test_findings_without_any_place_are_listed(load, sample):
    (frame,) = sample.findings.values()
    frame = frame.assign(geometry=None).set_geometry("geometry", crs="EPSG:4547")
    document = load(findings={"one": frame}, features={}, context={})
    assert mark(document, "listed") == str(len(frame))


def test_fixed_findings_are_listed_when_asked_for(load, sample, with_fixed):
    (frame,) = sample.findings.values()
    document = load("#state=fixed", findings=with_fixed.findings)
    assert mark(document, "listed") == "6"
    assert "6 / 424 个问题" in document
    assert f"共 {len(frame)} 个问题" in load(findings=with_fixed.findings)


def test_state_filter_chooses_by_state(load, sample):
    (frame,) = sample.findings.values()
    document = load("#state=come-back", language="en")
    assert mark(document, "listed") == str((frame["state"] == "come-back").sum())


def test_page_prints_on_several_sheets(chromium, sample, tmp_path):
    files = write_report(tmp_path / "report", sample.report, **sample.arguments)
    subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=5000",
            f"--print-to-pdf={tmp_path / 'r.pdf'}",
            files.page_zh.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    content = (tmp_path / "r.pdf").read_bytes()
    sheets = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 8 < sheets < 40, "parts, the map and the list of findings"
    assert re.search(rb"/MediaBox\s*\[0 0 59\d(\.\d+)? 84\d", content), "A4"
