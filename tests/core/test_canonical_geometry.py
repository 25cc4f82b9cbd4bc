"""One geometry, one sequence of bytes; test_digest.py has the second implementation of them."""

import random
import struct

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.canonical_geometry import geometry_items
from cityframe.errors import IntegrityError
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title


def layer_of(kind="Polygon", *, has_z=False, precision=1.0):
    return Layer(
        name="things",
        title=Title(zh="物", en="Things"),
        geometry=GeometryType(kind),
        crs="EPSG:4547",
        precision_m=precision,
        accuracy_m=0.25,
        key=(),
        attributes=(),
        has_z=has_z,
    )


def items_of(wkb, layer):
    return geometry_items(pa.array(wkb, type=pa.binary()), layer).to_pylist()


def items(geometry, layer, **written):
    how = {"byte_order": 1, "flavor": "iso", "output_dimension": 3} | written
    return items_of(shapely.to_wkb(np.asarray(geometry, dtype=object), **how), layer)


def random_ring(chance, width, has_z):
    some = [
        tuple(chance.randint(0, width) for _ in range(3 if has_z else 2))
        for _ in range(chance.randint(3, 7))
    ]
    for _ in range(chance.choice((0, 0, 1, 2))):
        at = chance.randrange(len(some))
        # a point stands twice in a row, or the ring passes it again
        some.insert(chance.choice((at, chance.randrange(len(some)))), some[at])
    return some


def random_polygon(chance, width, has_z):
    return [random_ring(chance, width, has_z) for _ in range(chance.choice((1, 1, 2, 4)))]


def redrawn_ring(ring, chance):
    start = chance.randrange(len(ring))
    ring = ring[start:] + ring[:start]
    repeated = [point for point in ring for _ in range(chance.choice((1, 1, 2)))]
    return repeated[:: chance.choice((1, -1))]


def redrawn_polygon(rings, chance):
    shell, *holes = [redrawn_ring(ring, chance) for ring in rings]
    return [shell, *chance.sample(holes, len(holes))]


def multipolygon(polygons):
    return shapely.MultiPolygon([shapely.Polygon(shell, holes) for shell, *holes in polygons])


WIDTHS = st.sampled_from([1, 2, 3, 10, 10**6, 10**12])


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), width=WIDTHS, has_z=st.booleans())
def test_any_drawing_of_polygons_gives_the_same_bytes(seed, width, has_z):
    chance = random.Random(seed)
    polygons = [random_polygon(chance, width, has_z) for _ in range(chance.randint(1, 4))]
    again = [redrawn_polygon(rings, chance) for rings in chance.sample(polygons, len(polygons))]
    layer = layer_of("MultiPolygon", has_z=has_z)
    first, second = items([multipolygon(polygons), multipolygon(again)], layer)
    assert first == second


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), width=WIDTHS, has_z=st.booleans())
@pytest.mark.parametrize("kind", [kind.value for kind in GeometryType if kind != "none"])
def test_the_way_through_shapely_gives_the_bytes_of_the_short_way(kind, seed, width, has_z):
    chance = random.Random(seed)
    geometry = []
    for _ in range(6):
        polygons = [random_polygon(chance, width, has_z) for _ in range(chance.choice((1, 1, 2)))]
        ring = polygons[0][0]
        geometry.append(
            {
                "Point": lambda ring=ring: shapely.Point(ring[0]),
                "MultiPoint": lambda ring=ring: shapely.MultiPoint(ring[: chance.choice((1, 3))]),
                "LineString": lambda ring=ring: shapely.LineString(ring),
                "MultiLineString": lambda polygons=polygons: shapely.MultiLineString(polygons[0]),
                "Polygon": lambda polygons=polygons: multipolygon(polygons).geoms[0],
                "MultiPolygon": lambda polygons=polygons: multipolygon(polygons),
            }[kind]()
        )
    geometry[chance.randrange(6)] = None
    geometry[chance.randrange(6)] = shapely.from_wkt(f"{kind} EMPTY")
    layer = layer_of(kind, has_z=has_z)
    short = items(geometry, layer)
    # the short way reads little-endian ISO WKB of the layer's own type only
    assert items(geometry, layer, byte_order=0) == short
    assert items(geometry, layer, flavor="extended") == short
    other = layer_of("Point" if kind != "Point" else "Polygon", has_z=has_z)
    assert items(geometry, other) == short


def test_neighbours_that_round_to_one_place_are_one_vertex():
    layer = layer_of()
    plain = [(0, 0), (10, 0), (10, 10), (0, 10)]
    double = [(0, 0), (10, 0), (10.3, 0.2), (10, 10), (0.1, 10), (0, 9.9), (0, 0.4)]
    drawings = [double[start:] + double[:start] for start in range(len(double))]
    found = items([shapely.Polygon(one) for one in [plain, *drawings]], layer)
    assert set(found) == {found[0]}


