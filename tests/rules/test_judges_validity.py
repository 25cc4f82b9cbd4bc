"""Validity against the definition, and against GEOS.

Judge: the assertions of OGC Simple Feature Access, part 1 (OGC 06-103r4: 6.1.6 LineString and
LinearRing, 6.1.7 on line strings of several parts, 6.1.11 Polygon, 6.1.14 MultiPolygon). Each case
was written from one of them, with the verdict that it demands, what GEOS calls the defect and where
it is; `None` where the definition names no single place. GEOS decides in the kinds, so a verdict
that changes with its version shows here.
"""

import datetime as dt

import geopandas as gpd
import numpy as np
import pytest
import shapely

from cityframe.rules.context import Context
from cityframe.rules.kinds import null_geometry, simple_line, valid_geometry

VALID = {
    "a point": "POINT (1 2)",
    "a line": "LINESTRING (0 0, 5 5)",
    "a line may cross itself, though it is not simple": "LINESTRING (0 0, 4 4, 0 4, 4 0)",
    "a line may repeat a vertex": "LINESTRING (0 0, 2 0, 2 0, 4 0)",
    "points may coincide": "MULTIPOINT ((1 1), (1 1))",
    "lines may cross": "MULTILINESTRING ((0 0, 4 4), (0 4, 4 0))",
    "a square": "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))",
    "a ring may go either way round": "POLYGON ((0 0, 0 4, 4 4, 4 0, 0 0))",
    "a ring may repeat a vertex": "POLYGON ((0 0, 4 0, 4 0, 4 4, 0 4, 0 0))",
    "a hole": "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (2 2, 4 2, 4 4, 2 4, 2 2))",
    "a hole may touch the shell in one point":
        "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (0 5, 3 4, 3 6, 0 5))",
    "two holes may touch in one point":
        "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 4 4, 1 4, 1 1), (4 4, 8 5, 8 8, 4 4))",
    "parts may lie apart": "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
    "parts may touch in a point": "MULTIPOLYGON (((0 0, 2 0, 2 2, 0 0)), ((2 2, 4 2, 4 4, 2 2)))",
    "a part may lie in the hole of another":
        "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0), (2 2, 7 2, 7 7, 2 7, 2 2)),"
        " ((3 3, 6 3, 6 6, 3 6, 3 3)))",
    "a part may touch the hole around it in a point":
        "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0), (2 2, 7 2, 7 7, 2 7, 2 2)),"
        " ((2 4, 6 3, 6 6, 2 4)))",
    "an empty polygon": "POLYGON EMPTY",
    "heights do not matter": "POLYGON Z ((0 0 1, 4 0 9, 4 4 1, 0 4 5, 0 0 1))",
}  # fmt: skip
INVALID = {
    "a ring crosses itself":
        ("POLYGON ((0 0, 4 4, 4 0, 0 4, 0 0))", "Self-intersection", "POINT (2 2)"),
    "a ring touches itself and cuts off its inside":
        ("POLYGON ((0 0, 4 0, 4 4, 2 0, 0 4, 0 0))", "Self-intersection", None),
    "a ring touches itself in a vertex":
        ("POLYGON ((0 0, 8 0, 8 8, 4 4, 0 8, 4 4, 0 0))", "Self-intersection", None),
    "a ring touches itself from inside, around what should be a hole":
        ("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 5, 2 6, 2 4, 0 5, 0 0))", "Ring Self-intersection",
         "POINT (0 5)"),
    "a ring runs back on itself: a spike":
        ("POLYGON ((0 0, 4 0, 4 4, 4 8, 4 4, 0 4, 0 0))", "Self-intersection", None),
    "a ring without area":
        ("POLYGON ((0 0, 4 0, 8 0, 0 0))", "Self-intersection", None),
    "a ring of two places":
        ("POLYGON ((0 0, 4 4, 0 0, 0 0))", "Too few points in geometry component", "POINT (0 0)"),
    "a hole crosses the shell":
        ("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (2 2, 6 2, 6 3, 2 3, 2 2))", "Self-intersection",
         None),
    "a hole shares an edge with the shell":
        ("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (0 1, 2 1, 2 3, 0 3, 0 1))", "Self-intersection",
         None),
    "a hole lies outside":
        ("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (6 6, 8 6, 8 8, 6 8, 6 6))",
         "Hole lies outside shell", None),
    "a hole covers the shell":
        ("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (0 0, 4 0, 4 4, 0 4, 0 0))", "Self-intersection",
         None),
    "a hole lies in a hole":
        (("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 8 1, 8 8, 1 8, 1 1),"
         " (3 3, 5 3, 5 5, 3 5, 3 3))"), "Holes are nested", None),
    "two holes overlap":
        (("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 5 1, 5 5, 1 5, 1 1),"
         " (3 3, 7 3, 7 7, 3 7, 3 3))"), "Self-intersection", None),
    "a hole touches the shell twice and cuts the inside in two":
        ("POLYGON ((0 0, 8 0, 8 8, 0 8, 0 0), (4 0, 6 4, 4 8, 2 4, 4 0))",
         "Interior is disconnected", None),
    "two parts overlap":
        ("MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)), ((2 2, 6 2, 6 6, 2 6, 2 2)))",
         "Self-intersection", None),
    "two parts share an edge":
        ("MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)), ((4 0, 8 0, 8 4, 4 4, 4 0)))",
         "Self-intersection", None),
    "a part lies in a part":
        ("MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0)), ((3 3, 5 3, 5 5, 3 5, 3 3)))",
         "Nested shells", None),
    "a part stands twice":
        ("MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)), ((0 0, 4 0, 4 4, 0 4, 0 0)))",
         "Self-intersection", None),
    "a coordinate is no number":
        ("POLYGON ((0 0, 4 0, 4 NaN, 0 4, 0 0))", "Invalid Coordinate", None),
    "a coordinate is infinite": ("LINESTRING (0 0, inf 4)", "Invalid Coordinate", None),
    "a line of one place": ("LINESTRING (3 3, 3 3)", "Too few points in geometry component",
                            "POINT (3 3)"),
}  # fmt: skip
SIMPLE = {
    "a straight line": ("LINESTRING (0 0, 4 0, 8 3)", True),
    "a closed line": ("LINESTRING (0 0, 4 0, 4 4, 0 0)", True),
    "it repeats a vertex": ("LINESTRING (0 0, 2 0, 2 0, 4 0)", True),
    "it crosses itself": ("LINESTRING (0 0, 4 4, 0 4, 4 0)", False),
    "its end touches its middle": ("LINESTRING (0 0, 8 0, 8 4, 4 0)", False),
    "its middle touches its middle": ("LINESTRING (0 0, 4 4, 8 0, 8 8, 4 4, 0 8)", False),
    "it runs back": ("LINESTRING (0 0, 8 0, 4 0)", False),
    "its parts meet at their ends": ("MULTILINESTRING ((0 0, 4 0), (4 0, 8 0))", True),
    "its parts cross": ("MULTILINESTRING ((0 0, 4 4), (0 4, 4 0))", False),
    "a part ends on another": ("MULTILINESTRING ((0 0, 8 0), (4 0, 4 4))", False),
    "a closed part is touched at its end": (
        "MULTILINESTRING ((0 0, 4 0, 4 4, 0 0), (0 0, -4 0))",
        False,
    ),
}  # fmt: skip


