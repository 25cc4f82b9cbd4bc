"""A second implementation of the proofs, from ``docs/formats/store.md`` alone."""

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from cityframe.model.layer import Layer
from cityframe.model.release import Release
from cityframe.store.framework import Framework
from cityframe.store.history_query import as_schema
from cityframe.store.seal import sealed_columns

Row = dict[str, Any]


def canonical(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def text(value: str | bytes | None) -> bytes:
    if value is None:
        return struct.pack("<I", 4294967295)
    body = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(body)) + body


def number(value: int | None) -> bytes:
    return struct.pack("<q", -(2**63) if value is None else int(value))


def seal(row: Row) -> bytes:
    body: bytes = row["digest"]
    for name in ("uid", "delivery", "basis", "ended_by", "change", "geom"):
        body += text(row[name])
    for name in ("valid_from", "valid_to"):
        moment = row[name]
        body += number(None if moment is None else round(moment.timestamp()) * 10**6)
    for name in ("release_from", "record", "has_new_attributes"):
        body += number(row[name])
    return hashlib.blake2b(body, digest_size=16).digest()


def set_of(seals: list[bytes]) -> str:
    return hashlib.blake2b(b"".join(sorted(seals)), digest_size=32).hexdigest()


def rows_of(framework: Framework, layer: Layer) -> list[Row]:
    names = ["fid", "seal", "release_to", *sealed_columns(layer)]
    batches = framework.history_rows(layer, names, sa.true())
    return as_schema(batches, names, layer).to_pylist()


def table(framework: Framework, name: str) -> list[Row]:
    with framework.home.engine.connect() as connection:
        rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"').mappings()
        return [dict(row) for row in rows]


def test_seals_sets_and_chain_follow_the_specification(
    framework: Framework, release: Callable[..., Release], buildings: Layer
) -> None:
    release([("u1", "new", 0, 1), ("u2", "new", 20, 2)])
    release([("u1", "attributes", 0, 5), ("u2", "removed", 20, 2)], valid_from="2020-02-01")
    rows = rows_of(framework, buildings)
    assert len(rows) == 5
    assert [row["seal"] for row in rows] == [seal(row) for row in rows]
    layers = {one["release"]: one for one in table(framework, "cf_release_layer")}
    for release_number, one in layers.items():
        for name, column in (("opened", "release_from"), ("closed", "release_to")):
            seals = [row["seal"] for row in rows if row[column] == release_number]
            assert one[name] == set_of(seals)
    contract = table(framework, "cf_contract")[0]["contract"]
    events = table(framework, "cf_lineage")
    names = ("number", "kind", "created_at", "valid_at", "cycle", "candidate", "parent")
    for one in table(framework, "cf_release"):
        layer = layers[one["number"]]
        body = {
            **{name: one[name] for name in names},
            "layers": [
                {
                    **{name: layer[name] for name in ("count", "digest", "opened", "closed")},
                    "layer": "buildings",
                    "changes": json.loads(layer["changes"]),
                    "contract": sha256(contract),
                }
            ],
            "lineage": sha256(
                "\n".join(
                    sorted(
                        canonical({
                            name: event[name]
                            for name in ("layer", "event", "parent", "child", "share")
                        })
                        for event in events
                        if event["release"] == one["number"]
                    )
                )
            ),
            "evidence": sha256(one["evidence"]),
        }  # fmt: skip
        digest = hashlib.blake2b(canonical(body).encode(), digest_size=32).hexdigest()
        assert one["digest"] == digest
