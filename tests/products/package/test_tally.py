import hashlib
import struct

import pytest

from cityframe.core.digest import row_digests
from cityframe.errors import IntegrityError
from cityframe.products.package import read_manifest
from cityframe.products.package.rows import layer_frames
from cityframe.products.package.tally import RowCounter


def rows_digest(frame, digests):
    """Follow the section 'Rows digest' of docs/formats/package.md."""
    body = b""
    for (_, row), digest in zip(frame.iterrows(), digests, strict=True):
        for name in ("uid", "delivery", "basis"):
            if isinstance(row[name], str):
                text = row[name].encode()
                body += struct.pack("<I", len(text)) + text
            else:
                body += b"\xff\xff\xff\xff"
        is_known = row["record"] is not None and row["record"] == row["record"]
        record = int(row["record"]) if is_known else -(2**63)
        body += struct.pack("<qq", row["valid_from"].value // 1000, record) + digest
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def test_rows_digest_is_that_of_the_specification(folders):
    manifest = read_manifest(folders / "full2")
    for layer in manifest.layers:
        (frame,) = layer_frames(folders / "full2", manifest, layer, manifest.formats[0])
        frame["record"] = frame["record"].astype(object).where(frame["record"].notna(), None)
        assert layer.rows_digest == rows_digest(frame, row_digests(frame, layer.contract))


def test_order_is_held_over_batches(town, make_building):
    layer = town.layers["buildings"]
    counter = RowCounter("table")
    frame = town.frame(layer, {"b5": make_building()})
    counter.add(frame, row_digests(frame, layer))
    with pytest.raises(IntegrityError, match="uid b5: a row out of order"):
        counter.add(frame, row_digests(frame, layer))
