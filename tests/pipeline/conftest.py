"""A tiny city: parcels from a GeoPackage, addresses from a CSV."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from cityframe.pipeline.city import City, open_city
from cityframe.pipeline.cycle import CycleOutcome, run_cycle
from cityframe.pipeline.pull import PullOutcome, pull

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
  use: {type: string, title: {zh: 用途, en: Use}, codes: [residential, industrial]}
  registered_area_m2: {type: real, title: {zh: 登记面积, en: Registered area}, unit: m2}
""",
    "schemas/addresses.yaml": """\
name: addresses
title: {zh: 地址, en: Addresses}
geometry: Point
crs: EPSG:4547
accuracy_m: 0.5
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}, nullable: false}
  text: {type: string, title: {zh: 地址, en: Address}}
""",
    "sources/cadastre.yaml": """\
name: cadastre
title: {zh: 地籍测量, en: Cadastral survey}
kind: survey
delivery: full
pull: {type: files, path: feeds/parcels.gpkg}
crs: EPSG:4547
accuracy_m: 0.05
feeds:
  - layer: parcels
    columns: {number: DJH, use: {column: YT, codes: {"1": residential, "2": industrial}},
      registered_area_m2: MJ}
    guards: {removed_min: 4}
""",
    "sources/registry.yaml": """\
name: registry
title: {zh: 地址库, en: Address register}
kind: departmental
delivery: partial
pull: {type: files, path: feeds/addresses.csv}
crs: EPSG:4547
accuracy_m: 0.5
feeds:
  - layer: addresses
    columns: {number: id, text: address}
    geometry: {x: x, y: y}
""",
    "quality_rules/all.yaml": """\
rules:
  - id: parcels.valid
    title: {zh: 几何有效, en: Valid geometry}
    kind: valid_geometry
    layers: parcels
    defect_class: A
    gate: block
    scope: delivery
    tolerated: 0.5
  - id: parcels.use
    title: {zh: 用途必填, en: Use is given}
    kind: mandatory
    layers: parcels
    parameters: {column: use}
    defect_class: B
    gate: review
    scope: delivery
  - id: parcels.overlap
    title: {zh: 不得重叠, en: No overlap}
    kind: overlaps
    layers: parcels
    parameters: {min_area_m2: 0.01}
    defect_class: A
    gate: block
    scope: candidate
    tolerated: 0.0
""",
    "cycles/monthly.yaml": """\
name: monthly
title: {zh: 月度更新, en: Monthly update}
sources: [cadastre, registry]
approvers: [li]
""",
}
Parcel = tuple[str, float, float, str | None]
"""Number, x and y of the corner in units of 20 m, use code; each parcel is 20 m by 20 m."""


def parcel_grid(count: int) -> list[Parcel]:
    return [(f"P{n:03d}", n % 10, n // 10, "1") for n in range(count)]


@dataclass
class Town:
    """The workspace and what a test does to it."""

    root: Path

    @property
    def city(self) -> City:
        return open_city(self.root)

    def deliver_parcels(
        self, parcels: Sequence[Parcel], *, at: str = "2026-01-01", **geometries: shapely.Geometry
    ) -> PullOutcome:
        frame = gpd.GeoDataFrame(
            {
                "DJH": [one[0] for one in parcels],
                "YT": [one[3] for one in parcels],
                "MJ": 400.0,
            },
            geometry=[geometries.get(one[0], square(one[1], one[2])) for one in parcels],
            crs="EPSG:4547",
        )
        path = self.root / "feeds" / "parcels.gpkg"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        frame.to_file(path, driver="GPKG")
        return pull(self.city, "cadastre", at=moment(at))

    def deliver_addresses(
        self, rows: Sequence[tuple[str, float, float, str]], *, at: str = "2026-01-01"
    ) -> PullOutcome:
        path = self.root / "feeds" / "addresses.csv"
        path.parent.mkdir(exist_ok=True)
        lines = ["id,x,y,address", *(f"{n},{x},{y},{text}" for n, x, y, text in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return pull(self.city, "registry", at=moment(at))

    @staticmethod
    def moment(day: str) -> dt.datetime:
        return moment(day)

    @staticmethod
    def square(x: float, y: float) -> shapely.Polygon:
        return square(x, y)

    def run(self, *, approve: bool = True) -> CycleOutcome:
        return run_cycle(
            self.city, "monthly", approver="li" if approve else "", reason="合格" if approve else ""
        )


def moment(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)


def square(x: float, y: float, size: float = 20.0) -> shapely.Polygon:
    left, bottom = 500000 + 20 * x, 3400000 + 20 * y
    return shapely.box(left, bottom, left + size, bottom + size)


def new_town(root: Path) -> Town:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Town(root)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return new_town(tmp_path)


@pytest.fixture(scope="module")
def shared_town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Return a town that the tests of a module only look at."""
    return new_town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def grid() -> list[Parcel]:
    return parcel_grid(100)
