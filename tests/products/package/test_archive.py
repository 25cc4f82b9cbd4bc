import errno
import os
import stat
import warnings
import zipfile

import pytest

from cityframe.errors import DeclarationError, IntegrityError, SourceUnreachableError
from cityframe.products.package import apply_change, invert, opened, pack, verify


@pytest.fixture
def archive(folders):
    return pack(folders / "change2", folders / "change2.zip")


def refused(path, message, **options):
    with pytest.raises(IntegrityError, match=message), opened(path, **options):
        pytest.fail("opened")


def rewritten(path, edit):
    """Write the entries of a zip again after an edit of ``[(entry, content)]``."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for entry, content in edit(entries):
            archive.writestr(entry, content)
    return path


def test_a_zip_is_the_package(folders, archive, same_bytes):
    with opened(archive) as folder:
        assert same_bytes(folder, folders / "change2") == []
    assert not folder.exists()
    with opened(folders / "change2") as folder:
        assert folder == folders / "change2"


def test_verify_apply_and_invert_take_zips(folders, archive, same_bytes):
    full = pack(folders / "full1", folders / "full1.zip")
    assert verify(archive, base=full).base.release.number == 1
    apply_change(full, archive, folders / "applied")
    assert same_bytes(folders / "full2", folders / "applied") == []
    assert invert(archive, folders / "inverse").inverse


def test_packing_twice_gives_the_same_bytes(folders, archive):
    for path in (folders / "change2").iterdir():
        os.utime(path, (1_800_000_000, 1_800_000_000))
        path.chmod(0o600)
    again = pack(folders / "change2", folders / "again.zip")
    assert again.read_bytes() == archive.read_bytes()
    with zipfile.ZipFile(archive) as opened_zip:
        entries = opened_zip.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_what_is_there_is_not_overwritten(folders, archive):
    with pytest.raises(DeclarationError, match="expected no file yet"):
        pack(folders / "full1", archive)


def test_a_damaged_package_is_not_packed(folders):
    (folders / "change2" / "quality.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"quality\.json"):
        pack(folders / "change2", folders / "damaged.zip")
    assert not (folders / "damaged.zip").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_zip_is_refused(archive, share):
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    refused(archive, "a zip that can't be read")


def test_a_flipped_byte_is_refused(archive):
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(bytes(content))
    refused(archive, "Bad CRC-32")


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/b.txt", "..", "a\\b.txt", "d/"])
def test_a_name_that_leaves_the_folder_is_refused(archive, name, tmp_path):
    def edit(entries):
        entry = zipfile.ZipInfo(name)
        entry.filename = name
        return [*entries, (entry, b"evil")]

    refused(rewritten(archive, edit), "expected plain files side by side")
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_link_is_refused(archive):
    def edit(entries):
        link = zipfile.ZipInfo("link.txt")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        return [*entries, (link, b"/etc/passwd")]

    refused(rewritten(archive, edit), "'link.txt', expected plain files")


def test_a_name_that_stands_twice_is_refused(archive):
    refused(rewritten(archive, lambda entries: [*entries, entries[0]]), "two files 'NOTES.en.md'")


def test_more_than_is_allowed_is_refused(archive):
    refused(archive, "expected at most 1000", max_bytes=1000)


def test_a_file_too_many_or_missing_in_the_zip_is_refused(archive):
    content = archive.read_bytes()
    rewritten(archive, lambda entries: entries[1:])
    with pytest.raises(IntegrityError, match=r"NOTES\.en\.md: no such file"):
        verify(archive)
    archive.write_bytes(content)
    rewritten(archive, lambda entries: [*entries, (zipfile.ZipInfo("more.txt"), b"x")])
    with pytest.raises(IntegrityError, match=r"more\.txt: a file that the manifest does not name"):
        verify(archive)


def test_no_package_at_all_is_a_mistake(tmp_path):
    with pytest.raises(DeclarationError, match="expected a package"):
        verify(tmp_path / "nothing.zip")


def test_an_encrypted_entry_and_a_name_that_is_no_text_are_refused(archive):
    content = archive.read_bytes()
    at = content.index(b"PK\x01\x02")
    for place, value in ((8, 0x01), (9, 0x08)):
        edited = bytearray(content)
        edited[at + place] |= value
        if value == 0x08:
            edited[at + 46] = 0xFF
        archive.write_bytes(edited)
        refused(archive, "a zip that can't be read")


def test_no_room_to_unpack_is_no_fault_of_the_package(archive, monkeypatch):
    def no_room(_source, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", no_room)
    with pytest.raises(SourceUnreachableError, match="no room"), opened(archive):
        pytest.fail("opened")
