from typing import Any

import numpy as np
import pytest

from cityframe.model.delivery import DeliveryKind


def rows(count: int, *, step: float = 100.0, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"uid": f"U{n:04}", "code": str(n), "floors": 1, "at": f"POINT ({step * n} {37 * n % 400})"}
        for n in range(start, start + count)
    ]


def displaced(row: dict[str, Any], dx: float, dy: float) -> dict[str, Any]:
    x, y = (float(number) for number in row["at"][7:-1].split())
    return {**row, "uid": None, "at": f"POINT ({x + dx} {y + dy})"}


def records(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [displaced(row, 0, 0) for row in features]


def rules(result: Any) -> list[str]:
    return result.findings["rule"].tolist()


def test_a_mass_removal_sets_the_delivery_aside_whole(points: Any) -> None:
    desk, city = points.guarded(removed_share=0.05, removed_cell_share=1), rows(200)
    result = desk.reconcile(desk.current(*city), desk.incoming(*records(city[:180])))
    assert rules(result) == ["guard.mass-removal"]
    assert result.quarantine_reasons == ("20 of 200 features (10.00%) of things would be removed",)
    assert len(result.changes) == 20
    assert set(result.fates["fate"]) == {"waiting"}
    assert set(result.fates["reason"]) == {"guard.mass-removal"}
    finding = result.findings.iloc[0]
    assert (finding["defect_class"], finding["gate"]) == ("A", "block")
    assert finding["expected"] == "at most 5.00%"
    assert finding["found_zh"] == "things 图层 200 个要素中将删除 20 个（10.00%）"
    assert finding["expected_zh"] == "不超过 5.00%"
    assert sorted(point.x for point in finding["geometry"].geoms) == [
        100.0 * n for n in range(180, 200)
    ]


def test_what_a_feed_usually_removes_is_let_through(points: Any) -> None:
    desk, city = points.guarded(removed_share=0.05, removed_cell_share=1), rows(200)
    current, incoming = desk.current(*city), desk.incoming(*records(city[:180]))
    assert rules(desk.reconcile(current, incoming, removal_history=[0.02, 0.03])) == [
        "guard.mass-removal"
    ]
    assert rules(desk.reconcile(current, incoming, removal_history=[0.03, 0.04])) == []


def test_few_removals_are_never_mass_removal(points: Any) -> None:
    city = rows(20)
    current, incoming = points.current(*city), points.incoming(*records(city[:11]))
    assert rules(points.guarded().reconcile(current, incoming)) == []
    assert rules(points.guarded(removed_min=9).reconcile(current, incoming)) == [
        "guard.mass-removal",
        "guard.mass-removal-in-cell",
    ]


def test_explicit_deletes_count_as_removals(points: Any) -> None:
    desk, city = points.guarded(), rows(30)
    deletes = [{**row, "operation": "delete"} for row in records(city[:15])]
    result = desk.reconcile(desk.current(*city), desk.incoming(*deletes), DeliveryKind.CHANGES)
    assert "guard.mass-removal" in rules(result)


def test_a_cell_that_empties_is_found_in_a_large_layer(points: Any) -> None:
    desk, city = points.guarded(removed_share=0.5, cell_m=1000), rows(1000)
    # cell 2 holds features 20 to 29
    incoming = desk.incoming(*records(city[:20] + city[30:]))
    result = desk.reconcile(desk.current(*city), incoming)
    assert rules(result) == ["guard.mass-removal-in-cell"]
    assert result.quarantine_reasons[0].startswith("10 of 10 features (100.0%) in a cell of 1000 m")
    assert result.findings.geometry.iloc[0].bounds == (2000, 0, 3000, 1000)


def test_cells_that_lose_few_features_are_let_through(points: Any) -> None:
    # two in each cell of 200 m: six cells empty, none loses ten
    desk, city = points.guarded(removed_share=0.5, cell_m=200), rows(100)
    result = desk.reconcile(desk.current(*city), desk.incoming(*records(city[12:])))
    assert rules(result) == []


def test_the_place_of_very_many_removals_is_their_cells(points: Any) -> None:
    desk, city = points.guarded(cell_m=100_000), rows(1200, step=10)
    result = desk.reconcile(desk.current(*city), desk.incoming())
    assert result.findings.geometry.geom_type.tolist() == ["MultiPolygon", "MultiPolygon"]


def test_a_first_delivery_passes_all_guards(points: Any) -> None:
    desk = points.guarded(removed_min=0)
    assert desk.reconcile(desk.current(), desk.incoming(*records(rows(50)))).findings.empty


@pytest.mark.parametrize("kind", [DeliveryKind.FULL, DeliveryKind.PARTIAL])
def test_a_shift_is_found_although_each_displacement_is_within_tolerance(
    points: Any, kind: DeliveryKind
) -> None:
    # σd = 0.14 m: 0.25 m is less than 3 σd, and more than σd / 2
    desk, city = points.guarded(), rows(40)
    incoming = desk.incoming(*[displaced(row, 0.2, -0.15) for row in city])
    result = desk.reconcile(desk.current(*city), incoming, kind)
    assert len(result.changes) == 0
    assert rules(result) == ["guard.layer-shift"]
    assert result.quarantine_reasons == (
        "the whole layer things is shifted by dx = 0.200 m, dy = -0.150 m (40 of 40 features)",
    )
    assert result.findings["found_zh"].tolist() == [
        "things 图层整体偏移 dx = 0.200 m, dy = -0.150 m（40 个要素中的 40 个）"
    ]
    assert set(result.fates["fate"]) == {"waiting"}


def test_a_shift_is_found_among_noise_and_real_changes(polygons: Any) -> None:
    random = np.random.default_rng(2)
    desk, city, survey = polygons.guarded(), [], []
    for n in range(60):

        def box(x: float, y: float, w: float) -> str:
            return f"POLYGON (({x} {y}, {x + w} {y}, {x + w} {y + 8}, {x} {y + 8}, {x} {y}))"

        noise = random.normal(0, 0.02, 2)
        city.append({"uid": f"U{n}", "code": str(n), "at": box(50 * n, 0, 10)})
        wider = 25 if n < 6 else 10
        survey.append(
            {"code": str(n), "at": box(50 * n + 0.96 + noise[0], -0.04 + noise[1], wider)}
        )
    result = desk.reconcile(desk.current(*city), desk.incoming(*survey))
    assert rules(result) == ["guard.layer-shift"]
    assert "(54 of 60 features)" in result.quarantine_reasons[0]
    assert "dx = 0.9" in result.quarantine_reasons[0]


def test_a_shift_by_hundreds_of_metres_is_one_finding_and_not_one_a_feature(points: Any) -> None:
    desk, city = points.guarded(), rows(40)
    incoming = desk.incoming(*[displaced(row, 480, 210) for row in city])
    result = desk.reconcile(desk.current(*city), incoming)
    assert rules(result) == ["guard.layer-shift"]
    assert set(result.changes["change"]) == {"moved"}


@pytest.mark.parametrize("moved", [0, 10, 31])
def test_a_shift_of_part_of_the_layer_is_no_layer_shift(points: Any, moved: int) -> None:
    desk, city = points.guarded(), rows(40)
    survey = [displaced(row, 2, 0) for row in city[:moved]] + records(city[moved:])
    assert rules(desk.reconcile(desk.current(*city), desk.incoming(*survey))) == []


def test_displacements_in_all_directions_are_no_shift(points: Any) -> None:
    random = np.random.default_rng(4)
    desk, city = points.guarded(), rows(100)
    survey = [displaced(row, *random.normal(0, 0.3, 2)) for row in city]
    assert rules(desk.reconcile(desk.current(*city), desk.incoming(*survey))) == []


def test_a_common_direction_with_wide_scatter_is_no_shift(points: Any) -> None:
    desk, city = points.guarded(), rows(40)
    # all within half the median displacement, but the scatter is more than a third of it
    survey = [displaced(row, 1, 0.4 if n % 2 else -0.4) for n, row in enumerate(city)]
    assert rules(desk.reconcile(desk.current(*city), desk.incoming(*survey))) == []


def test_the_limit_of_a_shift_comes_from_the_accuracies_or_the_feed(points: Any) -> None:
    city = rows(40)
    current = points.current(*city)
    slight = points.incoming(*[displaced(row, 0.06, 0) for row in city])
    strong = points.incoming(*[displaced(row, 0.08, 0) for row in city])
    # σd / 2 = 0.0707 m
    assert rules(points.guarded().reconcile(current, slight)) == []
    assert rules(points.guarded().reconcile(current, strong)) == ["guard.layer-shift"]
    assert rules(points.guarded(shift_m=0.05).reconcile(current, slight)) == ["guard.layer-shift"]
    assert rules(points.guarded(shift_m=1).reconcile(current, strong)) == []


def test_exchanged_axes_are_named_as_such(points: Any) -> None:
    desk = points.guarded()
    city = [
        {"uid": f"U{n}", "code": str(n), "at": f"POINT ({500_000 + 70 * n} {3_400_000 + 31 * n})"}
        for n in range(30)
    ]
    swapped = [
        {"code": str(n), "at": f"POINT ({3_400_000 + 31 * n} {500_000 + 70 * n})"}
        for n in range(30)
    ]
    result = desk.reconcile(desk.current(*city), desk.incoming(*swapped))
    assert rules(result) == ["guard.axis-swap"]
    assert "30 of 30 features" in result.quarantine_reasons[0]


def test_a_shift_of_a_layer_without_keys_is_found_too(keyless: Any) -> None:
    desk, city = keyless.guarded(), rows(40)
    survey = [displaced(row, 0.2, 0.2) for row in city]
    assert rules(desk.reconcile(desk.current(*city), desk.incoming(*survey))) == [
        "guard.layer-shift"
    ]


def test_the_identity_of_a_guards_finding_lasts(points: Any) -> None:
    desk, city = points.guarded(), rows(40)

    def finding(dx: float, delivery: str) -> str:
        survey = desk.incoming(*[displaced(row, dx, 0) for row in city])
        result = desk.reconcile(desk.current(*city), survey, delivery=delivery)
        return str(result.findings["finding_id"].iloc[0])

    assert finding(1, "d1") == finding(2, "d2")
