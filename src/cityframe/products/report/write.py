"""Write a report into a folder: all of its files, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd

from cityframe.model.layer import Layer
from cityframe.model.report import Report
from cityframe.products.report.document import report_bytes, report_digest
from cityframe.products.report.exchange import geojson_bytes, write_geopackage
from cityframe.products.report.folder import folder_replaced_whole
from cityframe.products.report.iso19157 import quality_xml
from cityframe.products.report.listing import finding_totals, list_findings
from cityframe.products.report.mending_list import mending_csv
from cityframe.products.report.page import LANGUAGES, PageContent, page_name, render_page
from cityframe.products.report.payload import page_data
from cityframe.products.report.sections import report_view

JSON_NAME, QUALITY_NAME = "report.json", "quality.xml"
GEOPACKAGE_NAME, GEOJSON_NAME, CSV_NAME = "findings.gpkg", "findings.geojson", "findings.csv"


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written.

    Attributes
    ----------
    digest : str
        SHA-256 of ``report.json``; it stands for the findings too.
    """

    page_zh: Path
    page_en: Path
    json: Path
    geopackage: Path
    geojson: Path
    csv: Path
    quality: Path
    digest: str


def write_report(
    folder: Path,
    report: Report,
    *,
    findings: Mapping[str, gpd.GeoDataFrame],
    features: Mapping[str, gpd.GeoDataFrame],
    context: Mapping[str, gpd.GeoDataFrame],
    layers: Mapping[str, Layer],
    waived: frozenset[str] = frozenset(),
) -> ReportFiles:
    """Write the pages, ``report.json``, ``quality.xml`` and the findings for other programs.

    The files are made in a folder beside, which then takes the place of ``folder`` by a rename:
    whoever looks sees the old report or the new one. Equal input gives equal bytes in every file.

    Parameters
    ----------
    folder : Path
        Created with its parents; a report that is there already is replaced.
    findings : mapping of str to GeoDataFrame
        Findings frames, one for each CRS; the keys do not matter, the ``layer`` of a row does.
    features : mapping of str to GeoDataFrame
        By layer: ``finding_id``, ``side`` (``before`` or ``after``), ``uid``, ``attributes`` (a
        JSON object as text) and ``geometry``, in the layer's CRS.
    context : mapping of str to GeoDataFrame
        By layer: a thin extract for orientation; only its geometry is used. A name that is not in
        ``layers`` is shown as it is.
    layers : mapping of str to Layer
        Contracts of all layers concerned; their order is the order of the page.
    waived : frozenset of str
        Identities of findings that are accepted, besides those that name their waiver.

    Raises
    ------
    DeclarationError
        If a frame does not have its columns, layer or CRS, or ``folder`` holds other files.
    """
    own = {JSON_NAME, QUALITY_NAME, GEOPACKAGE_NAME, GEOJSON_NAME, CSV_NAME}
    own |= {page_name(one) for one in LANGUAGES}
    listing = list_findings(findings, layers, waived)
    totals = finding_totals(listing)
    content = PageContent(
        report=report,
        totals=totals,
        view=report_view(report, listing.table, layers),
        data=page_data(listing, features, context, layers),
        layers=layers,
    )
    document = report_bytes(report, totals)
    with folder_replaced_whole(folder, own) as made:
        (made / JSON_NAME).write_bytes(document)
        (made / QUALITY_NAME).write_bytes(quality_xml(report, layers))
        (made / CSV_NAME).write_bytes(mending_csv(listing, report, layers))
        (made / GEOJSON_NAME).write_bytes(geojson_bytes(listing))
        write_geopackage(made / GEOPACKAGE_NAME, listing, written_at=report.created_at)
        for language in LANGUAGES:
            page = render_page(content, language)
            (made / page_name(language)).write_text(page, encoding="utf-8", newline="\n")
    return ReportFiles(
        page_zh=folder / page_name("zh"),
        page_en=folder / page_name("en"),
        json=folder / JSON_NAME,
        geopackage=folder / GEOPACKAGE_NAME,
        geojson=folder / GEOJSON_NAME,
        csv=folder / CSV_NAME,
        quality=folder / QUALITY_NAME,
        digest=report_digest(document),
    )
