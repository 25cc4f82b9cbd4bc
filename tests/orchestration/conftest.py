"""A tiny workspace, and an Airflow of its own for the whole session."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cityframe.orchestration.settings import local_environment

REPOSITORY = Path(__file__).parents[2]
DAG_FILE = REPOSITORY / "dags" / "cityframe_dags.py"

# Airflow reads where its home is when it is first imported, and the test modules import it
_HOME = Path(tempfile.mkdtemp(prefix="cityframe-airflow-"))
_SETTINGS = local_environment(home=_HOME, dags=DAG_FILE.parent, workspace=REPOSITORY)
os.environ.update({name: value for name, value in _SETTINGS.items() if "AIRFLOW" in name})

AIRFLOWS_OWN_WARNINGS = (
    "ignore::airflow.utils.deprecation_tools.DeprecatedImportWarning",
    "ignore:Using .httpx. with .starlette.testclient. is deprecated",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and let pass what Airflow's own modules warn of."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.airflow)
            for warning in AIRFLOWS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session", autouse=True)
def _airflow_home() -> Iterator[None]:
    yield
    shutil.rmtree(_HOME)


@pytest.fixture(scope="session")
def airflow_database() -> Path:
    """Airflow's home with a database, made once."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)
    return _HOME


FILES = {
    "cityframe.yaml": """
title: {zh: 小城, en: Tiny town}
""",
    "schemas/trees.yaml": """
name: trees
title: {zh: 树木, en: Trees}
geometry: Point
crs: EPSG:4547
accuracy_m: 0.25
key: tree_id
attributes:
  tree_id: {type: string, title: {zh: 编号, en: Number}, nullable: false}
  species: {type: string, title: {zh: 树种, en: Species}}
""",
    "schemas/plots.yaml": """
name: plots
title: {zh: 地块, en: Plots}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.25
key: plot_id
attributes:
  plot_id: {type: string, title: {zh: 编号, en: Number}, nullable: false}
""",
    "sources/tree_list.yaml": """
name: tree_list
title: {zh: 树木清单, en: List of trees}
kind: departmental
delivery: full
pull: {type: files, path: feeds/trees.csv}
crs: EPSG:4547
schedule: "30 2 * * *"
pool: parks_office
retries: {count: 3, delay_s: 5}
currency_days: 30
feeds:
  - layer: trees
    columns: {tree_id: id, species: species}
    geometry: {x: x, y: y}
    guards: {removed_share: 1.0, removed_cell_share: 1.0}
""",
    "sources/plot_survey.yaml": """
name: plot_survey
title: {zh: 地块测绘, en: Survey of plots}
kind: survey
delivery: full
pull: {type: files, path: feeds/plots.geojson}
crs: EPSG:4547
feeds:
  - layer: plots
    columns: {plot_id: id}
    guards: {removed_share: 1.0, removed_cell_share: 1.0}
""",
    "quality_rules/trees.yaml": """
rules: []
""",
    "cycles/weekly.yaml": """
name: weekly
title: {zh: 每周更新, en: Weekly update}
sources: [plot_survey, tree_list]
approvers: [li]
runs_on: both
calendar:
  cron: "0 9 * * 5"
  holidays: [2026-10-01, 2026-10-02]
review_days: 3
packages: {full: true, change: true, formats: [gpkg]}
""",
    "cycles/by_day.yaml": """
name: by_day
title: {zh: 每日更新, en: Daily update}
sources: [tree_list]
approvers: [li]
runs_on: calendar
calendar: {cron: "0 18 * * *"}
""",
    "cycles/as_it_comes.yaml": """
name: as_it_comes
title: {zh: 随到随更, en: As it comes}
sources: [tree_list]
approvers: [li]
""",
}
TREES = "id,species,x,y\nT1,oak,500010,3000010\nT2,elm,500020,3000020\n"
PLOT = [[500000, 3000000], [500100, 3000000], [500100, 3000100], [500000, 3000100]]


@pytest.fixture
def write_trees() -> Callable[[Path, str], None]:
    """Return a function that writes the list of trees, with lines added."""

    def write(root: Path, more: str) -> None:
        (root / "feeds" / "trees.csv").write_text(TREES + more, encoding="utf-8")

    return write


@pytest.fixture
def workspace(tmp_path: Path, write_trees: Callable[[Path, str], None]) -> Path:
    """A workspace with two sources, their feeds and three series."""
    root = tmp_path / "tiny_town"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "feeds").mkdir()
    write_trees(root, "")
    ring = [*PLOT, PLOT[0]]
    feature = (
        '{"type": "Feature", "properties": {"id": "P1"}, '
        f'"geometry": {{"type": "Polygon", "coordinates": [{ring}]}}}}'
    )
    (root / "feeds" / "plots.geojson").write_text(
        f'{{"type": "FeatureCollection", "features": [{feature}]}}', encoding="utf-8"
    )
    return root
