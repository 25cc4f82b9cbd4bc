"""Kinds about form against definitions by brute force, and what they do without their input."""

import datetime as dt

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cityframe.errors import DeclarationError
from cityframe.model.finding import Scope
from cityframe.model.report import RuleStatus
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules
from cityframe.rules.context import Context
from cityframe.rules.registry import rule_kinds

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
whole = st.integers(0, 12)


def found_rows(layer_of, kind, geometry, parameters, **layer):
    made = layer_of("things", "MultiPolygon", **layer)
    frame = gpd.GeoDataFrame(
        {"uid": [str(row) for row in range(len(geometry))]},
        geometry=np.array(geometry, dtype=object),
        crs=made.crs,
    )
    context = Context(layer=made, frame=frame, layers={"things": made}, as_of=NOW)
    one = rule_kinds()[kind]
    return one.check(context, one.params.model_validate(parameters))


@st.composite
def rectilinear(draw):
    """Return a polygon of unit squares: any width is a whole number."""
    cells = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=18))
    shape = shapely.union_all([shapely.box(x, y, x + 1, y + 1) for x, y in cells])
    return shapely.simplify(shape, 0)


def has_narrow_part(shape, width):
    """Say whether some place lies in no square of that width, on a grid of half units."""
    grown = shape.buffer(1e-9)
    held = [
        square
        for x in range(12 - 2 * width + 1)
        for y in range(12 - 2 * width + 1)
        if grown.covers(square := shapely.box(x / 2, y / 2, x / 2 + width, y / 2 + width))
    ]
    return shape.difference(shapely.union_all(held).buffer(1e-9)).area > 1e-6


@settings(max_examples=25, deadline=None)
@given(shape=rectilinear())
def test_width_is_found_narrow_where_no_square_of_that_width_fits(layer_of, shape):
    parts = shapely.get_parts(shape)
    wanted = any(has_narrow_part(part, 2) for part in parts)
    found = found_rows(layer_of, "minimum_width", [shape], {"min_width_m": 2})
    # a corner that touches the outline across is a neck, and covered by squares on both sides
    areas = found[[shapely.area(one) > 0.3 for one in found["geometry"]]]
    assert (len(areas) > 0) == wanted


@settings(max_examples=20, deadline=None)
@given(shape=rectilinear(), angle=st.floats(0, 6.3), x=st.floats(3e5, 6e5), y=st.floats(2e6, 4e6))
def test_width_does_not_depend_on_where_the_polygon_lies(layer_of, shape, angle, x, y):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    there = shapely.transform(shape, lambda xy: xy @ turn + [x, y])
    one, two = (
        found_rows(layer_of, "minimum_width", [each], {"min_width_m": 1.5})
        for each in (shape, there)
    )
    assert np.isclose(
        shapely.area(one["geometry"].to_numpy()).sum(),
        shapely.area(two["geometry"].to_numpy()).sum(),
        atol=1e-3,
    )


@settings(max_examples=25, deadline=None)
@given(
    rings=st.lists(
        st.tuples(whole, whole, st.integers(1, 4), st.booleans()), min_size=1, max_size=8
    )
)
def test_rings_count_holes_and_vertices_one_by_one(layer_of, rings):
    shapes = []
    for x, y, side, is_reversed in rings:
        outer = shapely.box(x, y, x + 9, y + 9).exterior
        hole = shapely.box(x + 1, y + 1, x + 1 + side, y + 1 + side).exterior
        shape = shapely.orient_polygons(shapely.Polygon(outer, [hole]))
        shapes.append(shape.reverse() if is_reversed else shape)
    wrong = found_rows(layer_of, "ring_orientation", shapes, {})
    assert wrong["row"].value_counts().to_dict() == {
        row: 2 for row, (*_, is_reversed) in enumerate(rings) if is_reversed
    }
    holes = found_rows(layer_of, "holes", shapes, {"max_area_m2": 4})
    assert set(holes["row"]) == {row for row, (_, _, side, _) in enumerate(rings) if side <= 2}
    counts = found_rows(layer_of, "vertex_count", shapes, {"max_count": 8})
    assert counts.empty


