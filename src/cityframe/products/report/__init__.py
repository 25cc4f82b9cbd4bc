"""Reports of a cycle, a delivery, a supplier: offline pages in two languages, and for programs."""

from cityframe.products.report.counts import findings_of_source
from cityframe.products.report.document import (
    ReportDocument,
    read_report,
    report_digest,
)
from cityframe.products.report.supplier import write_supplier_report
from cityframe.products.report.write import ReportFiles, write_report

__all__ = [
    "ReportDocument",
    "ReportFiles",
    "findings_of_source",
    "read_report",
    "report_digest",
    "write_report",
    "write_supplier_report",
]
