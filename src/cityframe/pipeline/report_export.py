"""Write the report of a cycle or release as it is now to a file of the user's choice."""

import shutil
import tempfile
from pathlib import Path

from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.reporting import write_cycle_report


def export_report(city: City, report_id: str, to: Path, *, language: str) -> tuple[str, Path]:
    """Write a report.

    Parameters
    ----------
    city : City
        The city.
    report_id : str
        A cycle's id, or the number of a release.
    to : Path
        A folder for all files, or a file ending in .html, .json, .gpkg or .geojson.
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
        by_ending = {
            ".html": files.page_zh if language == "zh" else files.page_en,
            ".json": files.json,
            ".gpkg": files.geopackage,
            ".geojson": files.geojson,
        }
        if to.suffix == "" or to.is_dir():
            shutil.copytree(Path(temporary) / "report", to, dirs_exist_ok=True)
            return cycle, to
        if to.suffix not in by_ending:
            raise DeclarationError(
                where=str(to),
                found=f"ending {to.suffix!r}",
                expected=f"a folder or one of {', '.join(by_ending)}",
            )
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(by_ending[to.suffix], to)
    return cycle, to
