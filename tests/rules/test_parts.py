"""Parts of a layer: what is near, tiles, and defects brought back to the layer."""

import datetime as dt

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cityframe.rules.checking.boxes import near, outline, tiles
from cityframe.rules.checking.parts import Part, Whole
from cityframe.rules.checking.row_source import FrameRows
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.shared_property import shared_property

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
BOXES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3), st.integers(0, 3)),
        st.none(),
    ),
    max_size=30,
)


def _boxes(drawn):
    rows = [(np.nan,) * 4 if one is None else one for one in drawn]
    boxes = np.array(rows, dtype=float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


@given(drawn=BOXES, drawn_seeds=BOXES, reach=st.sampled_from([-np.inf, 0.0, 1.0, 2.5]))
def test_near_are_those_whose_box_lies_within_reach_of_a_seed(drawn, drawn_seeds, reach):
    boxes, seeds = _boxes(drawn), _boxes(drawn_seeds)
    expected = [
        row
        for row, (west, south, east, north) in enumerate(boxes)
        if any(
            west - reach <= one[2]
            and east + reach >= one[0]
            and south - reach <= one[3]
            and north + reach >= one[1]
            for one in seeds
        )
    ]
    assert near(boxes, seeds, reach).tolist() == expected
    shapes = shapely.box(*boxes.T)
    assert near(boxes, seeds, reach, shapes.__getitem__).tolist() == expected


@given(drawn=BOXES, size=st.integers(1, 8))
def test_tiles_give_each_row_one_tile_of_a_fair_size(drawn, size):
    rows = np.arange(len(drawn))
    found = tiles(_boxes(drawn), rows, size)
    assert np.sort(np.concatenate(found)).tolist() == rows.tolist()
    assert all(np.all(np.diff(tile) > 0) for tile in found)
    lengths = [len(tile) for tile in found]
    assert max(lengths) <= size
    assert len(found) <= max(1, 2 * -(-len(drawn) // size))


def test_tiles_are_compact():
    x, y = (one.ravel() for one in np.meshgrid(np.arange(16.0), np.arange(16.0)))
    shuffled = np.random.default_rng(1).permutation(256)
    boxes = np.stack([x, y, x + 1, y + 1], axis=1)[shuffled]
    for tile in tiles(boxes, np.arange(256), 16):
        assert np.ptp(boxes[tile], axis=0).tolist() == [3, 3, 3, 3]


def test_a_long_river_does_not_make_the_outline_of_a_tile_as_long():
    houses = np.array([[x, y, x + 0.1, y + 0.1] for x in range(5) for y in range(5)])
    river = np.array([[0, 2, 500, 2.1]])
    found = outline(np.concatenate([houses, river]))
    assert found.tolist() == [[0, 0, 4.1, 4.1], [0, 2, 500, 2.1]]
    assert len(outline(np.full((3, 4), np.nan))) == 0


@pytest.fixture
def whole(layer_of):
    """Return a row of ten touching houses, with a point in each and one far off."""
    layer, points = layer_of("things", "Polygon"), layer_of("points", "Point")
    x = np.arange(10.0)
    frame = gpd.GeoDataFrame(
        {"uid": [f"f{one:.0f}" for one in x]},
        geometry=gpd.GeoSeries(shapely.box(x, 0, x + 1, 1), crs=layer.crs),
        index=x[::-1],
    )
    inside = gpd.GeoDataFrame(
        geometry=gpd.GeoSeries(shapely.points([*(x + 0.5), 99], 0.5), crs=points.crs)
    )
    context = Context(
        layer=layer,
        frame=frame,
        layers={"things": layer, "points": points},
        as_of=AS_OF,
        previous=frame,
        read_other={"points": inside}.__getitem__,
    )
    return Whole(context, FrameRows(frame), lambda name: FrameRows(context.other(name)))


@pytest.mark.parametrize(
    ("reach", "rows", "points"),
    [
        (-np.inf, ["f4"], 0),
        (0.0, ["f3", "f4", "f5"], 1),
        (1.0, ["f2", "f3", "f4", "f5", "f6"], 3),
    ],
)
def test_a_part_has_what_its_rows_can_reach(whole, reach, rows, points):
    owned = np.array([4])
    part = whole.part(whole.cut(owned, whole.rows.boxes[owned], reach))
    assert part.context.frame["uid"].tolist() == rows
    assert part.context.frame.index.tolist() == list(range(len(rows)))
    assert len(part.context.other("points")) == points
    assert part.context.other("things") is part.context.frame
    assert part.context.previous is None


def test_defects_come_back_to_the_layer_and_only_those_of_owned_rows(whole):
    part = Part(whole.context, positions=np.array([2, 5, 7]))
    found = defects(row=[0, 1, 2], other_row=[1, 2, -1], found=["a", "b", "c"])
    back = part.in_layer(found, np.array([2, 7]))
    assert back[["row", "other_row", "found"]].values.tolist() == [[2, 5, "a"], [7, -1, "c"]]


def test_a_shared_property_is_computed_once_under_threads():
    import threading

    entered, go_on = threading.Event(), threading.Event()
    computed = []

    class Slow:
        @shared_property
        def value(self):
            computed.append(threading.get_ident())
            entered.set()
            assert go_on.wait(10)
            return object()

    slow, got = Slow(), []
    threads = [threading.Thread(target=lambda: got.append(slow.value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(computed) == 1
    assert len(got) == 4
    assert all(one is slow.value for one in got)
    assert isinstance(Slow.value, shared_property)
