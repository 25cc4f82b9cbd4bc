"""Row and layer digests against a second implementation, written from docs/formats/digest.md.

The second one is plain Python: no numpy, no pyarrow, no shapely.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import random
import struct
import unicodedata
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.arrow_rows import to_arrow
from cityframe.core.digest import (
    geometry_bytes,
    layer_digest,
    layer_sum,
    move_layer_sum,
    row_digests,
    row_digests_of,
)
from cityframe.core.frames import COLUMN_TYPES
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title

# the second implementation


def value_bytes(value, kind):
    if kind == "string":
        text = unicodedata.normalize("NFC", value).encode()
        return b"s" + struct.pack("<I", len(text)) + text
    if kind == "integer":
        return b"i" + struct.pack("<q", value)
    if kind == "real":
        return b"f" + struct.pack("<d", value + 0.0)
    if kind == "boolean":
        return b"b" + bytes([value])
    if kind == "date":
        return b"d" + struct.pack("<q", (value - dt.date(1970, 1, 1)).days)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return b"t" + struct.pack("<q", (value - epoch) // dt.timedelta(microseconds=1))


CODES = {"Point": 1, "LineString": 2, "Polygon": 3}
CODES |= {"MultiPoint": 4, "MultiLineString": 5, "MultiPolygon": 6}


def geometry_item(kind, coordinates, precision, has_z):
    """``coordinates`` nested as in GeoJSON; None for null, empty lists for empty."""
    if coordinates is None:
        return b""
    width = 3 if has_z and dimension_of(coordinates) == 3 else 2

    def units(point):
        return tuple(round(number / precision) for number in point[:width])

    def counted(parts):
        return struct.pack("<I", len(parts)) + b"".join(parts)

    def whole(point):
        return struct.pack(f"<{width}q", *point)

    def place(point):
        return whole(units(point))

    def line(points):
        return counted([place(point) for point in points])

    def polygon(rings):
        forms = [
            ring_form([units(point) for point in ring], turn=-1 if at else 1)
            for at, ring in enumerate(rings)
        ]
        encoded = [counted([whole(point) for point in ring]) for ring in forms]
        return counted([*encoded[:1], *sorted(encoded[1:])])

    body = {
        "Point": lambda: place(coordinates) if coordinates else b"",
        "LineString": lambda: line(coordinates),
        "Polygon": lambda: polygon(coordinates),
        "MultiPoint": lambda: counted(sorted(map(place, coordinates))),
        "MultiLineString": lambda: counted([line(points) for points in coordinates]),
        "MultiPolygon": lambda: counted(sorted(map(polygon, coordinates))),
    }[kind]()
    return bytes([0, CODES[kind], width]) + body


def dimension_of(nested):
    while nested and isinstance(nested[0], list | tuple):
        nested = nested[0]
    return len(nested)


def ring_form(ring, turn):
    """``turn`` is 1 for a shell, -1 for a hole."""
    ring = ring[:-1]
    ring = [point for at, point in enumerate(ring) if point != ring[at - 1]] or ring[:1]
    pairs = list(zip(ring, ring[1:] + ring[:1], strict=True))
    area = turn * sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)
    drawings = ([ring] if area >= 0 else []) + ([ring[::-1]] if area <= 0 else [])
    return min(one[start:] + one[:start] for one in drawings for start in range(len(one)))


def row_content(values, layer, coordinates):
    items = []
    for one in sorted(layer.attributes, key=lambda one: one.name.encode()):
        if values[one.name] is not None:
            name = one.name.encode()
            value = value_bytes(values[one.name], one.type.value)
            items.append(bytes([len(name)]) + name + value)
    kind = layer.geometry.value
    items.append(geometry_item(kind, coordinates, layer.precision_m, layer.has_z))
    return b"".join(items)


def row_digest(values, layer, coordinates):
    content = row_content(values, layer, coordinates)
    return hashlib.blake2b(content, digest_size=16).digest()


def digest_of_layer(digests):
    total = sum(
        int.from_bytes(hashlib.shake_128(digest).digest(512), "little") for digest in digests
    ) % (1 << 4096)
    body = total.to_bytes(512, "little") + len(digests).to_bytes(8, "little")
    return hashlib.blake2b(body, digest_size=16).hexdigest()


# random frames

ATTRIBUTES = tuple(
    Attribute(name=f"a_{kind.value}", type=kind, title=Title(zh="属", en="a"))
    for kind in AttributeType
)
TEXTS = ("", "楼", "e\u0301", "\u00e9", "a\0b", "𠮷", "校 园", "s", "\uac00", "\u1100\u1161")
REALS = (0.0, -0.0, 1.5, -1e300, float("inf"), 5e-324, 0.1)


def random_value(kind, chance):
    if chance.random() < 0.2:
        return None
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return {
        "string": lambda: chance.choice(TEXTS),
        "integer": lambda: chance.choice((0, -1, chance.randrange(-(2**63), 2**63))),
        "real": lambda: chance.choice((*REALS, chance.uniform(-1e6, 1e6))),
        "boolean": lambda: chance.random() < 0.5,
        "date": lambda: dt.date.fromordinal(chance.randrange(1, 3_000_000)),
        "datetime": lambda: epoch + dt.timedelta(microseconds=chance.randrange(-(10**16), 10**16)),
    }[kind]()


def random_coordinates(kind, chance, has_z):
    if kind == "none" or chance.random() < 0.1:
        return None
    if chance.random() < 0.1:
        return []
    # few places on a coarse grid: rings touch, cross themselves and collapse when rounded
    width = chance.choice((2, 4, 40, 4_000_000, 4 * 10**14))

    def point():
        place = [
            chance.choice((chance.randint(0, width), chance.uniform(-1, width))) for _ in range(2)
        ]
        return [*place, chance.uniform(-3, 3)] if has_z else place

    def points(least, most):
        return [point() for _ in range(chance.randint(least, most))]

    def ring():
        some = points(3, 7)
        if chance.random() < 0.3:
            some.insert(chance.randrange(len(some)), chance.choice(some))
        return [*some, some[0]]

    def rings():
        return [ring() for _ in range(chance.choice((1, 1, 2, 3)))]

    return {
        "Point": point,
        "MultiPoint": lambda: points(1, 5),
        "LineString": lambda: points(2, 6),
        "MultiLineString": lambda: [points(2, 4) for _ in range(chance.randint(1, 3))],
        "Polygon": rings,
        "MultiPolygon": lambda: [rings() for _ in range(chance.randint(1, 4))],
    }[kind]()


def geometry_of(kind, coordinates):
    if coordinates is None:
        return None
    if not coordinates:
        return shapely.from_wkt(f"{kind} EMPTY")
    return shapely.geometry.shape({"type": kind, "coordinates": coordinates})


def frame_of(values, geometry, layer):
    columns = {}
    for one in layer.attributes:
        kind = COLUMN_TYPES[one.type]
        column = [row[one.name] for row in values]
        if one.type is AttributeType.DATE:
            column = np.array([np.datetime64(day, "s") for day in column], dtype="datetime64[s]")
            columns[one.name] = pd.Series(column, dtype=kind)
        else:
            columns[one.name] = pd.Series(column, dtype=kind)
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometry, crs=layer.crs))


def layer_of(kind, has_z=False, precision=0.001):
    return Layer(
        name="things",
        title=Title(zh="物", en="Things"),
        geometry=GeometryType(kind),
        crs="EPSG:4547",
        precision_m=precision,
        accuracy_m=0.25,
        key=(),
        attributes=ATTRIBUTES,
        has_z=has_z,
    )


@pytest.mark.parametrize("kind", [kind.value for kind in GeometryType])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), has_z=st.booleans(), precision=st.sampled_from([1, 0.5, 0.001]))
def test_a_second_implementation_gives_the_same_digests(kind, seed, has_z, precision):
    chance = random.Random(seed)
    layer = layer_of(kind, has_z, precision)
    data_has_z = has_z or chance.random() < 0.2
    values = [
        {one.name: random_value(one.type.value, chance) for one in ATTRIBUTES} for _ in range(8)
    ]
    nested = [random_coordinates(kind, chance, data_has_z) for _ in values]
    frame = frame_of(values, [geometry_of(kind, one) for one in nested], layer)

    expected = [row_digest(row, layer, one) for row, one in zip(values, nested, strict=True)]
    digests = list(row_digests(frame, layer))
    assert [digest.hex() for digest in digests] == [digest.hex() for digest in expected]
    assert row_digests_of(to_arrow(frame, layer), layer).to_pylist() == expected
    total = layer_sum(digests)
    assert layer_digest(total, len(digests)) == digest_of_layer(expected)


# what digests promise


def square(east=0.0, size=10.0):
    return shapely.box(east, 0, east + size, size)


def digest_one(layer, geometry, **values):
    row = {**{one.name: None for one in ATTRIBUTES}, **values}
    return row_digests(frame_of([row], [geometry], layer), layer)[0]


def test_a_valid_polygon_has_one_digest_however_it_is_drawn():
    layer = layer_of("Polygon")
    ring = [(0, 0), (9, 1), (8, 7), (2, 9)]
    holes = [[(3, 3), (4, 3), (4, 4)], [(5, 5), (6, 5), (6, 6), (5, 6)]]
    digests = {
        digest_one(
            layer,
            shapely.Polygon(
                drawn[start:] + drawn[:start], [hole[::turn] for hole in holes[::turn]]
            ),
        )
        for drawn in (ring, ring[::-1])
        for start in range(4)
        for turn in (1, -1)
    }
    assert len(digests) == 1


def test_a_line_keeps_its_direction():
    layer = layer_of("LineString")
    line = shapely.LineString([(0, 0), (5, 5)])
    assert digest_one(layer, line) != digest_one(layer, line.reverse())


def test_less_than_half_the_precision_is_no_change():
    layer = layer_of("Polygon", precision=0.001)
    base = digest_one(layer, square())
    assert digest_one(layer, square(size=10.0004)) == base
    assert digest_one(layer, square(size=10.0006)) != base


def test_heights_count_only_where_the_layer_has_them():
    low, high = shapely.Point(1, 2, 3), shapely.Point(1, 2, 4)
    assert digest_one(layer_of("Point"), low) == digest_one(layer_of("Point"), high)
    with_z = layer_of("Point", has_z=True)
    assert digest_one(with_z, low) != digest_one(with_z, high)


def test_null_is_not_empty_and_no_value_can_pass_for_two():
    layer = layer_of("Point")
    assert digest_one(layer, None) != digest_one(layer, shapely.Point())
    assert digest_one(layer, None, a_string="") != digest_one(layer, None)
    names = [one.name for one in ATTRIBUTES]
    assert names[:2] == ["a_string", "a_integer"]
    assert digest_one(layer, None, a_string="\0") != digest_one(layer, None)


def test_an_attribute_more_changes_no_digest_where_it_is_null():
    wide = layer_of("Polygon")
    narrow = dataclasses.replace(wide, attributes=wide.attributes[1:])
    values = {one.name: None for one in ATTRIBUTES} | {"a_integer": 7}
    assert digest_one(wide, square(), **values) == digest_one(narrow, square(), **values)
    assert digest_one(wide, square(), **values | {"a_string": ""}) != digest_one(wide, square())


def test_the_order_of_attributes_in_a_contract_does_not_count():
    layer = layer_of("Polygon")
    turned = dataclasses.replace(layer, attributes=layer.attributes[::-1])
    values = {"a_string": "楼", "a_integer": 7, "a_boolean": True}
    assert digest_one(layer, square(), **values) == digest_one(turned, square(), **values)


def test_the_same_value_under_another_name_has_another_digest():
    one, other = (
        dataclasses.replace(
            layer_of("none"), attributes=(dataclasses.replace(ATTRIBUTES[0], name=name),)
        )
        for name in ("left", "right")
    )
    table = pa.table({"left": ["a"], "right": ["a"]})
    assert row_digests_of(table, one) != row_digests_of(table, other)


def mixed_rows(count):
    chance = random.Random(7)
    values = [
        {one.name: random_value(one.type, chance) for one in ATTRIBUTES} for _ in range(count)
    ]
    geometry = [square(east=place) if place % 5 else None for place in range(count)]
    return frame_of(values, geometry, layer_of("Polygon"))


def test_however_arrow_holds_the_rows_their_digests_are_the_same():
    layer = layer_of("Polygon")
    frame = mixed_rows(30)
    table, expected = to_arrow(frame, layer), list(row_digests(frame, layer))
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])
    (batch,) = table.to_batches()
    renamed = table.rename_columns([*table.column_names[:-1], "shape"])
    plain = table.set_column(
        0, "a_string", table.column("a_string").cast(pa.large_string()).dictionary_encode()
    )
    wide = plain.set_column(
        table.column_names.index("geom"), "geom", table.column("geom").cast(pa.large_binary())
    )
    for rows in (table, chunked, batch, wide.append_column("uid", pa.array(["u"] * 30))):
        assert row_digests_of(rows, layer).to_pylist() == expected
    assert row_digests_of(renamed, layer, geometry="shape").to_pylist() == expected
    assert row_digests_of(batch.slice(5, 9), layer).to_pylist() == expected[5:14]
    nothing = row_digests_of(table.slice(0, 0), layer)
    assert (len(nothing), nothing.type) == (0, pa.binary(16))


def test_rows_of_many_batches_keep_their_order(monkeypatch):
    layer = layer_of("Polygon")
    frame = mixed_rows(30)
    expected = list(row_digests(frame, layer))
    monkeypatch.setattr("cityframe.core.digest._BATCH_ROWS", 7)
    assert list(row_digests(frame, layer)) == expected
    assert row_digests_of(to_arrow(frame, layer), layer).to_pylist() == expected


def test_rows_of_a_layer_without_any_column_have_the_digest_of_nothing():
    layer = dataclasses.replace(layer_of("none"), attributes=())
    table = pa.table({"uid": ["a", "b"]})
    nothing = hashlib.blake2b(b"", digest_size=16).digest()
    assert row_digests_of(table, layer).to_pylist() == [nothing, nothing]


def test_geometries_are_compared_by_their_bytes_and_null_has_none():
    layer = layer_of("Polygon")
    drawings = [square(), square().reverse(), square(east=1.0), None]
    one, other, moved, null = geometry_bytes(np.array(drawings, dtype=object), layer)
    assert one == other == geometry_item("Polygon", [list(square().exterior.coords)], 0.001, False)
    assert one != moved
    assert null == b""


def test_texts_that_read_the_same_have_the_same_digest():
    layer = layer_of("none")
    assert digest_one(layer, None, a_string="é") == digest_one(layer, None, a_string="e\u0301")


@given(st.lists(st.binary(min_size=16, max_size=16)), st.randoms())
def test_a_layer_sum_does_not_depend_on_the_order(digests, chance):
    shuffled = list(digests)
    chance.shuffle(shuffled)
    assert layer_sum(digests) == layer_sum(shuffled)
    assert layer_digest(layer_sum(digests), len(digests)) == digest_of_layer(digests)


@given(*[st.lists(st.binary(min_size=16, max_size=16), max_size=5)] * 3)
def test_a_layer_sum_moves_with_the_change(kept, removed, added):
    before, after = layer_sum(kept + removed), layer_sum(kept + added)
    assert move_layer_sum(before, removed=removed, added=added) == after
    assert move_layer_sum(after, removed=added, added=removed) == before


SPECIFICATION = Path(__file__).parents[2] / "docs" / "formats" / "digest.md"


def example_values(row):
    """Return the values of a row of the specification's example."""
    values = {name: value for name, value in row.items() if name != "coordinates"}
    if values["a_date"] is not None:
        values["a_date"] = dt.date.fromisoformat(values["a_date"])
        values["a_datetime"] = dt.datetime.fromisoformat(values["a_datetime"])
    return values


def test_both_implementations_give_the_example_of_the_specification():
    example = json.loads(SPECIFICATION.read_text(encoding="utf-8").split("```")[1][4:])
    layer = layer_of("Polygon", precision=example["layer"]["precision_m"])
    assert [[one.name, one.type] for one in layer.attributes] == example["layer"]["attributes"]
    values = [example_values(row) for row in example["rows"]]
    nested = [row["coordinates"] for row in example["rows"]]
    frame = frame_of(values, [geometry_of("Polygon", one) for one in nested], layer)

    first = row_content(values[0], layer, nested[0])
    assert first.hex() == example["first_row_content"]
    second = [row_digest(row, layer, one) for row, one in zip(values, nested, strict=True)]
    digests = list(row_digests(frame, layer))
    assert [one.hex() for one in digests] == example["row_digests"]
    assert [one.hex() for one in second] == example["row_digests"]
    total = layer_sum(digests)
    assert total.to_bytes(512, "little")[:8].hex() == example["layer_sum_first_8_bytes"]
    assert layer_digest(total, 3) == digest_of_layer(second) == example["layer_digest"]
