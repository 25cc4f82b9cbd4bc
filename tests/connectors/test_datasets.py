"""Which files a feed means."""

import zipfile
from pathlib import Path

import pytest

from cityframe.connectors.contents import contents
from cityframe.connectors.datasets import matching_datasets
from cityframe.errors import DeclarationError, QuarantinedError


def laid_out(folder: Path, names: list[str], archive: dict[str, list[str]] | None = None) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for name, members in (archive or {}).items():
        with zipfile.ZipFile(folder / name, "w") as out:
            for member in members:
                out.writestr(member, "x")
    return folder


def matched(folder: Path, pattern: str) -> list[str]:
    return [one.path for one in matching_datasets(contents(folder), pattern)]


def test_pattern_is_held_against_path_and_base_name_whatever_the_case(tmp_path: Path) -> None:
    laid_out(tmp_path, ["Roads/LINES.CSV", "a.csv"], {"b.zip": ["deep/lines.csv"]})
    assert matched(tmp_path, "lines.csv") == ["Roads/LINES.CSV", "b.zip/deep/lines.csv"]
    assert matched(tmp_path, "roads/*.csv") == ["Roads/LINES.CSV"]
    assert matched(tmp_path, "deep/*.csv") == ["b.zip/deep/lines.csv"]
    assert matched(tmp_path, "b.zip/deep/lines.csv") == ["b.zip/deep/lines.csv"]
    assert matched(tmp_path, "*.csv") == [
        "Roads/LINES.CSV", "a.csv", "b.zip/deep/lines.csv",
    ]  # fmt: skip
    assert matched(tmp_path, "none.csv") == []


def test_files_of_a_shapefile_belong_together(tmp_path: Path) -> None:
    laid_out(tmp_path, ["a/R.SHP", "a/r.dbf", "a/R.shx", "a/R.prj", "a/R.sbn", "b/r.dbf"])
    (dataset,) = matching_datasets(contents(tmp_path), "*.shp")
    assert dataset.path == "a/R.SHP"
    assert list(dataset.members) == ["R.shp", "R.prj", "R.shx", "R.dbf"]
    assert dataset.members["R.dbf"].path == "a/r.dbf"


def test_star_means_data_files_only(tmp_path: Path) -> None:
    laid_out(tmp_path, ["r.shp", "r.dbf", "r.cpg", "r.shp.xml", "readme.txt", "t.dbf"])
    assert matched(tmp_path, "*") == ["r.shp"]
    assert matched(tmp_path, "*.txt") == ["readme.txt"]
    assert matched(tmp_path, "*.dbf") == ["t.dbf"]


def test_folder_format_is_one_dataset(tmp_path: Path) -> None:
    names = ["city.gdb/a0001.gdbtable", "city.gdb/timestamps", "x.csv"]
    laid_out(tmp_path, names, {"b.zip": ["in/town.gdb/a0001.gdbtable"]})
    datasets = matching_datasets(contents(tmp_path), "*.gdb")
    assert [one.path for one in datasets] == ["b.zip/in/town.gdb", "city.gdb"]
    assert [list(one.members) for one in datasets] == [
        ["town.gdb/a0001.gdbtable"], ["city.gdb/a0001.gdbtable", "city.gdb/timestamps"],
    ]  # fmt: skip
    assert matched(tmp_path, "in/town.gdb") == ["b.zip/in/town.gdb"]
    assert matched(tmp_path, "*") == ["b.zip/in/town.gdb", "city.gdb", "x.csv"]


def test_file_that_nothing_reads_is_an_error_of_the_declaration(tmp_path: Path) -> None:
    laid_out(tmp_path, ["plan.dwg", "a.csv"])
    with pytest.raises(DeclarationError, match=r"plan\.dwg matches '\*\.dwg', and nothing reads"):
        matched(tmp_path, "*.dwg")
    assert matched(tmp_path, "*") == ["a.csv"]


def test_archive_inside_an_archive_is_not_followed(tmp_path: Path) -> None:
    laid_out(tmp_path, [], {"a.zip": ["inner.zip", "a.csv"]})
    assert matched(tmp_path, "*.csv") == ["a.zip/a.csv"]
    with pytest.raises(QuarantinedError, match=r"a\.zip/inner\.zip: an archive inside"):
        matched(tmp_path, "inner*")
