"""The report of a supplier over the cycles: a page in two languages with charts, and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from cityframe.model.finding import DefectClass
from cityframe.model.report import SupplierCycle, SupplierReport, SupplierRule
from cityframe.products.report.folder import folder_replaced_whole
from cityframe.products.report.page import LANGUAGES, render_template, words
from cityframe.products.report.payload import Language

Format = Literal["cityframe-supplier/1"]
FORMAT: Format = "cityframe-supplier/1"
JSON_NAME = "supplier.json"
NEWEST = 6  # cycles in the table by rule: as many as fit on a sheet of paper
# of a chart, in units of its view box
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 400, 170, 42, 26, 12


@dataclass(frozen=True, slots=True)
class SupplierDocument:
    """The whole of ``supplier.json``."""

    format: Format
    report: SupplierReport


DOCUMENT = TypeAdapter(SupplierDocument)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a chart with its look and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    look: str
    count: int


@dataclass(frozen=True, slots=True)
class Column:
    """What a chart shows of one cycle: bars from the foot up, where the middle is, its name."""

    middle: float
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns over a scale; ``ticks`` are pairs of height in the view box and value.

    ``lines`` are points joined from cycle to cycle, broken where a cycle has no value.
    """

    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[str, ...] = ()


def page_name(language: Language) -> str:
    """Return the file name of the page in a language."""
    return f"supplier.{language}.html"


def write_supplier_report(folder: Path, report: SupplierReport) -> Path:
    """Write the pages and ``supplier.json`` into a folder, all or none; equal input, equal bytes.

    Raises
    ------
    DeclarationError
        If ``folder`` holds other files.
    """
    names = {JSON_NAME, *(page_name(language) for language in LANGUAGES)}
    with folder_replaced_whole(folder, names) as made:
        (made / JSON_NAME).write_bytes(supplier_bytes(report))
        for language in LANGUAGES:
            (made / page_name(language)).write_text(
                supplier_page(report, language), encoding="utf-8", newline="\n"
            )
    return folder


def supplier_bytes(report: SupplierReport) -> bytes:
    """Return ``supplier.json``: UTF-8, equal bytes for equal input."""
    plain = DOCUMENT.dump_python(SupplierDocument(FORMAT, report), mode="json")
    return (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode()


def supplier_page(report: SupplierReport, language: Language) -> str:
    """Return the page in one language; it has no script."""
    return render_template(
        "supplier.html.j2",
        language,
        time_zone=report.time_zone,
        other_page=page_name("en" if language == "zh" else "zh"),
        scripts=(),
        paper_head=f"{words(language)['supplier_report_title']} · "
        f"{getattr(report.city, language)} · {getattr(report.source_title, language)}",
        report=report,
        classes=[one.value for one in DefectClass],
        by_class=stacked(report.cycles, [one.value for one in DefectClass], "by_class"),
        by_state=stacked(report.cycles, ["persisting", "come-back", "new"], "by_state"),
        shares=share_chart(report.cycles),
        rules=_by_weight(report),
        newest=report.cycles[: -NEWEST - 1 : -1],
        share_of=share_failing,
        size=(WIDTH, HEIGHT),
        foot=HEIGHT - BOTTOM,
        left=LEFT,
    )


def _by_weight(report: SupplierReport) -> list[tuple[SupplierRule, int]]:
    """Return the rules with their findings over all cycles, most findings first."""
    totals = [
        (rule, sum(one.by_rule.get(rule.rule, 0) for one in report.cycles)) for rule in report.rules
    ]
    return sorted(totals, key=lambda one: (-one[1], one[0].rule))


def share_failing(cycle: SupplierCycle) -> float | None:
    """Return the share of the records read that have an open finding; None without records."""
    return cycle.failing / cycle.read if cycle.read else None


def stacked(cycles: Sequence[SupplierCycle], values: Sequence[str], field: str) -> Chart:
    """Return a chart of stacked bars: for each cycle its counts by value, first value lowest."""
    counts: list[Mapping[str, int]] = [getattr(one, field) for one in cycles]
    most = max((sum(one.get(value, 0) for value in values) for one in counts), default=0)
    top = _round_up(max(most, 1))
    scale = (HEIGHT - BOTTOM - TOP) / top
    columns = []
    for place, count in enumerate(counts):
        middle, width = _slot(place, len(cycles))
        foot, bars = float(HEIGHT - BOTTOM), []
        for value in values:
            high = count.get(value, 0) * scale
            if high:
                foot -= high
                bars.append(
                    Bar(round(middle - width / 2, 2), round(foot, 2), round(width, 2),
                        round(high, 2), value, count[value])
                )  # fmt: skip
        columns.append(Column(round(middle, 2), cycles[place].cycle, tuple(bars)))
    ticks = tuple(
        (round(HEIGHT - BOTTOM - part * top * scale, 2), f"{round(part * top):,}")
        for part in ((0, 0.5, 1) if top > 1 else (0, 1))
    )
    return Chart(tuple(columns), ticks)


def share_chart(cycles: Sequence[SupplierCycle]) -> Chart:
    """Return a line of the share of failing records; cycles without records have no point."""
    shares = [share_failing(one) for one in cycles]
    top = min(
        1.0, _round_up(100 * max((one for one in shares if one is not None), default=0)) / 100
    )
    top = max(top, 0.01)
    high = HEIGHT - BOTTOM - TOP
    columns: list[Column] = []
    lines: list[list[str]] = [[]]
    for place, share in enumerate(shares):
        middle, _ = _slot(place, len(cycles))
        bars: tuple[Bar, ...] = ()
        if share is not None:
            y = round(HEIGHT - BOTTOM - min(share, top) / top * high, 2)
            lines[-1].append(f"{middle:.2f},{y}")
            bars = (Bar(round(middle, 2), y, 0, 0, "share", cycles[place].failing),)
        else:
            lines.append([])
        columns.append(Column(round(middle, 2), cycles[place].cycle, bars))
    ticks = tuple(
        (round(HEIGHT - BOTTOM - part * high, 2), f"{100 * part * top:g} %") for part in (0, 0.5, 1)
    )
    return Chart(tuple(columns), ticks, tuple(" ".join(one) for one in lines if len(one) > 1))


def _slot(place: int, count: int) -> tuple[float, float]:
    wide = (WIDTH - LEFT - 8) / max(count, 1)
    return LEFT + wide * (place + 0.5), min(46.0, wide * 0.68)


def _round_up(value: float) -> float:
    """Return the next number that reads well on a scale: 1, 1.5, 2, 3, 5 or 7 and zeros."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next(
        (power * step for step in (1, 1.5, 2, 3, 5, 7) if power * step >= value), power * 10
    )
