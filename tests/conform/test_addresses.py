from collections.abc import Callable
from pathlib import Path
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

PLACES = [shapely.Point(500000 + 10 * n, 3300000) for n in range(5)]


@pytest.fixture
def addresses(make_layer: Make, framework_of: Make) -> gpd.GeoDataFrame:
    layer = make_layer(
        {"code": "string", "district": "string", "road": "string", "number": "string",
         "suffix": "string", "block": "string"},
        geometry="Point", key="code",
    )  # fmt: skip
    return framework_of(
        layer,
        {"code": list("abcde"),
         "district": ["110101", "110105", "110105", "110105", "110105"],
         "road": ["南河沿大街", "建国路", "建国路", "建国路", "广渠门外大街"],
         "number": ["1", "93", "88", "88", "12"],
         "suffix": [None, None, None, None, "甲"],
         "block": [None, None, "1", "2", None]},
        PLACES,
    )  # fmt: skip


@pytest.fixture
def shops(make_layer: Make) -> Layer:
    layer: Layer = make_layer({"name": "string"}, geometry="Point")
    return layer


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    text = "code,name\n11,北京市\n110101,东城区\n110105,朝阳区\n"
    (tmp_path / "areas.csv").write_text(text, encoding="utf-8")
    return tmp_path


def feed(**more: Any) -> dict[str, Any]:
    reading = {
        "attributes": {"district": "district", "street": "road",
                       "number": ["number", "suffix"], "building": "block"},
        "admin": ["areas.csv"],
        "within": "11",
        **more.pop("address", {}),
    }  # fmt: skip
    geometry = {"layer": "addresses", "on": {"text": "ADDRESS"}, "address": reading, **more}
    return {"columns": {"name": "NAME"}, "geometry": geometry}


@pytest.fixture
def join(
    run: Run, make_table: Make, shops: Layer, addresses: gpd.GeoDataFrame, workspace: Path
) -> Callable[..., Conformed]:
    def joined(texts: list[str | None], **more: Any) -> Conformed:
        table = make_table({"NAME": [f"s{n}" for n in range(len(texts))], "ADDRESS": texts})
        framework = {"addresses": addresses, **more.pop("framework", {})}
        return run(table, feed(**more), shops, framework=framework, root=workspace, crs="")

    return joined


def test_record_gets_the_place_of_the_address_that_it_names(join: Callable[..., Conformed]) -> None:
    outcome = join(["北京市朝阳区建国路９３号万达广场", "朝阳区 建国路八十八号2号楼", "建国路93号"])
    assert outcome.frame.geometry.tolist() == [PLACES[1], PLACES[3], PLACES[1]]
    assert outcome.findings.empty


def test_parts_in_several_attributes_are_one_number(join: Callable[..., Conformed]) -> None:
    assert join(["朝阳区广渠门外大街12甲号"]).frame.geometry.tolist() == [PLACES[4]]


def test_records_without_a_certain_feature_wait_with_reason_and_candidates(
    join: Callable[..., Conformed], found: Found
) -> None:
    texts = ["朝阳区建国路88号", "朝阳区建国路95号", "朝阳区无名路1号", "朝阳区建国路", None,
             "东城区建国路93号"]  # fmt: skip
    outcome = join(texts)
    assert outcome.frame.empty
    assert outcome.fates["fate"].tolist() == ["waiting"] * len(texts)
    assert found(outcome, "unmatched-join") == [
        "address '朝阳区建国路95号': its street has no such house number",
        "address '朝阳区无名路1号': its street is not in the layer",
        "address '朝阳区建国路': it names no house number",
        "no address: it names no street",
        "address '东城区建国路93号': its street is not in the layer",
    ]
    assert found(outcome, "ambiguous-join") == [
        "address '朝阳区建国路88号': several candidates are alike; candidates: u2 (0.90), u3 (0.90)"
    ]
    ambiguous = outcome.findings[outcome.findings["rule"] == "intake.ambiguous-join"].iloc[0]
    assert ambiguous["other"] == "u2,u3"
    assert ambiguous["geometry"] == PLACES[2]
    assert "候选要素不唯一" in ambiguous["found_zh"]


def test_record_updates_the_feature_that_its_address_names(
    run: Run, make_table: Make, make_layer: Make, addresses: gpd.GeoDataFrame, workspace: Path
) -> None:
    layer = make_layer(
        {"code": "string", "name": "string"}, geometry="Point", key="code", name="addresses"
    )
    table = make_table({"NAME": ["a", "b"], "ADDRESS": ["朝阳区建国路93号", "朝阳区建国路88号"]})
    declared = {"layer": "addresses", **feed(take="feature")}
    outcome = run(
        table, declared, layer, framework={"addresses": addresses}, root=workspace, crs=""
    )
    assert outcome.frame["uid"].tolist() == ["u1"]
    assert outcome.frame["operation"].tolist() == ["update"]
    assert outcome.fates["fate"].tolist() == ["waiting"]


def test_other_names_of_streets_come_from_a_layer(
    join: Callable[..., Conformed], make_layer: Make, framework_of: Make
) -> None:
    layer = make_layer({"name": "string", "old": "string", "area": "string"}, geometry="Point")
    roads = framework_of(
        layer,
        {"name": ["建国路", "南河沿大街"], "old": ["通惠路", None], "area": ["朝阳区", "东城区"]},
        PLACES[:2],
    )
    streets = {"layer": "roads", "name": "name", "alias": "old", "district": "area"}
    outcome = join(["朝阳区通惠路93号"], address={"streets": streets}, framework={"roads": roads})
    assert outcome.frame.geometry.tolist() == [PLACES[1]]


def test_western_addresses_are_told_apart_by_district(
    run: Run, make_table: Make, make_layer: Make, framework_of: Make, shops: Layer
) -> None:
    layer = make_layer({"ward": "string", "address": "string"}, geometry="Point")
    places = framework_of(
        layer, {"ward": ["Leith", "Almond"], "address": ["4 Park Road", "4 Park Road"]}, PLACES[:2]
    )
    table = make_table({"NAME": ["a", "b"], "ADDRESS": ["4 PARK RD"] * 2, "WARD": ["ALMOND", None]})
    reading = {"style": "western", "attributes": {"text": "address", "district": "ward"}}
    geometry = {"layer": "places", "on": {"text": "ADDRESS", "district": "WARD"},
                "address": reading}  # fmt: skip
    declared = {"columns": {"name": "NAME"}, "geometry": geometry}
    outcome = run(table, declared, shops, framework={"places": places}, crs="")
    assert outcome.frame.geometry.tolist() == [PLACES[1]]
    assert outcome.fates["record"].tolist() == [1]


def test_absent_column_is_one_finding_and_no_record_is_placed(
    run: Run, make_table: Make, shops: Layer, addresses: gpd.GeoDataFrame, workspace: Path
) -> None:
    table = make_table({"NAME": ["a"]})
    outcome = run(table, feed(), shops, framework={"addresses": addresses}, root=workspace, crs="")
    assert outcome.findings["rule"].tolist() == ["intake.missing-column"]


def test_absent_table_of_codes_is_a_wrong_declaration(join: Callable[..., Conformed]) -> None:
    with pytest.raises(DeclarationError, match=r"none\.csv"):
        join(["建国路93号"], address={"admin": ["none.csv"]})


@pytest.mark.parametrize(
    "wrong", [{"on": {"colour": "ADDRESS"}}, {"normalise": True}, {"address": {"attributes": {}}}]
)
def test_declaration_names_parts_of_an_address(
    join: Callable[..., Conformed], wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="geometry"):
        join(["建国路93号"], **wrong)
