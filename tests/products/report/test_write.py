import pytest

from cityframe.errors import DeclarationError
from cityframe.products.report import read_report, report_digest, write_report
from cityframe.products.report import write as module

FILES = [
    "findings.csv", "findings.geojson", "findings.gpkg", "quality.xml", "report.en.html",
    "report.json", "report.zh.html",
]  # fmt: skip


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_report_has_all_its_files(sample, tmp_path):
    files = write_report(tmp_path / "cycle" / "report", sample.report, **sample.arguments)
    assert sorted(contents(tmp_path / "cycle" / "report")) == FILES
    assert files.digest == report_digest(files.json.read_bytes())
    assert read_report(files.json.read_bytes()).report == sample.report
    assert [path.name for path in (tmp_path / "cycle").iterdir()] == ["report"]


def test_equal_input_gives_equal_bytes(sample_of, tmp_path):
    for name in ("a", "b"):
        sample = sample_of()
        write_report(tmp_path / name, sample.report, **sample.arguments)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_new_report_replaces_the_old_one(sample, tmp_path):
    folder = tmp_path / "report"
    (frame,) = sample.findings.values()
    before = write_report(folder, sample.report, **sample.arguments)
    more = {**sample.arguments, "waived": sample.waived | {frame["finding_id"].iloc[0]}}
    after = write_report(folder, sample.report, **more)
    assert before.digest != after.digest
    assert report_digest((folder / "report.json").read_bytes()) == after.digest
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_failure_leaves_the_old_report_and_nothing_else(sample, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    write_report(folder, sample.report, **sample.arguments)
    before = contents(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_geopackage", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(folder, sample.report, **{**sample.arguments, "waived": frozenset()})
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_folder_with_other_files_is_not_touched(sample, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DeclarationError, match=r"notes\.txt is no file of a report"):
        write_report(tmp_path, sample.report, **sample.arguments)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_input_frames_are_left_as_they_are(sample, tmp_path):
    (frame,) = sample.findings.values()
    copy = frame.copy(deep=True)
    write_report(tmp_path / "report", sample.report, **sample.arguments)
    assert frame.equals(copy)
