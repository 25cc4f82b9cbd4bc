"""One rule on one file: how the layer is made, what is refused, and the files of a new kind."""

import datetime as dt
import zipfile

import geopandas as gpd
import pytest
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.layer import AttributeType, GeometryType
from cityframe.pipeline.scaffolding import scaffold_built_in, scaffold_package
from cityframe.pipeline.tried_layer import layer_of_file
from cityframe.pipeline.trying import Request, try_rule

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SCHEMA = """\
name: parcels
title: {zh: 宗地, en: Parcels}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.05
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}}
  floors: {type: integer, title: {zh: 层数, en: Floors}}
  use: {type: string, title: {zh: 用途, en: Use}, codes: [house]}
"""
FLAT_LINE = {"stream": "number", "tolerance": 0.1, "suspect_s": 60, "fail_s": 90}
RULES = """\
rules:
  - id: parcels.overlaps
    title: {zh: 不重叠, en: No overlaps}
    kind: overlaps
    layers: [parcels]
    parameters: {min_area_m2: 5.0}
    defect_class: A
    gate: block
    scope: candidate
"""


@pytest.fixture
def parcels(tmp_path):
    """Return a GeoPackage of three squares, of which the first two overlap by 10 m²."""
    corners = [(0, 0, 10, 10), (9, 0, 20, 10), (30, 0, 40, 10)]
    frame = gpd.GeoDataFrame(
        {"Number": ["a", "b", "c"], "floors": ["2", "x", None]},
        geometry=gpd.GeoSeries([shapely.box(*one) for one in corners], crs="EPSG:4547").translate(
            500_000, 3_400_000
        ),
    )
    path = tmp_path / "in" / "parcels.gpkg"
    path.parent.mkdir()
    frame.to_file(path, layer="parcels")
    return path


