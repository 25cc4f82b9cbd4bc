from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import CRS

from cityframe.conform import Conformed
from cityframe.errors import DeclarationError

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

WUHAN = (114.3, 30.6)
WUHAN_XY = (528770.237, 3386666.251)
UNDEFINED = (
    'ENGCRS["Undefined Cartesian SRS",EDATUM["Unknown engineering datum"],CS[Cartesian,2],'
    'AXIS["x",unspecified,ORDER[1],LENGTHUNIT["metre",1]],'
    'AXIS["y",unspecified,ORDER[2],LENGTHUNIT["metre",1]]]'
)
FEATURE = {"columns": {"name": "NAME"}}
XY = {"columns": {"name": "NAME"}, "geometry": {"x": "X", "y": "Y"}}
WKT = {"columns": {"name": "NAME"}, "geometry": {"wkt": "G"}}


@pytest.fixture
def points(make_layer: Make) -> Any:
    return make_layer({"name": "string"}, geometry="Point")


@pytest.fixture
def heights(make_layer: Make) -> Any:
    return make_layer(
        {"name": "string"}, geometry="Point", has_z=True, vertical_datum="Yellow Sea 1985 height"
    )


# origins


def test_points_from_coordinate_columns(run: Run, make_table: Make, points: Any) -> None:
    table = make_table({"NAME": ["a", "b"], "X": ["114.3", ""], "Y": ["30.6", None]})
    outcome = run(table, XY, points)
    assert outcome.has_geometry
    place, nowhere = outcome.frame.geometry
    assert (place.x, place.y) == pytest.approx(WUHAN_XY, abs=1e-3)
    assert nowhere is None  # kept: a rule judges it
    assert outcome.frame.crs == "EPSG:4547"


@pytest.mark.parametrize(
    ("x", "y"), [("114.3", ""), ("east", "30.6"), ("114,3", "30,6"), ("NaN", "30.6"), ("inf", "1")]
)
def test_half_or_unreadable_coordinates_return_the_record(
    run: Run, make_table: Make, points: Any, found: Found, x: str, y: str
) -> None:
    outcome = run(make_table({"NAME": ["a"], "X": [x], "Y": [y]}), XY, points)
    assert found(outcome, "coordinates") == [f"X is {x!r}, Y is {y or None!r}"]
    assert outcome.fates["fate"].tolist() == ["returned"]


def test_heights_from_a_column(run: Run, make_table: Make, heights: Any, found: Found) -> None:
    feed = {**XY, "geometry": {"x": "X", "y": "Y", "z": "Z"}}
    table = make_table(
        {"NAME": ["a", "b"], "X": [114.3] * 2, "Y": [30.6] * 2, "Z": [23.75, np.nan]}
    )
    outcome = run(table, feed, heights)
    assert shapely.get_z(outcome.frame.geometry.iloc[0]) == 23.75
    assert found(outcome, "missing-z") == ["no finite height on each coordinate"]


def test_geometry_from_well_known_text(
    run: Run, make_table: Make, points: Any, found: Found
) -> None:
    texts = ["POINT (114.3 30.6)", "", "POINT (114.3", "SRID=4490;POINT (114.3 30.6)"]
    outcome = run(make_table({"NAME": list("abcd"), "G": texts}), WKT, points)
    assert outcome.frame.geometry.iloc[0].x == pytest.approx(WUHAN_XY[0], abs=1e-3)
    assert outcome.frame.geometry.iloc[1] is None
    assert found(outcome, "geometry-text") == [f"G is {text!r}" for text in texts[2:]]


def test_a_curve_in_text_returns_its_record_only(
    run: Run, make_table: Make, points: Any, found: Found
) -> None:
    texts = ["POINT (114.3 30.6)", "CIRCULARSTRING (0 0, 1 1, 2 0)"]
    outcome = run(make_table({"NAME": ["a", "b"], "G": texts}), WKT, points)
    assert outcome.frame["name"].tolist() == ["a"]
    assert len(found(outcome, "geometry-text")) == 1


def test_source_without_geometry_provides_none(run: Run, make_table: Make, points: Any) -> None:
    feed = {**FEATURE, "geometry": {"none": True}}
    outcome = run(make_table({"NAME": ["a"]}), feed, points, crs="")
    assert not outcome.has_geometry
    assert outcome.frame.geometry.isna().all()
    assert outcome.frame.crs == "EPSG:4547"


def test_vector_table_without_geometry_quarantines(
    run: Run, make_table: Make, points: Any, found: Found
) -> None:
    outcome = run(make_table({"NAME": ["a"]}), FEATURE, points)
    assert found(outcome, "missing-column") == ["things.csv: no geometry"]
    assert len(outcome.quarantine_reasons) == 1
    assert not outcome.has_geometry


def test_optional_coordinate_columns_may_be_absent(run: Run, make_table: Make, points: Any) -> None:
    outcome = run(make_table({"NAME": ["a"]}), {**XY, "optional": ["X", "Y"]}, points)
    assert outcome.quarantine_reasons == ()
    assert not outcome.has_geometry


def test_missing_coordinate_columns_quarantine(
    run: Run, make_table: Make, points: Any, found: Found
) -> None:
    outcome = run(make_table({"NAME": ["a"], "X": ["114.3"]}), XY, points)
    assert found(outcome, "missing-column") == ["things.csv: columns that are missing: 'Y'"]


def test_geometry_that_the_layer_does_not_want_is_noted(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(114.3, 30.6)])
    outcome = run(table, FEATURE, make_layer({"name": "string"}))
    assert found(outcome, "dropped-geometry") == ["1 geometries are left out"]
    assert outcome.findings["gate"].tolist() == ["note"]
    assert outcome.quarantine_reasons == ()
    assert not outcome.has_geometry


