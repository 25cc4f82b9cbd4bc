"""A small workspace: parcels from a GeoPackage."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

FILES = {
    "cityframe.yaml": "title: {zh: 小城, en: Small town}\n",
    "schemas/parcels.yaml": """\
name: parcels
title: {zh: 宗地, en: Parcels}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.05
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}, nullable: false}
""",
    "sources/cadastre.yaml": """\
name: cadastre
title: {zh: 地籍测量, en: Cadastral survey}
kind: survey
delivery: full
pull: {type: files, path: parcels.gpkg}
crs: EPSG:4547
feeds:
  - layer: parcels
    columns: {number: DJH}
""",
    "cycles/monthly.yaml": """\
name: monthly
title: {zh: 月度更新, en: Monthly update}
sources: [cadastre]
approvers: [li]
""",
}


@pytest.fixture
def declare() -> Callable[..., None]:
    """Return a function that writes the declarations, with text added to some or files of its own.

    A text for a file that is there is added to its end.
    """

    def write(root: Path, more: Mapping[str, str] | None = None) -> None:
        for name in {**FILES, **(more or {})}:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = FILES.get(name, "") + (more or {}).get(name, "")
            path.write_text(text, encoding="utf-8")

    return write