@pytest.fixture
def workspace(tmp_path):
    for folder in ("schemas", "sources", "quality_rules", "cycles"):
        (tmp_path / folder).mkdir()
    (tmp_path / "cityframe.yaml").write_text("title: {zh: 城, en: City}\n", encoding="utf-8")
    (tmp_path / "schemas" / "parcels.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "quality_rules" / "all.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def _try(root, name, file, **more):
    return try_rule(root, Request(name, file, **more), as_of=AS_OF)


def test_a_kind_finds_the_defects_of_a_file(tmp_path, parcels):
    trial = _try(tmp_path, "overlaps", parcels)
    assert trial.records == 3
    assert trial.findings["record"].tolist() == [0]
    assert trial.findings["partner"].tolist() == ["1"]
    assert trial.findings.geometry.area.tolist() == pytest.approx([10.0])
    assert trial.layer.geometry is GeometryType.POLYGON
    assert any("without a contract" in note for note in trial.notes)


def test_a_parameter_of_the_call_counts(tmp_path, parcels):
    assert _try(tmp_path, "overlaps", parcels, parameters={"min_area_m2": 11}).findings.empty
    with pytest.raises(DeclarationError, match="min_area is not known"):
        _try(tmp_path, "overlaps", parcels, parameters={"min_area": 11})


def test_a_rule_of_the_workspace_runs_with_its_contract(workspace, parcels):
    trial = _try(workspace, "parcels.overlaps", parcels)
    assert trial.rule == "parcels.overlaps"
    assert trial.parameters["min_area_m2"] == 5.0
    assert trial.findings["source_key"].tolist() == ["a"]
    assert "not in the file: use" in trial.notes
    assert any(note.startswith("floors: 1 values are null here") for note in trial.notes)
    other = _try(workspace, "parcels.overlaps", parcels, parameters={"min_area_m2": 11})
    assert other.findings.empty


def test_a_contract_of_the_workspace_gives_codes(workspace, parcels):
    frame = gpd.read_file(parcels).assign(use=["house", "barn", None])
    frame.to_file(parcels, layer="parcels")
    trial = _try(workspace, "codes", parcels, layer="parcels", parameters={"column": "use"})
    assert trial.findings["source_key"].tolist() == ["b"]


def test_a_file_without_the_contracts_columns_is_refused(workspace, parcels):
    gpd.read_file(parcels)[["geometry"]].to_file(parcels, layer="parcels")
    with pytest.raises(DeclarationError, match="some of number, floors, use"):
        _try(workspace, "overlaps", parcels, layer="parcels")


def test_degrees_are_refused_where_metres_are_needed_and_transformed_when_asked(tmp_path, parcels):
    path = parcels.with_name("degrees.geojson")
    gpd.read_file(parcels).to_crs("EPSG:4326").to_file(path)
    with pytest.raises(DeclarationError, match=r"is in .*, expected a projected CRS in metres"):
        _try(tmp_path, "overlaps", path)
    assert _try(tmp_path, "valid_geometry", path).findings.empty
    trial = _try(tmp_path, "overlaps", path, crs="EPSG:4547")
    assert trial.findings.geometry.area.tolist() == pytest.approx([10.0], abs=1e-3)
    assert any("transformed from" in note for note in trial.notes)


def test_a_file_that_says_no_crs_is_asked_for_it(tmp_path, parcels):
    path = parcels.with_name("bare.shp")
    gpd.read_file(parcels).to_file(path)
    path.with_suffix(".prj").unlink()
    with pytest.raises(DeclarationError, match="says no CRS"):
        _try(tmp_path, "overlaps", path)
    assert len(_try(tmp_path, "overlaps", path, crs="EPSG:4547").findings) == 1


def test_the_other_layers_are_files_too(tmp_path, parcels):
    wanted = {"layer": "districts"}
    with pytest.raises(DeclarationError, match="--other districts=FILE"):
        _try(tmp_path, "covered_by", parcels, parameters=wanted)
    path = parcels.with_name("district.gpkg")
    gpd.read_file(parcels).iloc[:2].dissolve()[["geometry"]].to_file(path)
    trial = _try(tmp_path, "covered_by", parcels, parameters=wanted, others={"districts": path})
    assert trial.findings["record"].tolist() == [2]


@pytest.mark.parametrize(
    ("kind", "parameters", "told"),
    [
        ("identity_loss", {}, "the current release"),
        ("declared_crs", {}, "what a delivery brought"),
        ("flat_line", FLAT_LINE, "the observations of sensors"),
    ],
)
def test_a_kind_that_needs_more_than_a_file_says_so(tmp_path, parcels, kind, parameters, told):
    with pytest.raises(DeclarationError, match=told):
        _try(tmp_path, kind, parcels, parameters=parameters)


def test_an_unknown_kind_is_answered_with_the_nearest(tmp_path, parcels):
    with pytest.raises(DeclarationError, match=r"no kind or rule 'overlps'.*overlaps"):
        _try(tmp_path, "overlps", parcels)
    with pytest.raises(DeclarationError, match="no such file"):
        _try(tmp_path, "overlaps", parcels.with_name("no.gpkg"))


def test_the_types_of_text_columns_are_those_that_all_values_have(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "Code,count,share,day,moment,宗地号,none\n"
        "0012,1,1.5,2020-01-31,2020-01-31T08:00:00Z,a,\n"
        "12,2,2,,2020-01-31T09:00:00Z,b,\n",
        encoding="utf-8",
    )
    made = layer_of_file(path)
    assert {one.name: one.type for one in made.layer.attributes} == {
        "code": AttributeType.STRING,
        "count": AttributeType.INTEGER,
        "share": AttributeType.REAL,
        "day": AttributeType.DATE,
        "moment": AttributeType.DATETIME,
        "column_6": AttributeType.STRING,
        "none": AttributeType.STRING,
    }
    assert made.frame["code"].tolist() == ["0012", "12"]
    assert made.layer.geometry is GeometryType.NONE
    assert any("column_6 is 宗地号" in note for note in made.notes)


def test_a_zipped_shapefile_is_one_file(tmp_path, parcels):
    path = parcels.with_name("p.shp")
    gpd.read_file(parcels).to_file(path)
    packed = tmp_path / "p.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for one in parcels.parent.glob("p.*"):
            archive.write(one, f"data/{one.name}")
    assert len(_try(tmp_path, "overlaps", packed).findings) == 1


def test_a_scaffold_overwrites_nothing_and_takes_no_name_twice(tmp_path):
    written = scaffold_package("roof_slope", tmp_path)
    assert all(path.is_file() for path in written)
    with pytest.raises(DeclarationError, match="a file already"):
        scaffold_package("roof_slope", tmp_path)
    for name in ("overlaps", "Roof", "../roof"):
        with pytest.raises(DeclarationError, match="choose another name"):
            scaffold_package(name, tmp_path)


def test_a_built_in_scaffold_lies_at_its_places(tmp_path):
    with pytest.raises(DeclarationError, match="no source tree"):
        scaffold_built_in("roof_slope", tmp_path)
    (tmp_path / "src/cityframe/rules/kinds").mkdir(parents=True)
    (tmp_path / "tests/cases/rules").mkdir(parents=True)
    written = scaffold_built_in("roof_slope", tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "src/cityframe/rules/kinds/roof_slope.py",
        "tests/cases/rules/roof_slope.yaml",
        "tests/rules/seeded/roof_slope.py",
    ]
    assert "number=91" in written[0].read_text(encoding="utf-8")
    assert 'SOWINGS = {"roof_slope": sowing}' in written[2].read_text(encoding="utf-8")
