from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cityframe.config.reconciling import Edges, Reconciling
from cityframe.core.agreement import Tolerance
from cityframe.core.frames import with_column_types
from cityframe.model.delivery import Delivery
from cityframe.model.layer import GeometryType
from cityframe.reconcile import CurrentLayer, FrameLayer, compose
from cityframe.reconcile.edges import match_edges

TOLERANCE = Tolerance.between(0.25, 0.25)
DELIVERY = Delivery("w.1", "w", "here", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", (), "00")
WEST_FIRST = Reconciling(
    name="name", edges=Edges(borders="districts"), authority={"geometry": ("w", "e")}
)
EAST_FIRST = WEST_FIRST.model_copy(update={"authority": {"geometry": ("e", "w")}})

LEFT, RIGHT = "LINESTRING (50 50, 99.8 50)", "LINESTRING (100.2 50.3, 150 50, 200 50)"


@pytest.fixture
def lines(points: Any) -> Any:
    return replace(points, layer=replace(points.layer, geometry=GeometryType.LINESTRING))


@pytest.fixture
def districts() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        geometry=[shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)], crs="EPSG:4547"
    )


def streets(desk: Any, *rows: tuple[str, str]) -> FrameLayer:
    current: FrameLayer = desk.current(
        *[{"uid": uid, "code": uid.lower(), "at": at} for uid, at in rows]
    )
    return current


def changes(desk: Any, *rows: tuple[str, str, str]) -> gpd.GeoDataFrame:
    """Return a change table of uid, kind and geometry."""
    table = gpd.GeoDataFrame(
        {
            "uid": [row[0] for row in rows],
            "change": [row[1] for row in rows],
            "has_new_attributes": False,
            "delivery": "w.1",
            "record": range(len(rows)),
            "basis": "key",
            "valid_from": pd.Timestamp("2026-03-01T00:00:00Z"),
            "valid_to": pd.NaT,
            "code": [row[0].lower() for row in rows],
            "name": None,
            "floors": None,
        },
        geometry=gpd.GeoSeries.from_wkt([row[2] for row in rows], crs=desk.layer.crs),
    )
    return with_column_types(table, desk.layer)


def east_said(uids: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"uid": list(uids), "attribute": "geometry", "source": "e"}, dtype="str")


def match(
    desk: Any,
    current: CurrentLayer,
    table: gpd.GeoDataFrame,
    borders: gpd.GeoDataFrame,
    rules: Reconciling = WEST_FIRST,
    **more: Any,
) -> Any:
    given = {
        "rules": rules, "borders": borders, "origins": east_said, "delivery": DELIVERY,
        "tolerance": TOLERANCE, **more,
    }  # fmt: skip
    return match_edges(table, current, desk.layer, **given)


def coordinates(table: gpd.GeoDataFrame) -> dict[str, list[list[float]]]:
    return {
        uid: shapely.get_coordinates(geometry).tolist()
        for uid, geometry in zip(table["uid"], table.geometry, strict=True)
    }


def test_the_stored_end_snaps_to_a_delivery_of_higher_authority(
    lines: Any, districts: gpd.GeoDataFrame
) -> None:
    table = changes(lines, ("A", "reshaped", LEFT))
    after, findings, provenance = match(
        lines, streets(lines, ("A", LEFT), ("B", RIGHT)), table, districts
    )
    assert after["uid"].tolist() == ["A", "B"]
    assert after["change"].tolist() == ["reshaped", "reshaped"]
    assert after["basis"].tolist() == ["key", "edge"]
    assert after["record"].isna().tolist() == [False, True]
    assert coordinates(after)["B"] == [[99.8, 50], [150, 50], [200, 50]]
    assert provenance["uid"].tolist() == ["B"]
    assert provenance["rule"].tolist() == ["edge"]
    assert findings.empty


def test_a_delivery_of_lower_authority_snaps_to_what_stands(
    lines: Any, districts: gpd.GeoDataFrame
) -> None:
    current = streets(lines, ("A", "LINESTRING (50 50, 60 50)"), ("B", RIGHT))
    after, findings, provenance = match(
        lines, current, changes(lines, ("A", "reshaped", LEFT)), districts, EAST_FIRST
    )
    assert coordinates(after) == {"A": [[50, 50], [100.2, 50.3]]}
    assert after["basis"].tolist() == ["key"]
    assert provenance["uid"].tolist() == ["A"]
    assert findings.empty


def test_snapping_again_changes_nothing(lines: Any, districts: gpd.GeoDataFrame) -> None:
    current = streets(lines, ("B", RIGHT))
    first, *_ = match(lines, current, changes(lines, ("A", "new", LEFT)), districts)
    assert first["change"].tolist() == ["new", "reshaped"]
    again, findings, provenance = match(lines, compose(current, first), first, districts)
    assert coordinates(again) == coordinates(first)
    assert findings.empty
    assert provenance.empty


