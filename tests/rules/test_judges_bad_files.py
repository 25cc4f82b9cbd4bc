"""The kinds about geometry on files that were made to be bad.

Judge: the names of the files. ``geojson_invalid_chrieke`` sorts GeoJSON by what is wrong with it;
``gdal_autotest_shp`` are the shapefiles that GDAL's own tests were written for. A reader may refuse
a file; where it does not, the kinds must tell what the name says, nothing on what is called valid,
and never fail.
"""

import datetime as dt
import warnings

import geopandas as gpd
import numpy as np
import pyogrio
import pytest

from cityframe.model.layer import GeometryType
from cityframe.rules.context import Context
from cityframe.rules.registry import rule_kinds

KINDS = (
    "valid_geometry", "null_geometry", "simple_line", "duplicate_vertices", "ring_orientation",
    "finite_extent",
)  # fmt: skip
GEOJSON = {
    "invalid_geometries/invalid_exterior_not_ccw": {"ring_orientation"},
    "invalid_geometries/invalid_interior_not_cw": {"ring_orientation"},
    "invalid_geometries/invalid_less_three_unique_nodes": {"valid_geometry"},
    "invalid_geometries/invalid_incorrect_geometry_data_type": {"null_geometry"},
    "invalid_structure/invalid_feature_geometry_is_string": {"null_geometry"},
    "invalid_structure/invalid_feature_wrong_geometry_key": {"null_geometry"},
    "invalid_structure/invalid_geometry_geometrycollection_null_geometry": {"null_geometry"},
    "invalid_structure/invalid_geometry_mislabeled_point": {"null_geometry"},
    "problematic_geometries/problematic_duplicate_nodes": {"duplicate_vertices"},
    "problematic_geometries/problematic_feature_null_geometry": {"null_geometry"},
    "problematic_geometries/problematic_inner_and_exterior_ring_intersect": {"valid_geometry"},
    "problematic_geometries/problematic_outside_lat_lon_boundaries": {"finite_extent"},
    "problematic_geometries/problematic_self_intersection_large": {"valid_geometry"},
    "problematic_geometries/problematic_self_intersection_small": {"valid_geometry"},
    "problematic_geometries/problematic_zero_length_linestring": {
        "valid_geometry", "duplicate_vertices",
    },
    # what is problematic about these is no matter of geometry, or one of a declared limit
    "problematic_geometries/problematic_3d_coordinates": set(),
    "problematic_geometries/problematic_excessive_coordinate_precision": set(),
    "problematic_geometries/problematic_excessive_vertices": set(),
    "problematic_geometries/problematic_holes": set(),
    "problematic_geometries/problematic_wrong_bbox_coordinate_order": set(),
}  # fmt: skip
RINGS = "ring_orientation"
EARTH = {"finite_extent": {"bounds": (-180, -90, 180, 90)}}
REFUSED = (
    "invalid_geometries/invalid_unclosed",
    "invalid_structure/invalid_geometry_coordinates_1d",
    "invalid_structure/invalid_geometry_coordinates_string",
    "invalid_structure/invalid_geometry_depth_shallow_polygon",
)
SHAPEFILES = {
    "buggymultiline": {"null_geometry": 1},
    "buggymultipoint": {"null_geometry": 1},
    "buggymultipoly": {"null_geometry": 1},
    "buggymultipoly2": {"null_geometry": 1},
    "buggypoint": {"null_geometry": 1},
    "emptymultiline": {"null_geometry": 1},
    "emptymultipoint": {"null_geometry": 1},
    "emptymultipoly": {"null_geometry": 1},
    "pointnan": {"null_geometry": 1},
    "slightly_overlapping_polygons": {"valid_geometry": 1},
    "polygonm_with_m": {"valid_geometry": 1},
    "gjmultipoly": {"valid_geometry": 1},
    "issue_14385": {"valid_geometry": 2, "duplicate_vertices": 1},
    "testpoly": {"valid_geometry": 1},
    "poly_golden/poly": {},
    "gjline": {},
    "gjpoly": {},
    "can_caps": {},
    "extentnan": {},
    "empty": {},
}


@pytest.fixture
def told(layer_of):
    """Return a function that gives how many features each kind tells of a file."""

    def tell(path, parameters):
        geometry = read(path)
        kinds = {name: kind for name, kind in rule_kinds().items() if name in KINDS}
        types = {one.geom_type for one in geometry if one is not None}
        layer = layer_of("things", _type_of(types), crs="EPSG:4326")
        frame = gpd.GeoDataFrame(geometry=geometry, crs=layer.crs)
        context = Context(layer, frame, {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        counts = {
            name: kind.check(context, kind.params(**parameters.get(name, {})))["row"].nunique()
            for name, kind in kinds.items()
            if layer.geometry in kind.geometry
        }
        return {name: count for name, count in counts.items() if count}

    return tell


def _type_of(types):
    """Return the type of a layer that holds only these."""
    (only,) = types if len(types) == 1 else ("Polygon",)
    return only if only in set(GeometryType) else "Polygon"


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GDAL says what it makes of the file
        frame = pyogrio.read_dataframe(path)
    return np.asarray(frame.get("geometry", []), dtype=object)


@pytest.fixture
def bad(data_dir):
    folder = data_dir / "bad"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.mark.parametrize("name", GEOJSON)
def test_what_a_geojson_is_named_for_is_told(bad, told, name):
    assert set(told(bad / "geojson_invalid_chrieke" / f"{name}.geojson", EARTH)) == GEOJSON[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_geometry_can_be_made_of_is_refused_by_the_reader(bad, name):
    with pytest.raises(Exception, match=r"closed|GeoJSON"):
        read(bad / "geojson_invalid_chrieke" / f"{name}.geojson")


def test_nothing_is_told_of_valid_geojson_but_that_it_has_no_geometry(bad, told):
    paths = sorted((bad / "geojson_invalid_chrieke" / "valid").glob("*.geojson"))
    assert len(paths) > 15
    without = {
        path.stem: counts
        for path in paths
        if (counts := told(path, EARTH)) and "null" not in path.stem
    }
    assert without == {"valid_geometry_geometrycollection_empty_geometries": {"null_geometry": 1}}


@pytest.mark.parametrize("name", SHAPEFILES)
def test_what_a_shapefile_of_gdal_was_made_for_is_told(bad, told, name):
    counts = told(f"/vsizip/{bad / 'gdal_autotest_shp.zip'}/{name}.shp", {})
    # they are in many systems, and their rings run the way of shapefiles
    without = {kind: n for kind, n in counts.items() if kind not in ("finite_extent", RINGS)}
    assert without == SHAPEFILES[name]


def test_the_rings_of_a_shapefile_run_the_other_way_than_those_of_geojson(bad, told):
    path = f"/vsizip/{bad / 'gdal_autotest_shp.zip'}/poly_golden/poly.shp"
    assert told(path, {})[RINGS] == 10
    assert RINGS not in told(path, {RINGS: {"exterior": "clockwise"}})
