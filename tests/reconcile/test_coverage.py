from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from cityframe.config.source import Coverage
from cityframe.core.agreement import Tolerance
from cityframe.errors import DeclarationError
from cityframe.reconcile.coverage import (
    absent_inside,
    count_inside,
    covered_area,
    inside,
    outside,
    outside_findings,
)

NORTH, SOUTH = shapely.box(0, 0, 100, 100), shapely.box(0, -100, 100, 0)
TOLERANCE = Tolerance.between(0.1, 0.1)
FAR = 3 * np.hypot(0.1, 0.1)


def districts() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"code": ["n", "s", "s2"], "part": [1, 2, 2]},
        geometry=[NORTH, SOUTH, shapely.box(0, -200, 100, -100)],
        crs="EPSG:4547",
    )


def wkt(*texts: str | None) -> Any:
    return shapely.from_wkt(np.array(texts, dtype=object))


def test_the_area_is_the_union_of_the_features_chosen() -> None:
    chosen = Coverage(layer="districts", where={"part": 2})
    assert covered_area(districts(), chosen, where="f").area == 20_000
    assert covered_area(districts(), Coverage(layer="districts"), where="f").area == 30_000


def test_a_coverage_of_nothing_is_told_with_its_file() -> None:
    with pytest.raises(DeclarationError, match=r"sources/a\.yaml.*no area in layer districts"):
        covered_area(
            districts(), Coverage(layer="districts", where={"code": "x"}), where="sources/a.yaml"
        )
    with pytest.raises(DeclarationError, match="no attribute name"):
        covered_area(districts(), Coverage(layer="districts", where={"name": "x"}), where="f")


def test_a_null_attribute_chooses_nothing() -> None:
    frame = districts().astype({"part": "Int64"})
    frame.loc[1, "part"] = None
    area = covered_area(frame, Coverage(layer="districts", where={"part": 2}), where="f")
    assert area.area == 10_000


def test_inside_allows_the_tolerance_and_no_more() -> None:
    near, beyond = -0.9 * FAR, -1.1 * FAR
    geometry = wkt(
        "POINT (50 50)",
        "POINT (50 -0.1)",
        f"LINESTRING (50 20, 50 {near})",
        f"LINESTRING (50 20, 50 {beyond})",
        "POINT (50 0)",
        "POINT EMPTY",
        None,
    )
    expected = [True, False, True, False, False, False, False]
    assert inside(geometry, NORTH, TOLERANCE).tolist() == expected


def test_no_feature_lies_inside_two_neighbouring_districts() -> None:
    y = np.linspace(-1, 1, 41)
    ten, twenty = np.full(len(y), 10.0), np.full(len(y), 20.0)
    boxes = shapely.box(ten, y - 0.3, twenty, y + 0.3)
    both = inside(boxes, NORTH, TOLERANCE) & inside(boxes, SOUTH, TOLERANCE)
    assert not both.any()
    assert inside(boxes, NORTH, TOLERANCE).any()
    assert inside(boxes, SOUTH, TOLERANCE).any()


def test_only_what_is_absent_inside_is_removed(points: Any) -> None:
    current = points.current(
        {"uid": "U1", "code": "a", "at": "POINT (1 5)"},
        {"uid": "U2", "code": "b", "at": "POINT (1 -5)"},
        {"uid": "U3", "code": "c", "at": "POINT (2 5)"},
        {"uid": "U4", "code": "d", "at": None},
    )
    absent = np.array([3, 1, 2])
    assert absent_inside(current, absent, NORTH, TOLERANCE).tolist() == [2]
    assert absent_inside(current, absent[:0], NORTH, TOLERANCE).tolist() == []
    assert count_inside(current, NORTH, TOLERANCE) == 2


def test_a_record_outside_the_coverage_is_a_finding_with_its_place(points: Any) -> None:
    incoming = points.incoming(
        {"code": "a", "at": "POINT (1 5)"},
        {"code": "b", "at": "POINT (1 -0.2)"},
        {"code": "c", "at": "POINT (1 -12)"},
        {"code": "d", "at": None},
    )
    found = outside_findings(
        incoming, NORTH, layer=points.layer, delivery="d1", tolerance=TOLERANCE
    )
    assert found["record"].tolist() == [2]
    assert found["gate"].tolist() == ["review"]
    assert "12 m" in found["found"].iloc[0]
    assert "12 m" in found["found_zh"].iloc[0]
    assert found.geometry.iloc[0].equals(shapely.Point(1, -12))


def test_what_straddles_the_border_is_not_outside() -> None:
    geometry = wkt("LINESTRING (50 -50, 50 0.1)", "LINESTRING (50 -50, 50 -5)")
    assert outside(geometry, NORTH, TOLERANCE).tolist() == [False, True]
