from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cityframe.core.agreement import Tolerance
from cityframe.core.frames import with_column_types
from cityframe.model.change import CHANGE_COLUMNS
from cityframe.model.delivery import Delivery
from cityframe.model.finding import FINDING_COLUMNS
from cityframe.reconcile import CurrentLayer, FrameLayer, compose
from cityframe.reconcile.follow_on import FOLLOWED_COLUMNS
from cityframe.reconcile.shared_boundaries import follow_boundaries

TOLERANCE = Tolerance.between(0.1, 0.1)
DELIVERY = Delivery("s.1", "s", "here", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", (), "00")


def box(x: float, y: float, width: float = 10, height: float = 10) -> str:
    return shapely.box(x, y, x + width, y + height).wkt


WEST, EAST, NORTH, FAR = box(0, 0), box(10, 0), box(0, 10), box(100, 0)


@pytest.fixture
def parcels(polygons: Any) -> FrameLayer:
    current: FrameLayer = polygons.current(
        {"uid": "E", "code": "e", "at": EAST},
        {"uid": "F", "code": "f", "at": FAR},
        {"uid": "N", "code": "n", "at": NORTH},
        {"uid": "W", "code": "w", "floors": 3, "at": WEST},
    )
    return current


def changes(desk: Any, *rows: tuple[str, str, str], **more: Any) -> gpd.GeoDataFrame:
    """Return a change table of uid, kind and geometry."""
    table = gpd.GeoDataFrame(
        {
            "uid": [row[0] for row in rows],
            "change": [row[1] for row in rows],
            "has_new_attributes": False,
            "delivery": "s.1",
            "record": range(len(rows)),
            "basis": "key",
            "valid_from": pd.Timestamp("2026-03-01T00:00:00Z"),
            "valid_to": pd.NaT,
            "code": [row[0].lower() for row in rows],
            "name": None,
            "floors": 3,
            **more,
        },
        geometry=gpd.GeoSeries.from_wkt([row[2] for row in rows], crs=desk.layer.crs),
    )
    return with_column_types(table, desk.layer)


def follow(desk: Any, current: CurrentLayer, table: gpd.GeoDataFrame, **more: Any) -> Any:
    return follow_boundaries(
        table, current, desk.layer, delivery=DELIVERY, tolerance=TOLERANCE, **more
    )


def areas(current: CurrentLayer, after: gpd.GeoDataFrame) -> dict[str, float]:
    rows = compose(current, after).all_rows()
    return dict(zip(rows["uid"], rows.geometry.area.round(3), strict=True))


def test_the_neighbour_of_a_parcel_that_grew_follows(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("W", "reshaped", box(0, 0, 12)))
    after, findings, provenance = follow(polygons, parcels, table)
    assert list(after.columns) == [*CHANGE_COLUMNS, "code", "name", "floors", "geometry"]
    assert after["uid"].tolist() == ["E", "W"]
    east = after.iloc[0]
    assert east["change"] == "reshaped"
    assert east["basis"] == "boundary"
    assert pd.isna(east["record"])
    assert east["valid_from"] == pd.Timestamp("2026-03-01T00:00:00Z")
    assert east["delivery"] == "s.1"
    assert east["code"] == "e"
    assert not east["has_new_attributes"]
    assert areas(parcels, after) == {"E": 80, "F": 100, "N": 100, "W": 120}
    assert findings.empty
    assert provenance["uid"].tolist() == ["E"]
    assert provenance["rule"].tolist() == ["boundary"]
    assert list(provenance.columns) == list(FOLLOWED_COLUMNS)


def test_what_followed_once_has_nothing_to_follow_again(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("W", "reshaped", box(0, 0, 12)))
    after, *_ = follow(polygons, parcels, table)
    again, findings, provenance = follow(polygons, compose(parcels, after), table)
    assert again["uid"].tolist() == ["W"]
    assert findings.empty
    assert provenance.empty


def test_nothing_follows_attributes_or_what_is_new_or_removed(
    polygons: Any, parcels: FrameLayer
) -> None:
    table = changes(
        polygons, ("X", "new", box(30, 0)), ("E", "removed", EAST), ("W", "attributes", WEST)
    )
    after, findings, provenance = follow(polygons, parcels, table)
    assert after is table
    assert findings.empty
    assert provenance.empty


def test_a_split_leaves_the_neighbours_as_they_are(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("W", "reshaped", box(0, 0, 6)), ("X", "new", box(6, 0, 4)))
    after, findings, _ = follow(polygons, parcels, table)
    assert after["uid"].tolist() == ["W", "X"]
    assert findings.empty


def test_a_merge_leaves_the_neighbours_as_they_are(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("E", "removed", EAST), ("W", "reshaped", box(0, 0, 20)))
    after, findings, _ = follow(polygons, parcels, table)
    assert after["uid"].tolist() == ["E", "W"]
    assert findings.empty


def test_two_that_move_alike_need_nothing(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("E", "reshaped", box(12, 0, 8)), ("W", "reshaped", box(0, 0, 12)))
    after, findings, _ = follow(polygons, parcels, table)
    assert after["uid"].tolist() == ["E", "W"]
    assert findings.empty


@pytest.mark.parametrize(("east", "kind"), [(box(11, 0, 9), "overlap"), (box(13, 0, 7), "gap")])
def test_two_that_move_apart_are_one_finding(
    polygons: Any, parcels: FrameLayer, east: str, kind: str
) -> None:
    width = 12 if kind == "overlap" else 9
    table = changes(
        polygons, ("E", "reshaped", east), ("W", "reshaped", box(0, 0, width)),
    )  # fmt: skip
    after, findings, provenance = follow(polygons, parcels, table)
    assert after["uid"].tolist() == ["E", "W"]
    assert provenance.empty
    assert set(findings["rule"]) == {"reconcile.torn-boundary"}
    assert list(findings.columns) == list(FINDING_COLUMNS)
    assert findings["found"].str.contains(kind).all()
    assert findings["gate"].eq("review").all()
    assert findings.geometry.area.sum() == pytest.approx(10 if kind == "overlap" else 40)


def test_a_neighbour_that_its_own_record_holds_is_a_finding(
    polygons: Any, parcels: FrameLayer
) -> None:
    table = changes(polygons, ("W", "reshaped", box(0, 0, 12)))
    after, findings, _ = follow(
        polygons, parcels, table, said=lambda _: {"E": shapely.from_wkt(EAST)}
    )
    assert after["uid"].tolist() == ["W"]
    assert findings["found"].str.contains("20.0 m² with E").tolist() == [True]
    assert findings["found_zh"].str.contains("重叠 20.0 m²").tolist() == [True]
    after, findings, _ = follow(
        polygons, parcels, table, said=lambda _: {"E": shapely.from_wkt(box(12, 0, 8.1))}
    )
    assert after["uid"].tolist() == ["E", "W"]
    assert findings.empty


def test_a_neighbour_with_new_attributes_follows_in_its_own_row(
    polygons: Any, parcels: FrameLayer
) -> None:
    table = changes(polygons, ("E", "attributes", EAST), ("W", "reshaped", box(0, 0, 12)))
    table["has_new_attributes"] = [True, False]
    after, findings, provenance = follow(polygons, parcels, table)
    assert after["change"].tolist() == ["reshaped", "reshaped"]
    assert after["has_new_attributes"].tolist() == [True, False]
    assert after["basis"].tolist() == ["key", "key"]
    assert after["record"].tolist() == [0, 1]
    assert areas(parcels, after)["E"] == 80
    assert provenance["uid"].tolist() == ["E"]
    assert findings.empty


def test_a_neighbour_swallowed_whole_is_a_finding(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("W", "reshaped", box(0, 0, 25)))
    after, findings, _ = follow(polygons, parcels, table)
    assert after["uid"].tolist() == ["W"]
    assert findings["other"].tolist() == ["E"]
    assert findings.geometry.area.tolist() == [100]


def test_what_is_given_up_to_the_open_is_no_gap(polygons: Any, parcels: FrameLayer) -> None:
    table = changes(polygons, ("W", "reshaped", box(0, 2, 10, 8)))
    after, findings, _ = follow(polygons, parcels, table)
    assert areas(parcels, after)["W"] == 80
    assert findings.empty


def test_the_last_mover_says_from_when(polygons: Any) -> None:
    current = polygons.current(
        {"uid": "A", "code": "a", "at": box(0, 0)},
        {"uid": "B", "code": "b", "at": box(0, 10)},
        {"uid": "E", "code": "e", "at": box(10, 0, 10, 20)},
    )
    times = pd.to_datetime(["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"])
    table = changes(
        polygons,
        ("A", "reshaped", box(0, 0, 12)),
        ("B", "reshaped", box(0, 10, 12)),
        valid_from=times,
    )
    after, findings, _ = follow(polygons, current, table)
    assert after["uid"].tolist() == ["A", "B", "E"]
    assert after["valid_from"].iloc[2] == times[1]
    assert after.geometry.iloc[2].equals(shapely.box(12, 0, 20, 20))
    assert findings.empty


def partition(random: np.random.Generator) -> list[shapely.Geometry]:
    """Return parcels that fill a square, two of them as one, another one cut across."""
    corners = np.stack(np.meshgrid(*[np.arange(5) * 10.0] * 2), axis=-1)
    corners[1:-1, 1:-1] += random.uniform(-2, 2, (3, 3, 2))
    corners = np.round(corners, 3)
    rings = np.stack(
        [corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2
    )
    parcels = list(np.asarray(shapely.polygons(rings.reshape(16, 4, 2)), dtype=object))
    row = int(random.integers(4)) * 4
    parcels[row : row + 2] = [shapely.union(*parcels[row : row + 2])]
    at = int(random.integers(len(parcels)))
    middle, angle = shapely.get_coordinates(shapely.centroid(parcels[at]))[0], random.uniform(0, 3)
    step = 50 * np.array([np.cos(angle), np.sin(angle)])
    half = polygon_left_of(middle - step, middle + step)
    sides = shapely.intersection(parcels[at], half), shapely.difference(parcels[at], half)
    parcels[at : at + 1] = shapely.set_precision(list(sides), 0.001)
    return parcels


def polygon_left_of(start: Any, stop: Any) -> shapely.Geometry:
    across = np.array([start[1] - stop[1], stop[0] - start[0]])
    return shapely.Polygon([start, stop, stop + across, start + across])


def another(random: np.random.Generator, parcel: shapely.Geometry) -> shapely.Geometry:
    """Return a parcel with a corner or a side elsewhere, one more or fewer, or moved whole."""
    ring = shapely.get_coordinates(parcel)[:-1]
    at, shift = int(random.integers(len(ring))), random.uniform(-2, 2, 2)
    how = random.integers(5)
    if how == 0:
        ring[[at, at - 1][: int(random.integers(1, 3))]] += shift
    elif how == 1:
        ring = np.insert(ring, at, (ring[at] + ring[at - 1]) / 2 + shift, axis=0)
    elif how == 2:
        ring = np.delete(ring, at, axis=0) if len(ring) > 3 else ring + shift
    elif how == 3:
        ring += shift
    else:
        ring += random.normal(0, 0.1, ring.shape)
        ring[at] += shift
    return shapely.Polygon(np.round(ring, 3))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 2))
def test_no_boundary_is_torn_without_a_finding(polygons: Any, seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    before = partition(random)
    inner = np.flatnonzero(shapely.covered_by(before, shapely.box(1, 1, 39, 39)))
    chosen = random.choice(inner, count, replace=False).tolist()
    after = [another(random, before[at]) for at in chosen]
    assume(all(map(shapely.is_valid, after)))
    current = polygons.current(
        *[
            {
                "uid": f"U{at:02}",
                "code": f"u{at:02}",
                "at": shapely.to_wkt(one, rounding_precision=-1),
            }
            for at, one in enumerate(before)
        ]
    )
    rows = [
        (f"U{at:02}", "reshaped", shapely.to_wkt(one, rounding_precision=-1))
        for at, one in zip(chosen, after, strict=True)
    ]
    result, findings, _ = follow(polygons, current, changes(polygons, *rows))
    state = compose(current, result).all_rows().geometry
    assert state.is_valid.all()
    block = shapely.union_all(state.to_numpy())
    overlap = state.area.sum() - block.area
    gap = shapely.area(shapely.difference(shapely.union_all(before), block))
    assert len(findings) or (overlap < 0.05 and gap < 0.05)
