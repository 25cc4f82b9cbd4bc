"""The rows that a release adds to a layer's history, made of a candidate's changes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.arrow_rows import MOMENT
from cityframe.model.layer import Layer
from cityframe.store.candidate import Candidate, change_batches
from cityframe.store.seal import seals
from cityframe.store.tables import history_schema
from cityframe.store.timeline import FOREVER

Seals = list["pa.Array[Any]"]


def first_rows(
    candidate: Candidate, layer: Layer, number: int, opened: Seals
) -> Iterator[pa.RecordBatch]:
    """Yield a layer's first rows as history rows; their seals gather in ``opened``."""
    for batch in change_batches(candidate, layer.name):
        changes = pa.Table.from_batches([batch])
        ended_by: Any = changes.column("delivery").combine_chunks()
        ended_by = pc.if_else(
            changes.column("valid_to").combine_chunks().is_valid(), ended_by, None
        )
        rows = _history_rows(changes, layer, number, ended_by)
        opened.append(rows.column("seal").combine_chunks())
        yield from rows.combine_chunks().to_batches()


def added_rows(
    candidate: Candidate, layer: Layer, added: pd.DataFrame, number: int, opened: Seals
) -> Iterator[pa.Table]:
    """Yield the rows that changes add, with the periods that the timeline left them.

    Their seals gather in ``opened``.
    """
    if added.empty:
        return
    ordered = added.sort_values(["change", "valid_from"])
    places = ordered["change"].to_numpy(dtype=np.int64)
    start = 0
    for batch in change_batches(candidate, layer.name):
        chosen = (places >= start) & (places < start + batch.num_rows)
        part = ordered[chosen]
        changes = pa.Table.from_batches([batch]).take(pa.array(places[chosen] - start))
        start += batch.num_rows
        if not changes.num_rows:
            continue
        ends = part["valid_to"].to_numpy(dtype=np.int64)
        periods = {
            "valid_from": pa.array(part["valid_from"].to_numpy(dtype=np.int64)).cast(MOMENT),
            "valid_to": pa.array(ends, mask=ends == FOREVER).cast(MOMENT),
        }
        for name, values in periods.items():
            changes = changes.set_column(changes.column_names.index(name), name, values)
        ended_by = pa.array(part["ended_by"], pa.string(), from_pandas=True)
        rows = _history_rows(changes, layer, number, ended_by)
        opened.append(rows.column("seal").combine_chunks())
        yield rows


def _history_rows(
    changes: pa.Table, layer: Layer, number: int, ended_by: "pa.Array[Any]"
) -> pa.Table:
    """Return a change table as rows of the history."""
    count = changes.num_rows
    rows = (
        changes.append_column("release_from", pa.array(np.full(count, number, dtype=np.int64)))
        .append_column("release_to", pa.nulls(count, pa.int64()))
        .append_column("ended_by", ended_by)
    )
    rows = rows.append_column("seal", seals(rows, layer))
    return rows.select(history_schema(layer).names).cast(history_schema(layer))
