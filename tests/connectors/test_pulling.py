"""Connectors are found by their registered name, built-in or not."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cityframe.config.source import Source
from cityframe.connectors import connector, database, files, mqtt, pull
from cityframe.errors import DeclarationError


def test_built_in_connectors_are_registered_like_any_other() -> None:
    assert connector("files") is files
    assert connector("database") is database
    assert connector("mqtt") is mqtt


def test_unknown_type_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DeclarationError, match=r"0 connectors for pull type 'ftp'.*files"):
        connector("ftp")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a third party on the path."""
    about = tmp_path / "bureau_connector-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bureau-connector\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[cityframe.connectors]\nbureau = bureau_connector\nfiles = bureau_connector\n"
    )
    (tmp_path / "bureau_connector.py").write_text(
        "from cityframe.connectors import Pulled\n"
        "def pull(source, *, workspace_root, into, place, watermark, observations):\n"
        "    (into / 'a.csv').write_text('a')\n"
        "    return Pulled(origin=f'bureau of {source.name}', watermark=watermark + '1')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bureau_connector", raising=False)
    return tmp_path


def test_third_party_brings_its_own(
    installed: Path, source: Callable[..., Source], tmp_path: Path
) -> None:
    found = connector("bureau")
    result = found.pull(
        source(),
        workspace_root=tmp_path,
        into=tmp_path,
        place=None,
        watermark="4",
        observations=tmp_path,
    )
    assert result is not None
    assert (result.origin, result.watermark) == ("bureau of survey", "41")
    assert (tmp_path / "a.csv").read_text() == "a"


def test_two_of_one_name_are_refused(
    installed: Path, source: Callable[..., Source], tmp_path: Path
) -> None:
    with pytest.raises(DeclarationError, match="2 connectors for pull type 'files'"):
        pull(source(), workspace_root=tmp_path, into=tmp_path, observations=tmp_path)
