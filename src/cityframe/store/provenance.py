"""Provenance: in a release, which source won an attribute, by which rule, and over whom.

What the losing sources said may be personal data, which a redaction must clear; so a row's seal is
over a digest of the losers, and stays what it was when they are gone.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from cityframe.core.digest import ROW_DIGEST_BYTES
from cityframe.store.entries import entries_of, entry_schema
from cityframe.store.register import PROVENANCE_COLUMNS
from cityframe.store.seal import entry_seals
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


def of_attributes(
    layer: str, uids: Sequence[str], attributes: Sequence[str]
) -> sa.ColumnElement[bool]:
    """Return the condition of rows that say what losing sources said of attributes of features."""
    columns = PROVENANCE.c
    return (
        (columns.layer == layer)
        & columns.uid.in_(uids)
        & columns.attribute.in_(attributes)
        & columns.losers.is_not(None)
    )
