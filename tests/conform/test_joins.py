from collections.abc import Callable
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.conform import Conformed
from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

SQUARE = shapely.box(500000, 3300000, 500010, 3300010)
OTHER = shapely.box(500020, 3300000, 500030, 3300010)


@pytest.fixture
def parcels(make_layer: Make, framework_of: Make) -> gpd.GeoDataFrame:
    layer = make_layer(
        {"code": "string", "street": "string", "number": "integer"}, geometry="Polygon", key="code"
    )
    return framework_of(
        layer,
        {"code": ["A-1", "A-2", "A-2"], "street": ["Main St", "High St", None],
         "number": [1, 2, None]},
        [SQUARE, OTHER, OTHER],
    )  # fmt: skip


@pytest.fixture
def shops(make_layer: Make) -> Layer:
    layer: Layer = make_layer({"name": "string"}, geometry="Point")
    return layer


def feed(**join: Any) -> dict[str, Any]:
    geometry = {"layer": "parcels", "on": {"code": "PARCEL"}, **join}
    return {"columns": {"name": "NAME"}, "geometry": geometry}


def test_record_gets_a_point_inside_the_feature_that_it_names(
    run: Run, make_table: Make, shops: Layer, parcels: gpd.GeoDataFrame
) -> None:
    table = make_table({"NAME": ["a"], "PARCEL": [" A-1 "]})
    outcome = run(table, feed(), shops, framework={"parcels": parcels}, crs="")
    assert outcome.has_geometry
    place = outcome.frame.geometry.iloc[0]
    assert place.geom_type == "Point"
    assert place.within(SQUARE)
    assert "uid" not in outcome.frame


def test_record_of_a_polygon_layer_gets_the_whole_geometry(
    run: Run, make_layer: Make, make_table: Make, parcels: gpd.GeoDataFrame
) -> None:
    layer = make_layer({"name": "string"}, geometry="MultiPolygon")
    table = make_table({"NAME": ["a"], "PARCEL": ["A-1"]})
    outcome = run(table, feed(), layer, framework={"parcels": parcels}, crs="")
    assert outcome.frame.geometry.iloc[0].equals(SQUARE)
    assert outcome.frame.geometry.iloc[0].geom_type == "MultiPolygon"


def test_unmatched_and_ambiguous_records_wait(
    run: Run, make_table: Make, shops: Layer, parcels: gpd.GeoDataFrame, found: Found
) -> None:
    table = make_table({"NAME": list("abcd"), "PARCEL": ["A-1", "Z-9", "A-2", None]})
    outcome = run(table, feed(), shops, framework={"parcels": parcels}, crs="")
    assert outcome.frame["name"].tolist() == ["a"]
    assert outcome.fates["fate"].tolist() == ["waiting"] * 3
    assert found(outcome, "unmatched-join") == [
        "code 'Z-9' in layer parcels: none", "no PARCEL in layer parcels: none",
    ]  # fmt: skip
    assert found(outcome, "ambiguous-join") == ["code 'A-2' in layer parcels: 2 features"]
    ambiguous = outcome.findings[outcome.findings["rule"] == "intake.ambiguous-join"].iloc[0]
    assert ambiguous["other"] == "u1,u2"
    assert ambiguous["geometry"].within(OTHER)
    assert ambiguous["gate"] == "review"
    assert outcome.quarantine_reasons == ()


def test_join_over_an_address_of_several_columns(
    run: Run, make_table: Make, shops: Layer, parcels: gpd.GeoDataFrame
) -> None:
    on = {"street": "ST", "number": "NO"}
    table = make_table({"NAME": ["a", "b", "c"], "ST": ["Main St"] * 3, "NO": [1.0, None, 2.0]})
    outcome = run(table, feed(on=on), shops, framework={"parcels": parcels}, crs="")
    assert outcome.frame["name"].tolist() == ["a"]
    assert outcome.fates["record"].tolist() == [1, 2]


@pytest.mark.parametrize("written", ["MAIN  ST", "ｍａｉｎ　ｓｔ", "main st "])
def test_normalised_join_ignores_case_white_space_and_width(
    run: Run, make_table: Make, shops: Layer, parcels: gpd.GeoDataFrame, written: str
) -> None:
    table = make_table({"NAME": ["a"], "ST": [written]})
    joined = {"on": {"street": "ST"}, "normalise": True}
    outcome = run(table, feed(**joined), shops, framework={"parcels": parcels}, crs="")
    assert len(outcome.frame) == 1
    strict = run(table, feed(on={"street": "ST"}), shops, framework={"parcels": parcels}, crs="")
    assert strict.fates["fate"].tolist() == ["waiting"]


