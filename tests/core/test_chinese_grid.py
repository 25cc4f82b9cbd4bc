import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cityframe.core.chinese_grid import ChineseGrid, from_wgs84, to_wgs84

Cities = dict[str, npt.NDArray[np.float64]]


@pytest.fixture(scope="module")
def crs_data() -> Path:
    root = Path(__file__).parents[2]
    path = Path(os.environ.get("CITYFRAME_DATA", root.parent / "shared" / "data")) / "crs"
    if not path.is_dir():
        pytest.skip(f"no reference coordinates in {path}; set CITYFRAME_DATA")
    return path


@pytest.fixture(scope="module")
def cities(crs_data: Path) -> Cities:
    listed = json.loads((crs_data / "gcoord_china_cities.json").read_text(encoding="utf-8"))
    return {
        name: np.array([city["coords"][name] for city in listed])
        for name in ("WGS84", "GCJ02", "BD09")
    }


def test_gcj_02_of_332_cities_is_within_a_metre(cities: Cities) -> None:
    offset = np.abs(from_wgs84(cities["WGS84"], ChineseGrid.GCJ_02) - cities["GCJ02"])
    assert len(offset) == 332
    assert offset.max() < 8e-6  # degrees: 0.9 m
    assert offset.std(axis=0).max() < 6e-7  # but for a constant 0.5 m they agree to 0.07 m


def test_wgs_84_of_332_cities_is_within_a_metre(cities: Cities) -> None:
    for grid, name in ((ChineseGrid.GCJ_02, "GCJ02"), (ChineseGrid.BD_09, "BD09")):
        assert np.abs(to_wgs84(cities[name], grid) - cities["WGS84"]).max() < 8e-6


def test_bd_09_adds_to_gcj_02_as_published(cities: Cities) -> None:
    through_wgs84 = to_wgs84(cities["GCJ02"], ChineseGrid.GCJ_02)
    offset = np.abs(from_wgs84(through_wgs84, ChineseGrid.BD_09) - cities["BD09"])
    assert offset.max() < 1.1e-7  # the data has seven decimals


@pytest.mark.parametrize("grid", list(ChineseGrid))
def test_inverse_is_exact(grid: ChineseGrid) -> None:
    rng = np.random.default_rng(7)
    wgs84 = np.column_stack((rng.uniform(75, 134, 5000), rng.uniform(19, 53, 5000)))
    assert np.abs(to_wgs84(from_wgs84(wgs84, grid), grid) - wgs84).max() < 1e-11


def test_gcj_02_is_wgs_84_outside_china() -> None:
    paris = np.array([[2.35, 48.85]])
    assert (from_wgs84(paris, ChineseGrid.GCJ_02) == paris).all()
    assert (to_wgs84(paris, ChineseGrid.GCJ_02) == paris).all()


def test_input_is_left_alone_and_non_finite_stays() -> None:
    given = np.array([[114.0, 30.0], [np.nan, 30.0], [np.inf, 30.0]])
    before = given.copy()
    result = to_wgs84(given, ChineseGrid.GCJ_02)
    assert np.array_equal(given, before, equal_nan=True)
    assert np.isfinite(result[0]).all()
    assert not np.isfinite(result[1:, 0]).any()
