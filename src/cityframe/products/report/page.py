"""The page: one self-contained HTML file a language, without any outside request."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import jinja2
import yaml

from cityframe.model.layer import Layer
from cityframe.model.report import Report, ReportKind
from cityframe.model.text import Title
from cityframe.products.report.document import FindingTotals
from cityframe.products.report.payload import Language, PageData, page_json, page_packs
from cityframe.products.report.sections import View

LANGUAGES: tuple[Language, ...] = ("zh", "en")
SCRIPTS = ("data.js", "sheet.js", "map.js", "list.js", "detail.js", "page.js")
_TEMPLATES = resources.files("cityframe.products.report") / "templates"


@dataclass(frozen=True)
class PageContent:
    """Everything that a page shows, in either language."""

    report: Report
    totals: FindingTotals
    view: View
    data: PageData
    layers: Mapping[str, Layer]


def page_name(language: Language) -> str:
    """Return the file name of the page in a language."""
    return f"report.{language}.html"


def render_page(content: PageContent, language: Language) -> str:
    """Return the page in one language.

    All texts pass through autoescape; the findings are data for the script, which writes them as
    text nodes. The content security policy allows the page's own style and script by their
    digests, and nothing else.
    """
    report = content.report
    return render_template(
        "report.html.j2",
        language,
        time_zone=report.time_zone,
        other_page=page_name("en" if language == "zh" else "zh"),
        scripts=SCRIPTS,
        paper_head=_head(report, language),
        report=report,
        totals=content.totals,
        view=content.view,
        data=page_json(
            content.data, report, content.totals, content.layers, words(language), language
        ),
        packs=page_packs(content.data, language),
    )


def render_template(
    template: str,
    language: Language,
    *,
    time_zone: str,
    other_page: str,
    scripts: Sequence[str],
    paper_head: str,
    **values: object,
) -> str:
    """Return a page from a template, with the texts of a language and its policy.

    Parameters
    ----------
    time_zone : str
        IANA name of the zone in which times are shown.
    other_page : str
        File name of the page in the other language.
    scripts : sequence of str
        Files of ``templates`` that make up the page's script; none for a page without.
    paper_head : str
        What stands at the head of each sheet of paper.
    """
    catalogue = words(language)
    style = _text("report.css") + _running_head(paper_head)
    script = _script(scripts)

    def name(title: Title) -> str:
        return str(getattr(title, language))

    def say(key: str, **named: object) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: str(named[match.group(1)]), catalogue[key])

    def word(group: str, value: str) -> str:
        # a state or kind that the catalogue does not know is shown as it is
        return catalogue.get(group + value, value)

    return (
        _environment()
        .get_template(template)
        .render(
            t=catalogue,
            name=name,
            say=say,
            word=word,
            zone=local_times(time_zone),
            other_page=other_page,
            other_language=words("en" if language == "zh" else "zh")["html_language"],
            policy=_policy(style, script),
            style=style,
            script=script,
            **values,
        )
    )


def words(language: Language) -> dict[str, str]:
    """Return the page's texts in one language."""
    return {key: texts[language] for key, texts in _catalogue().items()}


@cache
def _catalogue() -> dict[str, dict[str, str]]:
    catalogue: dict[str, dict[str, str]] = yaml.safe_load(_text("words.yaml"))
    return catalogue


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _head(report: Report, language: Language) -> str:
    is_delivery = report.kind is ReportKind.DELIVERY
    title = words(language)["delivery_report_title" if is_delivery else "report_title"]
    subject = report.deliveries[0].delivery.id if is_delivery else report.id
    return f"{title} · {getattr(report.city, language)} · {subject}"


def _running_head(text: str) -> str:
    # written as code points, so that no text can end the string or the element that it stands in
    string = "".join(f"\\{ord(one):x} " for one in text)
    return (
        f'@media print {{ @page {{ @top-left {{ content: "{string}"; font: 8pt sans-serif;'
        " color: #4b5a67; } } }\n"
    )


def _script(names: Sequence[str]) -> str:
    parts = "\n".join(_text(name) for name in names)
    return f'"use strict";\n(() => {{\n{parts}}})();\n' if names else ""


def _policy(style: str, script: str) -> str:
    scripts = [f"script-src '{_source_hash(script)}'"] if script else []
    return "; ".join(
        [
            "default-src 'none'",
            *scripts,
            f"style-src '{_source_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {"grouped": _grouped, "signed": _signed, "bytes": _bytes, "share": _share}
    )
    return environment


def _grouped(number: int) -> str:
    return f"{number:,}"


def _signed(number: int) -> str:
    return f"{number:+,}".replace("-", "−") if number else "0"


def _share(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.2f} %"


def _bytes(size: int) -> str:
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """Writes times as the clock of a time zone shows them."""

    zone: ZoneInfo

    def __call__(self, text: str) -> str:
        """Return an ISO 8601 time as date, hour and minute; what is no time as it is."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        if moment.tzinfo is None:
            return text
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def name(self, text: str) -> str:
        """Return the zone with its offset at a time: ``Asia/Shanghai, UTC+08:00``."""
        offset = datetime.fromisoformat(text).astimezone(self.zone).strftime("%z")
        return f"{self.zone.key} (UTC{offset[:3].replace('-', '−')}:{offset[3:]})"


def local_times(time_zone: str) -> LocalTimes:
    """Return the writer of times in a zone of the IANA database."""
    return LocalTimes(ZoneInfo(time_zone))
