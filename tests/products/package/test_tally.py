import hashlib
import struct

import pytest

from cityframe.core.digest import row_digests
from cityframe.errors import IntegrityError
from cityframe.products.package import PackageKind, read_manifest
from cityframe.products.package.rows import layer_frames
from cityframe.products.package.tally import RowCounter


def rows_digest(frame, texts, digests):
    """Follow the section 'Rows digest of a package' of docs/formats/digest.md."""
    body = b""
    for (_, row), digest in zip(frame.iterrows(), digests, strict=True):
        for name in texts:
            text = row[name].encode()
            body += struct.pack("<I", len(text)) + text
        body += struct.pack("<q", row["valid_from"].value // 1000) + digest
    return hashlib.blake2b(body, digest_size=16).hexdigest()


@pytest.mark.parametrize(
    ("name", "texts"), [("full2", ["uid"]), ("change2", ["side", "change", "uid"])]
)
def test_rows_digest_is_that_of_the_specification(folders, name, texts):
    manifest = read_manifest(folders / name)
    for layer in manifest.layers:
        expected = hashlib.blake2b(digest_size=16).hexdigest()
        for frame in layer_frames(folders / name, manifest, layer, manifest.formats[0]):
            expected = rows_digest(frame, texts, row_digests(frame, layer.contract))
        assert layer.rows_digest == expected


@pytest.mark.parametrize(
    ("sides", "uids", "changes"),
    [
        (["after", "before"], ["b1", "b1"], ["reshaped", "reshaped"]),
        (["before", "before"], ["b1", "b1"], ["removed", "removed"]),
        (["before", "beside"], ["b1", "b2"], ["removed", "removed"]),
        (["before"], ["b1"], ["new"]),
        (["after"], ["b1"], ["painted"]),
    ],
)
def test_sides_and_kinds_that_make_no_sense_are_refused(town, make_building, sides, uids, changes):
    layer = town.layers["buildings"]
    frame = town.frame(layer, {f"b{at}": make_building() for at in range(len(uids))})
    frame = frame.assign(side=sides, uid=uids, change=changes)
    counter = RowCounter(layer, PackageKind.CHANGE, "table")
    with pytest.raises(IntegrityError, match=r"table uid b\d"):
        counter.add(frame, row_digests(frame, layer))


def test_order_is_held_over_batches(town, make_building):
    layer = town.layers["buildings"]
    counter = RowCounter(layer, PackageKind.FULL, "table")
    frame = town.frame(layer, {"b5": make_building()})
    counter.add(frame, row_digests(frame, layer))
    with pytest.raises(IntegrityError, match="uid b5: a row out of order"):
        counter.add(frame, row_digests(frame, layer))
