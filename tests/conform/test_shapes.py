from collections.abc import Callable
from typing import Any

import pytest
import shapely

from cityframe.conform import Conformed

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

FEATURE = {"columns": {"name": "NAME"}, "crs": "EPSG:4547"}


@pytest.fixture
def shape(run: Run, make_layer: Make, make_table: Make) -> Callable[..., Conformed]:
    def shaped(kind: str, *texts: str, **layer: Any) -> Conformed:
        shapes = shapely.from_wkt(list(texts))
        names = [f"n{number}" for number in range(len(texts))]
        table = make_table({"NAME": names}, geometry=shapes)
        return run(table, FEATURE, make_layer({"name": "string"}, geometry=kind, **layer))

    return shaped


def wkt(outcome: Conformed) -> list[str]:
    return [shapely.to_wkt(one, trim=True) for one in outcome.frame.geometry]


A = "500000 3300000"
B = "500010 3300000"
C = "500010 3300010"


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("MultiPoint", f"POINT ({A})", f"MULTIPOINT (({A}))"),
        ("MultiLineString", f"LINESTRING ({A}, {B})", f"MULTILINESTRING (({A}, {B}))"),
        ("MultiPolygon", f"POLYGON (({A}, {B}, {C}, {A}))",
         f"MULTIPOLYGON ((({A}, {B}, {C}, {A})))"),
        ("Point", f"MULTIPOINT (({A}))", f"POINT ({A})"),
        ("LineString", f"MULTILINESTRING (({A}, {B}))", f"LINESTRING ({A}, {B})"),
        ("Polygon", f"MULTIPOLYGON ((({A}, {B}, {C}, {A})))", f"POLYGON (({A}, {B}, {C}, {A}))"),
    ],
)  # fmt: skip
def test_one_part_changes_between_single_and_multi(
    shape: Make, kind: str, given: str, expected: str
) -> None:
    outcome = shape(kind, given)
    assert wkt(outcome) == [expected]
    assert outcome.findings.empty


def test_more_parts_than_the_contract_has_are_returned(shape: Make, found: Found) -> None:
    outcome = shape(
        "LineString", f"LINESTRING ({A}, {B})", f"MULTILINESTRING (({A}, {B}), ({B}, {C}))"
    )
    assert found(outcome, "geometry-type") == ["MultiLineString of 2 parts"]
    finding = outcome.findings.iloc[0]
    assert finding["expected"] == "LineString"
    assert finding["geometry"].geom_type == "Point"
    assert outcome.fates["record"].tolist() == [1]


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("Point", f"LINESTRING ({A}, {B})", "LineString"),
        ("MultiPolygon", f"POINT ({A})", "Point"),
        ("Polygon", f"GEOMETRYCOLLECTION (POINT ({A}))", "GeometryCollection"),
        ("Polygon", "MULTIPOLYGON EMPTY", "MultiPolygon of 0 parts"),
    ],
)
def test_another_type_is_returned(
    shape: Make, found: Found, kind: str, given: str, said: str
) -> None:
    assert found(shape(kind, given), "geometry-type") == [said]


def test_invalid_polygon_is_neither_repaired_nor_returned(shape: Make) -> None:
    bow_tie = (
        "POLYGON ((500000 3300000, 500010 3300010, 500010 3300000, 500000 3300010, 500000 3300000))"
    )
    outcome = shape("Polygon", bow_tie)
    assert wkt(outcome) == [bow_tie]
    assert outcome.findings.empty


def test_heights_that_the_contract_has_not_are_left_out_with_one_note(
    shape: Make, found: Found
) -> None:
    outcome = shape("Point", f"POINT Z ({A} 5)", f"POINT Z ({B} 6)", f"POINT ({C})")
    assert wkt(outcome) == [f"POINT ({A})", f"POINT ({B})", f"POINT ({C})"]
    assert found(outcome, "dropped-geometry") == ["heights of 2 geometries are left out"]
    assert outcome.quarantine_reasons == ()


def test_heights_that_the_contract_has_are_kept_and_missing_ones_returned(
    shape: Make, found: Found
) -> None:
    outcome = shape(
        "LineString",
        f"LINESTRING Z ({A} 5, {B} 6)",
        f"LINESTRING ({A}, {B})",
        f"LINESTRING Z ({A} 5, {B} nan)",
        has_z=True,
        vertical_datum="EPSG:5737",
    )
    assert wkt(outcome) == [f"LINESTRING Z ({A} 5, {B} 6)"]
    assert len(found(outcome, "missing-z")) == 2
    assert outcome.findings.iloc[0]["expected"] == "heights in EPSG:5737"


def test_heights_survive_the_change_between_single_and_multi(shape: Make) -> None:
    outcome = shape("MultiPoint", f"POINT Z ({A} 5)", has_z=True, vertical_datum="EPSG:5737")
    assert wkt(outcome) == [f"MULTIPOINT Z (({A} 5))"]


def test_measures_are_left_out_and_heights_beside_them_kept(shape: Make, found: Found) -> None:
    outcome = shape(
        "Point",
        f"POINT ZM ({A} 5 9)",
        f"POINT Z ({B} 6)",
        has_z=True,
        vertical_datum="EPSG:5737",
    )
    assert wkt(outcome) == [f"POINT Z ({A} 5)", f"POINT Z ({B} 6)"]
    assert found(outcome, "dropped-geometry") == ["measures (M) of 1 geometries are left out"]
    flat = shape("Point", f"POINT M ({A} 9)", f"POINT ZM ({B} 5 9)")
    assert wkt(flat) == [f"POINT ({A})", f"POINT ({B})"]
