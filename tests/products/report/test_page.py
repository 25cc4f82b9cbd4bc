import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import pytest
import yaml

from cityframe.products.report import write_report
from cityframe.products.report.packing import unpacked
from cityframe.products.report.page import SCRIPTS, words

TEMPLATES = resources.files("cityframe.products.report") / "templates"
HOSTILE = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>&{{7*7}}\u2028"
VOID = {"meta", "input", "link", "br", "hr", "img", "path", "circle", "rect", "use"}


class Page(HTMLParser):
    """Elements, texts and balance of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open, self.raw = [], [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop()[0] == tag, f"</{tag}> does not close the open element"

    def handle_data(self, data):
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag in ("script", "style"):
            key = attributes.get("id", tag)
            self.raw[key] = self.raw.get(key, "") + data
        else:
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def pages(sample, tmp_path):
    def build(**changed):
        report = replace(sample.report, **changed.pop("report", {}))
        files = write_report(tmp_path / "report", report, **{**sample.arguments, **changed})
        return {
            "zh": Page(files.page_zh.read_text(encoding="utf-8")),
            "en": Page(files.page_en.read_text(encoding="utf-8")),
        }

    return build


def without_findings(sample):
    return {"findings": {}, "features": {}, "context": {}, "waived": frozenset()}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_is_well_formed_and_says_its_language(pages, language):
    page = pages()[language]
    assert page.open == []
    assert page.all("html")[0]["lang"] == {"zh": "zh-CN", "en": "en"}[language]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_parts_stand_in_the_order_of_the_review(pages):
    sections = [one["id"] for one in pages()["en"].all("section")]
    assert sections == ["verdict", "changes", "deliveries", "rules", "findings"]


def test_pages_link_to_each_other(pages):
    both = pages()
    links = {
        language: [one["href"] for one in page.all("a") if "data-language" in one]
        for language, page in both.items()
    }
    assert links == {"zh": ["report.en.html"], "en": ["report.zh.html"]}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_is_loaded_from_outside(pages, language):
    page = pages()[language]
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "audio", "video")
        assert "src" not in attributes
        assert "style" not in attributes, "the policy would ignore it"
        assert not [name for name in attributes if name.startswith("on")]
        target = attributes.get("href", "#")
        assert re.match(r"#|report\.(zh|en)\.html$", target), target
    assert not re.search(r"@import|url\(|@font-face", page.raw["style"])
    script = page.raw["script"].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|WebSocket|import\(|eval\(", script)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_policy_allows_the_own_script_and_style_alone(pages, language):
    page = pages()[language]
    (policy,) = [
        one["content"]
        for one in page.all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_hostile_texts_stay_texts(sample, pages):
    (frame,) = sample.findings.values()
    frame = frame.copy()
    for column in ("found", "expected", "uid", "source_key", "other"):
        frame[column] = HOSTILE
    features = {
        name: one.assign(attributes=json.dumps({HOSTILE: HOSTILE, "land_use": HOSTILE}))
        for name, one in sample.features.items()
    }
    results = tuple(replace(one, message=HOSTILE) for one in sample.report.results)
    page = pages(
        report={"id": HOSTILE, "gate_reasons": (HOSTILE,), "results": results, "state": HOSTILE},
        findings={"one": frame},
        features=features,
    )["en"]
    assert len(page.all("script")) == 2 + 4, "data, packs and the one script"
    assert page.open == []
    assert not page.all("img")
    assert HOSTILE.replace("\u2028", " ") in page.text
    assert unpacked(page.raw["pack-texts"])["found"]["values"] == [HOSTILE]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "zh",
            [
                "不能批准",
                "宗地之间不得重叠（parcel.overlap）：24816 条记录中有 46 条不合格",
                "46 / 24,816",
                "民政局地名办",
                "整批隔离",
            ],
        ),
        (
            "en",
            [
                "Cannot be approved",
                "parcel.overlap: 46 of 24816 records fail, none tolerated",
                "Quarantined whole",
                "off by +1",
            ],
        ),
    ],
)
def test_page_says_what_the_reader_must_know(pages, language, expected):
    page = pages()[language]
    for text in [
        *expected,
        "address.count: 1,204 records, expected 1,500 to 2,500",
        "no elevation model covers the district",
        "王敏",
        "sensor_network",
        "ISO 19157:2013",
        "2026-11-22 06:31",
        "Asia/Shanghai (UTC+08:00)",
    ]:
        assert text in page.text


def test_decision_over_another_candidate_is_marked(pages):
    text = pages()["en"].text
    assert "over another candidate 03aa5be1c97f…" in text
    assert "over this candidate b7d1c2f8e04a…" in text


def test_all_findings_stand_in_the_data(sample, pages):
    page = pages()["zh"]
    data = json.loads(page.raw["report-data"])
    columns = unpacked(page.raw["pack-findings"])
    (frame,) = sample.findings.values()
    assert (data["count"], data["total"]) == (len(frame), len(frame))
    assert columns["n"] == len(frame)
    assert set(columns["id"]) == set(frame["finding_id"])
    assert len(columns["waived"]) == len(sample.waived)
    assert data["maps"] == [
        {
            "crs": "EPSG:4547",
            "name": "CGCS2000 / 3-degree Gauss-Kruger CM 114E",
            "origin": data["maps"][0]["origin"],
            "unit": 0.001,
        }
    ]


def test_layers_in_two_crs_have_a_map_each(sample, pages):
    layers = dict(sample.layers) | {"pipe": replace(sample.layers["pipe"], crs="EPSG:4526")}
    (frame,) = sample.findings.values()
    page = pages(
        findings={
            "a": frame[frame["layer"] != "pipe"],
            "b": frame[frame["layer"] == "pipe"].to_crs("EPSG:4526"),
        },
        features={**sample.features, "pipe": sample.features["pipe"].to_crs("EPSG:4526")},
        layers=layers,
    )["en"]
    data = json.loads(page.raw["report-data"])
    assert [one["crs"] for one in data["maps"]] == ["EPSG:4547", "EPSG:4526"]
    assert {one["name"]: one["map"] for one in data["layers"]}["pipe"] == 1
    assert len(unpacked(page.raw["pack-findings"])["places"]) == 2


@pytest.mark.parametrize(("language", "column"), [("zh", "found_zh"), ("en", "found")])
def test_findings_are_told_in_the_language_of_the_page(sample, pages, language, column):
    texts = unpacked(pages()[language].raw["pack-texts"])["found"]
    (frame,) = sample.findings.values()
    assert set(texts["values"] if isinstance(texts, dict) else texts) == set(frame[column])


def test_fixed_findings_are_listed_and_do_not_count_as_found(sample, with_fixed, pages):
    page = pages(findings=with_fixed.findings)["en"]
    (frame,) = sample.findings.values()
    data = json.loads(page.raw["report-data"])
    assert (data["count"], data["total"]) == (len(frame) + 6, len(frame))
    assert unpacked(page.raw["pack-findings"])["state"].count(4) == 6


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "zh",
            ["可以批准", "没有问题。", "本周期没有收到批次。", "没有检查任何规则。", "尚无决定。"],
        ),
        ("en", ["Can be approved", "No findings.", "No delivery came in.", "No rule was checked."]),
    ],
)
def test_empty_parts_say_so(sample, pages, language, expected):
    empty = {"deliveries": (), "results": (), "decisions": (), "changes": (), "gate_reasons": ()}
    page = pages(report=empty, **without_findings(sample))[language]
    for text in expected:
        assert text in page.text
    assert not page.all("canvas")


def test_release_is_named_once_there_is_one(pages):
    page = pages(report={"release": 18, "state": "published", "gate_reasons": ()})["en"]
    assert "Released as release 18" in page.text


def test_catalogue_has_both_languages_and_the_same_names_in_braces():
    catalogue = yaml.safe_load((TEMPLATES / "words.yaml").read_text(encoding="utf-8"))
    for key, texts in catalogue.items():
        assert set(texts) == {"zh", "en"}, key
        assert all(isinstance(text, str) and text for text in texts.values()), key
        braces = [sorted(re.findall(r"\{(\w+)\}", text)) for text in texts.values()]
        assert braces[0] == braces[1], key


def test_every_text_of_the_catalogue_is_used():
    sources = "\n".join(
        one.read_text(encoding="utf-8")
        for one in TEMPLATES.iterdir()
        if one.name not in ("words.yaml", "report.css")
    )
    groups = tuple(re.findall(r"[\"`](\w+_)(?:\"|\$\{)", sources))
    unused = [
        key
        for key in words("zh")
        if not key.startswith(groups) and not re.search(rf"\b{re.escape(key)}\b", sources)
    ]
    assert unused == []


def test_scripts_know_only_texts_of_the_catalogue():
    sources = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    named = re.findall(r"\bwords\.(\w+)|\bsay\(\"([\w-]+)\"|\badd\(\"(\w+)\"", sources)
    assert {name for names in named for name in names if name} <= set(words("en"))


def test_scripts_do_not_close_their_element():
    for name in SCRIPTS:
        source = (TEMPLATES / name).read_text(encoding="utf-8")
        assert "</script" not in source
        assert "innerHTML" not in source
