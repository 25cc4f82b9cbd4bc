import os
import re
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Geod

from cityframe.core.coordinate_operation import (
    CoordinateOperation,
    coordinate_operation,
    transformed,
)
from cityframe.core.crs import Area, read_crs
from cityframe.errors import DeclarationError

WUHAN = Area(114.2, 30.5, 114.4, 30.7)
BADEN = Area(7.8, 48.4, 7.9, 48.5)


@pytest.fixture(scope="module")
def crs_data() -> Path:
    root = Path(__file__).parents[2]
    path = Path(os.environ.get("CITYFRAME_DATA", root.parent / "shared" / "data")) / "crs"
    if not path.is_dir():
        pytest.skip(f"no reference coordinates in {path}; set CITYFRAME_DATA")
    return path


def operation(
    source: str, target: str, area: Area | None = None, equivalent: tuple[str, ...] = ()
) -> CoordinateOperation:
    return coordinate_operation(
        read_crs(source, where="sources/s.yaml"),
        read_crs(target, where="sources/s.yaml"),
        area=area,
        equivalent=equivalent,
        where="sources/s.yaml",
    )


def test_published_utm_coordinates_are_met(crs_data: Path) -> None:
    text = (crs_data / "proj_gie" / "epsg_no_grid.gie").read_text(encoding="utf-8")
    case = re.search(
        r"crs_src\s+EPSG:4258\ncrs_dst\s+EPSG:25832\n.*\naccept\s+(\S+)\s+(\S+)\n"
        r"expect\s+(\S+)\s+(\S+)",
        text,
    )
    assert case is not None
    lat, lon, easting, northing = (float(number) for number in case.groups())
    image = operation("EPSG:4258", "EPSG:25832")(np.array([[lon, lat]]))
    assert image[0] == pytest.approx([easting, northing], abs=1e-4)


def test_datum_change_meets_the_published_grid_values_within_its_accuracy(crs_data: Path) -> None:
    text = (crs_data / "proj_gie" / "DHDN_ETRS89.gie").read_text(encoding="utf-8")
    inverse = text[text.index("direction    inverse") :]
    given, expected = (
        np.array(re.findall(rf"^{word}\s+(\S+)\s+(\S+)", inverse, re.MULTILINE), dtype=float)
        for word in ("accept", "expect")
    )
    in_baden = (given[:, 0] < 10.5) & (given[:, 1] < 49.7)  # where the 1 m Helmert is meant for
    assert in_baden.sum() >= 5
    found = operation("EPSG:4314", "EPSG:4258", BADEN)
    image = found(given[in_baden])
    *_, distance_m = Geod(ellps="GRS80").inv(*image.T, *expected[in_baden].T)
    assert found.accuracy_m == 1.0
    assert np.max(distance_m) < 2.0


def test_same_datum_needs_no_accuracy() -> None:
    found = operation("EPSG:4490", "EPSG:4547", WUHAN)
    assert (found.accuracy_m, found.is_assumed) == (0.0, False)


def test_same_system_is_left_as_it_is() -> None:
    geometry = np.array([shapely.Point(1, 2), None], dtype=object)
    assert transformed(geometry, operation("OGC:CRS84", "EPSG:4326")) is geometry


@pytest.mark.parametrize("source", ["EPSG:4326", "EPSG:4214", "EPSG:4610", "EPSG:2436", "GCJ-02"])
def test_ballpark_between_datums_is_refused_with_the_remedy(source: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        operation(source, "EPSG:4547", WUHAN)
    message = str(raised.value)
    assert message.startswith("sources/s.yaml: no transformation of known accuracy from")
    assert "list EPSG:4490 in equivalent_crs" in message


def test_refusal_names_the_grid_that_would_help() -> None:
    with pytest.raises(DeclarationError, match=r"install the grid of: .*OSTN15"):
        operation("EPSG:27700", "EPSG:25830", Area(-3.4, 55.8, -3.1, 56.0))


def test_path_that_does_not_cover_the_place_of_the_data_is_refused() -> None:
    dutch = Area(5.7, 52.0, 5.8, 52.1)
    assert operation("EPSG:4326", "EPSG:28992", dutch).accuracy_m == 1.0
    with pytest.raises(DeclarationError, match="no transformation of known accuracy"):
        operation("EPSG:4326", "EPSG:28992", WUHAN)


@pytest.mark.parametrize("listed", ["EPSG:4490", "EPSG:4547", "EPSG:4549"])
def test_declared_equality_carries_longitude_and_latitude_over(listed: str) -> None:
    place = np.array([[114.3, 30.6]])
    assumed = operation("EPSG:4326", "EPSG:4547", WUHAN, (listed,))
    assert assumed.is_assumed
    assert np.array_equal(assumed(place), operation("EPSG:4490", "EPSG:4547", WUHAN)(place))


def test_equality_with_another_datum_does_not_help() -> None:
    with pytest.raises(DeclarationError):
        operation("EPSG:4326", "EPSG:4547", WUHAN, ("EPSG:4610",))


def test_declared_equality_comes_before_a_transformation() -> None:
    place = np.array([[5.75, 52.05]])
    by_transformation = operation("EPSG:4326", "EPSG:28992")(place)
    by_declaration = operation("EPSG:4326", "EPSG:28992", None, ("EPSG:4289",))(place)
    assert np.hypot(*(by_transformation - by_declaration)[0]) > 50


def test_equality_of_degrees_from_another_meridian_is_refused() -> None:
    with pytest.raises(DeclarationError, match="count degrees differently"):
        operation("EPSG:4807", "EPSG:25831", None, ("EPSG:4258",))


def test_coarser_path_names_the_better_one() -> None:
    found = operation("EPSG:31467", "EPSG:25832", BADEN)
    assert found.accuracy_m == 1.0
    assert "de_lgl_bw_BWTA2017.tif" in found.better


def test_chinese_grid_goes_on_to_the_layers_system() -> None:
    # the same place in both: 500 m apart as numbers, one point on the map
    shifted = operation("GCJ-02", "EPSG:4547", WUHAN, ("EPSG:4490",))(np.array([[114.3, 30.6]]))
    plain = operation("EPSG:4326", "EPSG:4547", WUHAN, ("EPSG:4490",))(np.array([[114.3, 30.6]]))
    assert 300 < np.hypot(*(shifted - plain)[0]) < 800


# geometries


def test_heights_survive_a_change_of_datum() -> None:
    geometry = shapely.from_wkt(
        ["POINT Z (7.85 48.45 163.25)", "LINESTRING (7.85 48.45, 7.86 48.46)", None, "POINT EMPTY"]
    )
    image = transformed(geometry, operation("EPSG:4314", "EPSG:25832", BADEN))
    assert shapely.get_z(image[0]) == 163.25
    assert shapely.has_z(image).tolist() == [True, False, False, False]
    assert image[2] is None
    assert image[3].is_empty
    assert 400_000 < image[0].x < 500_000


def test_heights_are_not_mixed_up_between_chunks() -> None:
    count = 100_003
    heights = np.arange(count, dtype=float)
    points = shapely.points(np.full(count, 114.3), np.full(count, 30.6), heights)
    image = transformed(points, operation("EPSG:4490", "EPSG:4547"))
    assert np.array_equal(shapely.get_z(image), heights)