def test_feature_of_another_system_is_transformed(
    run: Run, make_layer: Make, make_table: Make, parcels: gpd.GeoDataFrame
) -> None:
    layer = make_layer({"name": "string"}, geometry="Point", crs="EPSG:4526")
    table = make_table({"NAME": ["a"], "PARCEL": ["A-1"]})
    outcome = run(table, feed(), layer, framework={"parcels": parcels}, crs="")
    assert outcome.frame.geometry.iloc[0].x == pytest.approx(38500005, abs=0.001)


def test_layer_without_the_joined_attribute_is_a_declaration_error(
    run: Run, make_table: Make, shops: Layer, parcels: gpd.GeoDataFrame
) -> None:
    table = make_table({"NAME": ["a"], "PARCEL": ["A-1"]})
    with pytest.raises(DeclarationError, match="layer parcels has no attribute 'lot'"):
        run(table, feed(on={"lot": "PARCEL"}), shops, framework={"parcels": parcels}, crs="")


# take: feature


@pytest.fixture
def things(make_layer: Make, framework_of: Make) -> tuple[Layer, gpd.GeoDataFrame]:
    layer = make_layer(
        {"code": "string", "tax": "integer", "owner": "string"}, geometry="Polygon", key="code"
    )
    values = {"code": ["A-1", "A-2"], "tax": [1, 2], "owner": ["x", "y"]}
    return layer, framework_of(layer, values, [SQUARE, OTHER])


UPDATE = {
    "columns": {"tax": "TAX"},
    "geometry": {"layer": "things", "on": {"code": "PARCEL"}, "take": "feature"},
}


def test_record_becomes_an_update_of_the_feature(
    run: Run, make_table: Make, things: tuple[Layer, gpd.GeoDataFrame]
) -> None:
    layer, framework = things
    table = make_table({"TAX": ["70", "80"], "PARCEL": ["A-2", "A-9"]})
    outcome = run(table, UPDATE, layer, framework={"things": framework}, crs="")
    assert not outcome.has_geometry
    (row,) = outcome.frame.to_dict("records")
    assert (row["uid"], row["code"], row["source_key"], row["tax"]) == ("u1", "A-2", "A-2", 70)
    assert row["operation"] == "update"
    assert row["geometry"] is None
    assert "owner" not in outcome.frame  # absent is not null
    assert outcome.fates["fate"].tolist() == ["waiting"]


def test_two_records_for_one_feature_share_its_key(
    run: Run, make_table: Make, things: tuple[Layer, gpd.GeoDataFrame], found: Found
) -> None:
    layer, framework = things
    table = make_table({"TAX": ["70", "80", "70"], "PARCEL": ["A-2", "A-2", "A-1"]})
    outcome = run(
        table, {**UPDATE, "duplicates": {"key": "last"}}, layer,
        framework={"things": framework}, crs="",
    )  # fmt: skip
    assert outcome.frame["tax"].tolist() == [80, 70]
    assert found(outcome, "duplicate-key") == ["key 'u1' stands several times: records 0, 1"]
    place = outcome.findings.geometry.iloc[0]
    assert place.within(OTHER)


def test_feature_of_another_layer_can_not_be_updated(
    run: Run, make_layer: Make, make_table: Make, parcels: gpd.GeoDataFrame
) -> None:
    table = make_table({"NAME": ["a"], "PARCEL": ["A-1"]})
    with pytest.raises(DeclarationError, match="take: feature of layer parcels for layer things"):
        run(
            table, feed(take="feature"), make_layer({"name": "string"}),
            framework={"parcels": parcels}, crs="",
        )  # fmt: skip


def test_missing_join_column_quarantines(
    run: Run, make_table: Make, shops: Layer, parcels: gpd.GeoDataFrame, found: Found
) -> None:
    outcome = run(make_table({"NAME": ["a"]}), feed(), shops, framework={"parcels": parcels})
    assert found(outcome, "missing-column") == ["things.csv: columns that are missing: 'PARCEL'"]
    assert len(outcome.frame) == 1


def test_empty_framework_layer_lets_every_record_wait(
    run: Run, make_table: Make, things: tuple[Layer, gpd.GeoDataFrame]
) -> None:
    layer, framework = things
    table = make_table({"TAX": ["70", "80"], "PARCEL": ["A-2", None]})
    outcome = run(table, UPDATE, layer, framework={"things": framework.iloc[:0]}, crs="")
    assert outcome.fates["fate"].tolist() == ["waiting", "waiting"]
    assert outcome.frame.empty
    assert "uid" in outcome.frame