def test_a_ring_that_collapses_has_one_form_too():
    layer = layer_of()
    spot = [(0.1, 0.2), (0.3, 0.1), (0.2, 0.4)]
    needle = [(0, 0), (9, 0.1), (5, 0.2)]
    found = items(
        [
            shapely.Polygon(ring[start:] + ring[:start]) if turn else shapely.Polygon(ring[::-1])
            for ring in (spot, needle)
            for start in range(3)
            for turn in (True, False)
        ],
        layer,
    )
    head = bytes([0, 3, 2]) + struct.pack("<I", 1)
    assert set(found[:6]) == {head + struct.pack("<I2q", 1, 0, 0)}
    assert set(found[6:]) == {head + struct.pack("<I6q", 3, 0, 0, 5, 0, 9, 0)}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_area_is_exact_where_doubles_and_64_bits_are_not(turn):
    # twice the area is 2**16, a difference of products of 2**120
    far, near = 2.0**60, 256.0
    ring = [(0, 0), (far, far + near), (far - near, far)]
    (item,) = items([shapely.Polygon(ring[::turn])], layer_of())
    points = [int(number) for point in ring for number in point]
    assert item == bytes([0, 3, 2]) + struct.pack("<2I6q", 1, 3, *points)


def test_parts_without_points_do_not_count():
    layer = layer_of("MultiPolygon")
    texts = [
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        "MULTIPOLYGON (EMPTY, ((0 0, 1 0, 1 1, 0 0)))",
    ]
    assert len(set(items(shapely.from_wkt(texts), layer))) == 1
    texts = ["MULTIPOINT ((1 1))", "MULTIPOINT (EMPTY, (1 1))"]
    assert len(set(items(shapely.from_wkt(texts), layer))) == 1


def test_an_empty_geometry_is_neither_null_nor_one_of_another_type():
    kinds = ["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON"]
    found = items([None, *shapely.from_wkt([f"{kind} EMPTY" for kind in kinds])], layer_of())
    assert found[0] is None
    assert [item[:3] for item in found[1:]] == [bytes([0, code, 2]) for code in range(1, 7)]


def test_measures_do_not_count():
    plain, measured = shapely.from_wkt(["LINESTRING (0 0, 1 1)", "LINESTRING M (0 0 7, 1 1 8)"])
    with_both = shapely.from_wkt("LINESTRING ZM (0 0 5 7, 1 1 5 8)")
    layer = layer_of("LineString")
    one, two, three = items([plain, measured, with_both], layer, output_dimension=4)
    assert one == two == three
    points = shapely.from_wkt(["MULTIPOINT (0 0, 1 1)", "MULTIPOINT M (0 0 7, 1 1 8)"])
    assert len(set(items(points, layer, output_dimension=4))) == 1


def test_a_part_of_a_larger_column_gives_its_own_bytes():
    layer = layer_of()
    squares = shapely.box(np.arange(9), 0, np.arange(9) + 1, 1)
    column = pa.array(shapely.to_wkb(squares, flavor="iso"), type=pa.large_binary())
    assert geometry_items(column.slice(3, 4), layer).to_pylist() == items(squares[3:7], layer)
    assert geometry_items(column.slice(3, 0), layer).to_pylist() == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 2.0**62, -1e300])
@pytest.mark.parametrize("order", [">", "<"])
def test_a_coordinate_without_a_whole_number_is_refused(number, order):
    wkb = struct.pack(f"{order}BII4d", order == "<", 2, 2, 0, 0, number, 1)
    with pytest.raises(IntegrityError, match="things: a coordinate that is not finite"):
        items_of([wkb], layer_of("LineString"))


def test_a_height_that_is_missing_is_refused():
    line = shapely.linestrings([[0, 0, 1], [1, 1, np.nan]])
    with pytest.raises(IntegrityError, match="not finite"):
        items([line], layer_of("LineString", has_z=True))


@pytest.mark.parametrize(
    "wkb",
    [
        b"",
        b"\x01\x03",
        struct.pack("<BIII", 1, 3, 1, 9),
        struct.pack("<BIII6d", 1, 3, 1, 3, 0, 0, 1, 0, 1, 1),
        struct.pack("<BIII8d", 1, 3, 1, 4, 0, 0, 1, 0, 1, 1, 5, 5),
        struct.pack("<BII2d", 1, 2, 1, 0, 0),
    ],
    ids=[
        "nothing",
        "head cut",
        "points cut",
        "ring too short",
        "ring not closed",
        "one-point line",
    ],
)
def test_what_is_no_geometry_is_refused(wkb):
    for kind in ("Polygon", "LineString", "Point"):
        with pytest.raises(IntegrityError, match="things: a geometry that can't be read"):
            items_of([wkb], layer_of(kind))


def test_a_collection_is_refused():
    both = shapely.from_wkt("GEOMETRYCOLLECTION (POINT (1 1))")
    with pytest.raises(IntegrityError, match="a geometry of type GEOMETRYCOLLECTION"):
        items([both], layer_of())
