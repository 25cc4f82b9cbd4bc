"""Write a report as it is now to a file of the user's choice."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City
from cityframe.pipeline.delivery_report import write_delivery_report
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.reporting import write_cycle_report
from cityframe.pipeline.supplier_report import write_supplier_trend
from cityframe.products.report import ReportFiles


def export_report(city: City, report_id: str, to: Path, *, language: str) -> tuple[str, Path]:
    """Write the report of a cycle.

    Parameters
    ----------
    city : City
        The city.
    report_id : str
        A cycle's id, or the number of a release.
    to : Path
        A folder for all files, or a file ending in .html, .json, .gpkg, .geojson, .csv or .xml.
    language : str
        ``zh`` or ``en``: which HTML.

    Returns
    -------
    tuple of str and Path
        The cycle and what was written.

    Raises
    ------
    DeclarationError
        If there is no such cycle or release, or the ending is unknown.
    """
    cycle = city.framework.release(int(report_id)).cycle if report_id.isdigit() else report_id
    read_plan(city, cycle)
    with tempfile.TemporaryDirectory(prefix="cityframe-report-") as temporary:
        files = write_cycle_report(city, cycle, Path(temporary) / "report")
        _hand_out(Path(temporary) / "report", _by_ending(files, language), to)
    return cycle, to


def export_delivery_report(
    city: City, delivery: str, to: Path, *, language: str
) -> tuple[str, Path]:
    """Write the report of one delivery, as `export_report` writes a cycle's.

    Raises
    ------
    DeclarationError
        If no cycle took it in, or the ending is unknown.
    """
    with tempfile.TemporaryDirectory(prefix="cityframe-report-") as temporary:
        cycle, files = write_delivery_report(city, delivery, Path(temporary) / "report")
        _hand_out(Path(temporary) / "report", _by_ending(files, language), to)
    return cycle, to


def export_supplier_report(city: City, source: str, to: Path, *, language: str) -> Path:
    """Write the report of a source over the cycles: a folder, or a file .html or .json.

    Raises
    ------
    DeclarationError
        If there is no such source, no cycle took anything of it, or the ending is unknown.
    """
    with tempfile.TemporaryDirectory(prefix="cityframe-report-") as temporary:
        folder = write_supplier_trend(city, source, Path(temporary) / "report")
        by_ending = {
            ".html": folder / f"supplier.{language}.html",
            ".json": folder / "supplier.json",
        }
        _hand_out(folder, by_ending, to)
    return to


def _by_ending(files: ReportFiles, language: str) -> Mapping[str, Path]:
    return {
        ".html": files.page_zh if language == "zh" else files.page_en,
        ".json": files.json,
        ".gpkg": files.geopackage,
        ".geojson": files.geojson,
        ".csv": files.csv,
        ".xml": files.quality,
    }


def _hand_out(folder: Path, by_ending: Mapping[str, Path], to: Path) -> None:
    if to.suffix == "" or to.is_dir():
        shutil.copytree(folder, to, dirs_exist_ok=True)
        return
    if to.suffix not in by_ending:
        raise DeclarationError(
            where=str(to),
            found=f"ending {to.suffix!r}",
            expected=f"a folder or one of {', '.join(by_ending)}",
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(by_ending[to.suffix], to)
