from pathlib import Path

import pytest

from cityframe.config.document import read_declaration, read_yaml
from cityframe.config.schema import LayerSchema
from cityframe.config.source import Source
from cityframe.config.workspace import expand, read_workspace
from cityframe.errors import DeclarationError

LAYER = """\
name: parcels
title: {zh: 宗地, en: Parcels}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.05
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}, nullable: false}
  area_m2: {type: real, title: {zh: 面积, en: Area}, unit: m2}
"""
SOURCE = """\
name: cadastre
title: {zh: 地籍, en: Cadastre}
kind: departmental
delivery: full
pull: {type: files, path: feeds}
crs: EPSG:4547
feeds:
  - layer: parcels
    columns:
      number: DJH
      area_m2: {column: MJ, unit: mu}
"""
SERIES = """\
name: monthly
title: {zh: 月度, en: Monthly}
sources: [cadastre]
approvers: [li]
"""
RULES = """\
rules:
  - id: parcels.valid
    title: {zh: 有效, en: Valid}
    kind: valid_geometry
    layers: parcels
    defect_class: A
    gate: block
    scope: delivery
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name, text in (
        ("cityframe.yaml", "title: {zh: 城, en: City}\n"),
        ("schemas/parcels.yaml", LAYER),
        ("sources/cadastre.yaml", SOURCE),
        ("cycles/monthly.yaml", SERIES),
        ("quality_rules/parcels.yaml", RULES),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def break_file(workspace: Path, name: str, old: str, new: str) -> None:
    path = workspace / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_workspace_is_read_whole(workspace: Path) -> None:
    found = read_workspace(workspace)
    assert found.layer("parcels").key == ("number",)
    assert found.source("cadastre").feeds[0].columns["area_m2"].unit == "mu"
    assert found.rules[0].layers == ("parcels",)
    assert found.store == workspace / "store"
    assert len(found.rule_set_digest()) == 64


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "schemas/parcels.yaml",
            "geometry: Polygon",
            "geometri: Polygon",
            r"parcels.yaml:3: .*geometr[iy]",
        ),
        (
            "schemas/parcels.yaml",
            "type: real",
            "type: float",
            r"yaml:9: attributes.area_m2.type is 'float', expected",
        ),
        (
            "schemas/parcels.yaml",
            "key: number",
            "key: nummer",
            r"parcels.yaml:1: .*it has no \['nummer'\]",
        ),
        (
            "schemas/parcels.yaml",
            "accuracy_m: 0.05",
            "accuracy_m: -1",
            r"parcels.yaml:5: accuracy_m is -1",
        ),
        ("schemas/parcels.yaml", "  area_m2:", "  digest:", "the framework's own"),
        (
            "schemas/parcels.yaml",
            "name: parcels",
            "name: plots",
            "parcels.yaml: name is 'plots', expected 'parcels'",
        ),
        (
            "sources/cadastre.yaml",
            "layer: parcels",
            "layer: plots",
            r"cadastre.yaml:8: no layer 'plots', expected one of parcels",
        ),
        (
            "sources/cadastre.yaml",
            "number: DJH",
            "numero: DJH",
            r"cadastre.yaml:10: layer parcels has no attribute 'numero'",
        ),
        ("sources/cadastre.yaml", "type: files", "type: ftp", r"cadastre.yaml:5: .*"),
        (
            "sources/cadastre.yaml",
            "unit: mu",
            "units: mu",
            r"yaml:11: feeds.0.columns.area_m2.units is not known",
        ),
        ("sources/cadastre.yaml", "delivery: full", "delivery: changes", "operation column"),
        (
            "sources/cadastre.yaml",
            "kind: departmental",
            "kind: departmental\nkind: iot",
            "'kind' stands twice",
        ),
        (
            "cycles/monthly.yaml",
            "[cadastre]",
            "[cadaster]",
            "no source 'cadaster', expected one of cadastre",
        ),
        (
            "quality_rules/parcels.yaml",
            "layers: parcels",
            "layers: plots",
            r"parcels.yaml:2: no layer 'plots'",
        ),
        (
            "quality_rules/parcels.yaml",
            "gate: block",
            "gate: stop",
            r"parcels.yaml:7: rules.0.gate is 'stop'",
        ),
        ("cityframe.yaml", "title: {", "title: [", r"cityframe.yaml:1: "),
    ],
)
def test_a_wrong_declaration_names_file_line_and_what_is_expected(
    workspace: Path, name: str, old: str, new: str, message: str
) -> None:
    break_file(workspace, name, old, new)
    with pytest.raises(DeclarationError, match=message):
        read_workspace(workspace)


def test_several_problems_of_one_file_are_told_together(workspace: Path) -> None:
    break_file(workspace, "schemas/parcels.yaml", "type: real", "type: float")
    break_file(workspace, "schemas/parcels.yaml", "accuracy_m: 0.05", "accuracy_m: none")
    with pytest.raises(DeclarationError, match=r"(?s)parcels.yaml:5: .*parcels.yaml:9: "):
        read_workspace(workspace)


def test_the_same_rule_twice_is_refused(workspace: Path) -> None:
    (workspace / "quality_rules" / "more.yaml").write_text(RULES, encoding="utf-8")
    with pytest.raises(
        DeclarationError, match=r"parcels.yaml:2: rule 'parcels.valid' stands twice"
    ):
        read_workspace(workspace)


def test_a_missing_workspace_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"cityframe.yaml: no such file; create it"):
        read_workspace(tmp_path)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: 城".encode("gbk"))
    with pytest.raises(DeclarationError, match="not UTF-8"):
        read_yaml(path)


def test_words_that_old_yaml_takes_for_booleans_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("on: no\nis_so: true\n", encoding="utf-8")
    assert read_yaml(path)[0] == {"on": "no", "is_so": True}


def test_declared_models_can_not_be_changed(workspace: Path) -> None:
    source = read_declaration(workspace / "sources" / "cadastre.yaml", Source)
    with pytest.raises(ValueError, match="frozen"):
        source.name = "other"  # type: ignore[misc]
    schema = read_declaration(workspace / "schemas" / "parcels.yaml", LayerSchema)
    assert schema.layer().attribute_names == ("number", "area_m2")


def test_variables_come_from_the_environment_or_their_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CITYFRAME_X", "here")
    monkeypatch.delenv("CITYFRAME_Y", raising=False)
    assert expand("a/${CITYFRAME_X}/${CITYFRAME_Y:-there}", where="w") == "a/here/there"
    with pytest.raises(DeclarationError, match="CITYFRAME_Y is not set; set CITYFRAME_Y"):
        expand("${CITYFRAME_Y}", where="w")


def declare_retention(workspace: Path, text: str) -> None:
    path = workspace / "cityframe.yaml"
    path.write_text(path.read_text(encoding="utf-8") + f"retention: {text}\n", encoding="utf-8")


def test_retention_that_is_left_out_keeps_for_ever(workspace: Path) -> None:
    assert read_workspace(workspace).retention.model_dump(exclude_none=True) == {}
    declare_retention(workspace, "{landed_days: 730, working_days: 1}")
    declared = read_workspace(workspace).retention
    assert (declared.landed_days, declared.candidate_days, declared.working_days) == (730, None, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{landed_days: 0}", r"cityframe.yaml:2: retention.landed_days is 0, .*greater than or"),
        ("{landed_days: true}", r"retention.landed_days is True, .*valid integer"),
        ("{working_days: 1.5}", r"retention.working_days is 1.5, .*valid integer"),
        ("{release_days: 9}", r"cityframe.yaml:2: retention.release_days is not known here"),
    ],
)
def test_wrong_retention_is_refused_with_its_line(workspace: Path, text: str, said: str) -> None:
    declare_retention(workspace, text)
    with pytest.raises(DeclarationError, match=said):
        read_workspace(workspace)