@pytest.fixture
def told(layer_of):
    """Return a function that gives what a kind tells of a geometry: no row or one."""

    def tell(module, wkt, geometry="Polygon"):
        with np.errstate(invalid="ignore"):  # WKT of a coordinate that is no number
            frame = gpd.GeoDataFrame(geometry=[shapely.from_wkt(wkt)], crs="EPSG:4547")
        layer = layer_of("things", geometry)
        context = Context(layer, frame, {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        return module.check(context, module.KIND.params())

    return tell


@pytest.mark.parametrize("name", VALID)
def test_what_the_definition_allows_is_valid(told, name):
    assert told(valid_geometry, VALID[name]).empty
    assert len(told(null_geometry, VALID[name])) == VALID[name].endswith("EMPTY")


@pytest.mark.parametrize("name", INVALID)
def test_what_the_definition_forbids_is_told_with_reason_and_place(told, name):
    wkt, reason, place = INVALID[name]
    (defect,) = told(valid_geometry, wkt).itertuples()
    assert reason in defect.found
    assert any("\u4e00" <= letter <= "\u9fff" for letter in defect.found_zh)
    if place is not None:
        assert defect.geometry.equals(shapely.from_wkt(place))


@pytest.mark.parametrize("name", SIMPLE)
def test_lines_are_simple_as_defined(told, name):
    wkt, is_simple = SIMPLE[name]
    assert told(simple_line, wkt, "LineString").empty == is_simple
