"""Pulling files, folders and archives."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cityframe.config.source import Source
from cityframe.connectors import Pulled, pull
from cityframe.errors import DeclarationError, QuarantinedError, SourceUnreachableError

MakeSource = Callable[..., Source]


def pulled(source: Source, root: Path, place: str | None = None) -> tuple[Pulled | None, Path]:
    into = root / "into"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    result = pull(source, workspace_root=root, into=into, place=place, observations=root / "none")
    return result, into


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def files(path: str) -> dict[str, Any]:
    return {"type": "files", "path": path}


@pytest.fixture
def feeds(tmp_path: Path) -> Path:
    (tmp_path / "feeds" / "deep").mkdir(parents=True)
    (tmp_path / "feeds" / "a.csv").write_bytes(b"1")
    (tmp_path / "feeds" / "deep" / "b.zip").write_bytes(b"PK")
    return tmp_path


def test_file_and_archive_come_as_they_are(feeds: Path, source: MakeSource) -> None:
    result, into = pulled(source(files("feeds/deep/b.zip")), feeds)
    assert tree(into) == {"b.zip": b"PK"}
    assert result == Pulled(origin=str(feeds / "feeds/deep/b.zip"))


def test_folder_comes_with_its_folders(feeds: Path, source: MakeSource) -> None:
    _, into = pulled(source(files("feeds")), feeds)
    assert tree(into) == {"a.csv": b"1", "deep/b.zip": b"PK"}


def test_variables_are_filled_in(
    feeds: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDS", "feeds/deep")
    _, into = pulled(source(files("${FEEDS}/b.zip")), feeds)
    assert tree(into) == {"b.zip": b"PK"}
    monkeypatch.delenv("FEEDS")
    with pytest.raises(DeclarationError, match="environment variable FEEDS is not set"):
        pulled(source(files("${FEEDS}/b.zip")), feeds)


def test_named_place_stands_before_the_declared_one(feeds: Path, source: MakeSource) -> None:
    result, into = pulled(source(files("feeds/deep/b.zip")), feeds, str(feeds / "feeds/a.csv"))
    assert tree(into) == {"a.csv": b"1"}
    assert result is not None
    assert result.origin == str(feeds / "feeds/a.csv")


def test_source_without_a_place_needs_one(feeds: Path, source: MakeSource) -> None:
    with pytest.raises(DeclarationError, match="source survey: no place to pull from") as caught:
        pulled(source(), feeds)
    assert "--from" in caught.value.remedy


def test_missing_place_is_unreachable(feeds: Path, source: MakeSource) -> None:
    with pytest.raises(SourceUnreachableError, match=r"nowhere\.csv: No such file"):
        pulled(source(files("nowhere.csv")), feeds)


@pytest.mark.parametrize("kind", ["file link", "folder link", "fifo"])
def test_links_and_special_files_are_refused(feeds: Path, source: MakeSource, kind: str) -> None:
    odd = feeds / "feeds" / "odd"
    if kind == "fifo":
        os.mkfifo(odd)
    else:
        odd.symlink_to("/etc/passwd" if kind == "file link" else "/etc")
    with pytest.raises(QuarantinedError, match="odd: a link or a special file"):
        pulled(source(files("feeds")), feeds)


def test_fifo_as_the_place_itself_is_refused(feeds: Path, source: MakeSource) -> None:
    os.mkfifo(feeds / "pipe")
    with pytest.raises(QuarantinedError, match="pipe: a special file"):
        pulled(source(files("pipe")), feeds)


def test_place_may_itself_be_a_link(feeds: Path, source: MakeSource) -> None:
    (feeds / "latest").symlink_to(feeds / "feeds")
    _, into = pulled(source(files("latest")), feeds)
    assert tree(into) == {"a.csv": b"1", "deep/b.zip": b"PK"}


def test_file_that_grows_while_it_is_copied_is_pulled_again(
    feeds: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def slow(path: Path, target: Path) -> Path:
        copy(path, target)
        with path.open("ab") as out:
            out.write(b"2")
        return target

    monkeypatch.setattr(shutil, "copyfile", slow)
    with pytest.raises(SourceUnreachableError, match="written to while it was copied"):
        pulled(source(files("feeds/a.csv")), feeds)
