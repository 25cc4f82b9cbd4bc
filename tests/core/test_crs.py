import os
from pathlib import Path

import numpy as np
import pytest
from pyproj import CRS

from cityframe.core.crs import Area, describe, is_same_crs, read_crs
from cityframe.errors import DeclarationError


@pytest.fixture(scope="module")
def crs_data() -> Path:
    root = Path(__file__).parents[2]
    path = Path(os.environ.get("CITYFRAME_DATA", root.parent / "shared" / "data")) / "crs"
    if not path.is_dir():
        pytest.skip(f"no reference coordinates in {path}; set CITYFRAME_DATA")
    return path


# equality


@pytest.mark.parametrize("code", [4326, 4490, 4547, 4526, 2436, 31467, 28992, 2249, 3857, 5514])
@pytest.mark.parametrize("version", ["WKT1_ESRI", "WKT1_GDAL", "WKT2_2019"])
def test_each_spelling_of_a_system_is_the_same(code: int, version: str) -> None:
    crs = CRS.from_epsg(code)
    assert is_same_crs(CRS.from_wkt(crs.to_wkt(version)), crs)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("OGC:CRS84", "EPSG:4326"),  # axis order
        ("EPSG:4979", "EPSG:4326"),  # heights
        ("EPSG:4547+5737", "EPSG:4547"),  # heights
        ("EPSG:31467", "EPSG:5677"),  # axis order of a projected system
    ],
)
def test_axis_order_and_heights_make_no_other_system(left: str, right: str) -> None:
    assert is_same_crs(CRS(left), CRS(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("EPSG:4326", "EPSG:4490"),  # datum
        ("EPSG:4547", "EPSG:4548"),  # central meridian
        ("EPSG:4547", "EPSG:4526"),  # zone number before the easting
        ("EPSG:2249", "EPSG:26986"),  # feet
        ("EPSG:5513", "EPSG:5514"),  # axes to south and west
        ("EPSG:4490", "EPSG:4547"),
    ],
)
def test_another_datum_projection_unit_or_direction_is_another_system(
    left: str, right: str
) -> None:
    assert not is_same_crs(CRS(left), CRS(right))


def test_real_esri_prj_files_are_recognised(crs_data: Path) -> None:
    files = crs_data.parent / "tables" / "formats_openaddresses"
    projected = (files / "lake-man-epsg26943.prj").read_text()
    geographic = (files / "lake-man-utf8.prj").read_text()
    assert is_same_crs(CRS.from_wkt(projected), CRS("EPSG:26943"))
    assert is_same_crs(CRS.from_wkt(geographic), CRS("EPSG:4326"))
    assert not is_same_crs(CRS.from_wkt(projected), CRS("EPSG:26986"))


# reading


def test_unknown_system_is_a_declaration_error() -> None:
    with pytest.raises(DeclarationError, match=r"sources/s.yaml: coordinate system 'EPSG:1' is"):
        read_crs("EPSG:1", where="sources/s.yaml")


@pytest.mark.parametrize("text", ["GCJ-02", "gcj-02", "GCJ02", " BD-09 ", "bd09"])
def test_chinese_grids_are_recognised_by_name(text: str) -> None:
    system = read_crs(text, where="")
    assert system.grid is not None
    assert describe(system) == system.grid.value


def test_heights_of_a_compound_system_are_named() -> None:
    assert "EPSG:5737" in read_crs("EPSG:4547+5737", where="").heights
    assert read_crs("EPSG:4547", where="").heights == ()


def test_long_definition_is_described_by_its_name() -> None:
    wkt = CRS("EPSG:4547").to_wkt("WKT1_ESRI")
    assert describe(read_crs(wkt, where="")) == "CGCS2000 / 3-degree Gauss-Kruger CM 114E"


# areas


def test_area_contains_with_its_margin_and_not_what_is_not_a_number() -> None:
    area = Area(112.5, 21.5, 115.5, 45.5)
    places = np.array([[114.0, 30.0], [116.0, 30.0], [117.0, 30.0], [np.nan, 30.0], [np.inf, 0]])
    assert area.contains(places).tolist() == [True, True, False, False, False]


def test_area_may_cross_the_antimeridian() -> None:
    fiji = Area(176.0, -21.0, -178.0, -12.0)
    places = np.array([[179.0, -18.0], [-179.0, -18.0], [0.0, -18.0]])
    assert fiji.contains(places).tolist() == [True, True, False]


def test_rough_longitude_and_latitude_of_a_projected_place() -> None:
    lonlat = read_crs("EPSG:4547", where="").lonlat(np.array([[500000.0, 3400000.0]]))
    assert lonlat[0] == pytest.approx([114.0, 30.7206], abs=1e-3)
