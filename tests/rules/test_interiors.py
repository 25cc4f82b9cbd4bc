"""Pairs of polygons whose interiors meet."""

import datetime as dt

import geopandas as gpd
import shapely

from cityframe.rules.context import Context
from cityframe.rules.geometry.interiors import overlapping_pairs


def test_a_polygon_whose_every_edge_is_matched_inside_a_larger_one_is_found(layer_of):
    inner = shapely.box(2, 2, 3, 3)
    ring = shapely.box(1, 1, 4, 4).difference(inner)
    layer = layer_of("things", "Polygon")
    shapes = gpd.GeoSeries([inner, shapely.box(0, 0, 5, 5), ring], crs=layer.crs)
    context = Context(
        layer=layer,
        frame=gpd.GeoDataFrame(geometry=shapes),
        layers={"things": layer},
        as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    )
    assert not context.breaks_coverage[0]
    left, right = overlapping_pairs(context)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 1), (1, 2)]
