"""Defects sown for the kinds about deliveries, the form of geometries and whole versions."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.model.finding import Scope
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import WHOLE_LAYER, Sowing
from cityframe.rules.context import Received, ReceivedTable

SIDE = 20
ORIGIN = np.array([500_000.0, 3_000_000.0])


def layer(geometry=GeometryType.POLYGON, attributes=(), **more):
    return Layer(
        name="things", title=Title(zh="要素", en="Things"), geometry=geometry, crs="EPSG:4547",
        precision_m=0.001, accuracy_m=0.25, key=(), attributes=attributes, **more,
    )  # fmt: skip


def attribute(name, kind):
    return Attribute(name=name, type=kind, title=Title(zh=name, en=name))


def uids(count=SIDE * SIDE):
    return np.array([f"f{row:03d}" for row in range(count)], dtype=object)


def corners(count=SIDE * SIDE, step=50.0):
    row = np.arange(count)
    return ORIGIN + np.column_stack([row % SIDE, row // SIDE]) * step


def squares(side=10.0):
    low = corners()
    return np.asarray(shapely.box(*low.T, *(low + side).T), dtype=object)


def moved(wkt, at):
    with np.errstate(invalid="ignore"):  # WKT of a coordinate that is no number
        shape = shapely.from_wkt(wkt)

    def by(xyz):
        return np.column_stack([xyz[:, :2] + at, xyz[:, 2:]])

    return shapely.transform(shape, by, include_z=bool(shapely.has_z(shape)))


def placed(wkt):
    """Return one geometry for each place of the grid."""
    return np.array([moved(wkt, at) for at in corners()], dtype=object)


def sown(geometry, defects, parameters, of=None):
    """Put defects among clean geometries; well-known text after ``clean`` is none."""
    geometry = geometry.copy()
    rows = np.arange(7, len(geometry), 23)
    failing = set()
    for row, wkt in zip(rows, np.resize(np.array(defects, dtype=object), len(rows)), strict=True):
        is_bad = not wkt.startswith("clean ")
        geometry[row] = moved(wkt.removeprefix("clean "), corners()[row])
        if is_bad:
            failing.add(uids()[row])
    of = of or layer()
    frame = gpd.GeoDataFrame({"uid": uids()}, geometry=geometry, crs=of.crs)
    return Sowing(of, frame, parameters, frozenset(failing))


def delivered(parameters, received):
    frame = gpd.GeoDataFrame({"uid": uids()}, geometry=squares(), crs="EPSG:4547")
    return Sowing(
        layer(), frame, parameters, frozenset({WHOLE_LAYER}), received=received,
        scope=Scope.DELIVERY,
    )  # fmt: skip


def layers_present():
    files = {f"sheets/{number:03d}.gpkg": 9 for number in range(300)} | {"city.xml": 0}
    return delivered(
        {"files": ["*.gpkg", "*.xml"], "layers": ["roads", "rivers"]},
        Received(files=files, layers=frozenset({"roads", "Rivers"})),
    )


def unexpected_fields():
    columns = {"DJH": "string", "YT": "string"}
    tables = [ReceivedTable(f"{number}.shp", columns=columns) for number in range(300)]
    tables[150] = ReceivedTable("150.shp", columns={"DJH": "string", "YT ": "string"})
    return delivered(
        {"mandatory": ["DJH", "YT"]}, Received(files={}, layers=frozenset(), tables=tuple(tables))
    )


def field_types():
    tables = [
        ReceivedTable(f"{n}.shp", columns={"DJH": "string"}, longest={"DJH": 19}, encoding="gbk")
        for n in range(300)
    ]
    tables[7] = ReceivedTable("7.shp", columns={"DJH": "string"}, longest={"DJH": 20})
    return delivered(
        {"fields": {"DJH": {"types": ["string"], "max_length": 19}}, "encodings": ["gbk"]},
        Received(files={}, layers=frozenset(), tables=tuple(tables)),
    )


def declared_crs():
    bounds = (500_000.0, 3_000_000.0, 501_000.0, 3_001_000.0)
    tables = [
        ReceivedTable(f"{n}.shp", crs="EPSG:4547", has_geometry=True, central_bounds=bounds)
        for n in range(30)
    ]
    tables[3] = ReceivedTable(
        "3.shp", crs="EPSG:4547", has_geometry=True,
        central_bounds=(bounds[1], bounds[0], bounds[3], bounds[2]),
    )  # fmt: skip
    return delivered(
        {"allowed": ["EPSG:4547"]}, Received(files={}, layers=frozenset(), tables=tuple(tables))
    )


def metadata_present():
    return delivered(
        {"facts": {"origin": "", "observed_at": "20.*"}},
        Received(
            files={}, layers=frozenset(), metadata={"origin": "", "observed_at": "2026-01-01"}
        ),
    )


def geometry_type():
    return sown(
        squares(),
        [
            "LINESTRING (0 0, 5 5)",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
            "GEOMETRYCOLLECTION (POLYGON ((0 0, 1 0, 1 1, 0 0)), POINT (9 9))",
            "clean MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
            "clean POLYGON EMPTY",
        ],
        {"max_parts": 1},
        layer(GeometryType.MULTIPOLYGON),
    )


def finite_extent():
    low, high = ORIGIN, ORIGIN + SIDE * 50.0
    return sown(
        squares(),
        [
            "POLYGON ((0 0, 5000 0, 5 5, 0 0))",
            "POLYGON ((0 0, NaN 0, 5 5, 0 0))",
            "POLYGON ((0 0, 0 inf, 5 5, 0 0))",
            "POLYGON ((-9000 -9000, -9000 -9001, -9001 -9001, -9000 -9000))",
            "clean POLYGON EMPTY",
        ],
        {"bounds": [*low, *high]},
    )


def holes():
    return sown(
        squares(),
        [
            "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 4 3, 4 4, 3 4, 3 3))",
            "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 3 4, 4 4, 4 3, 3 3), (5 5, 8 5, 8 8, 5 5))",
            "MULTIPOLYGON (((9 0, 9 1, 8 1, 9 0)), ((0 0, 6 0, 0 6, 0 0), (1 1, 1 2, 2 1, 1 1)))",
            "clean POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 4.01 3, 4.01 4, 3 4, 3 3))",
        ],
        {"max_area_m2": 1.0},
        layer(GeometryType.MULTIPOLYGON),
    )


def vertex_count():
    ring = shapely.Point(0, 0).buffer(5, quad_segs=25)
    many = shapely.Point(0, 0).buffer(5, quad_segs=26)
    return sown(
        squares(),
        [many.wkt, "POLYGON ((0 0, 1 0, 1 1, 0 0))", f"clean {ring.wkt}"],
        {"min_count": 4, "max_count": 100},
    )


def height_values():
    return sown(
        placed("LINESTRING Z (0 0 5, 9 9 6)"),
        [
            "LINESTRING (0 0, 9 9)",
            "LINESTRING Z (0 0 0, 9 9 0)",
            "LINESTRING Z (0 0 NaN, 9 9 5)",
            "LINESTRING Z (0 0 -10.01, 9 9 5)",
            "clean LINESTRING Z (0 0 -10, 9 9 0)",
        ],
        {"min_z_m": -10, "max_z_m": 3000, "zero_is_missing": True},
        layer(GeometryType.LINESTRING, has_z=True, vertical_datum="EPSG:5737"),
    )


def ring_orientation():
    return sown(
        np.asarray(shapely.orient_polygons(squares()), dtype=object),
        [
            "POLYGON ((0 0, 0 9, 9 9, 9 0, 0 0))",
            "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 4 3, 4 4, 3 4, 3 3))",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 6, 6 5, 5 5)))",
            "clean POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (3 3, 3 4, 4 4, 4 3, 3 3))",
        ],
        {},
        layer(GeometryType.MULTIPOLYGON),
    )


def minimum_width():
    return sown(
        squares(),
        [
            "POLYGON ((0 0, 9 0, 9 0.98, 0 0.98, 0 0))",
            "POLYGON ((0 0, 9 0, 9 4, 20 4, 20 0, 30 0, 30 9, 20 9, 20 4.5, 9 4.5, 9 9, 0 9, 0 0))",
            "POLYGON ((0 0, 5 4, 10 0, 10 10, 5 4.9, 0 10, 0 0))",
            "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (5 0.5, 6 4, 4 4, 5 0.5))",
            "clean POLYGON ((0 0, 9 0, 9 1, 0 1, 0 0))",
            "clean " + shapely.Point(0, 0).buffer(0.6, quad_segs=50).wkt,
            "clean POLYGON ((0 0, 5 4, 10 0, 10 10, 5 5, 0 10, 0 0))",
        ],
        {"min_width_m": 1.0},
    )


def against_release(column, kind, before, after, failing, parameters):
    attributes = (attribute(column, kind),)
    of = layer(attributes=attributes)
    frames = [
        gpd.GeoDataFrame({"uid": uids(), column: values}, geometry=squares(), crs=of.crs)
        for values in (before, after)
    ]
    return Sowing(of, frames[1], parameters, frozenset(failing), previous=frames[0])


def date_monotone():
    before = pd.Series(pd.to_datetime(["2020-01-01"] * len(uids()))).astype("datetime64[s]")
    after = before.copy()
    after.iloc[::3] += pd.Timedelta(days=1)
    bad = np.arange(4, len(uids()), 31)
    after.iloc[bad] = pd.Timestamp("2019-12-31")
    after.iloc[bad[::2]] = pd.NaT
    return against_release(
        "surveyed_on", AttributeType.DATE, before, after, uids()[bad], {"column": "surveyed_on"}
    )


def class_change():
    before = pd.Series(np.resize(["water", "forest", "field"], len(uids())), dtype="str")
    after = before.copy()
    after.iloc[1:80:3] = "field"  # forest to field may be
    bad = np.arange(90, len(uids()), 33)  # all of them water
    after.iloc[bad] = "building"
    return against_release(
        "cover", AttributeType.STRING, before, after, uids()[bad],
        {"column": "cover", "improbable": {"water": ["building"], "building": ["*"]}},
    )  # fmt: skip


def layer_shift():
    noise = np.random.default_rng(7).normal(0, 0.05, (len(uids()), 2))
    before = squares()
    after = np.array(
        [
            shapely.transform(one, lambda xy, by=by: xy + by)
            for one, by in zip(before, noise + np.array([0.4, -0.2]), strict=True)
        ],
        dtype=object,
    )
    after[::10] = before[::10]
    of = layer()
    frames = [
        gpd.GeoDataFrame({"uid": uids()}, geometry=one, crs=of.crs) for one in (before, after)
    ]
    return Sowing(of, frames[1], {"min_shift_m": 0.3}, frozenset({WHOLE_LAYER}), previous=frames[0])


SOWINGS = {
    one.__name__: one
    for one in (
        layers_present, unexpected_fields, field_types, declared_crs, metadata_present,
        geometry_type, finite_extent, holes, vertex_count, height_values, ring_orientation,
        minimum_width, date_monotone, class_change, layer_shift,
    )
}  # fmt: skip