@pytest.mark.parametrize(
    "kind",
    [
        "minimum_width", "holes", "ring_orientation", "vertex_count", "geometry_type",
        "finite_extent", "height_values",
    ],
)  # fmt: skip
def test_odd_geometries_stop_no_kind(layer_of, kind):
    with np.errstate(invalid="ignore"):
        odd = shapely.from_wkt(
            [
                None, "POLYGON EMPTY", "MULTIPOLYGON EMPTY", "POLYGON ((0 0, 0 0, 0 0, 0 0))",
                "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))", "POLYGON ((0 0, NaN 1, 1 0, 0 0))",
                "POLYGON ((0 0, inf 1, 1 0, 0 0))", "POLYGON Z ((0 0 1, 9 0 1, 9 9 1, 0 0 1))",
                "GEOMETRYCOLLECTION (POLYGON ((0 0, 9 0, 9 9, 0 0)), POINT (1 1))", "POINT (1 1)",
                "MULTIPOLYGON (EMPTY, ((0 0, 9 0, 9 9, 0 0)))",
            ]
        )  # fmt: skip
    parameters = {"minimum_width": {"min_width_m": 1}, "vertex_count": {"min_count": 3}}
    found = found_rows(layer_of, kind, odd, parameters.get(kind, {}))
    if kind in ("minimum_width", "holes", "ring_orientation"):
        assert found.empty


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("layers_present", {"files": ["*"]}),
        ("unexpected_fields", {"mandatory": ["A"]}),
        ("field_types", {"encodings": ["utf-8"]}),
        ("declared_crs", {"allowed": ["EPSG:4547"]}),
        ("metadata_present", {"documents": ["*.xml"]}),
    ],
)
def test_without_a_delivery_a_kind_about_deliveries_is_passed_over(
    layer_of, frame_of, rule_of, kind, parameters
):
    layer = layer_of("things", "Point")
    rule = rule_of(kind, parameters=parameters, scope="delivery")
    checked = check_layer(
        compile_rules([rule], {"things": layer}, {}),
        scope=Scope.DELIVERY,
        layer="things",
        frame=frame_of(layer, []),
        as_of=NOW,
    )
    (result,) = checked.results
    assert result.message == "not provided: what the delivery brought"
    assert result.status is RuleStatus.PASSED
    assert checked.quarantine_reasons == ()
    with pytest.raises(DeclarationError, match="scope"):
        compile_rules([rule_of(kind, parameters=parameters)], {"things": layer}, {})


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("layers_present", {}, "files or layers"),
        ("unexpected_fields", {"mandatory": ["A"], "optional": ["A"]}, "each field once"),
        ("unexpected_fields", {"allow_other": True}, "mandatory fields"),
        ("field_types", {}, "fields or encodings"),
        ("field_types", {"encodings": ["klingon"]}, "klingon"),
        ("declared_crs", {"allowed": ["EPSG:1"]}, "EPSG:1"),
        ("metadata_present", {}, "facts or documents"),
        ("metadata_present", {"facts": {"origin": "("}}, "regular expressions"),
        ("finite_extent", {"bounds": [1, 0, 0, 1]}, "west, south, east, north"),
        ("vertex_count", {}, "min_count or max_count"),
        ("vertex_count", {"min_count": 5, "max_count": 4}, "max_count of min_count"),
        ("height_values", {"min_z_m": 1, "max_z_m": 1}, "min_z_m below"),
        ("class_change", {"column": "a", "improbable": {"x": ["x"]}}, "other classes"),
    ],
)
def test_parameters_without_sense_are_refused(kind, parameters, said):
    with pytest.raises(ValidationError, match=said):
        rule_kinds()[kind].params.model_validate(parameters)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"column": "cover", "improbable": {"water": ["tree"]}}, "no code tree of cover"),
        ({"column": "cover", "improbable": {"water": [1]}}, "mix"),
    ],
)
def test_classes_must_be_codes_of_the_contract(layer_of, rule_of, parameters, said):
    layer = layer_of("things", "Point", {"cover": {"type": "string", "codes": ["water", "forest"]}})
    with pytest.raises(DeclarationError, match=said):
        compile_rules([rule_of("class_change", parameters=parameters)], {"things": layer}, {})


def test_an_extent_needs_an_area_of_use_or_bounds(layer_of, rule_of):
    layer = layer_of("things", "Point", crs="+proj=tmerc +lon_0=114 +x_0=500000 +ellps=GRS80")
    with pytest.raises(DeclarationError, match="no area of use"):
        compile_rules([rule_of("finite_extent")], {"things": layer}, {})
