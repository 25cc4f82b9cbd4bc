"""Archives: their members, and what is refused."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from cityframe.connectors import contents as module
from cityframe.connectors.contents import contents, staged
from cityframe.errors import QuarantinedError


def packed(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_members_of_archives_stand_below_the_archive(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(b"1")
    packed(tmp_path / "in" / "b.ZIP", {"deep/c.csv": b"22", "d.csv": b"333"})
    found = contents(tmp_path)
    assert [(one.path, one.inner, one.size) for one in found] == [
        ("in/a.csv", "in/a.csv", 1),
        ("in/b.ZIP/d.csv", "d.csv", 3),
        ("in/b.ZIP/deep/c.csv", "deep/c.csv", 2),
    ]
    assert [one.read() for one in found] == [b"1", b"333", b"22"]


def test_chinese_names_without_the_flag_for_utf8_are_read(tmp_path: Path) -> None:
    name = "道路/中心线.csv"
    path = tmp_path / "gbk.zip"
    placeholder = "x" * len(name.encode("gbk"))
    packed(path, {placeholder: b"1"})
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode("gbk")))
    (member,) = contents(tmp_path)
    assert member.inner == name
    assert member.read() == b"1"


def test_backslashes_between_folders_are_read(tmp_path: Path) -> None:
    packed(tmp_path / "old.zip", {"roads\\lines.csv": b"1"})
    assert [one.inner for one in contents(tmp_path)] == ["roads/lines.csv"]


@pytest.mark.parametrize(
    "name", ["../evil.csv", "a/../../evil.csv", "/etc/evil", "C:\\evil", "..\\evil", "a\nb"]
)
def test_names_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    packed(tmp_path / "slip.zip", {"good.csv": b"1", name: b"2"})
    with pytest.raises(QuarantinedError, match=r"slip\.zip: member name") as caught:
        contents(tmp_path)
    assert caught.value.expected
    assert caught.value.remedy


def test_links_in_archives_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(QuarantinedError, match=r"link\.zip/link\.csv: a link"):
        contents(tmp_path)


def test_compression_bombs_are_refused_before_unpacking(tmp_path: Path) -> None:
    packed(tmp_path / "bomb.zip", {"a.csv": bytes(64 << 20)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(QuarantinedError, match=r"bomb\.zip/a\.csv: \d+ bytes that unpack to"):
        contents(tmp_path)


def test_too_many_and_too_large_members_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(tmp_path / "many.zip", {f"{number}.csv": b"12" for number in range(5)})
    monkeypatch.setattr(module, "MAX_ARCHIVE_MEMBERS", 4)
    with pytest.raises(QuarantinedError, match="5 members, expected at most 4"):
        contents(tmp_path)
    monkeypatch.setattr(module, "MAX_ARCHIVE_MEMBERS", 5)
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 9)
    with pytest.raises(QuarantinedError, match="10 bytes unpacked, expected at most 9"):
        contents(tmp_path)


def test_a_member_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "lie.zip", {"a.csv": bytes(5000)}, compression=zipfile.ZIP_DEFLATED)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 5000), struct.pack("<I", 50)))
    (member,) = contents(tmp_path)
    with pytest.raises(QuarantinedError, match="damaged or unreadable archive"):
        member.read()


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.csv", "2")
    with pytest.raises(QuarantinedError, match="two members"):
        contents(tmp_path)


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "locked.zip", {"a.csv": b"1"})
    body = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(mark) + place] |= 1
    path.write_bytes(body)
    with pytest.raises(QuarantinedError, match="an encrypted member"):
        contents(tmp_path)


@pytest.mark.parametrize("cut", [0, 10, -10])
def test_damaged_archives_are_refused(tmp_path: Path, cut: int) -> None:
    path = packed(tmp_path / "cut.zip", {"a.csv": b"1" * 100})
    path.write_bytes(path.read_bytes()[:cut] if cut else b"no archive")
    with pytest.raises(QuarantinedError, match=r"cut\.zip: a damaged or unreadable archive"):
        contents(tmp_path)


def test_damaged_member_is_refused_when_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "bits.zip", {"a.csv": b"abc" * 100})
    path.write_bytes(path.read_bytes().replace(b"abcabc", b"abcabd", 1))
    (member,) = contents(tmp_path)
    with pytest.raises(QuarantinedError, match=r"bits\.zip/a\.csv: a damaged"):
        member.read()


def test_staged_files_link_to_the_landed_bytes_or_copy_them(tmp_path: Path) -> None:
    (tmp_path / "landed").mkdir()
    (tmp_path / "landed" / "a.csv").write_bytes(b"1")
    packed(tmp_path / "landed" / "b.zip", {"b.csv": b"2"})
    plain, member = contents(tmp_path / "landed")
    for copied in (False, True):
        folder = tmp_path / str(copied)
        folder.mkdir()
        staged({"a.csv": plain, "b.csv": member}, folder, copied=copied)
        assert (folder / "a.csv").is_symlink() is not copied
        assert [(folder / name).read_bytes() for name in ("a.csv", "b.csv")] == [b"1", b"2"]