def test_without_an_authority_it_is_a_finding_in_two_languages(
    lines: Any, districts: gpd.GeoDataFrame
) -> None:
    rules = WEST_FIRST.model_copy(update={"authority": {}})
    table = changes(lines, ("A", "new", LEFT))
    after, findings, provenance = match(
        lines, streets(lines, ("B", RIGHT)), table, districts, rules
    )
    assert coordinates(after) == coordinates(table)
    assert findings["rule"].tolist() == ["reconcile.unmatched-edge"]
    assert findings["uid"].tolist() == ["A"]
    assert findings["partner"].tolist() == ["B"]
    assert "authority" in findings["found"].iloc[0]
    assert "权威" in findings["found_zh"].iloc[0]
    assert findings["gate"].tolist() == ["review"]
    assert findings.geometry.length.round(2).tolist() == [0.5]
    assert provenance.empty


def test_further_apart_than_the_limit_is_a_finding_and_never_a_snap(
    lines: Any, districts: gpd.GeoDataFrame
) -> None:
    far = "LINESTRING (101 50, 150 50)"
    table = changes(lines, ("A", "new", LEFT))
    after, findings, _ = match(lines, streets(lines, ("B", far)), table, districts)
    assert coordinates(after) == coordinates(table)
    assert findings["found"].str.contains("1.2 m").tolist() == [True]


def test_reach_is_what_the_contract_says(lines: Any, districts: gpd.GeoDataFrame) -> None:
    far = "LINESTRING (105 50, 150 50)"
    table = changes(lines, ("A", "new", LEFT))
    rules = WEST_FIRST.model_copy(update={"edges": Edges(borders="districts", reach_m=6)})
    assert match(lines, streets(lines, ("B", far)), table, districts)[1].empty
    assert len(match(lines, streets(lines, ("B", far)), table, districts, rules)[1]) == 1


def test_ties_are_findings(lines: Any, districts: gpd.GeoDataFrame) -> None:
    current = streets(lines, ("B", RIGHT), ("C", "LINESTRING (100.2 49.8, 150 49)"))
    table = changes(lines, ("A", "new", LEFT))
    after, findings, _ = match(lines, current, table, districts)
    assert coordinates(after) == coordinates(table)
    assert findings["other"].tolist() == ["B", "C"]


def test_all_that_ends_at_a_node_is_snapped(lines: Any, districts: gpd.GeoDataFrame) -> None:
    current = streets(lines, ("B", RIGHT), ("C", "LINESTRING (150 20, 100.2 50.3)"))
    after, findings, _ = match(lines, current, changes(lines, ("A", "new", LEFT)), districts)
    assert coordinates(after)["B"][0] == coordinates(after)["C"][-1] == [99.8, 50]
    assert findings.empty


def test_two_that_did_not_change_are_left_alone(lines: Any, districts: gpd.GeoDataFrame) -> None:
    current = streets(lines, ("A", LEFT), ("B", RIGHT))
    table = changes(lines, ("C", "new", "LINESTRING (50 80, 99.9 80)"), ("A", "attributes", LEFT))
    after, findings, _ = match(lines, current, table, districts)
    assert set(after["uid"]) == {"A", "C"}
    assert findings.empty


def test_a_layer_without_edges_is_left_alone(lines: Any, districts: gpd.GeoDataFrame) -> None:
    table = changes(lines, ("A", "new", LEFT))
    after, findings, provenance = match(
        lines, streets(lines, ("B", RIGHT)), table, districts, Reconciling()
    )
    assert after is table
    assert findings.empty
    assert provenance.empty


def test_a_neighbouring_node_is_a_side_by_itself(lines: Any, districts: gpd.GeoDataFrame) -> None:
    one_district = districts.iloc[:1]
    current = streets(lines, ("B", "LINESTRING (99.9 50.2, 150 50)"))
    table = changes(lines, ("A", "new", LEFT))
    after, findings, _ = match(lines, current, table, one_district, nodes=frozenset({"e"}))
    assert coordinates(after)["B"][0] == [99.8, 50]
    assert findings.empty


def test_corners_of_polygons_are_snapped_and_stay_valid(
    polygons: Any, districts: gpd.GeoDataFrame
) -> None:
    left = "POLYGON ((90 10, 99.9 10, 99.8 20, 90 20, 90 10))"
    right = "POLYGON ((100.2 10.1, 110 10, 110 20, 100.1 20.2, 100.2 10.1))"
    current = streets(polygons, ("B", right))
    after, findings, _ = match(polygons, current, changes(polygons, ("A", "new", left)), districts)
    assert coordinates(after)["B"] == [[99.9, 10], [110, 10], [110, 20], [99.8, 20], [99.9, 10]]
    assert after.geometry.is_valid.all()
    assert findings.empty
