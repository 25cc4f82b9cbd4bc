"""Provenance: in a release, which source won an attribute, by which rule, and over whom.

What the losing sources said may be personal data, which a redaction must clear; so a row's seal is
over a digest of the losers, and stays what it was when they are gone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from cityframe.core.digest import ROW_DIGEST_BYTES
from cityframe.store.entries import entries_of, entry_schema, read_entries
from cityframe.store.history_query import in_parts
from cityframe.store.home import Home
from cityframe.store.register import PROVENANCE_COLUMNS
from cityframe.store.seal import entry_seals, set_evidence
from cityframe.store.tables import PROVENANCE

SAID_SCHEMA = entry_schema(PROVENANCE, PROVENANCE_COLUMNS)
SEALED_COLUMNS = (
    "release", "layer", *(name for name in PROVENANCE_COLUMNS if name != "losers"), "losers_digest",
)  # fmt: skip
_STORED = (*SEALED_COLUMNS, "losers")
_ORDER = ("uid", "attribute", "source", "delivery", "record")


def said_rows(frame: pd.DataFrame) -> pa.Table:
    """Return the provenance of a candidate as entries: `PROVENANCE_COLUMNS`, sorted."""
    rows = entries_of(frame, SAID_SCHEMA)
    return rows.sort_by([(name, "ascending") for name in _ORDER])


def release_rows(said: Mapping[str, pa.Table], number: int) -> pa.Table:
    """Return the rows of ``cf_provenance`` that a release adds, of what is said by layer."""
    schema = entry_schema(PROVENANCE, _STORED)
    parts = [schema.empty_table()]
    for layer, rows in sorted(said.items()):
        count = rows.num_rows
        whole = (
            rows.append_column("release", pa.array(np.full(count, number, dtype=np.int64)))
            .append_column("layer", pa.array([layer] * count, pa.string()))
            .append_column("losers_digest", losers_digests(rows.column("losers")))
        )
        parts.append(whole.select(schema.names).cast(schema))
    return pa.concat_tables(parts)


def losers_digests(losers: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    """Return BLAKE2b-128 of each text in UTF-8; null of null."""
    digests = [
        None
        if text is None
        else hashlib.blake2b(text.encode(), digest_size=ROW_DIGEST_BYTES).digest()
        for text in losers.to_pylist()
    ]
    return pa.array(digests, pa.binary())


def sealed(rows: pa.Table) -> "pa.Array[Any]":
    """Return the seals of rows of provenance."""
    return entry_seals(rows.select(list(SEALED_COLUMNS)))


def losing_rows(home: Home, layer: str, uids: Sequence[str], attributes: Sequence[str]) -> pa.Table:
    """Return the rows that hold what losing sources said of attributes of features.

    Returns
    -------
    Table
        ``id``, `SEALED_COLUMNS` and ``losers``, in the order of the table.
    """
    columns = PROVENANCE.c
    of_layer = (columns.layer == layer) & columns.losers.is_not(None)
    names = ("id", *_STORED)
    parts = [
        read_entries(home, PROVENANCE, names, of_layer & part & columns.attribute.in_(attributes))
        for part in in_parts(columns.uid, uids)
    ]
    return pa.concat_tables([entry_schema(PROVENANCE, names).empty_table(), *parts]).sort_by("id")


def clear_losers(connection: sa.Connection, rows: pa.Table, number: int) -> None:
    """Clear the losers of rows, in the transaction of the release that redacts them."""
    ids = [{"row": one} for one in rows.column("id").to_pylist()]
    if ids:
        cleared = sa.update(PROVENANCE).where(PROVENANCE.c.id == sa.bindparam("row"))
        connection.execute(cleared.values(losers=None, redacted=number), ids)


def losers_evidence(rows: pa.Table) -> dict[str, Any]:
    """Return ``losers``: count and digest of the rows that a redaction clears; empty of none."""
    return {"losers": set_evidence(sealed(rows))} if rows.num_rows else {}


def deliveries_of_losers(losers: Iterable[str]) -> frozenset[str]:
    """Return the deliveries that losers name."""
    return frozenset(
        str(one["delivery"]) for text in losers for one in json.loads(text) if "delivery" in one
    )
