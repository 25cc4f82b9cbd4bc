from pathlib import Path

import pytest

from cityframe.config.source import AddressGeometry
from cityframe.config.workspace import read_workspace
from cityframe.errors import DeclarationError

LAYER = """\
name: addresses
title: {zh: 地址, en: Addresses}
geometry: Point
crs: EPSG:4547
accuracy_m: 0.5
attributes:
  road: {type: string, title: {zh: 道路, en: Road}}
  number: {type: string, title: {zh: 门牌, en: Number}}
"""
SOURCE = """\
name: office
title: {zh: 局, en: Office}
kind: departmental
delivery: full
pull: {type: files}
feeds:
  - layer: addresses
    columns: {road: LU}
    geometry:
      layer: addresses
      on: {text: DIZHI}
      address:
        attributes: {street: road, number: [number, road]}
        admin: [tables/areas.csv]
        within: "310110"
        streets: {layer: addresses, name: road, alias: number}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name, text in (
        ("cityframe.yaml", "title: {zh: 城, en: City}\n"),
        ("schemas/addresses.yaml", LAYER),
        ("sources/office.yaml", SOURCE),
        ("tables/areas.csv", "code,name\n11,北京市\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_feed_with_an_address_is_a_join_by_address(workspace: Path) -> None:
    geometry = read_workspace(workspace).source("office").feeds[0].geometry
    assert isinstance(geometry, AddressGeometry)
    assert geometry.address.attributes["number"] == ("number", "road")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("street: road", "street: rood", "no attribute 'rood'"),
        ("[number, road]", "[number, block]", "no attribute 'block'"),
        ("alias: number", "alias: old", "no attribute 'old'"),
        ("streets: {layer: addresses", "streets: {layer: streets", "no layer 'streets'"),
        ("tables/areas.csv", "tables/none.csv", "no file 'tables/none.csv'"),
        ('"310110"', '"3101x"', "within"),
        ("text: DIZHI", "words: DIZHI", "parts of an address"),
        ("attributes: {street", "attributes: {avenue", "avenue"),
    ],
)
def test_wrong_declaration_names_what_is_wrong(
    workspace: Path, old: str, new: str, found: str
) -> None:
    path = workspace / "sources" / "office.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(DeclarationError, match=found) as error:
        read_workspace(workspace)
    assert "office.yaml" in str(error.value)
