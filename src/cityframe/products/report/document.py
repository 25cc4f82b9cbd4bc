"""``report.json``: the report as plain data, and its digest; see ``docs/formats/report.md``."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from cityframe.errors import IntegrityError
from cityframe.model.report import LayerAccount, LayerChanges, Report

Format = Literal["cityframe-report/2"]
FORMAT: Format = "cityframe-report/2"


@dataclass(frozen=True, slots=True)
class FindingTotals:
    """How many findings there are, and a digest over all of them.

    Attributes
    ----------
    total, waived : int
        All findings, and those of them that are accepted. What is fixed counts in neither.
    fixed : int
        What a cycle before found and this one does not.
    by_state : mapping of str to int
        All findings by `FindingState`, fixed ones too; what was compared with no cycle before
        is in none.
    open_by_gate, open_by_class : mapping of str to int
        The findings that are not waived, by gate and by defect class.
    digest : str
        SHA-256 over the findings, their geometry and who of them is waived, in hexadecimal; so
        that the report's digest stands for the findings too.
    """

    total: int
    waived: int
    fixed: int
    by_state: Mapping[str, int]
    open_by_gate: Mapping[str, int]
    open_by_class: Mapping[str, int]
    digest: str


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """The whole of ``report.json``."""

    format: Format
    report: Report
    findings: FindingTotals


DOCUMENT = TypeAdapter(ReportDocument)


def report_bytes(report: Report, findings: FindingTotals) -> bytes:
    """Return ``report.json``: UTF-8, equal bytes for equal input.

    Mappings are written in the order of their keys, so that the order in which they were filled
    does not show; lists keep the order that the report gives them.
    """
    document = ReportDocument(FORMAT, _with_sorted_mappings(report), findings)
    plain = DOCUMENT.dump_python(document, mode="json")
    return (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode()


def report_digest(content: bytes) -> str:
    """Return the digest of a report: SHA-256 over the bytes of ``report.json``, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_report(content: bytes, *, where: str = "report.json") -> ReportDocument:
    """Read ``report.json`` back.

    Raises
    ------
    IntegrityError
        If the bytes are no report of this format.
    """
    try:
        return DOCUMENT.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise IntegrityError(
            where=where,
            found=f"{place}: {first['msg']}",
            expected=f"a report of the form {FORMAT}",
            remedy="restore the file from the cycle's folder",
        ) from error


def _with_sorted_mappings(report: Report) -> Report:
    def accounts(layers: tuple[LayerAccount, ...]) -> tuple[LayerAccount, ...]:
        return tuple(replace(one, fates=_sorted(one.fates)) for one in layers)

    def changes(one: LayerChanges) -> LayerChanges:
        return replace(one, changes=_sorted(one.changes))

    return replace(
        report,
        deliveries=tuple(replace(one, layers=accounts(one.layers)) for one in report.deliveries),
        changes=tuple(changes(one) for one in report.changes),
    )


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    # the keys may be members of a StrEnum: take their text
    return {str(key): int(counts[key]) for key in sorted(counts)}