# coordinate systems


@pytest.mark.parametrize(
    "stated",
    [
        None,
        "EPSG:4490",
        CRS("EPSG:4490").to_wkt("WKT1_ESRI"),
        CRS("EPSG:4490").to_wkt(),
        UNDEFINED,
    ],
)
def test_file_that_states_the_declared_system_or_nothing_is_fine(
    run: Run, make_table: Make, points: Any, stated: str | None
) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN)], crs=stated)
    outcome = run(table, FEATURE, points)
    assert outcome.findings.empty


def test_lon_lat_order_of_the_web_is_the_authoritys_system(
    run: Run, make_table: Make, points: Any
) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN)], crs="OGC:CRS84")
    outcome = run(table, FEATURE, points, crs="EPSG:4326", equivalent_crs=["EPSG:4490"])
    assert outcome.findings.empty


def test_file_that_states_another_system_quarantines_and_both_are_named(
    run: Run, make_table: Make, points: Any, found: Found
) -> None:
    table = make_table(
        {"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN)], crs="EPSG:4326", file="things.gpkg"
    )
    outcome = run(table, FEATURE, points)
    assert found(outcome, "crs") == ["things.gpkg states EPSG:4326 (WGS 84)"]
    finding = outcome.findings.iloc[0]
    assert finding["expected"] == ("EPSG:4490 (China Geodetic Coordinate System 2000), as declared")
    assert outcome.quarantine_reasons == ("intake.crs: things.gpkg states EPSG:4326 (WGS 84)",)
    assert len(outcome.frame) == 1  # placed as declared


def test_statement_that_is_no_system_is_a_finding_and_no_error(
    run: Run, make_table: Make, points: Any, found: Found
) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN)], crs="EPSG:999999")
    assert found(run(table, FEATURE, points), "crs") == ["things.csv states 'EPSG:999999'"]


def test_crs_of_the_feed_comes_before_that_of_the_source(
    run: Run, make_table: Make, points: Any
) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN_XY)], crs="EPSG:4547")
    outcome = run(table, {**FEATURE, "crs": "EPSG:4547"}, points)
    assert outcome.findings.empty
    assert outcome.frame.geometry.iloc[0].equals(shapely.Point(*WUHAN_XY))


def test_no_declared_system_is_a_declaration_error(run: Run, make_table: Make, points: Any) -> None:
    table = make_table({"NAME": ["a"], "X": ["114.3"], "Y": ["30.6"]})
    with pytest.raises(DeclarationError, match="no coordinate system is declared"):
        run(table, XY, points, crs="")


def test_change_of_datum_without_a_real_path_is_refused_unless_declared(
    run: Run, make_table: Make, points: Any
) -> None:
    table = make_table({"NAME": ["a"], "X": ["114.3"], "Y": ["30.6"]})
    with pytest.raises(DeclarationError, match="list EPSG:4490 in equivalent_crs"):
        run(table, XY, points, crs="EPSG:4326")
    outcome = run(table, XY, points, crs="EPSG:4326", equivalent_crs=["EPSG:4490"])
    assert outcome.frame.geometry.iloc[0].x == pytest.approx(WUHAN_XY[0], abs=1e-3)


@pytest.mark.parametrize(("name", "shift"), [("GCJ-02", (300, 800)), ("BD-09", (800, 1600))])
def test_coordinates_of_chinese_web_maps_are_brought_back(
    run: Run, make_table: Make, points: Any, name: str, shift: tuple[int, int]
) -> None:
    # such data is written as if it were WGS 84
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN)], crs="EPSG:4326")
    outcome = run(table, FEATURE, points, crs=name, equivalent_crs=["EPSG:4490"])
    assert outcome.findings.empty
    moved = outcome.frame.geometry.iloc[0].distance(shapely.Point(*WUHAN_XY))
    assert shift[0] < moved < shift[1]


def test_coarse_transformation_is_noted_with_its_accuracy(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    layer = make_layer({"name": "string"}, geometry="Point", crs="EPSG:25832")
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(3422000, 5372000)])
    outcome = run(table, FEATURE, layer, crs="EPSG:31467")
    (text,) = found(outcome, "crs-accuracy")
    assert text.startswith("accuracy 1 m of ")
    assert "grid de_lgl_bw_BWTA2017.tif" in text
    assert outcome.quarantine_reasons == ()
    assert len(outcome.frame) == 1
    assert run(table, FEATURE, layer, crs="EPSG:31467", accuracy_m=1.5).findings.empty


# heights


def test_heights_survive_in_their_vertical_datum(run: Run, make_table: Make, heights: Any) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN, 23.75)])
    outcome = run(table, FEATURE, heights, crs="EPSG:4490+5737")
    assert shapely.get_z(outcome.frame.geometry.iloc[0]) == 23.75


def test_heights_in_another_vertical_datum_are_a_declaration_error(
    run: Run, make_table: Make, heights: Any
) -> None:
    table = make_table({"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN, 23.75)])
    with pytest.raises(DeclarationError, match=r"heights in Yellow Sea 1956.*not transformed"):
        run(table, FEATURE, heights, crs="EPSG:4490+5736")


def test_file_with_another_vertical_datum_quarantines(
    run: Run, make_table: Make, heights: Any, found: Found
) -> None:
    table = make_table(
        {"NAME": ["a"]}, geometry=[shapely.Point(*WUHAN, 23.75)], crs="EPSG:4490+5736"
    )
    (text,) = found(run(table, FEATURE, heights, crs="EPSG:4490+5737"), "crs")
    assert text.endswith("with heights in Yellow Sea 1956 height")
