import pytest

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package import apply_change, invert, read_changes, read_manifest, verify


def test_the_inverse_leads_back(folders, same_bytes):
    inverse = invert(folders / "change2", folders / "inverse")
    assert inverse.inverse
    assert (inverse.parent.number, inverse.release.number) == (2, 1)
    assert inverse.layer("buildings").changes == {
        "attributes": 1, "new": 1, "removed": 2, "reshaped": 1,
    }  # fmt: skip
    verify(folders / "inverse", base=folders / "full2")
    back = apply_change(folders / "full2", folders / "inverse", folders / "back")
    assert back.release.digest == read_manifest(folders / "full1").release.digest
    # the notes and the manifest say that an inverse made it
    assert set(same_bytes(folders / "full1", folders / "back")) == {
        "manifest.json", "NOTES.zh.md", "NOTES.en.md",
    }  # fmt: skip
    apply_change(folders / "back", folders / "change2", folders / "again")
    assert same_bytes(folders / "full2", folders / "again") == []


def test_the_inverse_of_the_inverse_is_the_change(folders):
    invert(folders / "change2", folders / "inverse")
    manifest = invert(folders / "inverse", folders / "again")
    first = read_manifest(folders / "change2")
    assert not manifest.inverse
    assert (manifest.parent, manifest.release) == (first.parent, first.release)
    for layer in first.layers:
        name = layer.contract.name
        rows = read_changes(folders / "again", manifest, name)
        assert rows.equals(read_changes(folders / "change2", first, name))


def test_inverting_twice_gives_the_same_bytes(folders, same_bytes):
    invert(folders / "change2", folders / "one")
    invert(folders / "change2", folders / "two")
    assert same_bytes(folders / "one", folders / "two") == []


def test_an_inverse_is_not_laid_over_the_base_of_the_change(folders):
    invert(folders / "change2", folders / "inverse")
    with pytest.raises(IntegrityError, match="release 1, expected release 2"):
        apply_change(folders / "full1", folders / "inverse", folders / "into")


def test_a_full_package_has_no_inverse(folders):
    with pytest.raises(DeclarationError, match="a full package, expected a change package"):
        invert(folders / "full2", folders / "inverse")
    assert not (folders / "inverse").exists()
