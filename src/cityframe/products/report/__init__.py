"""The report of a cycle: an offline page in two languages, and the same for programs."""

from cityframe.products.report.document import (
    ReportDocument,
    read_report,
    report_digest,
)
from cityframe.products.report.write import ReportFiles, write_report

__all__ = [
    "ReportDocument",
    "ReportFiles",
    "read_report",
    "report_digest",
    "write_report",
]
